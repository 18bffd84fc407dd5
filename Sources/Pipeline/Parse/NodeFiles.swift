/// Files of the kernel of which the input `node` shows every number, under the names that node_exporter gives them.
///
/// Each function takes the bytes of one file and calls `add` with measurement, tags, field and value. What of a file is not
/// understood is left out: nothing of another line depends on it.
/// Bounds: `lineLimit` lines of `wordLimit` words.
public enum NodeFiles {
    /// What a file says.
    public struct Value: Sendable, Hashable {
        public enum Number: Sendable, Hashable {
            case int(Int64)
            case float(Double)
        }

        public var measurement: String
        public var tags: [Tag]
        public var field: String
        public var number: Number

        public init(_ measurement: String, _ tags: [Tag], _ field: String, _ number: Number) {
            self.measurement = measurement
            self.tags = tags
            self.field = field
            self.number = number
        }

        init(_ measurement: String, _ field: String, _ number: Number) {
            self.init(measurement, [], field, number)
        }
    }

    private static let lineLimit = 20_000
    private static let wordLimit = 64

    /// Words of each line.
    static func rows(_ bytes: [UInt8]) -> [[String]] {
        bytes.split(separator: UInt8(ascii: "\n"), maxSplits: lineLimit).prefix(lineLimit).map { line in
            line.split(maxSplits: wordLimit) { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.prefix(wordLimit)
                .map {
                    String(decoding: $0, as: UTF8.self)
                }
        }
    }

    // MARK: /proc

    /// Shape: `TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1`; `mem` is in pages.
    public static func sockstat(_ bytes: [UInt8], pageSize: UInt64) -> [Value] {
        var values: [Value] = []
        for row in rows(bytes) {
            guard let first = row.first, first.hasSuffix(":"), first.count > 1 else { continue }
            for pair in stride(from: 1, to: row.count - 1, by: 2) {
                guard let number = Int64(row[pair + 1]) else { continue }
                let field = first.dropLast() + "_" + row[pair]
                values.append(Value("node_sockstat", String(field), .int(number)))
                if row[pair] == "mem" {
                    let bytes = number.multipliedReportingOverflow(by: Int64(clamping: pageSize))
                    if !bytes.overflow {
                        values.append(Value("node_sockstat", field + "_bytes", .int(bytes.partialValue)))
                    }
                }
            }
        }
        return values
    }

    /// Shape: `Active(anon):  12 kB`, and a few lines without a unit.
    public static func meminfo(_ bytes: [UInt8]) -> [Value] {
        rows(bytes).compactMap { row in
            guard row.count >= 2, row[0].hasSuffix(":"), row[0].count > 1, let number = Int64(row[1]) else {
                return nil
            }
            var name = ""
            for scalar in row[0].unicodeScalars where scalar != ")" && scalar != ":" {
                name += scalar == "(" ? "_" : String(scalar)
            }
            guard row.count > 2 else { return Value("node_memory", name, .int(number)) }
            name += "_bytes"
            let bytes = number.multipliedReportingOverflow(by: 1_024)
            return bytes.overflow ? nil : Value("node_memory", name, .int(bytes.partialValue))
        }
    }

    private static let netColumns: [(column: Int, field: String)] = [
        (4, "receive_fifo_total"), (5, "receive_frame_total"), (6, "receive_compressed_total"),
        (7, "receive_multicast_total"), (12, "transmit_fifo_total"), (13, "transmit_colls_total"),
        (14, "transmit_carrier_total"), (15, "transmit_compressed_total"),
    ]

    /// Of /proc/net/dev the columns that the input `net` does not show. Shape: `eth0: 1 2 …`, 16 numbers.
    public static func netDev(_ bytes: [UInt8]) -> [Value] {
        var values: [Value] = []
        for line in bytes.split(separator: UInt8(ascii: "\n"), maxSplits: lineLimit).dropFirst(2) {
            guard let colon = line.lastIndex(of: UInt8(ascii: ":")) else { continue }
            let name = String(decoding: line[..<colon].drop { $0 == UInt8(ascii: " ") }, as: UTF8.self)
            guard let row = rows(Array(line[(colon + 1)...])).first, row.count >= 16, !name.isEmpty else { continue }
            for (column, field) in netColumns {
                if let number = Int64(row[column]) {
                    values.append(Value("node_network", [Tag("device", name)], field, .int(number)))
                }
            }
        }
        return values
    }

    /// Of /proc/diskstats what the input `diskio` does not show: discards (Linux 4.18) and flushes (5.5).
    public static func diskstats(_ bytes: [UInt8], isShown: (String) -> Bool) -> [Value] {
        var values: [Value] = []
        for row in rows(bytes) where row.count >= 18 && isShown(row[2]) {
            let tags = [Tag("device", row[2])]
            func add(_ column: Int, _ field: String, isTime: Bool = false) {
                guard column < row.count, let number = Int64(row[column]) else { return }
                values.append(
                    Value("node_disk", tags, field, isTime ? .float(Double(number) * 0.001) : .int(number)))
            }
            add(14, "discards_completed_total")
            add(15, "discards_merged_total")
            add(16, "discarded_sectors_total")
            add(17, "discard_time_seconds_total", isTime: true)
            add(18, "flush_requests_total")
            add(19, "flush_requests_time_seconds_total", isTime: true)
            values.append(
                Value("node_disk", tags + [Tag("major", row[0]), Tag("minor", row[1])], "info", .int(1)))
        }
        return values
    }

    /// Of /proc/stat how many tasks run and wait.
    public static func stat(_ bytes: [UInt8]) -> [Value] {
        rows(bytes).compactMap { row in
            guard row.count >= 2, let number = Int64(row[1]) else { return nil }
            switch row[0] {
            case "procs_running": return Value("node_procs", "running", .int(number))
            case "procs_blocked": return Value("node_procs", "blocked", .int(number))
            default: return nil
            }
        }
    }

    /// Shape of /proc/net/softnet_stat: hexadecimal numbers, a line a CPU; the 13th is its number where there is one.
    public static func softnet(_ bytes: [UInt8]) -> [Value] {
        rows(bytes).enumerated().flatMap { index, row -> [Value] in
            guard row.count >= 9 else { return [] }
            let tags = [Tag("cpu", String(row.count > 12 ? Int(row[12], radix: 16) ?? index : index))]
            return [(0, "processed_total"), (1, "dropped_total"), (2, "times_squeezed_total")].compactMap {
                column, field in
                Int64(row[column], radix: 16).map { Value("node_softnet", tags, field, .int($0)) }
            }
        }
    }

    /// Shape of /proc/schedstat: `cpu0 … running waiting slices`, the times in nanoseconds.
    public static func schedstat(_ bytes: [UInt8]) -> [Value] {
        rows(bytes).flatMap { row -> [Value] in
            guard row.count == 10, row[0].hasPrefix("cpu"), let running = Int64(row[7]), let waiting = Int64(row[8]),
                let slices = Int64(row[9])
            else { return [] }
            let tags = [Tag("cpu", String(row[0].dropFirst(3)))]
            return [
                Value("node_schedstat", tags, "running_seconds_total", .float(Double(running) / 1e9)),
                Value("node_schedstat", tags, "waiting_seconds_total", .float(Double(waiting) / 1e9)),
                Value("node_schedstat", tags, "timeslices_total", .int(slices)),
            ]
        }
    }

    /// Of /proc/net/arp how many entries a device has.
    public static func arp(_ bytes: [UInt8]) -> [Value] {
        var counts: [String: Int64] = [:]
        for row in rows(bytes).dropFirst() {
            if row.count >= 6, let device = row.last { counts[device, default: 0] &+= 1 }
        }
        return counts.sorted { $0.key < $1.key }.map {
            Value("node_arp", [Tag("device", $0.key)], "entries", .int($0.value))
        }
    }

    /// Of /proc/net/udp or udp6 the bytes that wait, by direction. Shape: the fifth word is `tx:rx`, hexadecimal.
    public static func udpQueues(_ bytes: [UInt8], version: String) -> [Value] {
        var sums: (sent: Int64, received: Int64) = (0, 0)
        for row in rows(bytes).dropFirst() where row.count > 4 {
            let sides = row[4].split(separator: ":")
            guard sides.count == 2, let sent = Int64(sides[0], radix: 16), let received = Int64(sides[1], radix: 16)
            else {
                continue
            }
            sums = (sums.sent.addingSaturated(sent), sums.received.addingSaturated(received))
        }
        return [("tx", sums.sent), ("rx", sums.received)].map {
            Value("node_udp", [Tag("ip", version), Tag("queue", $0.0)], "queues", .int($0.1))
        }
    }

    // MARK: /etc

    private static let releaseLabels = [
        "build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant", "variant_id",
        "version", "version_codename", "version_id",
    ]

    /// Shape of os-release: `NAME="text"`.
    public static func release(_ bytes: [UInt8]) -> [Value] {
        var found: [String: String] = [:]
        for line in bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 256).prefix(256) {
            let sides = String(decoding: line, as: UTF8.self).split(separator: "=", maxSplits: 1)
            guard sides.count == 2, let quote = sides[1].first else { continue }
            let isQuoted = (quote == "\"" || quote == "'") && sides[1].count > 1 && sides[1].last == quote
            found[sides[0].lowercased()] = String(isQuoted ? sides[1].dropFirst().dropLast() : sides[1])
        }
        guard !found.isEmpty else { return [] }
        func tags(_ labels: [String]) -> [Tag] {
            labels.compactMap { label in found[label].flatMap { $0.isEmpty ? nil : Tag(label, $0) } }
        }
        var values = [Value("node_os", tags(releaseLabels), "info", .int(1))]
        let parts = (found["version_id"] ?? "").split(separator: ".", maxSplits: 2).prefix(2)
        if let version = Double(parts.joined(separator: ".")), version.isFinite {
            values.append(Value("node_os", tags(["id", "id_like", "name"]), "version", .float(version)))
        }
        return values
    }
}
