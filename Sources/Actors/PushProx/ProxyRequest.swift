import NIOHTTP1
import Pipeline

/// A request to the proxy, told apart by its target: absolute form is a scrape, the rest are paths of the proxy's own.
struct ProxyRequest {
    enum Kind: Hashable {
        case poll
        case push
        case scrape
        case clients
        case metrics
        case health
        /// `CONNECT host:port`.
        case connect
        /// A path on a listener that serves scrapers alone.
        case misdirected
        case unknown
    }

    let head: HTTPRequestHead
    var kind: Kind

    init(_ head: HTTPRequestHead) {
        self.head = head
        if head.method == .CONNECT {
            kind = .connect
        } else if !head.uri.hasPrefix("/") {
            kind = .scrape
        } else {
            let path = String(head.uri.prefix { $0 != "?" })
            kind =
                switch path {
                // A prefix that a front end has left on is none of our business.
                case _ where path.hasSuffix("/poll"): .poll
                case _ where path.hasSuffix("/push"): .push
                case "/clients": .clients
                case "/metrics": .metrics
                case "/healthz", "/readyz": .health
                default: .unknown
                }
        }
    }

    /// Who this kind of request is for; nil for anybody.
    var role: ScrapeRole? {
        switch kind {
        case .poll, .push: .clients
        case .scrape, .connect: .scrapers
        case .clients, .metrics: .admin
        case .health, .misdirected, .unknown: nil
        }
    }
}
