import Pipeline

/// Reads what the input `node` shows: files through the host, and folders of /sys whose files hold one number each.
///
/// Bounds: `entryLimit` entries of a folder.
struct NodeReader: Sendable {
    typealias Value = NodeFiles.Value

    private static let entryLimit = 4_096

    let host: any Host
    let ignored: PatternList

    /// The values of a file; none where it cannot be read.
    func file(_ root: HostRoot, _ path: String, _ parse: ([UInt8]) -> [Value]) -> [Value] {
        var buffer: [UInt8] = []
        do throws(HostError) { try host.read(HostFile(root, path, isKept: false), into: &buffer) } catch { return [] }
        return parse(buffer)
    }

    func number(_ measurement: String, _ field: String, _ root: HostRoot, _ path: String) -> [Value] {
        integer(root, path).map { [Value(measurement, [], field, .int($0))] } ?? []
    }

    private func integer(_ root: HostRoot, _ path: String) -> Int64? {
        guard let text = host.text(root, path) else { return nil }
        return text.hasPrefix("0x") ? Int64(text.dropFirst(2), radix: 16) : Int64(text)
    }

    /// Entries of a folder, in order.
    private func names(_ path: String) -> [String] {
        Array(host.names(in: .sys, path).sorted().prefix(Self.entryLimit))
    }

    // MARK: Interfaces

    private static let interfaceFiles: [(file: String, field: String)] = [
        ("addr_assign_type", "address_assign_type"), ("carrier", "carrier"),
        ("carrier_changes", "carrier_changes_total"),
        ("carrier_down_count", "carrier_down_changes_total"), ("carrier_up_count", "carrier_up_changes_total"),
        ("dev_id", "device_id"), ("dormant", "dormant"), ("flags", "flags"), ("ifindex", "iface_id"),
        ("iflink", "iface_link"), ("link_mode", "iface_link_mode"), ("mtu", "mtu_bytes"),
        ("name_assign_type", "name_assign_type"), ("netdev_group", "net_dev_group"), ("type", "protocol_type"),
        ("tx_queue_len", "transmit_queue_length"), ("statistics/rx_nohandler", "receive_nohandler_total"),
    ]

    /// Properties of interfaces, from /sys/class/net.
    func interfaces() -> [Value] {
        var values: [Value] = []
        for name in names("class/net") {
            let folder = "class/net/" + name
            // What is no interface, such as bonding_masters, has no number.
            guard integer(.sys, folder + "/ifindex") != nil else { continue }
            let tags = [Tag("device", name)]
            for (file, field) in Self.interfaceFiles {
                if let number = integer(.sys, "\(folder)/\(file)") {
                    values.append(Value("node_network", tags, field, .int(number)))
                }
            }
            // An unknown speed is an error of the read, or -1.
            if let speed = integer(.sys, folder + "/speed"), speed < Int64.max / 1_000_000 {
                values.append(Value("node_network", tags, "speed_bytes", .int(speed &* 125_000)))
            }
            let state = host.text(.sys, folder + "/operstate") ?? ""
            values.append(Value("node_network", tags, "up", .int(state == "up" ? 1 : 0)))
            var labels = tags + [Tag("operstate", state)]
            for (file, label) in [
                ("address", "address"), ("broadcast", "broadcast"), ("duplex", "duplex"), ("ifalias", "ifalias"),
            ] {
                if let text = host.text(.sys, "\(folder)/\(file)"), !text.isEmpty { labels.append(Tag(label, text)) }
            }
            values.append(Value("node_network", labels.filter { !$0.value.isEmpty }, "info", .int(1)))
        }
        return values
    }

    // MARK: Disks

    /// Discards, flushes and what udev knows of block devices.
    func disks() -> [Value] {
        file(.proc, "diskstats") { NodeFiles.diskstats($0) { !ignored.matches($0) } }.map { value in
            guard value.field == "info" else { return value }
            var value = value
            func tag(_ key: String) -> String { value.tags.first { $0.key == key }?.value ?? "" }
            let record = "udev/data/b\(tag("major")):\(tag("minor"))"
            var buffer: [UInt8] = []
            do throws(HostError) { try host.read(HostFile(.run, record, isKept: false), into: &buffer) } catch {
                return value
            }
            var properties = DeviceProperties()
            properties.add(udev: buffer)
            for (label, key) in [
                ("path", "ID_PATH"), ("wwn", "ID_WWN"), ("model", "ID_MODEL"), ("serial", "ID_SERIAL_SHORT"),
                ("revision", "ID_REVISION"),
            ] {
                if let text = properties.values[key], !text.isEmpty { value.tags.append(Tag(label, text)) }
            }
            return value
        }
    }

    // MARK: CPUs and clocks

    private static let frequencyFiles: [(file: String, field: String)] = [
        ("cpuinfo_cur_freq", "frequency_hertz"), ("cpuinfo_min_freq", "frequency_min_hertz"),
        ("cpuinfo_max_freq", "frequency_max_hertz"), ("scaling_cur_freq", "scaling_frequency_hertz"),
        ("scaling_min_freq", "scaling_frequency_min_hertz"), ("scaling_max_freq", "scaling_frequency_max_hertz"),
    ]

    /// Frequencies of the CPUs; the files have kHz.
    func frequencies() -> [Value] {
        names("devices/system/cpu").flatMap { name -> [Value] in
            guard name.hasPrefix("cpu"), let number = Int(name.dropFirst(3)) else { return [] }
            return Self.frequencyFiles.compactMap { file, field in
                integer(.sys, "devices/system/cpu/\(name)/cpufreq/\(file)").flatMap {
                    $0 < Int64.max / 1_000
                        ? Value("node_cpu", [Tag("cpu", String(number))], field, .int($0 &* 1_000)) : nil
                }
            }
        }
    }

    /// Sources of the kernel's clock.
    func clockSources() -> [Value] {
        names("devices/system/clocksource").flatMap { name -> [Value] in
            guard name.hasPrefix("clocksource") else { return [] }
            let device = String(name.dropFirst("clocksource".count))
            return ["available", "current"].flatMap { kind in
                (host.text(.sys, "devices/system/clocksource/\(name)/\(kind)_clocksource") ?? "").split(separator: " ")
                    .map {
                        Value(
                            "node_time", [Tag("clocksource", String($0)), Tag("device", device)],
                            "clocksource_\(kind)_info", .int(1))
                    }
            }
        }
    }

    func selinux() -> [Value] {
        let mode = integer(.sys, "fs/selinux/enforce")
        return [Value("node_selinux", [], "enabled", .int(mode == nil ? 0 : 1))]
            + (mode.map { [Value("node_selinux", [], "current_mode", .int($0))] } ?? [])
    }

    // MARK: Temperatures and other sensors

    /// Zones and coolers of /sys/class/thermal.
    func zones() -> [Value] {
        names("class/thermal").flatMap { name -> [Value] in
            let folder = "class/thermal/" + name
            guard let type = host.text(.sys, folder + "/type"), !type.isEmpty else { return [] }
            if name.hasPrefix("thermal_zone"), let temperature = integer(.sys, folder + "/temp") {
                let tags = [Tag("type", type), Tag("zone", String(name.dropFirst("thermal_zone".count)))]
                return [Value("node_thermal_zone", tags, "temp", .float(Double(temperature) / 1_000))]
            }
            guard name.hasPrefix("cooling_device") else { return [] }
            let tags = [Tag("name", String(name.dropFirst("cooling_device".count))), Tag("type", type)]
            return ["cur_state", "max_state"].compactMap { file in
                integer(.sys, "\(folder)/\(file)").map { Value("node_cooling_device", tags, file, .int($0)) }
            }
        }
    }

    /// The device of a chip as a path below /sys; nil for a chip without one.
    private func device(_ folder: String) -> String? {
        guard let target = host.linkTarget(.sys, folder + "/device") else { return nil }
        let base = host.linkTarget(.sys, folder).map { "/class/hwmon/" + $0 } ?? "/" + folder
        return String(decoding: MountSelection.clean(Array("\(base)/\(target)".utf8)), as: UTF8.self)
    }

    /// Chips of /sys/class/hwmon.
    func sensors() -> [Value] {
        names("class/hwmon").flatMap { name -> [Value] in
            let folder = "class/hwmon/" + name
            let chip = NodeMetrics.chip(
                path: device(folder), name: host.text(.sys, folder + "/name"), fallback: name)
            guard !chip.isEmpty else { return [] }
            var values: [Value] = []
            if let text = host.text(.sys, folder + "/name"), !text.isEmpty {
                let tags = [Tag("chip", chip), Tag("chip_name", NodeMetrics.cleaned(text))]
                values.append(Value("node_hwmon", tags, "chip_names", .int(1)))
            }
            for file in names(folder) {
                guard let sensor = NodeMetrics.Sensor(file) else { continue }
                let tags = [Tag("chip", chip), Tag("sensor", sensor.name)]
                if sensor.element == "label" {
                    if let text = host.text(.sys, "\(folder)/\(file)"), !text.isEmpty {
                        values.append(Value("node_hwmon", tags + [Tag("label", text)], "sensor_label", .int(1)))
                    }
                } else if let text = host.text(.sys, "\(folder)/\(file)"), let number = Double(text) {
                    let (field, factor) = sensor.field
                    values.append(Value("node_hwmon", tags, field, .float(number * factor)))
                }
            }
            return values
        }
    }
}
