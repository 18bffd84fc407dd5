import Pipeline
import Synchronization

/// A listener of the proxy, as its connections know it: whom it serves, and who may come.
final class ProxyListener: Sendable {
    struct Refusal {
        var reason: ProxyRefusal
        var status: Int
        var text: String
        var fields: [HTTPField]
    }

    private struct Secrets {
        var password: SecretReader
        var token: SecretReader
    }

    let settings: ScrapeListenerSettings
    private let secrets: Mutex<Secrets>

    init(_ settings: ScrapeListenerSettings) {
        self.settings = settings
        secrets = Mutex(
            Secrets(password: SecretReader(settings.password), token: SecretReader(settings.token)))
    }

    /// nil for a request that may go on. Looks at the head alone. A request for another listener is not told from one
    /// for nobody. Where `namesDecide`, the credentials of a client are judged with the name that it wants to use.
    func refusal(_ request: ProxyRequest, namesDecide: Bool) -> Refusal? {
        guard let role = request.role else { return nil }
        guard settings.roles.contains(role) else {
            if settings.roles == [.scrapers] {
                return Refusal(
                    reason: .wrongListener, status: 421,
                    text: "a scrape must name its target in the request line; is a reverse proxy in front?\n",
                    fields: [])
            }
            return Refusal(reason: .wrongListener, status: 404, text: "404 page not found\n", fields: [])
        }
        guard hasCredentials, !namesDecide else { return nil }
        let name = role == .scrapers ? "Proxy-Authorization" : "Authorization"
        if let shown = request.head.headers.first(name: name), isAccepted(shown) { return nil }
        let challenge = role == .scrapers ? "Proxy-Authenticate" : "WWW-Authenticate"
        // Without a text: a real client loses its connection on one.
        return Refusal(
            reason: .credentials, status: role == .scrapers ? 407 : 401, text: "",
            fields: [HTTPField(challenge, "Basic realm=\"godwit\"")])
    }

    private var hasCredentials: Bool { settings.password != .none || settings.token != .none }

    /// What a client has shown.
    func credential(_ request: ProxyRequest) -> ClientAccess.Credential {
        let shown = request.head.headers.first(name: "Authorization") ?? ""
        return ClientAccess.Credential(
            digest: ClientAccess.token(in: shown).map(ClientAccess.digest(of:)) ?? "",
            isAccepted: !hasCredentials || isAccepted(shown))
    }

    private func isAccepted(_ shown: String) -> Bool {
        let parts = shown.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return false }
        let (password, token) = secrets.withLock { secrets in
            ((try? secrets.password.current())?.revealed ?? "", (try? secrets.token.current())?.revealed ?? "")
        }
        switch parts[0].lowercased() {
        case "basic":
            let expected = String(
                decoding: Base64.basicCredentials(user: settings.username, password: Secret(password)), as: UTF8.self)
            return !password.isEmpty && ConstantTime.equal(String(parts[1]), expected)
        case "bearer": return !token.isEmpty && ConstantTime.equal(String(parts[1]), token)
        default: return false
        }
    }
}
