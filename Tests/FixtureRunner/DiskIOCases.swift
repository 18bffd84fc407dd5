import Actors
import Pipeline

/// What the three kinds of cases of `diskio` share: a device or several in a world made for it.
private enum DiskWorld {
    /// The tags of the points of one gather, in order.
    static func tags(_ config: [JSONMember], _ step: FixtureHost.Step) async throws -> [[Tag]] {
        let host = FixtureHost()
        host.enter(step)
        let options = try ConfigValues.options(DiskIOCollector.spec.options, from: .object(config))
        let collector = try DiskIOCollector(options: options, host: host)
        let now = Instant(nanoseconds: 1_000_000_000_000)
        let gather = await collector.gather(
            at: Timestamp(nanoseconds: 1_700_000_000_000_000_000), now: now, deadline: now + .seconds(10))
        guard gather.errors.isEmpty else { throw CaseError("errors were reported: \(gather.errors)") }
        return gather.samples.rows.map(\.series.tags)
    }

    /// A host with these devices, numbered 8:0, 8:1 …
    static func step(_ devices: [String]) -> FixtureHost.Step {
        var step = FixtureHost.Step()
        let lines = devices.enumerated().map { "   8 \($0.offset) \($0.element) 1 2 3 4 5 6 7 8 9 10 11\n" }
        step.files["proc/diskstats"] = Array(lines.joined().utf8)
        step.mock = .object([
            JSONMember(
                "devnum", .object(devices.enumerated().map { JSONMember($0.element, .string("8:\($0.offset)")) }))
        ])
        return step
    }
}

/// `diskio/devices_filter.json`
enum DiskFilterCases: CaseList {
    static func check(_ element: JSONValue) async throws -> [String] {
        guard let devices = element["diskstats"].flatMap({ ConfigValues.strings($0) }),
            let rows = element["rows"]?.array
        else { throw CaseError("no diskstats or no rows") }
        var step = DiskWorld.step(devices)
        for (index, device) in devices.enumerated() {
            let links = element["devlinks"]?[device].flatMap { ConfigValues.strings($0) } ?? []
            step.files["run/udev/data/b8:\(index)"] = Array(links.map { "S:\($0)\n" }.joined().utf8)
        }
        var differences: [String] = []
        for (index, row) in rows.enumerated() {
            guard let option = row["devices"], let names = row["names"].flatMap({ ConfigValues.strings($0) }) else {
                throw CaseError("row \(index): no devices or no names")
            }
            let tags = try await DiskWorld.tags([JSONMember("devices", option)], step)
            let ours = tags.compactMap { $0.first { $0.key == "name" }?.value }
            if ours != names { differences.append("row \(index): \(ours), not \(names)") }
        }
        return differences
    }
}

/// `diskio/serial_sanitize.json`
enum DiskSerialCases: CaseList {
    static func check(_ element: JSONValue) throws -> [String] {
        guard let raw = element["raw"]?.string, let tag = element["tag"]?.string else {
            throw CaseError("no raw or no tag")
        }
        let ours = DiskSerial.shown(raw)
        return ours == tag ? [] : ["'\(ours)', not '\(tag)'"]
    }
}

/// `diskio/udev_names/expected.json`
enum DiskNameCases: CaseList {
    static func check(_ element: JSONValue, in folder: String) async throws -> [String] {
        guard let device = element["device"]?.string, let expected = element["properties"],
            let udev = Files.read("\(folder)/udev.txt"), let uevent = Files.read("\(folder)/uevent")
        else { throw CaseError("no device, no properties or a file is missing") }
        var differences: [String] = []
        var properties = DeviceProperties()
        properties.add(udev: udev)
        properties.add(uevent: uevent)
        let wanted = Dictionary(ConfigValues.tags(expected).map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        if properties.values != wanted { differences.append("properties \(properties.values), not \(wanted)") }

        var step = DiskWorld.step([device])
        step.files["run/udev/data/b8:0"] = udev
        step.files["sys/class/block/\(device)/uevent"] = uevent
        for row in element["name_templates"]?.array ?? [] {
            guard let templates = row["templates"], let name = row["name"]?.string else {
                throw CaseError("a row without templates or name")
            }
            let tags = try await DiskWorld.tags([JSONMember("name_templates", templates)], step)
            if tags != [[Tag("name", name)]] { differences.append("\(templates): \(tags), not \(name)") }
        }
        if let option = element["device_tags"]?["config"] {
            let tags = try await DiskWorld.tags([JSONMember("device_tags", option)], step)
            let wanted = ConfigValues.tags(element["device_tags"]?["tags"]) + [Tag("name", device)]
            if tags != [Series.normalized(wanted)] { differences.append("device_tags: \(tags), not \(wanted)") }
        }
        return differences
    }
}
