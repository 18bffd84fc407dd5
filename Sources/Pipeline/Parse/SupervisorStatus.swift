/// What `supervisorctl status` prints: `web   RUNNING   pid 11779, uptime 17:41:16`, a line a program.
public struct SupervisorStatus: Sendable, Hashable {
    public var name: String
    /// RUNNING, STOPPED, FATAL …
    public var state: String
    /// Of a program that runs.
    public var pid: Int32?

    /// Lines of fewer than two words are passed.
    public static func parse(_ bytes: [UInt8]) -> [SupervisorStatus] {
        var cursor = ByteCursor(bytes)
        var programs: [SupervisorStatus] = []
        while cursor.nextLine() {
            guard let name = cursor.word(), let state = cursor.word() else { continue }
            var program = SupervisorStatus(name: cursor.text(name), state: cursor.text(state))
            if program.state == "RUNNING", cursor.word() != nil, let number = cursor.word() {
                let digits = cursor.text(number).prefix { $0 != "," }
                program.pid = Int32(digits).flatMap { $0 > 0 ? $0 : nil }
            }
            programs.append(program)
        }
        return programs
    }
}
