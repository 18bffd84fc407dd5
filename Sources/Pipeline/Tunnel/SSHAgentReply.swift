/// What an SSH agent answers.
///
/// Source: draft-miller-ssh-agent, 4.
public enum SSHAgentReply {
    /// The body of the first message in `bytes`; nil until it is whole.
    public static func body(_ bytes: [UInt8]) -> [UInt8]? {
        var reader = SSHReader(bytes)
        return reader.string()
    }

    /// The keys it holds: type 12, their number, and for each the key and a comment. At most 64.
    public static func keys(_ body: [UInt8]) -> [[UInt8]]? {
        guard body.first == 12 else { return nil }
        var reader = SSHReader(body, from: 1)
        guard let count = reader.uint32() else { return nil }
        var keys: [[UInt8]] = []
        for _ in 0..<min(count, 64) {
            guard let key = reader.string(), reader.string() != nil else { return nil }
            keys.append(key)
        }
        return keys
    }

    /// A signature without its name: type 14, a string that holds the name and the signature itself.
    public static func signature(_ body: [UInt8]) -> [UInt8]? {
        guard body.first == 14 else { return nil }
        var reader = SSHReader(body, from: 1)
        guard let outer = reader.string() else { return nil }
        var inner = SSHReader(outer)
        guard inner.string() != nil, let signature = inner.string(), !signature.isEmpty else { return nil }
        return signature
    }

    /// The name at the front of a key.
    public static func type(of key: [UInt8]) -> String? {
        var reader = SSHReader(key)
        return reader.text()
    }
}
