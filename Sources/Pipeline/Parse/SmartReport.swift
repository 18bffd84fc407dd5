/// What `smartctl --info --health --attributes --format=brief DEVICE` prints, as points.
///
/// Shape: lines `Device Model:     X`, `SMART support is: Enabled`, then for ATA a table
/// `194 Temperature_Celsius -O---K 064 059 000 - 36 (Min/Max 24/46)` (number, name, flags, value, worst, threshold, when
/// it failed, raw), for SAS and NVMe lines `Power On Hours: 1,234`. Lines that are none of these are passed.
public struct SmartReport: Sendable {
    /// Whether each attribute becomes a point of its own.
    private let hasAttributes: Bool
    private var device: ParsedPoint
    private var exitStatus: Int64
    private var attributes: [ParsedPoint] = []

    /// Tags that a point of an attribute has from its device.
    private static let shared: Set<String> = [
        "device", "device_type", "model", "serial_no", "wwn", "capacity", "enabled", "power",
    ]

    /// The points of one device: its attributes, if they are wanted, then itself. `device` is its name without folder,
    /// `type` what `-d` says, empty for no such tag.
    public static func points(
        _ bytes: [UInt8], device: String, type: String = "", exitStatus: Int, attributes: Bool
    ) -> [ParsedPoint] {
        var report = SmartReport(device: device, type: type, exitStatus: exitStatus, hasAttributes: attributes)
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            // What is no UTF-8 becomes U+FFFD: some locales separate thousands by such a byte.
            report.read(String(decoding: line, as: UTF8.self))
        }
        report.device["exit_status"] = .int(report.exitStatus)
        return report.attributes + [report.device]
    }

    private init(device: String, type: String, exitStatus: Int, hasAttributes: Bool) {
        self.hasAttributes = hasAttributes
        self.exitStatus = Int64(exitStatus)
        self.device = ParsedPoint("smart_device")
        self.device.tag("device", device)
        self.device.tag("device_type", type)
    }

    private mutating func read(_ line: String) {
        readIdentity(line)
        readState(line)
        if let attribute = SmartAttribute(line) {
            add(attribute)
        } else if let colon = line.firstRange(of: ": "), colon.lowerBound > line.startIndex {
            addNamed(String(line[..<colon.lowerBound]), SmartReport.trimmed(line[colon.upperBound...]))
        }
    }

    /// The rest of a line that begins with `label` and white space.
    private static func value(_ line: String, _ label: String) -> String? {
        guard line.hasPrefix(label) else { return nil }
        let rest = line.dropFirst(label.count)
        guard let first = rest.first, first == " " || first == "\t" else { return nil }
        return trimmed(rest)
    }

    private static func trimmed(_ text: Substring) -> String { Array(text.utf8).trimmedText }

    private static func word(_ text: String) -> String {
        String(text.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
    }

    private mutating func readIdentity(_ line: String) {
        for label in ["Device Model:", "Product:", "Model Number:"] {
            if let model = SmartReport.value(line, label) { device.tag("model", model) }
        }
        if line.prefix(14).lowercased() == "serial number:",
            let serial = SmartReport.value(line, String(line.prefix(14)))
        {
            device.tag("serial_no", serial)
        }
        if let name = SmartReport.value(line, "LU WWN Device Id:") { device.tag("wwn", name.filter { $0 != " " }) }
        if let capacity = SmartReport.value(line, "User Capacity:"), capacity.contains(" bytes") {
            device.tag("capacity", String(capacity.prefix { $0 != " " }).filter(\.isNumber))
        }
        // `Available - device has SMART capability.` stands under the same label.
        if let enabled = SmartReport.value(line, "SMART support is:"), SmartReport.word(enabled) == enabled {
            device.tag("enabled", enabled)
        }
    }

    private mutating func readState(_ line: String) {
        for label in ["SMART overall-health self-assessment test result:", "SMART Health Status:"] {
            guard let health = SmartReport.value(line, label) else { continue }
            device["health_ok"] = .bool(["PASSED", "OK"].contains(SmartReport.word(health)))
        }
        var power: String?
        for label in ["Power mode is:", "Power mode was:", "Device is in"] where power == nil {
            power = SmartReport.value(line, label).map(SmartReport.word)
        }
        guard let power, !power.isEmpty else { return }
        device.tag("power", power)
        if ["ACTIVE", "IDLE"].contains(power) { exitStatus = 0 }
    }

    // MARK: Attributes

    private func point(_ name: String, id: String) -> ParsedPoint {
        var point = ParsedPoint("smart_attribute", tags: device.tags.filter { SmartReport.shared.contains($0.key) })
        point.tag("name", name)
        point.tag("id", id)
        return point
    }

    private mutating func add(_ attribute: SmartAttribute) {
        if hasAttributes {
            var point = point(attribute.name, id: attribute.id)
            point.tag("flags", attribute.flags)
            point.tag("fail", attribute.fail)
            point["exit_status"] = .int(exitStatus)
            point["value"] = attribute.value.map { .int($0) }
            point["worst"] = attribute.worst.map { .int($0) }
            point["threshold"] = attribute.threshold.map { .int($0) }
            point["raw_value"] = attribute.raw
            attributes.append(point)
        }
        if let field = SmartFields.byNumber[attribute.id] { device[field] = attribute.raw }
        if let field = SmartFields.byName[attribute.name] { device[field] = attribute.value.map { .int($0) } }
    }

    /// A line of a SAS or NVMe device.
    private mutating func addNamed(_ label: String, _ text: String) {
        guard let known = SmartFields.named[label], let value = known.reading.value(text) else { return }
        if known.reading == .temperature { device["temp_c"] = .int(value) }
        if let field = SmartFields.promoted[known.name] { device[field] = .int(value) }
        guard hasAttributes else { return }
        var point = point(known.name, id: known.id)
        point["raw_value"] = .int(value)
        attributes.append(point)
    }
}

/// A row of the table of an ATA device.
struct SmartAttribute: Sendable, Hashable {
    var id: String
    var name: String
    var flags: String
    var value: Int64?
    var worst: Int64?
    /// `---` where there is none.
    var threshold: Int64?
    var fail: String
    var raw: ParsedPoint.Value

    /// nil for a line that is no such row.
    init?(_ line: String) {
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard words.count >= 8, UInt32(words[0]) != nil else { return nil }
        let flags = words[2].prefix(6)
        guard words[2].dropFirst(6).allSatisfy({ $0 == "+" }), flags.count == 6,
            zip(flags, "POSRCK").allSatisfy({ $0 == "-" || $0 == $1 }), UInt32(words[3]) != nil, UInt32(words[4]) != nil
        else {
            return nil
        }
        id = String(words[0])
        name = String(words[1])
        self.flags = String(flags)
        value = Int64(words[3])
        worst = Int64(words[4])
        threshold = Int64(words[5])
        fail = String(words[6])
        raw = SmartAttribute.raw(words[7])
    }

    /// `36`, `12/345` (a ratio), `65h+33m+09.259s` (seconds); 0 for anything else.
    static func raw(_ text: Substring) -> ParsedPoint.Value {
        if let whole = Int64(text) { return .int(whole) }
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, let part = Double(parts[0]), let whole = Double(parts[1]) { return .float(part / whole) }
        var seconds: Int64 = 0
        for part in text.split(separator: "+") {
            let number = Int64(part.dropLast().prefix { $0 != "." }) ?? 0
            switch part.last {
            case "h": seconds = seconds.addingSaturated(number.multipliedSaturated(by: 3_600))
            case "m": seconds = seconds.addingSaturated(number.multipliedSaturated(by: 60))
            case "s": seconds = seconds.addingSaturated(number)
            default: break
            }
        }
        return .int(seconds)
    }
}
