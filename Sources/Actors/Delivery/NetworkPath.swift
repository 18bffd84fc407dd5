import CLinux
import Glibc

/// The steps before a connection stands, one by one, for a person who wants to know which of them fails. libcurl takes
/// them all in one.
///
/// Blocking: for commands only. Deadlines: 2 s a name server, 3 s a connection.
struct NetworkPath {
    /// One address of a host.
    struct Address {
        fileprivate var storage: sockaddr_storage
        fileprivate var length: socklen_t
        /// Without port and brackets.
        let text: String

        fileprivate func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
            withUnsafePointer(to: storage) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
            }
        }
    }

    /// What failed, in words.
    struct Failure: Error {
        let reason: String
    }

    private static let connectMilliseconds: Int32 = 3_000

    /// Errors: the name is unknown, or nobody answers for it.
    static func addresses(of host: String, port: String) throws(Failure) -> [Address] {
        setenv("RES_OPTIONS", "timeout:2 attempts:1", 0)
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, port, &hints, &list)
        guard status == 0 else { throw Failure(reason: String(cString: gai_strerror(status))) }
        defer { if let list { freeaddrinfo(list) } }
        var found: [Address] = []
        var next = list
        while let entry = next?.pointee, found.count < 16 {
            if let address = entry.ai_addr, entry.ai_addrlen <= MemoryLayout<sockaddr_storage>.size {
                var storage = sockaddr_storage()
                withUnsafeMutableBytes(of: &storage) {
                    $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen)))
                }
                found.append(
                    Address(storage: storage, length: entry.ai_addrlen, text: numeric(storage, entry.ai_addrlen)))
            }
            next = entry.ai_next
        }
        guard !found.isEmpty else { throw Failure(reason: "the name has no address") }
        return found
    }

    private static func numeric(_ storage: sockaddr_storage, _ length: socklen_t) -> String {
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let status = withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getnameinfo($0, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            }
        }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return status == 0 ? String(decoding: bytes, as: UTF8.self) : "?"
    }

    /// The address of ours that packets to `address` would carry. Errors: the kernel has no way there.
    static func source(to address: Address) throws(Failure) -> String {
        let datagram = socket(Int32(address.storage.ss_family), Int32(SOCK_DGRAM.rawValue), 0)
        guard datagram >= 0 else { throw Failure(reason: words(errno)) }
        defer { close(datagram) }
        // Sends nothing: the kernel only looks the way up.
        guard address.withSockaddr({ connect(datagram, $0, $1) }) == 0 else { throw Failure(reason: words(errno)) }
        var own = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &own) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(datagram, $0, &length) }
        }
        guard status == 0 else { throw Failure(reason: words(errno)) }
        return numeric(own, length)
    }

    /// Errors: refused, unreachable, or nobody answers in time.
    static func connectOnce(to address: Address) throws(Failure) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let stream = socket(Int32(address.storage.ss_family), type, 0)
        guard stream >= 0 else { throw Failure(reason: words(errno)) }
        defer { close(stream) }
        if address.withSockaddr({ connect(stream, $0, $1) }) == 0 { return }
        guard errno == EINPROGRESS else { throw Failure(reason: words(errno)) }
        var wish = pollfd(fd: stream, events: Int16(POLLOUT), revents: 0)
        let ready = poll(&wish, 1, connectMilliseconds)
        guard ready > 0 else {
            throw Failure(reason: ready == 0 ? "no answer within \(connectMilliseconds / 1_000) s" : words(errno))
        }
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(stream, SOL_SOCKET, SO_ERROR, &error, &length)
        guard error == 0 else { throw Failure(reason: words(error)) }
    }

    private static func words(_ code: Int32) -> String { String(cString: strerror(code)) }
}
