import CLinux
import Glibc
import Pipeline

/// An address as the kernel takes it: the bytes of a `sockaddr_in` or `sockaddr_in6`.
struct ProbeAddress: Sendable, Hashable {
    let bytes: [UInt8]
    /// AF_INET or AF_INET6.
    let family: Int32

    var version: EchoMessage.Version { family == AF_INET6 ? .ipv6 : .ipv4 }

    /// Calls `body` as connect(2) and bind(2) want it.
    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        // Aligned, which an array of bytes need not be.
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { $0.copyBytes(from: bytes.prefix($0.count)) }
        return withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(bytes.count)) }
        }
    }

    /// Addresses of a name, in the order in which they are to be tried.
    ///
    /// Blocks for as long as the resolver wants, but not for a numeric `host`. `port`: a number or the name of a service;
    /// empty for none. Errors: getaddrinfo(3)'s code.
    static func lookUp(
        _ host: String, port: String, family: Int32, isNumeric: Bool = false
    ) -> Result<[ProbeAddress], LookupFailure> {
        var hints = addrinfo()
        hints.ai_family = family
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        if isNumeric { hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, port.isEmpty ? nil : port, &hints, &list)
        guard code == 0 else { return .failure(LookupFailure(code: code)) }
        defer { freeaddrinfo(list) }
        var found: [ProbeAddress] = []
        var next = list
        while let entry = next, found.count < 64 {
            next = entry.pointee.ai_next
            guard let address = entry.pointee.ai_addr, [AF_INET, AF_INET6].contains(entry.pointee.ai_family) else {
                continue
            }
            let bytes = UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
            found.append(ProbeAddress(bytes: Array(bytes), family: entry.pointee.ai_family))
        }
        return found.isEmpty ? .failure(LookupFailure(code: EAI_NONAME)) : .success(found)
    }
}

/// Why a name has no address.
struct LookupFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// One of getaddrinfo(3)'s EAI_ codes; 0 when no answer came in time.
    let code: Int32

    var description: String { code == 0 ? "no answer from the resolver in time" : String(cString: gai_strerror(code)) }
}
