import Actors
import ArgumentParser
import CLinux
import Glibc

/// The command line. `main` is synchronous: the main thread becomes the main loop (see `MainLoop`).
@main
struct Godwit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "godwit",
        abstract: "Collects this host's metrics and gets every point home.",
        discussion: """
            Without a subcommand, `godwit --help` is shown. Start with `godwit once` to see what is collected, \
            `godwit check` to check a configuration and `godwit run` to run the agent.
            """,
        version: Version.current,
        subcommands: [
            Run.self, Once.self, Check.self, Status.self, Top.self, Tap.self, Reload.self, Spill.self,
            RouteCommand.self, RelayCommand.self,
            Metrics.self,
        ])

    static func main() {
        fillStandardDescriptors()
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            exit(withError: error)
        }
    }

    /// Opens /dev/null in the place of each standard descriptor that is closed. Otherwise the next file, socket or epoll
    /// would take its number, and what is meant for standard error would be written there.
    private static func fillStandardDescriptors() {
        var opened: Int32 = 0
        repeat { opened = godwit_open("/dev/null", O_RDWR, 0) } while opened >= 0 && opened <= 2
        if opened > 2 { close(opened) }
    }
}

/// The version of the program, as `--version`, the status and the User-Agent header show it.
enum Version {
    static let current = "0.1.0"
}

/// Exit codes, as sysexits(3) has them.
enum ExitStatus {
    static let unavailable = ExitCode(69)
    static let software = ExitCode(70)
    static let cannotCreate = ExitCode(73)
    static let temporaryFailure = ExitCode(75)
    static let noPermission = ExitCode(77)
    static let configuration = ExitCode(78)
}

/// One line for people on standard error.
func complain(_ text: String) {
    var line = "godwit: \(text)\n"
    line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
}

/// Everything of `text` on standard output, however long it takes; false when the reader has gone.
@discardableResult
func emit(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = write(1, UnsafeBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
