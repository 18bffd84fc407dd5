/// Why the proxy does not do what a peer wants: a fixed set, for the counters.
public enum ProxyRefusal: String, Sendable, Hashable, CaseIterable {
    /// An address outside of the listener's networks.
    case network
    /// More connections than the listener takes.
    case connections
    /// A handshake on a port without TLS.
    case tlsOnPlainPort = "tls_on_plain_port"
    /// A request that is broken, too large or too slow to be read.
    case malformed
    /// A request that the listener does not serve.
    case wrongListener = "wrong_listener"
    /// No credentials, or wrong ones.
    case credentials
    /// A name that the client may not use.
    case name
    /// A push of another one than who got the scrape.
    case identity
    /// A name or a port that this scraper may not ask for.
    case scraper
    case port
}
