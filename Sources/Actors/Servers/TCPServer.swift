import Glibc
import NIOCore
import NIOPosix
import Pipeline

/// An HTTP/1.1 server on a TCP port.
///
/// Promises: addresses outside of `allowed` get 403 and one client too many gets 503 before they can say a word; what is
/// too large or too slow is closed by `ConnectionGuard`; a connection is one child task and cannot harm another.
/// With TLS nobody says a word before the handshake. Refuses: names of hosts (no name service is asked), bodies beyond the limit.
public struct TCPServer: Sendable {
    private let address: ListenAddress
    /// Empty: everybody.
    private let allowed: [AddressRange]
    private let limits: ServerLimits
    private let budget: BodyBudget?
    private let tls: ServerTLS?
    private let router: HTTPRouter
    private let eventLoop: any EventLoop
    private let clients: ClientCount?
    private let socket: SocketMaker?
    private let onRefusal: RefusalListener?

    /// Makes a listening socket: called once a run, its descriptor belongs to the server.
    public typealias SocketMaker = @Sendable (ListenAddress) async throws -> Int32
    /// Told the status with which a connection was refused before anybody saw a request of it.
    public typealias RefusalListener = @Sendable (_ status: String, _ peer: SocketAddress?) -> Void

    /// `clients` counts the connections for whoever wants to know; `socket` makes the socket where it is no plain one.
    public init(
        address: ListenAddress, allowed: [AddressRange], limits: ServerLimits, router: HTTPRouter,
        eventLoop: any EventLoop, budget: BodyBudget? = nil, tls: ServerTLS? = nil, clients: ClientCount? = nil,
        socket: SocketMaker? = nil, onRefusal: RefusalListener? = nil
    ) {
        self.onRefusal = onRefusal
        self.clients = clients
        self.socket = socket
        self.address = address
        self.allowed = allowed
        self.limits = limits
        self.budget = budget
        self.tls = tls
        self.router = router
        self.eventLoop = eventLoop
    }

    /// Serves until cancelled, then ends every connection. `listening` is called with the port once clients can come.
    ///
    /// Errors: what the kernel says to the address.
    public func run(listening: @Sendable (Int) async -> Void) async throws {
        let clients = clients ?? ClientCount(limit: limits.clients, perAddress: limits.clientsPerAddress)
        let listener = try await bind(clients)
        await listening(listener.channel.localAddress?.port ?? Int(address.port))
        try await listener.executeThenClose { inbound in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in inbound {
                    guard let connection else { continue }
                    group.addTask { await connection.serve() }
                }
                group.cancelAll()
            }
        }
    }

    private typealias Listener = NIOAsyncChannel<HTTPConnection?, Never>

    private func bind(_ clients: ClientCount) async throws -> Listener {
        if let socket {
            return try await ServerBootstrap(group: eventLoop).bind(try await socket(address)) { channel in
                channel.eventLoop.makeCompletedFuture { try admit(channel, clients) }
            }
        }
        guard let host = address.host else {
            // Every address of both kinds; a kernel without IPv6 has only one kind.
            do { return try await bind([UInt8](repeating: 0, count: 16), clients) } catch let failure as IOError {
                guard failure.isAddressFamily else { throw failure }
                return try await bind([0, 0, 0, 0], clients)
            }
        }
        return try await bind(host.bytes, clients)
    }

    private func bind(_ address: [UInt8], _ clients: ClientCount) async throws -> Listener {
        let packed = ByteBuffer(bytes: address)
        return try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(to: SocketAddress(packedIPAddress: packed, port: Int(self.address.port))) { channel in
                channel.eventLoop.makeCompletedFuture { try admit(channel, clients) }
            }
    }

    /// On the event loop, before the connection's first byte: nil for one that is turned away.
    private func admit(_ channel: any Channel, _ clients: ClientCount) throws -> HTTPConnection? {
        var refusal: String?
        let peer = TCPServer.address(channel.remoteAddress)
        if !TCPServer.isAllowed(peer, allowed) {
            refusal = "403 Forbidden"
        } else if let entry = clients.enter(peer) {
            channel.closeFuture.whenComplete { _ in clients.leave(entry) }
        } else {
            refusal = "503 Service Unavailable"
        }
        return try HTTPConnection.make(
            on: channel, limits, refusal: refusal, peer: .read, router, budget: budget, tls: tls, address: peer,
            onRefusal: onRefusal)
    }

    /// Whether a peer is in one of the networks; where there are none, everybody is.
    static func isAllowed(_ peer: IPAddress?, _ allowed: [AddressRange]) -> Bool {
        guard !allowed.isEmpty else { return true }
        guard let peer else { return false }
        return allowed.contains { $0.contains(peer) }
    }

    static func address(_ peer: SocketAddress?) -> IPAddress? {
        switch peer {
        case .v4(let peer): withUnsafeBytes(of: peer.address.sin_addr) { IPAddress(bytes: Array($0)) }
        case .v6(let peer): withUnsafeBytes(of: peer.address.sin6_addr) { IPAddress(bytes: Array($0)) }
        default: nil
        }
    }
}
