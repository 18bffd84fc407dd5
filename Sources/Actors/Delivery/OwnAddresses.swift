import CLinux
import Glibc
import Pipeline

/// The addresses of this machine, and sockets for others.
enum OwnAddresses {
    /// A socket that no program started later inherits; −1 when there is none.
    static func socket(_ family: Int32, _ type: Int32, _ number: Int32) -> Int32 {
        Glibc.socket(family, type | Int32(SOCK_CLOEXEC.rawValue), number)
    }

    /// Loopback, or one that an interface has now.
    static func contain(_ address: IPAddress) -> Bool {
        if address.bytes.first == 127, !address.isV6 { return true }
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return false }
        defer { freeifaddrs(first) }
        var next = first
        while let entry = next {
            if let own = entry.pointee.ifa_addr, IPAddress(socketAddress: UnsafeRawPointer(own)) == address {
                return true
            }
            next = entry.pointee.ifa_next
        }
        return false
    }
}

extension IPAddress {
    /// That of a `sockaddr_in` or `sockaddr_in6`. Errors: nil for another family.
    init?(socketAddress: UnsafeRawPointer) {
        switch Int32(socketAddress.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET: self.init(bytes: Array(UnsafeRawBufferPointer(start: socketAddress + 4, count: 4)))
        case AF_INET6: self.init(bytes: Array(UnsafeRawBufferPointer(start: socketAddress + 8, count: 16)))
        default: return nil
        }
    }
}
