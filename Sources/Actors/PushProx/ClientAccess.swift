import CCrypto
import Logging
import Pipeline

/// Which clients may use which names, and which scrapers may ask for them: the rules of the proxy with the tokens of
/// their files. Lives on the proxy's event loop.
///
/// Tokens are kept and compared as digests. Cost: a `stat` for a name with a token file, a read only after a change.
final class ClientAccess {
    /// What a request of a client has shown, until the name is known that it wants to use.
    struct Credential {
        /// The digest of the token; empty for none.
        var digest = ""
        /// Whether it was the listener's own, or the listener has none.
        var isAccepted = true
    }

    private struct TokenFile {
        var reader: SecretReader
        var read = Secret.none
        var digests: Set<String> = []
    }

    let rules: NameRules
    private let log: Logger
    private var files: [Int: TokenFile] = [:]

    init(_ rules: NameRules, log: Logger) {
        self.rules = rules
        self.log = log
        for (index, rule) in rules.rules.enumerated() where !rule.tokenFile.isEmpty {
            files[index] = TokenFile(reader: SecretReader(.file(path: rule.tokenFile), allowsLines: true))
        }
    }

    func verdict(
        on name: ScrapeName, _ credential: Credential, _ listener: ProxyListener, _ peer: TLSPeer?
    )
        -> NameRules.Verdict
    {
        var claim = NameRules.Claim()
        claim.isAccepted = credential.isAccepted
        claim.carriesName = peer?.carries(name) ?? false
        if !credential.digest.isEmpty, let index = rules.index(for: name) {
            claim.hasToken = rules.rules[index].tokens.contains(credential.digest) || isInFile(index, credential.digest)
        }
        return rules.verdict(on: name, binds: listener.settings.bindsNames, claim)
    }

    private func isInFile(_ index: Int, _ digest: String) -> Bool {
        guard var file = files[index] else { return false }
        do throws(SecretError) {
            let secret = try file.reader.current()
            if secret.revealed != file.read.revealed {
                file.read = secret
                file.digests = Set(secret.revealed.split(whereSeparator: \.isNewline).compactMap(ClientAccess.digest))
            }
            files[index] = file
            return file.digests.contains(digest)
        } catch {
            // Nobody is let in by a file that cannot be read.
            log.error("a file of tokens cannot be used", metadata: ["error": "\(error)"])
            files[index] = file
            return false
        }
    }

    /// Of a line: a token, or `sha256:` with its digest.
    private static func digest(ofLine line: Substring) -> String? {
        let text = line.filter { $0 != " " && $0 != "\t" }
        guard text.hasPrefix("sha256:") else { return text.isEmpty ? nil : digest(of: text) }
        let digits = String(text.dropFirst(7)).lowercased()
        return NameRule.isDigest(digits) ? digits : nil
    }

    /// SHA-256 in hexadecimal.
    static func digest(of token: String) -> String {
        let data = Array(token.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        _ = SHA256(data, data.count, &digest)
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The token in a header `Authorization`: behind `Bearer`, or the password of `Basic`, since a client that has nothing
    /// but a URL sends the user information of that; a user without a password is the token.
    static func token(in header: String) -> String? {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        switch parts[0].lowercased() {
        case "bearer": return String(parts[1])
        case "basic":
            guard let bytes = Base64.decode(parts[1].utf8) else { return nil }
            let user = bytes.prefix { $0 != UInt8(ascii: ":") }
            let password = bytes.dropFirst(user.count + 1)
            return String(decoding: password.isEmpty ? user : password, as: UTF8.self)
        default: return nil
        }
    }
}

extension TLSPeer {
    /// Whether the certificate carries this name or address among its alternative names.
    func carries(_ name: ScrapeName) -> Bool {
        dnsNames.contains { name.isCovered(by: $0) }
            || (!addresses.isEmpty && IPAddress(name.description).map(addresses.contains) ?? false)
    }
}
