import Actors
import ArgumentParser
import Pipeline
import Synchronization

/// `godwit route check`: the roads of the configuration, without the daemon.
struct RouteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route", abstract: "Look at the ways to the servers.", subcommands: [RouteCheck.self])
}

/// `godwit route check`: walks every route of every output and names the first broken hop.
///
/// Shape: a line a hop, `output route url: hop ok detail`, or one JSON object. Errors: exit code 78 configuration; 1 when
/// a route is broken; 69 when an output has no passable route at all.
struct RouteCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Walk every route hop by hop and name the first broken one.",
        discussion: """
            Name, kernel route, TCP, TLS, ping, and a probe point godwit_route_check that is written last; through a \
            tunnel, for each of its servers also SSH handshake, host key and authentication, with sessions of its own. \
            Exit code 0: all routes pass. Exit code 1: some are broken. Exit code 69: an output has none that passes.
            """)

    @OptionGroup var options: ConfigOptions

    @Option(name: .long, help: "Only this output.")
    var output: String?

    @Flag(name: .long, help: "Write no probe point.")
    var noWrite = false

    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    /// One server of one route.
    struct Walk: Sendable {
        var output: String
        var route: String
        var url: String
        var hops: [RouteHop]

        var broken: RouteHop? { hops.first { !$0.isPassed } }
    }

    func run() throws {
        let report = options.load()
        for issue in report.issues where issue.severity != .note { complain("\(issue)") }
        guard let config = report.config else { throw ExitStatus.configuration }
        if let output, !config.outputs.contains(where: { $0.id == output }) {
            complain("there is no output \(output); there are: \(config.outputs.map(\.id).joined(separator: ", "))")
            throw ExitStatus.unavailable
        }
        let found = Found()
        let (only, writes, prints) = (output, !noWrite, !json)
        MainLoop.run { loop in
            let walker = RouteWalker(config: config, loop: loop, writes: writes)
            for output in config.outputs where only == nil || output.id == only {
                for route in output.routes {
                    for walk in await walker.walk(output, route) {
                        if prints { RouteCheck.show(walk) }
                        found.add(walk)
                    }
                }
            }
        }
        let all = found.all
        if json { emit(String(decoding: RouteCheck.json(all).encoded(indent: true), as: UTF8.self) + "\n") }
        try RouteCheck.judge(all)
    }

    // MARK: Answers

    private static func show(_ walk: Walk) {
        var text = "\(walk.output) \(walk.route) \(Readable.line(walk.url))\n"
        for hop in walk.hops {
            let word = hop.isPassed ? "ok    " : "BROKEN"
            let name = hop.kind.rawValue + String(repeating: " ", count: max(0, 7 - hop.kind.rawValue.count))
            let tunnel = hop.tunnel.map { "tunnel \(Readable.line($0)): " } ?? ""
            text += "  \(name) \(word) \(tunnel)\(Readable.line(hop.detail))  (\(Readable.duration(hop.elapsed)))\n"
        }
        if let broken = walk.broken {
            let tunnel = broken.tunnel.map { " of tunnel \(Readable.line($0))" } ?? ""
            text += "  first broken hop: \(broken.kind.rawValue)\(tunnel)\n"
        }
        emit(text)
    }

    /// Shape: `{"ok", "walks": [{"output", "route", "url", "ok", "broken", "broken_tunnel", "hops": [{"hop", "tunnel",
    /// "ok", "detail", "seconds"}]}]}`; `tunnel` is null for hops of the road itself.
    private static func json(_ walks: [Walk]) -> JSONValue {
        let members = walks.map { walk -> JSONValue in
            let hops = walk.hops.map { hop in
                JSONValue.object([
                    JSONMember("hop", .string(hop.kind.rawValue)),
                    JSONMember("tunnel", hop.tunnel.map { .string($0) } ?? .null),
                    JSONMember("ok", .bool(hop.isPassed)),
                    JSONMember("detail", .string(hop.detail)), JSONMember("seconds", .number(hop.elapsed.inSeconds)),
                ])
            }
            return .object([
                JSONMember("output", .string(walk.output)), JSONMember("route", .string(walk.route)),
                JSONMember("url", .string(walk.url)), JSONMember("ok", .bool(walk.broken == nil)),
                JSONMember("broken", walk.broken.map { .string($0.kind.rawValue) } ?? .null),
                JSONMember("broken_tunnel", walk.broken?.tunnel.map { .string($0) } ?? .null),
                JSONMember("hops", .array(hops)),
            ])
        }
        return .object([
            JSONMember("ok", .bool(walks.allSatisfy { $0.broken == nil })), JSONMember("walks", .array(members)),
        ])
    }

    private static func judge(_ walks: [Walk]) throws {
        if walks.isEmpty {
            complain("no output has a route")
            throw ExitStatus.unavailable
        }
        let broken = walks.filter { $0.broken != nil }
        guard !broken.isEmpty else { return }
        let passable = Set(walks.filter { $0.broken == nil }.map(\.output))
        throw walks.allSatisfy { passable.contains($0.output) } ? ExitCode.failure : ExitStatus.unavailable
    }
}

/// The walks on their way from the main loop's task to the command.
private final class Found: Sendable {
    private let walks = Mutex<[RouteCheck.Walk]>([])
    var all: [RouteCheck.Walk] { walks.withLock { $0 } }
    func add(_ walk: RouteCheck.Walk) { walks.withLock { $0.append(walk) } }
}
