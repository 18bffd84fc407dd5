import Pipeline

/// Takes a request's own secrets out of what the server says: some servers and proxies repeat in an error page what
/// they were sent, and that text goes to log and status.
struct EchoRedaction: Sendable {
    /// Shorter ones would make holes in innocent words.
    private static let leastBytes = 4
    private let secrets: [[UInt8]]

    init(_ credentials: HTTPRequest.Credentials, headers: [String: String]) {
        var texts = headers.values.compactMap { $0.split(separator: " ").last.map(String.init) }
        switch credentials {
        case .none: break
        case .basic(let user, let password):
            texts.append(password.revealed)
            let encoded = String(decoding: Base64.basicCredentials(user: user, password: password), as: UTF8.self)
            // The padding may be left out.
            texts += [encoded, String(encoded.prefix { $0 != "=" })]
        case .token(let token), .bearer(let token): texts.append(token.revealed)
        }
        secrets = texts.map { Array($0.utf8) }.filter { $0.count >= Self.leastBytes }.sorted { $0.count > $1.count }
    }

    /// `bytes` with `***` for each secret in it.
    func applied(to bytes: [UInt8]) -> [UInt8] {
        secrets.reduce(bytes) { text, secret in
            var out: [UInt8] = []
            out.reserveCapacity(text.count)
            var index = 0
            while index < text.count {
                if text[index] == secret[0], text[index...].starts(with: secret) {
                    out += Array("***".utf8)
                    index += secret.count
                } else {
                    out.append(text[index])
                    index += 1
                }
            }
            return out
        }
    }
}
