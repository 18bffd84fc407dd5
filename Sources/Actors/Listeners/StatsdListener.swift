import CLinux
import Glibc
import NIOCore
import NIOPosix
import Pipeline
import Synchronization

/// Input `statsd`: takes the counters, gauges, sets and timings of applications by UDP or TCP, and gives them out as
/// points at each tick.
///
/// Owns the socket and what was heard since the last tick. A datagram is taken apart as it is read, so that none waits
/// here; what the kernel must drop before, it counts, and the count is reported. Started and stopped as a service input;
/// at its end it is gathered once more.
/// Bounds: series, members of sets, values of timings, connections, length of a line.
public actor StatsdListener: ServiceInput {
    private static let keeps = "what is kept is bounded by max_series"

    public static var spec: PluginSpec {
        PluginSpec(
            name: "statsd", summary: "Takes the statsd metrics of applications.",
            options: [
                OptionSpec("protocol", .string("udp"), "How they come.", choices: ["udp", "udp4", "udp6", "tcp"]),
                OptionSpec(
                    "service_address", .string("127.0.0.1:8125"),
                    "Address to listen at; :8125 means all of the machine."),
                OptionSpec("max_tcp_connections", .integer(250), "Connections at the same time.", bounds: 1...65_536),
                OptionSpec("delete_gauges", .bool(true), "Forget gauges at each tick."),
                OptionSpec("delete_counters", .bool(true), "Begin counters at 0 at each tick."),
                OptionSpec("delete_sets", .bool(true), "Empty sets at each tick."),
                OptionSpec("delete_timings", .bool(true), "Begin timings anew at each tick."),
                OptionSpec("percentiles", .numbers([]), "Percentiles of timings and histograms."),
                OptionSpec(
                    "percentile_limit", .integer(1_000), "Values of a timing that are kept for them.",
                    bounds: 1...1_000_000
                ),
                OptionSpec("metric_separator", .string("_"), "Between the parts of a name."),
                OptionSpec("templates", .strings([]), "What the parts of a bucket mean."),
                OptionSpec("datadog_extensions", .bool(false), "Understand the tags of DogStatsD."),
                OptionSpec("parse_data_dog_tags", .bool(false), "Old name of datadog_extensions."),
                OptionSpec("float_counters", .bool(false), "Counters as floats."),
                OptionSpec("float_timings", .bool(false), "The count of timings as a float."),
                OptionSpec("float_sets", .bool(false), "Sets as floats."),
                OptionSpec(
                    "max_series", .integer(100_000), "Series that are kept; more are dropped.", bounds: 1...10_000_000),
                OptionSpec(
                    "read_buffer_size", .size(0),
                    "Receive buffer of the UDP socket; 0 means 4MiB, or what the kernel allows.",
                    bounds: 0...1_073_741_824),
                OptionSpec(
                    "allowed_pending_messages", .integer(10_000), "Datagrams that may wait.",
                    ignoredBecause: "none wait: the kernel's buffer is the queue, and its drops are reported"),
                OptionSpec(
                    "number_workers_threads", .integer(5), "Threads that parse.", ignoredBecause: "one keeps up"),
                OptionSpec("tcp_keep_alive", .bool(false), "Probe silent peers.", ignoredBecause: "it is always on"),
                OptionSpec(
                    "tcp_keep_alive_period", .duration(.zero), "How often.", ignoredBecause: "the kernel's is used"),
                OptionSpec(
                    "max_ttl", .duration(.zero), "Forget what was not heard for so long.", refusedBecause: keeps),
                OptionSpec(
                    "datadog_distributions", .bool(false), "Distributions of DogStatsD.",
                    refusedBecause: "distributions are not understood"),
                OptionSpec(
                    "datadog_keep_container_tag", .bool(false), "The container as a tag.",
                    refusedBecause: "containers are not told apart"),
                OptionSpec(
                    "enable_aggregation_temporality", .bool(false), "Tag and field for OpenTelemetry.",
                    refusedBecause: "there is no such output"),
                OptionSpec(
                    "sanitize_name_method", .string(""), "Replace characters of names.",
                    refusedBecause: "names are kept as they come"),
                OptionSpec(
                    "convert_names", .bool(false), "Replace dots and dashes of names.",
                    refusedBecause: "metric_separator does it"),
            ],
            metrics: [
                MetricSpec(
                    "*", tags: ["metric_type"],
                    fields: [
                        .float("value", .none, "gauges"), .int("value", .count, "counters and sets"),
                        .float("mean", .none, "timings and histograms"),
                        .float("median", .none, "timings and histograms"),
                        .float("stddev", .none, "timings and histograms"),
                        .float("sum", .none, "timings and histograms"),
                        .float("upper", .none, "timings and histograms"),
                        .float("lower", .none, "timings and histograms"),
                        .int("count", .count, "timings and histograms"),
                        .float("*_percentile", .none, "timings and histograms"),
                    ])
            ],
            isService: true)
    }

    private let address: ListenAddress
    private let isTCP: Bool
    private let connections: Int
    private let receiveBytes: Int
    private let environment: InputEnvironment
    private let state: StatsdState
    private var channel: (any Channel)?

    /// Errors: an address that is none, a template that is not understood.
    public init(options: OptionValues, environment: InputEnvironment) throws {
        let text = options.string("service_address")
        let name = options.string("protocol")
        guard let address = ListenAddress(text) else {
            throw CollectorError(
                "statsd: service_address \"\(text)\" is no IP address with a port", option: "service_address")
        }
        self.address = address
        isTCP = name == "tcp"
        connections = Int(clamping: options.integer("max_tcp_connections"))
        receiveBytes = Int(clamping: options.size("read_buffer_size"))
        self.environment = environment
        var settings = StatsdAggregate.Settings()
        settings.deletesGauges = options.bool("delete_gauges")
        settings.deletesCounters = options.bool("delete_counters")
        settings.deletesSets = options.bool("delete_sets")
        settings.deletesTimings = options.bool("delete_timings")
        settings.percentiles = options.numbers("percentiles")
        settings.percentileLimit = Int(clamping: options.integer("percentile_limit"))
        settings.datadogExtensions = options.bool("datadog_extensions") || options.bool("parse_data_dog_tags")
        settings.floatCounters = options.bool("float_counters")
        settings.floatTimings = options.bool("float_timings")
        settings.floatSets = options.bool("float_sets")
        settings.seriesLimit = Int(clamping: options.integer("max_series"))
        do {
            let templates = try StatsdTemplates(
                options.strings("templates"), separator: options.string("metric_separator"))
            state = StatsdState(StatsdAggregate(settings, templates: templates))
        } catch {
            throw CollectorError("statsd: \(error)", option: "templates")
        }
    }

    public nonisolated var isGathered: Bool { true }

    public func serve(_ emitter: any SampleEmitter) async throws {
        guard let eventLoop = environment.eventLoop else { throw CollectorError("statsd needs a running agent") }
        let state = state
        let bound: any Channel
        if isTCP {
            let clients = ClientCount(limit: connections)
            bound = try await ServerBootstrap(group: eventLoop)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let entry = clients.enter()
                        if let entry { channel.closeFuture.whenComplete { _ in clients.leave(entry) } }
                        try channel.pipeline.syncOperations.addHandler(
                            StatsdStream(state, emitter, isRefused: entry == nil))
                    }
                }
                .bind(to: try address.socketAddress).get()
        } else {
            let bootstrap = DatagramBootstrap(group: eventLoop)
                .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
                // The kernel gives what it allows, which is more than its default and costs nothing until it is used.
                .channelOption(
                    .socketOption(.so_rcvbuf),
                    value: SocketOptionValue(clamping: receiveBytes > 0 ? receiveBytes : 4 << 20)
                )
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(StatsdDatagrams(state, emitter))
                    }
                }
            bound = try await bootstrap.bind(to: try address.socketAddress).get()
        }
        channel = bound
        defer { channel = nil }
        try await withTaskCancellationHandler {
            try await bound.closeFuture.get()
        } onCancel: {
            bound.close(promise: nil)
        }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let (samples, trouble) = state.aggregate.withLock { $0.read(at: time) }
        var errors: [String] = []
        if trouble.badLines > 0 { errors.append("\(trouble.badLines) lines not understood") }
        if trouble.droppedForSeries > 0 {
            errors.append("\(trouble.droppedForSeries) samples dropped: more series than max_series")
        }
        if trouble.droppedForMembers > 0 {
            errors.append("\(trouble.droppedForMembers) samples dropped: a set or a timing has too many members")
        }
        if !isTCP, let channel {
            let state = state
            let dropped = try? await channel.eventLoop.submit { state.newKernelDrops(channel) }.get()
            if let dropped, dropped > 0 {
                errors.append("\(dropped) datagrams dropped by the kernel: its buffer was full")
            }
        }
        return Gather(samples: samples, errors: errors)
    }
}

/// What the sockets' handlers and the ticks share.
final class StatsdState: Sendable {
    let aggregate: Mutex<StatsdAggregate>
    private let kernelDrops = Mutex<UInt32?>(nil)

    init(_ aggregate: StatsdAggregate) { self.aggregate = Mutex(aggregate) }

    /// Datagrams that the kernel has dropped since the last call. On the channel's event loop.
    /// Source: SO_MEMINFO, socket(7); the ninth number counts drops.
    func newKernelDrops(_ channel: any Channel) -> UInt32 {
        let count = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { descriptor -> UInt32? in
            var numbers = [UInt32](repeating: 0, count: 9)
            var size = socklen_t(numbers.count * 4)
            let memoryInfo: Int32 = 55
            guard getsockopt(descriptor, SOL_SOCKET, memoryInfo, &numbers, &size) == 0, size == 36 else { return nil }
            return numbers[8]
        }
        guard let total = count ?? nil else { return 0 }
        return kernelDrops.withLock { before in
            defer { before = total }
            // A socket that was bound anew counts from 0.
            guard let before, total >= before else { return total }
            return total - before
        }
    }
}

/// Datagrams of one socket.
private final class StatsdDatagrams: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let state: StatsdState
    private let emitter: any SampleEmitter

    init(_ state: StatsdState, _ emitter: any SampleEmitter) {
        self.state = state
        self.emitter = emitter
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let packet = Array(unwrapInboundIn(data).data.readableBytesView)
        emitter.attributed { state.aggregate.withLock { $0.add(packet) } }
    }

    /// A datagram that cannot be had concerns nobody else.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// Lines of one connection. A line that does not end within the bound ends the connection.
private final class StatsdStream: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let state: StatsdState
    private let emitter: any SampleEmitter
    /// One connection too many: it ends as it begins.
    private let isRefused: Bool
    private var rest: [UInt8] = []

    init(_ state: StatsdState, _ emitter: any SampleEmitter, isRefused: Bool) {
        self.state = state
        self.emitter = emitter
        self.isRefused = isRefused
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if isRefused { context.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        rest += unwrapInboundIn(data).readableBytesView
        if let end = rest.lastIndex(of: UInt8(ascii: "\n")) {
            take(Array(rest[...end]))
            rest.removeSubrange(...end)
        }
        if rest.count > StatsdLine.bytesLimit { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        take(rest)
        rest = []
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func take(_ lines: [UInt8]) {
        emitter.attributed { state.aggregate.withLock { $0.add(lines) } }
    }
}

extension ListenAddress {
    /// As the kernel wants it; without a host every address of both kinds. Errors: a kernel without the kind.
    var socketAddress: SocketAddress {
        get throws {
            let bytes = host?.bytes ?? [UInt8](repeating: 0, count: 16)
            return try SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: Int(port))
        }
    }
}
