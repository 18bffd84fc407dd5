import Pipeline

/// Input `pressure`: how long tasks waited for CPU, memory and disks (PSI), in the shape that the input `kernel` gives
/// with `collect = ["psi"]`.
///
/// A resource that cannot be read is an error of its own; the others flow on. CPU has no type full: the figure means
/// nothing there.
public actor PressureCollector: Collector {
    public static let spec = PluginSpec(
        name: "pressure", summary: "Waiting times for CPU, memory and disks (PSI).", options: [],
        metrics: [
            MetricSpec(
                "pressure", tags: ["resource", "type"],
                fields: ["avg10", "avg60", "avg300"].map {
                    MetricSpec.Field($0, .float, .percent, "/proc/pressure/RESOURCE, \($0)")
                } + [MetricSpec.Field("total", .uint, .microseconds, "/proc/pressure/RESOURCE, total")])
        ])

    private struct Resource {
        let name: String
        let file: HostFile
        let some: Series
        let full: Series?
    }

    private static let totalSchema = Schema([.uint("total")])
    private static let averageSchema = Schema([.float("avg10"), .float("avg60"), .float("avg300")])

    private let host: any Host
    private let resources = ["cpu", "memory", "io"].map { name in
        func series(_ type: String) -> Series {
            Series("pressure", tags: [Tag("resource", name), Tag("type", type)])
        }
        return Resource(
            name: name, file: HostFile(.proc, "pressure/\(name)"), some: series("some"),
            full: name == "cpu" ? nil : series("full"))
    }
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
        for resource in resources {
            do {
                try host.read(resource.file, into: &buffer)
                let parsed = try ProcPressure.parse(buffer, resource: resource.name)
                if let line = parsed.some { append(line, resource.some, time, to: &gather.samples) }
                if let line = parsed.full, let series = resource.full {
                    append(line, series, time, to: &gather.samples)
                }
            } catch {
                gather.errors.append("\(error)")
            }
        }
        return gather
    }

    private func append(_ line: ProcPressure.Line, _ series: Series, _ time: Timestamp, to samples: inout SampleSet) {
        samples.append(series, PressureCollector.totalSchema, at: time)
        samples.uint(line.total)
        samples.append(series, PressureCollector.averageSchema, at: time)
        samples.float(line.avg10)
        samples.float(line.avg60)
        samples.float(line.avg300)
    }
}
