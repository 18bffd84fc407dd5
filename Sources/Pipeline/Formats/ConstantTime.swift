/// Comparison of secrets.
public enum ConstantTime {
    /// Whether the texts are equal, in a time that depends on their lengths alone.
    public static func equal(_ one: String, _ other: String) -> Bool {
        let (first, second) = (Array(one.utf8), Array(other.utf8))
        var difference: UInt8 = first.count == second.count ? 0 : 1
        for index in first.indices {
            difference |= first[index] ^ (second.isEmpty ? 1 : second[index % second.count])
        }
        return difference == 0
    }
}
