import ArgumentParser
import Glibc

/// `godwit top`: the daemon's live page, again and again.
struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the running daemon live in the terminal.",
        discussion: "q or Ctrl-C quits. When standard output is not a terminal, one page is printed.")

    @OptionGroup var target: SocketOption
    @Option(help: "Seconds between two pages, 0.1 to 60.")
    var interval = 1.0

    func validate() throws {
        guard interval >= 0.1, interval <= 60 else { throw ValidationError("--interval must be 0.1 to 60.") }
    }

    func run() throws {
        try talking {
            let client = try target.client
            let first = try page(client, LiveScreen.size)
            guard isatty(1) == 1 else { return _ = emit(first) }
            let screen = LiveScreen(takesKeys: true)
            defer { screen.restore() }
            screen.show(first)
            while screen.wait(seconds: interval) {
                do { screen.show(try page(client, LiveScreen.size)) } catch let error as StatusClientError {
                    screen.show("\(error.description)\ntrying again\n")
                }
            }
        }
    }

    private func page(_ client: StatusClient, _ size: (width: Int, height: Int)) throws -> String {
        let reply = try client.request("GET", "/top?width=\(size.width)&height=\(size.height)", seconds: 5)
        guard reply.status == 200 else {
            throw StatusClientError(description: reply.body, exitCode: ExitStatus.unavailable)
        }
        return reply.body
    }
}
