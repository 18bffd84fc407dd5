/// What the program `chronyc -c` prints: a line of values with commas between them for each thing.
///
/// Shape of tracking: `7F000001,127.0.0.1,4,1795241416.06,-0.000001157,-0.000000047,0.000000121,-0.003,-0.001,0.053,
/// 0.000006342,0.000000912,1.0,Normal`. Lines with fewer values than the report has are passed; values that are no number
/// are nil.
/// Source: chronyc(1), checked with 4.3.
public enum ChronyReport {
    /// The values of all lines that have at least `count`.
    public static func rows(_ bytes: [UInt8], atLeast count: Int) -> [[String]] {
        var cursor = ByteCursor(bytes)
        var rows: [[String]] = []
        while cursor.nextLine() {
            let line = bytes[cursor.trimmed(cursor.rest)]
            let values = line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            if values.count >= count { rows.append(values.map { String(decoding: $0, as: UTF8.self) }) }
        }
        return rows
    }

    /// A finite number; nil for anything else.
    public static func decimal(_ text: String) -> Double? { Double(text).flatMap { $0.isFinite ? $0 : nil } }

    /// Seconds as milliseconds, to the nanosecond that chronyc prints.
    static func milliseconds(_ seconds: Double) -> Double { (seconds * 1e9).rounded() / 1e6 }
}

/// `chronyc -c tracking`: how the clock of this host follows its source. Units: seconds and ppm.
public struct ChronyTracking: Sendable, Hashable {
    /// What the fields are called, with their place in the line.
    public static let fields = [
        ("system_time", 4), ("last_offset", 5), ("rms_offset", 6), ("frequency", 7), ("residual_freq", 8), ("skew", 9),
        ("root_delay", 10), ("root_dispersion", 11), ("update_interval", 12),
    ]

    public var tags: [Tag]
    /// One for each of `fields`.
    public var values: [Double?]

    /// nil when there is no such line.
    public static func parse(_ bytes: [UInt8]) -> ChronyTracking? {
        guard let row = ChronyReport.rows(bytes, atLeast: 14).first else { return nil }
        let leap = row[13] == "Not synchronised" ? "not synchronized" : row[13].lowercased()
        return ChronyTracking(
            tags: [Tag("leap_status", leap), Tag("reference_id", row[0]), Tag("stratum", row[2])],
            values: fields.map { ChronyReport.decimal(row[$0.1]) })
    }
}

/// A line of `chronyc -c sources`: `^,*,127.0.0.1,3,0,377,0,-0.000000001,-0.000000048,0.000003267`.
public struct ChronySource: Sendable, Hashable {
    /// `^` server, `=` peer, `#` local clock.
    public var mode: String
    /// `*` the one that is followed, `+` good, `-` not needed, `x` false, `~` restless, `?` out of reach.
    public var state: String
    public var name: String
    public var stratum: UInt64?
    /// Logarithm to the base 2 of seconds.
    public var poll: Int64?
    /// Eight bits, the newest answer lowest, in octal digits.
    public var reach: String
    /// Units: seconds; nil when there was no answer ever.
    public var age: UInt64?
    /// Units: seconds. Positive: our clock is ahead.
    public var offset: Double?
    public var offsetError: Double?

    /// What chrony says when there was no answer: 2^32 - 1.
    public static let never: UInt64 = 4_294_967_295

    public static func parse(_ bytes: [UInt8]) -> [ChronySource] {
        ChronyReport.rows(bytes, atLeast: 10).map { row in
            ChronySource(
                mode: row[0], state: row[1], name: row[2], stratum: UInt64(row[3]), poll: Int64(row[4]), reach: row[5],
                age: UInt64(row[6]).flatMap { $0 >= never ? nil : $0 }, offset: ChronyReport.decimal(row[7]),
                offsetError: ChronyReport.decimal(row[9]))
        }
    }

    public var stateName: String {
        switch state {
        case "*": "sync"
        case "+": "candidate"
        case "-": "outlier"
        case "x": "falseticker"
        case "~": "jittery"
        default: "unreach"
        }
    }

    public var modeName: String {
        switch mode {
        case "=": "peer"
        case "#": "reference clock"
        default: "client"
        }
    }

    /// The reference identifier that chrony gives a source of this address: the address of IPv4, or the letters of a
    /// local clock, as eight hexadecimal digits; nil for others.
    public static func referenceID(_ address: String) -> String? {
        let parts = address.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        var bytes = parts.compactMap { $0 }
        if bytes.count != 4 || parts.count != 4 {
            guard address.utf8.count <= 4, !address.contains(":"), !address.isEmpty else { return nil }
            bytes = Array(address.utf8) + Array(repeating: 0, count: 4 - address.utf8.count)
        }
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
    }

    /// The source as `ntpq -p` would show it: what the input ntpq gives.
    ///
    /// `name` is what it is called; `stats` is the line of sourcestats with that name, `data` that of ntpdata; both may be missing, then jitter, or
    /// delay and refid, are left out. chrony counts offsets the other way round.
    public func peer(_ name: String, stats: [String]?, data: [String]?, reach format: NtpqReach) -> NtpqPeer {
        var peer = NtpqPeer()
        peer.tags = [Tag("remote", name), Tag("type", mode == "#" ? "l" : mode == "=" ? "s" : "u")]
        let isUnknown = (stratum ?? 0) == 0 && age == nil
        peer.tags.append(Tag("stratum", isUnknown ? "16" : "\(stratum ?? 0)"))
        if state != "?", !state.isEmpty { peer.tags.append(Tag("state_prefix", state)) }
        if let refid = refid(data) { peer.tags.append(Tag("refid", refid)) }
        peer.when = age.map { Int64(clamping: $0) }
        peer.poll = poll.map { $0 < 0 ? 0 : $0 > 62 ? .max : 1 << $0 }
        peer.reach = format.value(reach)
        peer.offset = age == nil ? nil : offset.map { $0 == 0 ? 0 : ChronyReport.milliseconds(-$0) }
        if let stats, stats.count >= 8, (UInt64(stats[1]) ?? 0) > 0 {
            peer.jitter = ChronyReport.decimal(stats[7]).map(ChronyReport.milliseconds)
        }
        if age != nil, let data, data.count >= 20 {
            peer.delay = ChronyReport.decimal(data[19]).map(ChronyReport.milliseconds)
        }
        return peer
    }

    /// `.GPS.` for a source that is a clock itself, else an address; `.INIT.` when there was no answer yet.
    private func refid(_ data: [String]?) -> String? {
        if mode == "#" { return ".\(name)." }
        guard let data, data.count >= 17, let number = UInt32(data[15], radix: 16) else { return nil }
        if number == 0 { return ".INIT." }
        if stratum == 1 { return data[16].isEmpty ? nil : ".\(data[16])." }
        return [24, 16, 8, 0].map { "\(number >> $0 & 0xFF)" }.joined(separator: ".")
    }
}
