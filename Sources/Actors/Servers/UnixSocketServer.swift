import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Pipeline

/// An HTTP/1.1 server on a unix socket.
///
/// Promises: strangers get 403 and one client too many gets 503 before they can say a word; what is too large or too
/// slow is closed by `ConnectionGuard`; a connection is one child task and cannot harm another. Refuses: TLS,
/// pipelining in any number, bodies beyond the limit.
public struct UnixSocketServer: Sendable {
    /// Who asks, by the descriptor of the connection. Tests put their own in.
    public typealias CredentialReader = @Sendable (Int32) -> PeerCredentials?

    private let path: String
    private let access: PeerAccess
    private let limits: ServerLimits
    private let router: HTTPRouter
    private let eventLoop: any EventLoop
    private let credentials: CredentialReader
    private let log: Logger

    public init(
        path: String, access: PeerAccess, limits: ServerLimits, router: HTTPRouter, eventLoop: any EventLoop,
        credentials: @escaping CredentialReader = { PeerCredentials.read($0) }, log: Logger
    ) {
        self.path = path
        self.access = access
        self.limits = limits
        self.router = router
        self.eventLoop = eventLoop
        self.credentials = credentials
        self.log = log
    }

    /// Serves until cancelled, then ends every connection and removes the socket file.
    ///
    /// Errors: `SocketError` when the path cannot be had.
    public func run(ready: @Sendable () -> Void) async throws {
        let file = try UnixSocketFile.claim(path, group: access.readGroup)
        defer { file.remove() }
        let clients = ClientCount(limit: limits.clients)
        let listener = try await ServerBootstrap(group: eventLoop)
            .bind(file.descriptor) { channel in
                channel.eventLoop.makeCompletedFuture { try admit(channel, clients) }
            }
        log.debug("serving", metadata: ["socket": "\(path)"])
        ready()
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

    /// On the event loop, before the connection's first byte: nil for one that is turned away.
    private func admit(_ channel: any Channel, _ clients: ClientCount) throws -> HTTPConnection? {
        let pipeline = channel.pipeline.syncOperations
        let peer = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { credentials($0) }
        let right = access.right(of: peer ?? nil)
        var refusal: String?
        if right == .nothing {
            refusal = "403 Forbidden"
        } else if let entry = clients.enter() {
            channel.closeFuture.whenComplete { _ in clients.leave(entry) }
        } else {
            refusal = "503 Service Unavailable"
        }
        return try HTTPConnection.make(on: channel, limits, refusal: refusal, peer: right, router)
    }
}
