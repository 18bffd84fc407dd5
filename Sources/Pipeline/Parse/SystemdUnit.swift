/// A unit of systemd as the program `systemctl` lists it, and the numbers of its states.
///
/// Shape of list-units: `ssh.service loaded active running OpenBSD Secure Shell server`, in some versions with a mark in
/// front. Shape of show: lines `Key=value`, a blank line after each unit. Lines that are neither are passed.
public struct SystemdUnit: Sendable, Hashable {
    public var name: String
    public var load: String
    public var active: String
    public var sub: String
    /// What `show` said besides.
    public var properties: [String: String] = [:]

    public init(name: String, load: String, active: String, sub: String) {
        self.name = name
        self.load = load
        self.active = active
        self.sub = sub
    }

    /// The output of `systemctl list-units --plain --no-legend`.
    public static func list(_ bytes: [UInt8]) -> [SystemdUnit] {
        var cursor = ByteCursor(bytes)
        var units: [SystemdUnit] = []
        while cursor.nextLine() {
            var words: [Range<Int>] = []
            while words.count < 5, let word = cursor.word() { words.append(word) }
            // Every name of a unit has a dot; the mark of a unit that failed has none.
            if let first = words.first, cursor.first(UInt8(ascii: "."), in: first) == nil { words.removeFirst() }
            guard words.count >= 4 else { continue }
            units.append(
                SystemdUnit(
                    name: cursor.text(words[0]), load: cursor.text(words[1]), active: cursor.text(words[2]),
                    sub: cursor.text(words[3])))
        }
        return units
    }

    /// The first words of `systemctl list-unit-files --plain --no-legend`. Templates, which are no units, are left out.
    public static func fileNames(_ bytes: [UInt8]) -> [String] {
        var cursor = ByteCursor(bytes)
        var names: [String] = []
        while cursor.nextLine() {
            guard let word = cursor.word() else { continue }
            let name = cursor.text(word)
            if name.contains("."), !name.contains("@.") { names.append(name) }
        }
        return names
    }

    /// The output of `systemctl show` for several units; those without a name are left out.
    public static func show(_ bytes: [UInt8]) -> [SystemdUnit] {
        var cursor = ByteCursor(bytes)
        var units: [SystemdUnit] = []
        var properties: [String: String] = [:]
        func close() {
            guard let name = properties["Id"], !name.isEmpty else {
                properties = [:]
                return
            }
            var unit = SystemdUnit(
                name: name, load: properties["LoadState"] ?? "", active: properties["ActiveState"] ?? "",
                sub: properties["SubState"] ?? "")
            unit.properties = properties
            units.append(unit)
            properties = [:]
        }
        while cursor.nextLine() {
            let line = cursor.trimmed(cursor.rest)
            if line.isEmpty { close() }
            guard let equals = cursor.first(UInt8(ascii: "="), in: line) else { continue }
            properties[cursor.text(line.lowerBound..<equals)] = cursor.text((equals + 1)..<line.upperBound)
        }
        close()
        return units
    }

    /// The number of a property; nil when it is not set: no digits, or the largest number.
    public func number(_ property: String) -> UInt64? {
        properties[property].flatMap { UInt64($0) }.flatMap { $0 == .max ? nil : $0 }
    }

    /// When the unit became active: `Sat 2026-11-21 05:35:30.123456 UTC`. Units: µs since 1970; nil when it never did.
    public var activeSince: UInt64? {
        guard let text = properties["ActiveEnterTimestamp"] else { return nil }
        let words = text.split(separator: " ")
        guard words.count == 4, words[3] == "UTC" else { return nil }
        let date = words[1].split(separator: "-").compactMap { Int64($0) }
        let clock = words[2].split(separator: ":")
        guard date.count == 3, clock.count == 3, let hours = Int64(clock[0]), let minutes = Int64(clock[1]),
            let seconds = Double(clock[2]), (1...12).contains(date[1]), (1...31).contains(date[2]),
            (1970...9999).contains(date[0]), (0..<24).contains(hours), (0..<60).contains(minutes),
            (0..<61).contains(seconds)
        else { return nil }
        let days = SystemdUnit.days(year: date[0], month: date[1], day: date[2])
        let whole = days * 86_400 + hours * 3600 + minutes * 60
        return UInt64(clamping: whole * 1_000_000 + Int64((seconds * 1_000_000).rounded()))
    }

    /// Days since 1970 of a date in the Gregorian calendar, years counted from March so that leap days come last.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    // MARK: Numbers of states

    public static let loadCodes: [String: Int64] = [
        "loaded": 0, "stub": 1, "not-found": 2, "bad-setting": 3, "error": 4, "merged": 5, "masked": 6,
    ]
    public static let activeCodes: [String: Int64] = [
        "active": 0, "reloading": 1, "inactive": 2, "failed": 3, "activating": 4, "deactivating": 5,
    ]
    /// Names that several kinds of units share have the number of the first.
    public static let subCodes: [String: Int64] = [
        "running": 0x0000, "dead": 0x0001, "start-pre": 0x0002, "start": 0x0003, "exited": 0x0004, "reload": 0x0005,
        "stop": 0x0006, "stop-watchdog": 0x0007, "stop-sigterm": 0x0008, "stop-sigkill": 0x0009, "stop-post": 0x000A,
        "final-sigterm": 0x000B, "failed": 0x000C, "auto-restart": 0x000D, "condition": 0x000E, "cleaning": 0x000F,
        "waiting": 0x0010, "reload-signal": 0x0011, "reload-notify": 0x0012, "final-watchdog": 0x0013,
        "dead-before-auto-restart": 0x0014, "failed-before-auto-restart": 0x0015, "dead-resources-pinned": 0x0016,
        "auto-restart-queued": 0x0017, "tentative": 0x0020, "plugged": 0x0021, "mounting": 0x0030,
        "mounting-done": 0x0031, "mounted": 0x0032, "remounting": 0x0033, "unmounting": 0x0034,
        "remounting-sigterm": 0x0035, "remounting-sigkill": 0x0036, "unmounting-sigterm": 0x0037,
        "unmounting-sigkill": 0x0038, "abandoned": 0x0050, "active": 0x0060, "start-chown": 0x0070,
        "start-post": 0x0071, "listening": 0x0072, "stop-pre": 0x0073, "stop-pre-sigterm": 0x0074,
        "stop-pre-sigkill": 0x0075, "final-sigkill": 0x0076, "activating": 0x0080, "activating-done": 0x0081,
        "deactivating": 0x0082, "deactivating-sigterm": 0x0083, "deactivating-sigkill": 0x0084, "elapsed": 0x00A0,
    ]
}
