import Pipeline
import Synchronization

/// Who may write: whoever shows the user and password, or the token, when any is configured.
///
/// Secrets are compared in a time that tells nothing about them. Files are read again when they change.
final class ListenerAccess: Sendable {
    /// The secrets, in the form in which they are shown.
    private struct Secrets {
        var password: SecretReader
        var token: SecretReader
    }

    private let username: String
    private let isOpen: Bool
    private let secrets: Mutex<Secrets>

    /// Errors: a user without a password or a password without a user; a secret that cannot be read.
    init(_ options: OptionValues) throws {
        func source(_ name: String) -> SecretSource {
            let path = options.string(name + "_file")
            if !path.isEmpty { return .file(path: path) }
            let literal = options.secret(name)
            return literal.isEmpty ? .none : .literal(literal)
        }
        username = options.string("basic_username")
        let (password, token) = (source("basic_password"), source("token"))
        guard username.isEmpty == (password == .none) else {
            throw CollectorError(
                "influxdb_listener: basic_username and basic_password belong together", option: "basic_username")
        }
        isOpen = password == .none && token == .none
        var made = Secrets(password: SecretReader(password), token: SecretReader(token))
        do {
            _ = try made.password.current()
            _ = try made.token.current()
        } catch {
            throw CollectorError("influxdb_listener: \(error)")
        }
        secrets = Mutex(made)
    }

    /// nil for a request that may go on. What tells nothing and changes nothing is open to all.
    func refusal(_ head: ServedRequest) -> ServedReply? {
        guard !isOpen, head.path != "/ping", head.path != "/health" else { return nil }
        if let shown = head.header("authorization"), isAccepted(shown) { return nil }
        var reply = InfluxDBReplies.refused(401, "authorization failed")
        reply.headers.append(("WWW-Authenticate", "Basic realm=\"godwit\""))
        return reply
    }

    private func isAccepted(_ shown: String) -> Bool {
        let parts = shown.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return false }
        let value = String(parts[1])
        let (password, token) = secrets.withLock { secrets in
            ((try? secrets.password.current())?.revealed ?? "", (try? secrets.token.current())?.revealed ?? "")
        }
        switch parts[0].lowercased() {
        case "basic":
            let expected = String(
                decoding: Base64.basicCredentials(user: username, password: Secret(password)), as: UTF8.self)
            return !password.isEmpty && ConstantTime.equal(value, expected)
        case "token", "bearer": return !token.isEmpty && ConstantTime.equal(value, token)
        default: return false
        }
    }
}
