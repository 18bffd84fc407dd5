import CLinux
import Glibc
import Pipeline

/// systemd's notification socket: one datagram a message, nothing when the variable is not set.
///
/// Source: sd_notify(3). `@` opens a name in the abstract namespace.
struct Notify {
    private let descriptor: Int32
    private let address: [UInt8]
    /// How often the watchdog wants a sign of life; nil without a watchdog, or when it watches another process.
    let watchdogInterval: Duration?

    /// Reads and removes the variables, so that no child inherits them.
    init() {
        let path = getenv("NOTIFY_SOCKET").map { String(cString: $0) } ?? ""
        let period = getenv("WATCHDOG_USEC").flatMap { Int64(String(cString: $0)) }
        let watched = getenv("WATCHDOG_PID").flatMap { pid_t(String(cString: $0)) }
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] { unsetenv(name) }
        var bytes = [UInt8](path.utf8)
        if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
        address = bytes.count < 108 ? bytes : []
        descriptor = address.isEmpty ? -1 : socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let isWatched = descriptor >= 0 && (watched == nil || watched == getpid())
        watchdogInterval = period.flatMap { $0 > 0 && isWatched ? .microseconds($0) : nil }
    }

    func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }
    func status(_ text: String) { send("STATUS=\(text)") }
    func watchdog() { send("WATCHDOG=1") }
    func stopping() { send("STOPPING=1") }
    /// A reload begins; `ready` ends it. The monotonic time is in microseconds.
    func reloading(_ now: Instant) { send("RELOADING=1\nMONOTONIC_USEC=\(now.nanoseconds / 1_000)") }

    private func send(_ message: String) {
        guard descriptor >= 0 else { return }
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: address) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + address.count)
        var text = message
        text.withUTF8 { bytes in
            withUnsafePointer(to: &target) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = sendto(
                        descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT), $0, length)
                }
            }
        }
    }
}
