import Pipeline

/// Input `netstat`: sockets by state, from the kernel's sock_diag interface or the tables of /proc/net.
///
/// Why sock_diag: a table of /proc/net is text of 150 bytes a socket and costs a walk over every bucket; the interface
/// costs a thirtieth of it. Where it is missing, refuses, or /proc is moved, the tables are read, with equal results; it
/// is tried again after ten minutes. A missing tcp6 or udp6 is no error, any other missing table fails the gather.
public actor NetstatCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "netstat", summary: "Sockets by state.",
            options: [
                OptionSpec(
                    "unix_sockets", .bool(true), "Count unix sockets as Telegraf does: into tcp_none and udp_socket.")
            ],
            metrics: [MetricSpec("netstat", fields: fields)])
    }

    private static let states = [
        "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait", "close", "close_wait", "last_ack",
        "listen", "closing",
    ]
    private static let fields: [MetricSpec.Field] =
        states.enumerated().map { index, state in
            let number = "0\(String(index + 1, radix: 16, uppercase: true))"
            return .int("tcp_" + state, .count, "sock_diag, else /proc/net/tcp and tcp6: sockets in state \(number)")
        } + [
            .int("tcp_none", .count, "/proc/net/unix: sockets of any type but datagram"),
            .int("udp_socket", .count, "sock_diag, else /proc/net/udp and udp6: UDP sockets, and unix datagram ones"),
        ]
    private static let schema = Schema(declared: fields)
    private static let retryAfter = Duration.seconds(600)

    private let host: any Host
    private let countsUnix: Bool
    private let series = Series("netstat")
    private let tables: [(file: HostFile, isTCP: Bool, isOptional: Bool)] = [
        (HostFile(.proc, "net/tcp"), true, false), (HostFile(.proc, "net/tcp6"), true, true),
        (HostFile(.proc, "net/udp"), false, false), (HostFile(.proc, "net/udp6"), false, true),
    ]
    private let unixTable = HostFile(.proc, "net/unix")
    private let socket = DiagSocket()
    private var tally = SocketTally()
    private var buffer: [UInt8] = []
    private var triesAgain = Instant.zero

    public init(options: OptionValues, host: any Host) {
        self.host = host
        countsUnix = options.bool("unix_sockets")
        // The interface answers for the agent's own network namespace.
        if host.isMoved(.proc) { triesAgain = .distantFuture }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        tally.reset()
        do {
            if try !askKernel(now) { try readTables() }
        } catch {
            return Gather(errors: ["\(error)"])
        }
        var gather = Gather()
        gather.samples.append(series, NetstatCollector.schema, at: time)
        for state in 1...NetstatCollector.states.count { gather.samples.int(tally.tcp[state]) }
        gather.samples.int(tally.unixOthers)
        gather.samples.int(tally.udp.addingSaturated(tally.unixDatagrams))
        return gather
    }

    /// Whether sock_diag gave all of IP. Errors: those of /proc/net/unix.
    private func askKernel(_ now: Instant) throws -> Bool {
        guard now >= triesAgain else { return false }
        do throws(HostError) {
            try host.addSockets(.tcp, socket, to: &tally)
            try host.addSockets(.udp4, socket, to: &tally)
            do throws(HostError) {
                try host.addSockets(.udp6, socket, to: &tally)
            } catch {
                // Where IPv4 was answered, this is a kernel without IPv6.
                if !error.isMissing { throw error }
            }
        } catch {
            triesAgain = now + NetstatCollector.retryAfter
            tally.reset()
            return false
        }
        if countsUnix { try addUnix() }
        return true
    }

    private func readTables() throws {
        for table in tables {
            do throws(HostError) {
                try host.readPieces(table.file, &buffer) { bytes, isFirst in
                    ProcNetSockets.addInet(bytes, isTCP: table.isTCP, isFirst: isFirst, to: &tally)
                }
            } catch {
                if !table.isOptional || !error.isMissing { throw error }
            }
        }
        if countsUnix { try addUnix() }
    }

    /// Always from the file: its walk is a short one, and sock_diag for unix sockets is a module that many kernels lack.
    private func addUnix() throws {
        var failure: ParseError?
        try host.readPieces(unixTable, &buffer) { bytes, isFirst in
            do throws(ParseError) {
                try ProcNetSockets.addUnix(bytes, isFirst: isFirst, to: &tally)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}
