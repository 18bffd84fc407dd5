import Logging
import NIOCore
import Pipeline

/// Who may do what, and what is said of those who may not.
extension ScrapeHub {
    /// The status for a client that may not use `name`, counted and logged; nil for one that may.
    func refusal(of handler: ProxyHandler, on name: ScrapeName) -> Int? {
        let peer = handler.tlsPeer?.value
        let text: String
        switch access.verdict(on: name, handler.credential, handler.listener, peer) {
        case .allowed: return nil
        case .unlisted: text = "no [[pushprox.proxy.names]] is for the name \(name)"
        case .noToken: text = "no token of the name \(name) was shown"
        case .notCarried where peer == nil: text = "without a certificate nobody may use the name \(name)"
        case .notCarried: text = "the certificate does not carry the name \(name)"
        case .noCredentials:
            refused(.credentials)
            say("a client showed no credentials, or wrong ones", handler)
            return 401
        }
        refused(.name)
        say(text, handler)
        return handler.credential.digest.isEmpty && peer == nil ? 401 : 403
    }

    /// The log holds back what repeats. Nothing that was shown as a secret is in it.
    func say(_ text: String, _ handler: ProxyHandler) {
        var details: Logger.Metadata = ["peer": "\(handler.remoteAddress)"]
        if let peer = handler.tlsPeer?.value {
            details["serial"] = "\(peer.serial)"
            details["names"] = "\(peer.dnsNames.prefix(8).joined(separator: " "))"
        }
        log.warning("\(text)", metadata: details)
    }

    /// Why this scraper may not have this target; counted and logged. nil when it may.
    func refusal(of handler: ProxyHandler, asking target: ProxiedTarget) -> String? {
        guard !access.rules.isEmpty else { return nil }
        let reason: ProxyRefusal?
        if let index = access.rules.index(for: target.name) {
            reason = access.rules.rules[index].refusal(
                of: target, for: TCPServer.address(handler.context?.channel.remoteAddress),
                handler.tlsPeer?.value?.dnsNames ?? [])
        } else {
            reason = .name
        }
        guard let reason else { return nil }
        refused(reason)
        let text =
            switch reason {
            case .port: "port \(target.effectivePort) of \(target.name) may not be asked for"
            case .scraper: "this scraper may not ask for \(target.name)"
            default: "no [[pushprox.proxy.names]] is for the name \(target.name)"
            }
        say(text, handler)
        return text
    }

    /// A connection was ended with this status before anybody saw a request of it.
    func refusedUnseen(_ status: String, _ peer: SocketAddress?) {
        switch status {
        case ConnectionGuard.noTLS:
            refused(.tlsOnPlainPort)
            log.warning(
                "a TLS handshake came to a port without TLS", metadata: ["peer": "\(peer?.ipAddress ?? "unknown")"])
        case let text where text.hasPrefix("403"): refused(.network)
        case let text where text.hasPrefix("503"): refused(.connections)
        default: refused(.malformed)
        }
    }
}
