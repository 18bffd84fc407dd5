/// The digests that known hosts and fingerprints need; the edge gives the system's own.
public struct SSHDigests: Sendable {
    public var sha256: @Sendable ([UInt8]) -> [UInt8]
    /// HMAC-SHA1 of data under a key.
    public var hmacSHA1: @Sendable (_ key: [UInt8], _ data: [UInt8]) -> [UInt8]

    public init(
        sha256: @escaping @Sendable ([UInt8]) -> [UInt8],
        hmacSHA1: @escaping @Sendable (_ key: [UInt8], _ data: [UInt8]) -> [UInt8]
    ) {
        self.sha256 = sha256
        self.hmacSHA1 = hmacSHA1
    }

    /// The fingerprint of a key as OpenSSH prints it.
    ///
    /// Shape: `SHA256:` and the digest of the key in base64 without padding.
    public func fingerprint(of key: [UInt8]) -> String { "SHA256:" + Base64.unpadded(sha256(key)) }
}

/// What is known of a server's key.
public enum HostKeyVerdict: Sendable, Hashable {
    /// The key stands in the file.
    case known
    /// The host is known, with other keys: those of these lines.
    case changed(lines: [Int])
    /// The key is marked as revoked there.
    case revoked(line: Int)
    /// Nothing is known of the host.
    case unknown
    /// Only a certificate authority is known for it, which is not supported.
    case authorityOnly(line: Int)
}

/// A file of host keys, as OpenSSH keeps it.
///
/// Shape: a line a key: `[@revoked|@cert-authority] NAMES TYPE BASE64 [COMMENT]`. NAMES is a list of patterns with `*`,
/// `?` and `!`, or a hashed name `|1|SALT|HASH`; a port other than 22 is written `[host]:port`.
/// Bounds: 1 MiB; a line that cannot be understood is passed over and counted. Source: sshd(8), SSH_KNOWN_HOSTS.
public struct KnownHosts: Sendable, Hashable {
    public static let sizeLimit = 1 << 20

    enum Marker: Sendable, Hashable { case none, revoked, authority }

    struct Entry: Sendable, Hashable {
        var line: Int
        var marker: Marker
        var names: Names
        var type: String
        var key: [UInt8]
    }

    enum Names: Sendable, Hashable {
        case patterns([String])
        case hashed(salt: [UInt8], digest: [UInt8])
    }

    private(set) var entries: [Entry] = []
    /// Lines that are no entry.
    public private(set) var malformedLines: [Int] = []

    public init() {}

    /// Errors: `ParseError` for a file beyond the limit.
    public init(_ bytes: [UInt8]) throws(ParseError) {
        guard bytes.count <= KnownHosts.sizeLimit else { throw ParseError("known_hosts", "longer than 1 MiB") }
        var cursor = ByteCursor(bytes)
        while cursor.nextLine() {
            cursor.skipBlanks()
            let rest = cursor.trimmed(cursor.rest)
            guard !rest.isEmpty, bytes[rest.lowerBound] != UInt8(ascii: "#") else { continue }
            if let entry = KnownHosts.entry(&cursor) {
                entries.append(entry)
            } else if malformedLines.count < 100 {
                malformedLines.append(cursor.lineNumber)
            }
        }
    }

    private static func entry(_ cursor: inout ByteCursor) -> Entry? {
        guard var word = cursor.word() else { return nil }
        var marker = Marker.none
        if cursor.bytes[word.lowerBound] == UInt8(ascii: "@") {
            switch cursor.text(word) {
            case "@revoked": marker = .revoked
            case "@cert-authority": marker = .authority
            default: return nil
            }
            guard let next = cursor.word() else { return nil }
            word = next
        }
        guard let names = names(cursor.text(word)), let type = cursor.word(), let blob = cursor.word() else {
            return nil
        }
        let encoded = cursor.trimmed(blob)
        guard let key = Base64.decode(cursor.bytes[encoded]) else { return nil }
        var reader = SSHReader(key)
        // The type stands in the key as well, and both must agree.
        let name = cursor.text(type)
        guard reader.text() == name else { return nil }
        return Entry(line: cursor.lineNumber, marker: marker, names: names, type: name, key: key)
    }

    private static func names(_ text: String) -> Names? {
        guard text.hasPrefix("|") else {
            return .patterns(text.split(separator: ",").prefix(256).map { $0.lowercased() })
        }
        let parts = text.split(separator: "|", omittingEmptySubsequences: true)
        guard parts.count == 3, parts[0] == "1", let salt = Base64.decode(parts[1].utf8),
            let digest = Base64.decode(parts[2].utf8), salt.count == 20, digest.count == 20
        else { return nil }
        return .hashed(salt: salt, digest: digest)
    }

    // MARK: Questions

    /// The name under which a server is looked up: `host`, or `[host]:port` for a port other than 22.
    public static func name(of server: NetworkPlace) -> String {
        let host = server.host.lowercased()
        return server.port == 22 ? host : "[\(host)]:\(server.port)"
    }

    /// The types of the keys known for `server`, so that the server can be asked for one of them.
    public func types(for server: NetworkPlace, _ digests: SSHDigests) -> [String] {
        var types: [String] = []
        for entry in entries where entry.marker == .none && matches(entry, server, digests) {
            if !types.contains(entry.type) { types.append(entry.type) }
        }
        return types
    }

    /// What the file says of `key`, the server's key in binary form.
    public func verdict(for server: NetworkPlace, key: [UInt8], _ digests: SSHDigests) -> HostKeyVerdict {
        var lines: [Int] = []
        var authority: Int?
        var isKnown = false
        for entry in entries where matches(entry, server, digests) {
            switch entry.marker {
            case .revoked where entry.key == key: return .revoked(line: entry.line)
            case .revoked: continue
            case .authority: authority = authority ?? entry.line
            case .none where entry.key == key: isKnown = true
            case .none: lines.append(entry.line)
            }
        }
        if isKnown { return .known }
        if !lines.isEmpty { return .changed(lines: lines) }
        return authority.map { .authorityOnly(line: $0) } ?? .unknown
    }

    /// The kinds of keys that are kept: those that a server is asked for.
    static let keptTypes: Set<String> = [
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    ]

    /// The line for a new key; nil for a key of another kind than `keptTypes`: what a server writes there gets into no
    /// file of ours.
    public static func line(for server: NetworkPlace, key: [UInt8]) -> String? {
        var reader = SSHReader(key)
        guard let type = reader.text(), keptTypes.contains(type) else { return nil }
        return "\(name(of: server)) \(type) \(String(decoding: Base64.encoded(key), as: UTF8.self))\n"
    }

    private func matches(_ entry: Entry, _ server: NetworkPlace, _ digests: SSHDigests) -> Bool {
        let name = KnownHosts.name(of: server)
        switch entry.names {
        case .hashed(let salt, let digest): return digests.hmacSHA1(salt, Array(name.utf8)) == digest
        case .patterns(let patterns):
            var matched = false
            for pattern in patterns {
                let isNegated = pattern.hasPrefix("!")
                let body = Array((isNegated ? pattern.dropFirst() : pattern[...]).utf8)
                guard KnownHosts.matches(Array(name.utf8), body) else { continue }
                if isNegated { return false }
                matched = true
            }
            return matched
        }
    }

    /// Whether `name` matches a pattern of `*` and `?`. Linear in time but for one step back.
    static func matches(_ name: [UInt8], _ pattern: [UInt8]) -> Bool {
        var n = 0
        var p = 0
        var retry: (pattern: Int, name: Int)?
        while n < name.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                retry = (p, n)
                p += 1
            } else if p < pattern.count, pattern[p] == UInt8(ascii: "?") || pattern[p] == name[n] {
                p += 1
                n += 1
            } else if let back = retry {
                retry = (back.pattern, back.name + 1)
                p = back.pattern + 1
                n = back.name + 1
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
