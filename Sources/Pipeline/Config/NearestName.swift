/// Finds what somebody meant who wrote a name that does not exist.
public enum NearestName {
    /// The name of `known` that is nearest to `name` by edit distance, ignoring case and underscores; nil when even that
    /// one is too far off to be meant. Of equals the first in alphabetical order.
    /// Bounds: names beyond 64 characters are not compared.
    public static func find(_ name: String, among known: [String]) -> String? {
        let wanted = normalized(name)
        guard !wanted.isEmpty, wanted.count <= 64 else { return nil }
        var best: (name: String, distance: Int)?
        for candidate in known.sorted() {
            let letters = normalized(candidate)
            guard letters.count <= 64 else { continue }
            let distance = editDistance(wanted, letters)
            guard distance <= max(1, min(wanted.count, letters.count) / 2) else { continue }
            if distance < (best?.distance ?? Int.max) { best = (candidate, distance) }
        }
        return best?.name
    }

    /// The name as Telegraf compares option names: lower case, without underscores.
    public static func normalized(_ name: String) -> [UInt8] {
        name.utf8.compactMap { byte in
            switch byte {
            case UInt8(ascii: "_"): nil
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte + 32
            default: byte
            }
        }
    }

    /// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`.
    public static func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...b.count)
        for (row, letter) in a.enumerated() {
            var current = [row + 1]
            current.reserveCapacity(b.count + 1)
            for (column, other) in b.enumerated() {
                var distance = Swift.min(
                    previous[column + 1] + 1, current[column] + 1, previous[column] + (letter == other ? 0 : 1))
                if row > 0, column > 0, letter == b[column - 1], a[row - 1] == other {
                    distance = Swift.min(distance, beforePrevious[column - 1] + 1)
                }
                current.append(distance)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[b.count]
    }
}
