import ArgumentParser

/// The option that all commands have that talk to the daemon.
struct SocketOption: ParsableArguments {
    @Option(help: "The daemon's status socket. Default: where a daemon of this user would listen.")
    var socket: String?

    var client: StatusClient { StatusClient(path: socket ?? defaultSocketPath()) }
}

/// Runs what talks to the daemon; its error goes to standard error and becomes the exit code.
func talking(_ body: () throws -> Void) throws {
    do { try body() } catch let error as StatusClientError {
        complain(error.description)
        throw error.exitCode
    }
}

/// `godwit status`
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what the running daemon does.",
        discussion: "The health and its reasons, the tree of its parts, inputs, backlog, balance and routes.")

    @OptionGroup var target: SocketOption
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        try talking {
            let reply = try target.client.request("GET", json ? "/status" : "/status?format=text", seconds: 5)
            guard reply.status == 200 else {
                throw StatusClientError(description: reply.body, exitCode: ExitStatus.unavailable)
            }
            emit(reply.body)
        }
    }
}
