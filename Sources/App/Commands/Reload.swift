import ArgumentParser

/// `godwit reload`
struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let the running daemon read its configuration again.",
        discussion: "A configuration with errors is refused as a whole, with every error shown, and exit code 78.")

    @OptionGroup var target: SocketOption
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        try talking {
            let reply = try target.client.request("POST", json ? "/reload" : "/reload?format=text", seconds: 30)
            switch reply.status {
            case 200: emit(reply.body)
            case 409:
                emit(reply.body)
                throw ExitStatus.configuration
            default: throw StatusClientError(description: reply.body, exitCode: ExitStatus.unavailable)
            }
        }
    }
}
