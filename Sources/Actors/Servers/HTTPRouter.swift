import NIOCore
import Pipeline

/// A request as a route sees it.
public struct ServedRequest: Sendable {
    public var method: String
    /// As it came: path and query, nothing decoded.
    public var target: String
    /// Without the query, percent-decoded.
    public var path: String
    /// Percent-decoded; the last value of a repeated name.
    public var query: [String: String]
    /// As they came, repeated ones too.
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    public var peer: PeerRight
    /// Who the client proved to be by a certificate.
    public var tlsPeer: TLSPeer?
    /// Where the connection comes from, as the kernel knows it; nil for a unix socket.
    public var address: IPAddress?

    public init(
        method: String, target: String, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        peer: PeerRight, address: IPAddress? = nil
    ) {
        self.method = method
        self.target = target
        self.address = address
        self.headers = headers
        self.body = body
        self.peer = peer
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = Self.decoded(parts.first ?? "", plusIsSpace: false)
        query = [:]
        for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.decoded(sides[0], plusIsSpace: true)
            query[name] = sides.count > 1 ? Self.decoded(sides[1], plusIsSpace: true) : ""
        }
    }

    /// The first header of that name; `name` is in lower case.
    public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }

    /// Percent-decodes; a `%` that is not followed by two hex digits stays as it is.
    static func decoded(_ text: Substring, plusIsSpace: Bool) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = Character(Unicode.Scalar(bytes[index + 1])).hexDigitValue,
                let low = Character(Unicode.Scalar(bytes[index + 2])).hexDigitValue
            {
                result.append(UInt8(high * 16 + low))
                index += 3
                continue
            }
            result.append(plusIsSpace && bytes[index] == UInt8(ascii: "+") ? 0x20 : bytes[index])
            index += 1
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// What a route answers.
public struct ServedReply: Sendable {
    public enum Body: Sendable {
        case bytes([UInt8])
        /// Runs until it returns, throws or is cancelled; the connection closes then.
        case stream(@Sendable (HTTPBodyWriter) async throws -> Void)
    }

    public var status: Int
    public var contentType: String
    public var headers: [(name: String, value: String)]
    public var body: Body

    public init(
        status: Int, contentType: String, headers: [(name: String, value: String)] = [], body: Body
    ) {
        self.status = status
        self.contentType = contentType
        self.headers = headers
        self.body = body
    }

    public static func text(_ text: String, status: Int = 200) -> ServedReply {
        ServedReply(status: status, contentType: "text/plain; charset=utf-8", body: .bytes(Array(text.utf8)))
    }

    public static func json(_ bytes: [UInt8], status: Int = 200) -> ServedReply {
        ServedReply(status: status, contentType: "application/json", body: .bytes(bytes))
    }
}

/// The routes of one server: exact path and method, each with the right that a peer needs.
public struct HTTPRouter: Sendable {
    public typealias Action = @Sendable (ServedRequest) async -> ServedReply

    private struct Route: Sendable {
        var right: PeerRight
        var action: Action
    }

    private var routes: [String: [String: Route]] = [:]
    /// Looks at the head of a request, before its body is read: what it returns is the reply, and the connection ends.
    public var gate: (@Sendable (_ head: ServedRequest) -> ServedReply?)?

    /// Asked before a body is read, after the gate: what it admits is released when the request has ended, in
    /// whatever way.
    public var admission: (@Sendable (_ head: ServedRequest) -> Admission)?
    /// Answers every request, whatever its path, in place of the routes.
    public var catchAll: Action?

    /// Whether a request may go on.
    public enum Admission: Sendable {
        /// The reply; the connection ends.
        case refused(ServedReply)
        /// `release` is called once.
        case admitted(release: @Sendable () -> Void)
    }

    public init() {}

    /// Adds a route. A `GET` route answers `HEAD`, too.
    public mutating func on(_ method: String, _ path: String, for right: PeerRight, _ action: @escaping Action) {
        routes[path, default: [:]][method] = Route(right: right, action: action)
    }

    /// The reply to any request: the route's, or 404, 405 with `Allow`, 403.
    public func reply(to request: ServedRequest) async -> ServedReply {
        if let catchAll { return await catchAll(request) }
        guard let methods = routes[request.path] else { return .text("no such page: \(request.path)\n", status: 404) }
        let method = request.method == "HEAD" ? "GET" : request.method
        guard let route = methods[method] else {
            var reply = ServedReply.text("method \(request.method) is not for this page\n", status: 405)
            reply.headers.append(("Allow", methods.keys.sorted().joined(separator: ", ")))
            return reply
        }
        guard request.peer >= route.right else {
            return .text("this is for root and the daemon's own user alone\n", status: 403)
        }
        return await route.action(request)
    }
}
