import CLinux
import Glibc
import Pipeline

/// Why a listening socket in a network namespace cannot be had.
struct NamespaceError: Error, CustomStringConvertible {
    var description: String
}

/// Listening sockets in other network namespaces of this machine.
///
/// A socket stays in the namespace where it was made, and a thread enters one alone. So each socket is made by a thread of
/// its own that ends with it: none of ours can be left in a foreign namespace.
/// Needs CAP_SYS_ADMIN. Source: setns(2), ip-netns(8).
enum NamespaceSocket {
    static let directory = "/run/netns/"

    /// The request of one such thread, and its answer.
    private final class Order: Sendable {
        let address: ListenAddress
        let namespace: String
        let done: CheckedContinuation<Int32, any Error>

        init(_ address: ListenAddress, _ namespace: String, _ done: CheckedContinuation<Int32, any Error>) {
            self.address = address
            self.namespace = namespace
            self.done = done
        }

        func carryOut() {
            do { done.resume(returning: try make(address, namespace)) } catch { done.resume(throwing: error) }
        }

        /// 0, or why there is no thread.
        func start() -> Int32 {
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            defer { pthread_attr_destroy(&attributes) }
            pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
            var thread = pthread_t()
            let context = Unmanaged.passRetained(self)
            let failure = pthread_create(&thread, &attributes, NamespaceSocket.run, context.toOpaque())
            if failure != 0 { context.release() }
            return failure
        }
    }

    private static let run: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
        guard let context else { return nil }
        Unmanaged<Order>.fromOpaque(context).takeRetainedValue().carryOut()
        return nil
    }

    /// A socket that listens at `address` in the namespace of that name.
    static func listening(at address: ListenAddress, in namespace: String) async throws -> Int32 {
        try await withCheckedThrowingContinuation { done in
            let failure = Order(address, namespace, done).start()
            guard failure != 0 else { return }
            done.resume(throwing: NamespaceError(description: "no thread for the namespace: \(words(failure))"))
        }
    }

    private static func make(_ address: ListenAddress, _ namespace: String) throws -> Int32 {
        let path = directory + namespace
        let descriptor = godwit_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw NamespaceError(description: "\(path): \(words(errno))") }
        defer { close(descriptor) }
        guard godwit_enter_network(descriptor) == 0 else {
            throw NamespaceError(description: "cannot enter \(path): \(words(errno))")
        }
        let hosts = address.host.map { [$0.description] } ?? ["::", "0.0.0.0"]
        var code: Int32 = EADDRNOTAVAIL
        for host in hosts {
            let place = NetworkPlace(host, address.port)
            guard let found = KernelAddress.resolve(place, isNumeric: true).first else { continue }
            let socket = found.listeningSocket(backlog: 256)
            if socket >= 0 { return socket }
            code = errno
        }
        throw NamespaceError(description: words(code))
    }

    private static func words(_ code: Int32) -> String { String(cString: strerror(code)) }
}
