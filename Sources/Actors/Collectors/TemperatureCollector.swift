import Pipeline

/// Input `temp`: temperatures of sensors (hwmon), or of thermal zones where there is no sensor.
///
/// Keeps: which sensors there are, for a minute at most or until the list of chips changes. A sensor that does not answer
/// (sleeping hardware) is passed. Two sensors of equal name are told apart only by `add_device_tag`.
public actor TemperatureCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "temp", summary: "Temperatures of sensors.",
            options: [
                OptionSpec(
                    "metric_format", .string("v2"),
                    "v2: a point a sensor; v1: also its limits, as Telegraf before 1.31.",
                    choices: ["v1", "v2", ""]),
                OptionSpec("add_device_tag", .bool(false), "The tag device: what the sensor belongs to."),
                OptionSpec("always_gather_zones", .bool(false), "Thermal zones too, when there are sensors."),
            ],
            metrics: [
                MetricSpec(
                    "temp", tags: ["sensor", "device"],
                    fields: [
                        MetricSpec.Field(
                            "temp", .float, .celsius, "/sys/class/hwmon/hwmon*/temp*_input, else /sys/class/thermal")
                    ])
            ])
    }

    /// A file with a temperature in thousandths of a degree.
    private struct Reading {
        let file: HostFile
        let series: Series
        /// Whether its sensor must have answered in this tick.
        let isLimit: Bool
    }

    private static let hwmon = "class/hwmon"
    private static let thermal = "class/thermal"
    private static let listAge = Duration.seconds(60)
    private static let schema = Schema([.float("temp")])

    private let host: any Host
    private let hasLimits: Bool
    private let hasDeviceTag: Bool
    private let wantsZones: Bool
    private var readings: [Reading] = []
    /// Folders that `readings` was made from.
    private var chips: [String] = []
    private var listedUntil: Instant?
    private var series = SeriesCache()
    private var buffer: [UInt8] = []

    public init(options: OptionValues, host: any Host) {
        self.host = host
        hasLimits = options.string("metric_format") == "v1"
        hasDeviceTag = options.bool("add_device_tag")
        wantsZones = options.bool("always_gather_zones")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let present =
            folders(TemperatureCollector.hwmon, "hwmon") + folders(TemperatureCollector.thermal, "thermal_zone")
        if present != chips || listedUntil.map({ now >= $0 }) ?? true {
            chips = present
            listedUntil = now + TemperatureCollector.listAge
            list()
        }
        var gather = Gather()
        var isAwake = false
        for reading in readings where isAwake || !reading.isLimit {
            do throws(HostError) { try host.read(reading.file, into: &buffer) } catch {
                if !reading.isLimit { isAwake = false }
                continue
            }
            if !reading.isLimit { isAwake = true }
            guard let value = NumberFile.decimal(buffer) else { continue }
            gather.samples.append(reading.series, TemperatureCollector.schema, at: time)
            gather.samples.float(value / 1000)
        }
        return gather
    }

    /// Paths of the folders in `folder` whose names begin with `prefix`, sorted.
    private func folders(_ folder: String, _ prefix: String) -> [String] {
        host.names(in: .sys, folder).filter { $0.hasPrefix(prefix) }.sorted().map { "\(folder)/\($0)" }
    }

    // MARK: What there is to read

    private func list() {
        readings = []
        let chips = chips.filter { $0.hasPrefix(TemperatureCollector.hwmon) }
        for chip in chips { addSensors(in: chip) }
        // Old kernels have the files one folder further down.
        if readings.isEmpty { for chip in chips { addSensors(in: chip + "/device") } }
        if readings.isEmpty || wantsZones { addZones() }
        series.finish()
    }

    private func addSensors(in folder: String) {
        let names = host.names(in: .sys, folder).sorted()
        let inputs = names.filter { $0.hasPrefix("temp") && $0.hasSuffix("_input") }
        guard !inputs.isEmpty else { return }
        let device = host.linkTarget(.sys, folder + "/device").map {
            $0.split(separator: "/").last.map(String.init) ?? ""
        }
        let chip = host.text(.sys, folder + "/name") ?? device ?? ""
        for input in inputs {
            // temp1
            let sensor = input[..<(input.firstIndex(of: "_") ?? input.endIndex)]
            let label = (host.text(.sys, "\(folder)/\(sensor)_label") ?? "").lowercased()
            let name = label.isEmpty ? chip : chip + "_" + label.replacing(" ", with: hasLimits ? "" : "_")
            let tags = hasDeviceTag ? [Tag("device", device ?? "")] : []
            add("\(folder)/\(input)", [Tag("sensor", hasLimits ? name + "_input" : name)] + tags)
            guard hasLimits else { continue }
            for file in names where file.hasPrefix(sensor + "_") && file != input && file != sensor + "_label" {
                add(
                    "\(folder)/\(file)", [Tag("sensor", "\(name)_\(file.dropFirst(sensor.count + 1))")] + tags,
                    isLimit: true)
            }
        }
    }

    private func addZones() {
        for zone in chips where zone.hasPrefix(TemperatureCollector.thermal) {
            guard let type = host.text(.sys, zone + "/type") else { continue }
            let tags = hasDeviceTag ? [Tag("device", "")] : []
            add(zone + "/temp", [Tag("sensor", hasLimits ? type + "_input" : type)] + tags)
        }
    }

    private func add(_ path: String, _ tags: [Tag], isLimit: Bool = false) {
        readings.append(
            Reading(
                file: HostFile(.sys, path, isKept: false), series: series.series("temp", tags), isLimit: isLimit))
    }
}
