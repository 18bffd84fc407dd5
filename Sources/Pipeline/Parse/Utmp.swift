/// `/var/run/utmp`: who is logged in.
///
/// Shape: records of 384 bytes (glibc on 64 bit): 0 type (int16, 7 = user process), 44 user name (32 bytes, ended by
/// NUL if shorter). A partial record at the end is ignored.
/// Source: utmp(5).
public enum Utmp {
    public static let recordBytes = 384

    /// Number of sessions of users, and of distinct names among them.
    public static func users(_ bytes: [UInt8]) -> (sessions: Int, distinct: Int) {
        var sessions = 0
        var names: Set<ArraySlice<UInt8>> = []
        var start = 0
        while bytes.count - start >= recordBytes {
            if UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8 == 7 {
                sessions += 1
                names.insert(bytes[(start + 44)..<(start + 76)].prefix { $0 != 0 })
            }
            start += recordBytes
        }
        return (sessions, names.count)
    }
}
