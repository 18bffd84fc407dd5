/// What the input `node` declares, and how node_exporter names sensors and the state of the clock.
public enum NodeMetrics {
    private static func spec(
        _ name: String, _ tags: [String], _ source: String, floats: Bool = false
    ) -> MetricSpec {
        MetricSpec(
            name, tags: tags,
            fields: [.int("*", .none, source)] + (floats ? [.float("*", .none, source)] : []),
            note: "Each field with its measurement is a metric of node_exporter's, whose unit is in its name.")
    }

    /// Names of fields come from the kernel.
    public static let all: [MetricSpec] = [
        spec("node_arp", ["device"], "/proc/net/arp"),
        spec("node_cooling_device", ["name", "type"], "/sys/class/thermal/cooling_device*"),
        spec("node_cpu", ["cpu"], "/sys/devices/system/cpu/cpu*/cpufreq"),
        spec(
            "node_disk", ["device", "major", "minor", "path", "wwn", "model", "serial", "revision"],
            "/proc/diskstats: columns 15 to 20; /run/udev/data", floats: true),
        spec("node_entropy", [], "/proc/sys/kernel/random/poolsize"),
        spec("node_hwmon", ["chip", "chip_name", "sensor", "label"], "/sys/class/hwmon", floats: true),
        spec("node_memory", [], "/proc/meminfo: every line"),
        spec(
            "node_network", ["device", "address", "broadcast", "duplex", "ifalias", "operstate"],
            "/sys/class/net; /proc/net/dev: columns that net does not show"),
        spec(
            "node_os",
            [
                "build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant",
                "variant_id",
                "version", "version_codename", "version_id",
            ], "/etc/os-release", floats: true),
        spec("node_procs", [], "/proc/stat: procs_running, procs_blocked"),
        spec("node_schedstat", ["cpu"], "/proc/schedstat", floats: true),
        spec("node_selinux", [], "/sys/fs/selinux"),
        spec("node_sockstat", [], "/proc/net/sockstat, sockstat6"),
        spec("node_softnet", ["cpu"], "/proc/net/softnet_stat"),
        spec("node_thermal_zone", ["type", "zone"], "/sys/class/thermal/thermal_zone*", floats: true),
        spec("node_time", ["clocksource", "device"], "/sys/devices/system/clocksource"),
        spec("node_timex", [], "adjtimex(2)", floats: true),
        spec("node_udp", ["ip", "queue"], "/proc/net/udp, udp6"),
    ]

    // MARK: The clock

    /// What adjtimex(2) says. Units: as the kernel has them.
    public struct ClockState: Sendable, Hashable {
        public var isSynchronised = false
        public var offset: Int64 = 0
        public var frequency: Int64 = 0
        public var maximumError: Int64 = 0
        public var estimatedError: Int64 = 0
        public var status: Int64 = 0
        public var constant: Int64 = 0
        public var tick: Int64 = 0
        public var pulseFrequency: Int64 = 0
        public var jitter: Int64 = 0
        public var shift: Int64 = 0
        public var stability: Int64 = 0
        public var jitterCount: Int64 = 0
        public var calibrationCount: Int64 = 0
        public var errorCount: Int64 = 0
        public var stabilityCount: Int64 = 0
        public var leapOffset: Int64 = 0

        public init() {}
    }

    /// Units: seconds, and parts of one; the kernel has microseconds or, with STA_NANO, nanoseconds for some, and
    /// 2^-16 parts in a million for frequencies.
    public static func clock(_ state: ClockState) -> [NodeFiles.Value] {
        let divisor = state.status & 0x2000 != 0 ? 1e9 : 1e6
        let parts = 65_536e6
        func value(_ field: String, _ number: Double) -> NodeFiles.Value {
            NodeFiles.Value("node_timex", [], field, .float(number))
        }
        return [
            value("sync_status", state.isSynchronised ? 1 : 0),
            value("offset_seconds", Double(state.offset) / divisor),
            value("frequency_adjustment_ratio", 1 + Double(state.frequency) / parts),
            value("maxerror_seconds", Double(state.maximumError) / 1e6),
            value("estimated_error_seconds", Double(state.estimatedError) / 1e6),
            value("status", Double(state.status)), value("loop_time_constant", Double(state.constant)),
            value("tick_seconds", Double(state.tick) / 1e6),
            value("pps_frequency_hertz", Double(state.pulseFrequency) / parts),
            value("pps_jitter_seconds", Double(state.jitter) / divisor),
            value("pps_shift_seconds", Double(state.shift)),
            value("pps_stability_hertz", Double(state.stability) / parts),
            value("pps_jitter_total", Double(state.jitterCount)),
            value("pps_calibration_total", Double(state.calibrationCount)),
            value("pps_error_total", Double(state.errorCount)),
            value("pps_stability_exceeded_total", Double(state.stabilityCount)),
            value("tai_offset_seconds", Double(state.leapOffset)),
        ]
    }

    // MARK: Sensors

    /// A file of a chip: `temp1_max` is element `max` of sensor `temp1`.
    public struct Sensor: Sendable, Hashable {
        public var type: String
        public var name: String
        /// Empty for a file without one.
        public var element: String

        private static let types = [
            "vrm", "beep_enable", "update_interval", "in", "cpu", "fan", "pwm", "temp", "curr", "power", "energy",
            "humidity",
            "intrusion", "freq",
        ]

        /// nil for a file that is no sensor's.
        public init?(_ file: String) {
            let letters = file.prefix { $0.isASCII && $0.isLetter || $0 == "_" }
            let digits = file.dropFirst(letters.count).prefix { $0.isASCII && $0.isNumber }
            let rest = file.dropFirst(letters.count + digits.count)
            guard Sensor.types.contains(String(letters)), !digits.isEmpty, rest.isEmpty || rest.hasPrefix("_") else {
                return nil
            }
            type = String(letters)
            name = String(letters + digits)
            element = String(rest.dropFirst())
        }

        /// The field, and what the file's number is multiplied with.
        public var field: (name: String, factor: Double) {
            let base = element.isEmpty || element == "input" ? type : type + "_" + NodeMetrics.cleaned(element)
            if element == "fault" || element == "alarm" { return (base, 1) }
            if element == "beep" { return (type + "_beep_enabled", 1) }
            switch type {
            case "in", "cpu": return (base + "_volts", 0.001)
            case "temp" where element != "type": return (base + "_celsius", 0.001)
            case "curr": return (base + "_amps", 0.001)
            case "energy": return (base + "_joule_total", 1e-6)
            case "power" where element == "accuracy": return (base, 1e-6)
            case "power" where ["average_interval", "average_interval_min", "average_interval_max"].contains(element):
                return (base + "_seconds", 0.001)
            case "power": return (base + "_watt", 1e-6)
            case "humidity": return (base, 1e-6)
            case "freq": return (base + "_freq_mhz", 1e-6)
            case "fan" where ["", "input", "max", "min", "target"].contains(element): return (base + "_rpm", 1)
            default: return (base, 1)
            }
        }
    }

    /// How node_exporter calls a chip: by the place of the device that it belongs to, else by its name.
    public static func chip(path: String?, name: String?, fallback: String) -> String {
        let parts = (path ?? "").split(separator: "/").suffix(2).map { cleaned(String($0)) }.filter { !$0.isEmpty }
        if !parts.isEmpty { return parts.joined(separator: "_") }
        if let name, !cleaned(name).isEmpty { return cleaned(name) }
        return cleaned(fallback)
    }

    /// Letters and digits in lower case, everything else `_`, none at the ends.
    public static func cleaned(_ text: String) -> String {
        let mapped = text.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
        let kept = mapped.drop { $0 == "_" }
        return String(kept.reversed().drop { $0 == "_" }.reversed())
    }
}
