import ArgumentParser
import Glibc
import Pipeline

/// `godwit check`: reads the configuration as `run` would and says what is wrong with it, without starting anything.
///
/// Shape: problems on standard error, one a line as `file:line: key: message (nearest: "x")`; on success one line per
/// section on standard output. `--json` prints one object with everything instead.
/// Errors: exit code 78 when there is an error; warnings and notes alone give 0.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the configuration and print every problem at once.",
        discussion: "Exit code 0: it can be run. Exit code 78: it has errors.")

    @OptionGroup var options: ConfigOptions

    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func run() throws {
        let report = options.load(isCheck: true)
        if json {
            print(String(decoding: Check.json(report).encoded(indent: true), as: UTF8.self))
        } else {
            Check.writeError(report.issues.map { "\($0)\n" }.joined())
            for line in report.config?.summary ?? [] { print(line) }
        }
        if report.config == nil { throw ExitCode(78) }
    }

    /// Shape: `{"ok": true, "issues": [{"severity", "file", "line", "key", "message", "nearest"}], "summary": […]}`.
    static func json(_ report: ConfigReport) -> JSONValue {
        let issues = report.issues.map { issue in
            JSONValue.object([
                JSONMember("severity", .string(issue.severity.rawValue)),
                JSONMember("file", .string(issue.origin.file)),
                JSONMember("line", .integer(Int64(issue.origin.line))),
                JSONMember("key", .string(issue.key)),
                JSONMember("message", .string(issue.message)),
                JSONMember("nearest", issue.nearest.map { .string($0) } ?? .null),
            ])
        }
        return .object([
            JSONMember("ok", .bool(report.config != nil)),
            JSONMember("issues", .array(issues)),
            JSONMember("summary", .array((report.config?.summary ?? []).map { .string($0) })),
        ])
    }

    private static func writeError(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { return }
            rest = rest.dropFirst(written)
        }
    }
}
