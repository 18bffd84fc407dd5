import CLinux
import Glibc
import Pipeline

/// An address that a socket can be bound or connected to.
struct KernelAddress: Sendable {
    /// The kernel's form: a `sockaddr_in`, `sockaddr_in6` or `sockaddr_un`.
    private let bytes: [UInt8]
    let family: Int32

    /// nil for a path that is too long.
    static func unix(_ path: String) -> KernelAddress? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        return KernelAddress(bytes: withUnsafeBytes(of: &address) { Array($0) }, family: AF_UNIX)
    }

    /// The addresses of a host. With `isNumeric` no name server is asked, so it does not block; without, it may block for
    /// as long as the resolver likes.
    static func resolve(_ place: NetworkPlace, isNumeric: Bool) -> [KernelAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = isNumeric ? AI_NUMERICHOST : AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(place.host, "\(place.port)", &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [KernelAddress] = []
        var next = list
        while let entry = next, found.count < 16 {
            if let address = entry.pointee.ai_addr {
                let bytes = UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
                found.append(KernelAddress(bytes: Array(bytes), family: entry.pointee.ai_family))
            }
            next = entry.pointee.ai_next
        }
        return found
    }

    private func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result? {
        bytes.withUnsafeBytes { buffer in
            buffer.baseAddress.map { body($0.assumingMemoryBound(to: sockaddr.self), socklen_t(buffer.count)) }
        }
    }

    /// A socket of this family that does not block; negative with `errno` set when there is none.
    func makeSocket() -> Int32 {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        return socket(family, Int32(SOCK_STREAM.rawValue) | flags, 0)
    }

    /// Begins to connect: 0 when it is done, EINPROGRESS when it is under way, else why not.
    func beginConnect(_ descriptor: Int32) -> Int32 {
        withPointer { connect(descriptor, $0, $1) == 0 ? 0 : errno } ?? EINVAL
    }

    /// A connected socket, at once or not at all: for unix sockets. Negative when nobody listens.
    func connectedSocket() -> Int32 {
        let descriptor = makeSocket()
        guard descriptor >= 0 else { return -1 }
        if beginConnect(descriptor) == 0 { return descriptor }
        close(descriptor)
        return -1
    }

    /// A listening socket; negative with `errno` set when it cannot be had.
    func listeningSocket(backlog: Int32) -> Int32 {
        let descriptor = makeSocket()
        guard descriptor >= 0 else { return -1 }
        if family == AF_UNIX {
            // The file gets the socket's own mode, so nobody else can connect, from the first moment on.
            fchmod(descriptor, 0o600)
        } else {
            SocketOptions.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        }
        guard withPointer({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, backlog) == 0 else {
            let code = errno
            close(descriptor)
            errno = code
            return -1
        }
        return descriptor
    }

    /// The port that the kernel gave a bound socket.
    static func port(of descriptor: Int32) -> UInt16? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> UInt16? in
                guard getsockname(descriptor, address, &length) == 0 else { return nil }
                let raw = UnsafeRawPointer(address)
                switch Int32(address.pointee.sa_family) {
                case AF_INET: return UInt16(bigEndian: raw.load(as: sockaddr_in.self).sin_port)
                case AF_INET6: return UInt16(bigEndian: raw.load(as: sockaddr_in6.self).sin6_port)
                default: return nil
                }
            }
        }
    }
}

/// Options of sockets, one line each.
enum SocketOptions {
    static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// For a forwarded connection: no delay of small packets.
    static func prepareConnection(_ descriptor: Int32) { set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

    /// For a session: besides, a dead path is noticed by the kernel too.
    static func prepareSession(_ descriptor: Int32) {
        prepareConnection(descriptor)
        set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 30)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 10)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
        set(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 60_000)
    }

    /// What became of a connection that was under way: 0, or why not.
    static func pendingError(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else { return errno }
        return code
    }
}
