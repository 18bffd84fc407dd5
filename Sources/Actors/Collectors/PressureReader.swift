import Pipeline

/// The points `pressure`, for the inputs `pressure` and `kernel`: how long tasks waited for CPU, memory and disks (PSI).
///
/// A resource that cannot be read is an error of its own; the others flow on. The CPU has no type full: the figure means
/// nothing there.
struct PressureReader {
    private static let totalFields: [MetricSpec.Field] = [
        .uint("total", .microseconds, "/proc/pressure/RESOURCE: total, since boot")
    ]
    private static let averageFields: [MetricSpec.Field] = ["avg10", "avg60", "avg300"].map {
        .float($0, .percent, "/proc/pressure/RESOURCE: \($0)")
    }
    private static let totalSchema = Schema(declared: totalFields)
    private static let averageSchema = Schema(declared: averageFields)

    static func metrics(note: String = "") -> MetricSpec {
        MetricSpec("pressure", tags: ["resource", "type"], fields: totalFields + averageFields, note: note)
    }

    private struct Resource {
        let name: String
        let file: HostFile
        let some: Series
        let full: Series?
    }

    private let resources = ["cpu", "memory", "io"].map { name in
        func series(_ type: String) -> Series {
            Series("pressure", tags: [Tag("resource", name), Tag("type", type)])
        }
        return Resource(
            name: name, file: HostFile(.proc, "pressure/\(name)"), some: series("some"),
            full: name == "cpu" ? nil : series("full"))
    }

    /// Two points a line: the total, and the averages.
    func append(from host: any Host, _ buffer: inout [UInt8], at time: Timestamp, to gather: inout Gather) {
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
    }

    private func append(_ line: ProcPressure.Line, _ series: Series, _ time: Timestamp, to samples: inout SampleSet) {
        samples.append(series, PressureReader.totalSchema, at: time)
        samples.uint(line.total)
        samples.append(series, PressureReader.averageSchema, at: time)
        samples.float(line.avg10)
        samples.float(line.avg60)
        samples.float(line.avg300)
    }
}
