import ArgumentParser
import Pipeline

/// The option that all commands have that talk to the daemon.
struct SocketOption: ParsableArguments {
    @Option(help: "The daemon's status socket (default: where a daemon with this configuration listens).")
    var socket: String?

    @Option(help: "The daemon's configuration file (default: /etc/godwit/config.toml, else config.toml here).")
    var config: String?

    var client: StatusClient {
        get throws { StatusClient(path: try path(main: Paths.configFile)) }
    }

    /// `main` is the configuration that counts when none is named; what is wrong in it must not keep anybody from
    /// asking the daemon, so then the usual place does.
    /// Errors: exit code 78 when the configuration that `--config` names has errors.
    func path(main: String) throws -> String {
        if let socket { return socket }
        let decoder = ConfigDecoder(
            inputs: KnownPlugins.inputs, outputs: KnownPlugins.outputs, skipsUnknown: true, allowsNoOutputs: true)
        let report = ConfigFile.load(ConfigPaths(file: config), decoder: decoder, main: main)
        guard let config, report.config == nil else { return Paths.statusSocket(report.config) }
        complain("\(config) has errors (see: godwit check); name the daemon's socket with --socket")
        throw ExitStatus.configuration
    }
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
