/// How a forward is tried from end to end.
public enum ForwardProbe: Sendable, Hashable {
    /// Not at all; only what clients meet counts.
    case none
    /// A connection to the target.
    case tcp
    /// `GET` of a path at the target, answered with this status.
    case http(path: String, status: UInt16)
}

extension ForwardProbe {
    /// The request, as it goes over the wire; empty for what asks nothing.
    ///
    /// - Parameter target: who is asked, for the Host header.
    public func request(to target: SocketPlace) -> [UInt8] {
        guard case .http(let path, _) = self else { return [] }
        var host = "localhost"
        if case .tcp(let place) = target { host = place.description }
        return Array("GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: godwit\r\nConnection: close\r\n\r\n".utf8)
    }

    /// What is wrong with an answer; nil when nothing is.
    public func complaint(about reply: ProbeReply) -> TunnelFailure? {
        guard case .http(let path, let wanted) = self else { return nil }
        switch reply {
        case .status(wanted): return nil
        case .status(let other): return TunnelFailure(.probeFailed, "GET \(path) gave \(other), expected \(wanted)")
        case .foreign: return TunnelFailure(.probeFailed, "the target does not speak HTTP")
        case .incomplete: return TunnelFailure(.probeFailed, "the target closed the connection without an answer")
        }
    }

    /// Whether a path can stand in a request: it begins with a slash and holds neither blanks nor control characters.
    public static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= 1_024 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}

/// The beginning of an answer to a probe.
///
/// Shape: `HTTP/1.1 204 No Content`; only version and status count.
public enum ProbeReply: Sendable, Hashable {
    /// It may become an answer with more bytes.
    case incomplete
    case status(UInt16)
    /// It is no HTTP, whatever follows.
    case foreign

    /// Bounds: reads the first 13 bytes.
    public init(_ bytes: [UInt8]) {
        let head = Array("HTTP/1.".utf8)
        guard bytes.prefix(head.count).elementsEqual(head.prefix(bytes.count)) else {
            self = .foreign
            return
        }
        var status: UInt16 = 0
        for (index, byte) in bytes.prefix(13).enumerated().dropFirst(head.count) {
            let digit = byte &- UInt8(ascii: "0")
            switch index {
            case 7 where digit < 10: continue
            case 8 where byte == UInt8(ascii: " "): continue
            case 9...11 where digit < 10: status = status * 10 + UInt16(digit)
            case 12 where [0x20, 0x0D, 0x0A].contains(byte):
                self = .status(status)
                return
            default:
                self = .foreign
                return
            }
        }
        self = .incomplete
    }
}

/// Where the server connects to when a remote forward is tried.
public struct FarSideProbe: Sendable, Hashable {
    /// Where it should listen.
    public var place: NetworkPlace
    /// Where it listens instead when it binds no more than loopback; nil where that would be no fault.
    public var masked: NetworkPlace?

    /// - Parameters:
    ///   - bind: where it was asked to listen.
    ///   - port: the port that it granted.
    ///   - serverAddress: its own address of the session; empty when nothing is known.
    public init(_ bind: NetworkPlace, port: UInt16, serverAddress: String) {
        let loopback = NetworkPlace("127.0.0.1", port)
        switch bind.host {
        case "0.0.0.0", "::", "*", "":
            // Every address is hard to try; the one of the session is surely among them when its family fits.
            let own = IPAddress(serverAddress)
            let isFitting = own.map { bind.host == "::" ? $0.isV6 : bind.host != "0.0.0.0" || !$0.isV6 } ?? false
            place = bind.host == "::" ? NetworkPlace("::1", port) : loopback
            guard isFitting, !NetworkPlace(serverAddress, port).isLoopback else { return }
            masked = place
            place = NetworkPlace(serverAddress, port)
        default:
            place = NetworkPlace(bind.host, port)
            if !bind.isLoopback { masked = loopback }
        }
    }
}
