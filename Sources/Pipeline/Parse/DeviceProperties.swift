/// What udev and the kernel say of a block device, by property.
public struct DeviceProperties: Sendable, Hashable {
    public private(set) var values: [String: String] = [:]
    /// Other names of the device, without `/dev/`.
    public private(set) var links: [String] = []

    public init() {}

    /// Adds a record of udev's database: `E:KEY=value` for a property, `S:` for a link; the links together are the
    /// property DEVLINKS. Lines of fewer than four bytes and all others are passed.
    public mutating func add(udev bytes: [UInt8]) {
        var cursor = ByteCursor(bytes)
        while cursor.nextLine() {
            let line = cursor.rest
            guard line.count >= 4 else { continue }
            if cursor.hasPrefix(line, "S:") {
                links.append(cursor.text((line.lowerBound + 2)..<line.upperBound))
            } else if cursor.hasPrefix(line, "E:") {
                add((line.lowerBound + 2)..<line.upperBound, cursor)
            }
        }
        if !links.isEmpty { values["DEVLINKS"] = links.map { "/dev/" + $0 }.joined(separator: " ") }
    }

    /// Adds the lines of a sysfs `uevent` file that begin with DEV. DEVNAME gets `/dev/` in front.
    public mutating func add(uevent bytes: [UInt8]) {
        var cursor = ByteCursor(bytes)
        while cursor.nextLine() {
            let line = cursor.trimmed(cursor.rest)
            guard cursor.hasPrefix(line, "DEV") else { continue }
            add(line, cursor, trims: true)
        }
        if let name = values["DEVNAME"], !name.hasPrefix("/dev/") { values["DEVNAME"] = "/dev/" + name }
    }

    /// The device's place below /sys.
    public mutating func add(path: String) { values["DEVPATH"] = path }

    private mutating func add(_ line: Range<Int>, _ cursor: ByteCursor, trims: Bool = false) {
        guard let equals = cursor.first(UInt8(ascii: "="), in: line) else { return }
        let value = (equals + 1)..<line.upperBound
        values[cursor.text(line.lowerBound..<equals)] = cursor.text(trims ? cursor.trimmed(value) : value)
    }

    /// The first of `templates` whose `$KEY` and `${KEY}` all exist, filled in; nil when there is none.
    public func name(_ templates: [String]) -> String? {
        for template in templates {
            if let name = filled(template) { return name }
        }
        return nil
    }

    private func filled(_ template: String) -> String? {
        let bytes = Array(template.utf8)
        var out: [UInt8] = []
        var position = 0
        while position < bytes.count {
            guard bytes[position] == UInt8(ascii: "$"), let key = DeviceProperties.key(bytes, position + 1) else {
                out.append(bytes[position])
                position += 1
                continue
            }
            guard let value = values[String(decoding: bytes[key.name], as: UTF8.self)] else { return nil }
            out += value.utf8
            position = key.end
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The key that begins at `start`, plain or in braces, and where it ends; nil when there is none.
    private static func key(_ bytes: [UInt8], _ start: Int) -> (name: Range<Int>, end: Int)? {
        let isBraced = start < bytes.count && bytes[start] == UInt8(ascii: "{")
        let first = isBraced ? start + 1 : start
        var end = first
        while end < bytes.count, isWord(bytes[end]) { end += 1 }
        guard end > first else { return nil }
        if isBraced { return end < bytes.count && bytes[end] == UInt8(ascii: "}") ? (first..<end, end + 1) : nil }
        return (first..<end, end)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "0") < 10 || (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_")
    }
}

/// A serial number as a tag shows it.
public enum DiskSerial {
    /// Without CR, LF, and blanks at both ends; nothing becomes `unknown`.
    public static func shown(_ raw: String) -> String {
        let kept = raw.utf8.filter { $0 != 0x0A && $0 != 0x0D }
        let cursor = ByteCursor(Array(kept))
        let text = cursor.text(cursor.trimmed(0..<cursor.bytes.count))
        return text.isEmpty ? "unknown" : text
    }

    /// The node whose udev record holds the serial number: that of `nvme0c1n1`, one path of several, is `nvme0n1`.
    public static func node(of device: String) -> String {
        let bytes = Array(device.utf8)
        guard device.hasPrefix("nvme") else { return device }
        var position = 4
        func digits() -> Bool {
            let start = position
            while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
            return position > start
        }
        guard digits(), position < bytes.count, bytes[position] == UInt8(ascii: "c") else { return device }
        let controller = position
        position += 1
        guard digits(), position < bytes.count, bytes[position] == UInt8(ascii: "n") else { return device }
        return String(decoding: bytes[..<controller] + bytes[position...], as: UTF8.self)
    }
}
