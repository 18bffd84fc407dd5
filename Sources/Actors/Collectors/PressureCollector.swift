import Pipeline

/// Input `pressure`: how long tasks waited for CPU, memory and disks (PSI), in the shape that the input `kernel` gives
/// with `collect = ["psi"]`.
public actor PressureCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "pressure", summary: "Waiting times for CPU, memory and disks (PSI).", options: [],
            metrics: [PressureReader.metrics()])
    }

    private let host: any Host
    private let reader = PressureReader()
    private var buffer: [UInt8] = []

    /// Errors: the kernel has no such figures.
    public init(host: any Host) throws {
        self.host = host
        if host.names(in: .proc, "pressure").isEmpty {
            throw CollectorError(
                "pressure: /proc/pressure does not exist: this kernel has no PSI, or it is off (psi=1)")
        }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        reader.append(from: host, &buffer, at: time, to: &gather)
        return gather
    }
}
