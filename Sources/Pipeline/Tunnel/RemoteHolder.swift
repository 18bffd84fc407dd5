/// The process at a server that serves one of our sessions, named so that a reused number is not taken for it.
///
/// Shape of what the server prints: `PID START`, the second from field 22 of `/proc/PID/stat`.
public struct RemoteHolder: Sendable, Hashable {
    public let pid: UInt32
    public let startTime: UInt64

    /// nil for anything but two numbers; banners and errors of a shell are not believed.
    public init?(_ output: [UInt8]) {
        var cursor = ByteCursor(output)
        guard output.count <= 64, cursor.nextLine(), let pid = cursor.unsigned(), let start = cursor.unsigned(),
            let number = UInt32(exactly: pid), number > 1, cursor.isAtLineEnd
        else { return nil }
        self.pid = number
        startTime = start
    }

    /// A shell command that ends the process, if it is still the same one, and prints `ended` then: by force, since one
    /// that hangs does not obey. Numbers only go into
    /// it.
    public var command: String {
        "test \"$(cut -d' ' -f22 /proc/\(pid)/stat 2>/dev/null)\" = \(startTime) && kill -9 \(pid) && echo ended"
    }
}
