import Pipeline

/// Input `sensors`: what the program `sensors` (lm-sensors) reads of the hardware.
///
/// The program is killed after `timeout`, or nine tenths of the interval. Keeps: series and schemas.
public actor SensorsCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "sensors", summary: "Sensors of the hardware, from the program sensors.",
            options: [
                OptionSpec(
                    "remove_numbers", .bool(true), "Cut digits from field names: temp1_input becomes temp_input."),
                OptionSpec("timeout", .duration(.seconds(5)), "Longest time for an answer.", bounds: 0.001...3600),
            ],
            metrics: [
                MetricSpec(
                    "sensors", tags: ["chip", "feature"],
                    fields: [MetricSpec.Field("*", .float, .none, "sensors -A -u, as the chip's driver has it")])
            ])
    }

    private let host: any Host
    private let removesNumbers: Bool
    private let timeout: Duration
    private var series = SeriesCache()
    private var row = FieldRow()

    public init(options: OptionValues, host: any Host) {
        self.host = host
        removesNumbers = options.bool("remove_numbers")
        timeout = options.duration("timeout")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let until = now + min(timeout, (deadline - now) * 9 / 10)
        let result: ProgramResult?
        do { result = try await host.run([["sensors", "-A", "-u"]], until: until).first } catch { return Gather() }
        var gather = Gather()
        switch result {
        case .failed(let reason)?: gather.errors.append(reason)
        case .output(let bytes)?:
            for report in SensorsReport.parse(bytes, removesNumbers: removesNumbers) {
                row.begin()
                for (name, value) in report.values { row.float(name, value) }
                let tags = [Tag("chip", report.chip), Tag("feature", report.feature)]
                row.append(series.series("sensors", tags), at: time, to: &gather.samples)
            }
            series.finish()
        case nil: break
        }
        return gather
    }
}
