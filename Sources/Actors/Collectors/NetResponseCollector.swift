import CLinux
import Glibc
import Pipeline

/// Input `net_response`: whether a TCP or UDP server answers, and how soon.
///
/// One connection a tick, non-blocking; names are looked up on other threads. Everything ends with nine tenths of the
/// interval. Rules: `docs/inputs.md`.
public actor NetResponseCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "net_response", summary: "Whether a TCP or UDP server answers, and how soon.",
            options: [
                OptionSpec("protocol", .string(""), "How to connect.", choices: ["", "tcp", "udp"]),
                OptionSpec("address", .string(""), "Server as host:port; without a host: localhost."),
                OptionSpec(
                    "timeout", .duration(.seconds(1)), "Longest time for lookup and connection.", bounds: 0...3_600),
                OptionSpec("read_timeout", .duration(.seconds(1)), "Longest time for the answer.", bounds: 0...3_600),
                OptionSpec("send", .string(""), "Text to send; UDP needs one."),
                OptionSpec("expect", .string(""), "Regular expression that the answer must match; UDP needs one."),
            ],
            metrics: [
                MetricSpec(
                    "net_response", tags: ["port", "protocol", "result", "server"],
                    fields: [
                        MetricSpec.Field("response_time", .float, .seconds, "from the lookup to what was waited for"),
                        MetricSpec.Field("result_code", .uint, .none, "0 to 4, by the tag result"),
                        MetricSpec.Field("result_type", .string, .none, "the same as the tag result"),
                        MetricSpec.Field("string_found", .bool, .none, "whether the answer matched; with expect"),
                    ])
            ])
    }

    /// Bytes of an answer that are looked at.
    private static let answerLimit = 64 * 1024

    enum Outcome: UInt64, Sendable {
        case success, timeout, connectionFailed, readFailed, stringMismatch

        var name: String {
            switch self {
            case .success: "success"
            case .timeout: "timeout"
            case .connectionFailed: "connection_failed"
            case .readFailed: "read_failed"
            case .stringMismatch: "string_mismatch"
            }
        }
    }

    private let io: WorkLoop
    private let names: NameLookup
    private let clock: any Clock
    private let isTCP: Bool
    private let server: (host: String, port: String)
    private let timeout: Duration
    private let readTimeout: Duration
    private let request: [UInt8]
    private let expected: RE2Pattern?
    private var writer = PointWriter()

    /// Errors: no address, no protocol, a UDP check without texts, an expression that cannot be compiled.
    public init(options: OptionValues, environment: InputEnvironment) throws {
        io = environment.io
        names = environment.names
        clock = environment.clock
        func complain(_ option: String, _ text: String) -> CollectorError {
            CollectorError("net_response: " + text, option: option)
        }
        guard let parts = HostPort(options.string("address")) else {
            throw complain("address", "address must be host:port, found \"\(options.string("address"))\"")
        }
        server = (parts.host.isEmpty ? "localhost" : parts.host, parts.port)
        guard !options.string("protocol").isEmpty else {
            throw complain("protocol", "protocol must be \"tcp\" or \"udp\"")
        }
        isTCP = options.string("protocol") == "tcp"
        func positive(_ name: String) -> Duration {
            options.duration(name) > .zero ? options.duration(name) : .seconds(1)
        }
        timeout = positive("timeout")
        readTimeout = positive("read_timeout")
        request = Array(options.string("send").utf8)
        let expect = options.string("expect")
        guard isTCP || !request.isEmpty && !expect.isEmpty else {
            throw complain("protocol", "udp needs send and expect")
        }
        do { expected = expect.isEmpty ? nil : try RE2Pattern(expect) } catch {
            throw complain("expect", "expect: \(error)")
        }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        let end = now + (deadline - now) * 9 / 10
        do {
            let start = clock.now
            let (outcome, answered) = try await isTCP ? askTCP(until: end) : askUDP(until: end)
            var point = ParsedPoint("net_response")
            point.tag("server", server.host)
            point.tag("port", server.port)
            point.tag("protocol", isTCP ? "tcp" : "udp")
            point.tag("result", outcome.name)
            point["response_time"] = answered.map { .float(max(0, ($0 - start).inSeconds)) }
            point["result_code"] = .uint(outcome.rawValue)
            point["result_type"] = .string(outcome.name)
            if expected != nil { point["string_found"] = .bool(outcome == .success) }
            writer.append(point, at: time, to: &gather.samples)
        } catch let error as HostError {
            gather.errors.append("\(error)")
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return Gather()
        }
        writer.finish()
        return gather
    }

    // MARK: TCP

    /// What became of it, and the moment that counts.
    private func askTCP(until end: Instant) async throws -> (Outcome, Instant?) {
        let limit = min(end, clock.now + timeout)
        let addresses: [ProbeAddress]
        switch try await names.addresses(of: server.host, port: server.port, clock: clock, until: limit) {
        case .success(let found): addresses = found
        case .failure(let failure): return (failure.code == 0 ? .timeout : .connectionFailed, nil)
        }
        var outcome = Outcome.connectionFailed
        for (index, address) in addresses.enumerated() {
            // Each gets its share of what is left, so that one that is silent leaves time for the next.
            let left = limit - clock.now
            guard left > .zero else { return (.timeout, nil) }
            let until = clock.now + left / (addresses.count - index)
            do {
                let socket = try ProbeSocket(family: address.family, type: SOCK_STREAM, io: io)
                guard let connected = try await socket.connect(to: address, until: until) else {
                    outcome = .timeout
                    continue
                }
                return try await converse(socket, connected, until: end)
            } catch let error as HostError where error.operation == "connect" {
                outcome = error.code == ETIMEDOUT ? .timeout : .connectionFailed
            }
        }
        return (outcome, nil)
    }

    /// Sends and reads over a connection. Errors: the kernel's, of sending.
    private func converse(
        _ socket: ProbeSocket, _ connected: Instant, until end: Instant
    ) async throws -> (Outcome, Instant?) {
        var moment = connected
        if !request.isEmpty {
            guard try await socket.send(request, until: min(end, clock.now + timeout)) else { return (.timeout, nil) }
            moment = clock.now
        }
        guard let expected else { return (.success, moment) }
        let limit = min(end, clock.now + readTimeout)
        var line: [UInt8] = []
        while line.count < NetResponseCollector.answerLimit, !line.contains(UInt8(ascii: "\n")) {
            do {
                guard let (piece, at) = try await socket.receive(4_096, until: limit) else {
                    return (.readFailed, clock.now)
                }
                moment = at
                if piece.isEmpty {
                    // The end of the stream ends a line that was begun.
                    if line.isEmpty { return (.readFailed, moment) }
                    break
                }
                line += piece
            } catch is HostError {
                return (.readFailed, clock.now)
            }
        }
        let text = String(decoding: line.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        return (expected.matches(text) ? .success : .stringMismatch, moment)
    }

    // MARK: UDP

    private func askUDP(until end: Instant) async throws -> (Outcome, Instant?) {
        let limit = min(end, clock.now + timeout)
        let found = try await names.addresses(of: server.host, port: server.port, clock: clock, until: limit)
        guard case .success(let addresses) = found, let address = addresses.first else {
            return (.connectionFailed, nil)
        }
        let socket = try ProbeSocket(family: address.family, type: SOCK_DGRAM, io: io)
        do { _ = try await socket.connect(to: address, until: limit) } catch is HostError {
            return (.connectionFailed, nil)
        }
        _ = try await socket.send(request, until: limit)
        do {
            guard let answer = try await socket.receive(1_024, until: min(end, clock.now + readTimeout)) else {
                return (.readFailed, nil)
            }
            let text = String(decoding: answer.bytes, as: UTF8.self)
            return (expected?.matches(text) ?? true ? .success : .stringMismatch, answer.at)
        } catch is HostError {
            // Nobody listens there: the network said so.
            return (.readFailed, nil)
        }
    }
}
