import Actors
import CZlib
import Pipeline

/// What 5,000 lines cost from sample set to compressed batch.
enum EncodeBench {
    static let lines = 5_000

    /// A set of `lines` points of `fields` fields with three tags.
    static func samples(fields: Int, areDoubles: Bool) -> SampleSet {
        let schema = Schema((0..<fields).map { areDoubles ? .float("usage_field_\($0)") : .uint("bytes_field_\($0)") })
        let series = (0..<100).map { number in
            Series(
                "disk", tags: [Tag("host", "host-17"), Tag("device", "sda\(number)"), Tag("path", "/mnt/\(number)")])
        }
        var set = SampleSet()
        var state: UInt64 = 42
        for line in 0..<lines {
            let time = Timestamp(nanoseconds: 1_700_000_000_000_000_000 + Int64(line / 100) * 1_000_000_000)
            set.append(series[line % 100], schema, at: time)
            for _ in 0..<fields {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                if areDoubles {
                    set.float(Double(state >> 11) / Double(1 << 53) * 100)
                } else {
                    set.uint(state >> 34)
                }
            }
        }
        return set
    }

    /// The payload of one batch.
    static func encode(_ encoder: inout StreamEncoder, _ set: SampleSet) -> [UInt8] {
        _ = encoder.add(set, from: "bench")
        return encoder.seal { lines, _, _ in Array(lines) } ?? []
    }

    static func run() -> [UInt8] {
        let perLine = 1e9 / Double(lines)
        var encoder = StreamEncoder(limits: BatchLimits(points: lines, bytes: 64 << 20))
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "bench")
        for (label, fields, areDoubles) in [("5 integer fields", 5, false), ("10 exact doubles", 10, true)] {
            let set = samples(fields: fields, areDoubles: areDoubles)
            let payload = encode(&encoder, set)
            let seconds = fastest {
                _ = encoder.add(set, from: "bench")
                _ = encoder.seal { _, _, _ in 0 }
            }
            Row(
                name: "encode a line, \(label)", value: seconds * perLine, unit: "ns",
                floor: (copySeconds(payload) * perLine, "memcpy of the same bytes"), lessIsBetter: true
            ).print()
        }
        let set = samples(fields: 5, areDoubles: false)
        let payload = encode(&encoder, set)
        readForeign(payload, perLine)
        enforce(payload, perLine)
        let compressor = GzipCompressor()
        let ours = fastest(repeats: 1) { _ = compressor.compress(payload) }
        Row(
            name: "gzip a line, 5 integer fields", value: ours * perLine, unit: "ns",
            floor: (plainZlib(payload) * perLine, "zlib compress2 level 1"), lessIsBetter: true
        ).print()
        let both = fastest(repeats: 1) { _ = compressor.compress(encode(&encoder, set)) }
        Row(
            name: "encode and gzip, lines a second and core", value: Double(lines) / both / 1e6, unit: "M/s", budget: 1
        ).print()
        return payload
    }

    /// What lines cost that others wrote: reading alone, and on to the compressed batch.
    private static func readForeign(_ payload: [UInt8], _ perLine: Double) {
        var parser = LineProtocolParser()
        func read() -> SampleSet {
            var position = LineProtocolParser.Position()
            var samples = SampleSet()
            var issues = LineIssues()
            payload.withUnsafeBufferPointer {
                _ = parser.parse($0, from: &position, at: .zero, into: &samples, &issues)
            }
            return samples
        }
        let seconds = fastest { _ = read() }
        Row(
            name: "read a foreign line, 5 integer fields", value: seconds * perLine, unit: "ns",
            floor: (copySeconds(payload) * perLine, "memcpy of the same bytes"), lessIsBetter: true
        ).print()
        var encoder = StreamEncoder(limits: BatchLimits(points: lines, bytes: 64 << 20))
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "bench")
        let compressor = GzipCompressor()
        let plain = fastest(repeats: 1) { _ = encode(&encoder, read()) }
        Row(
            name: "read and encode foreign lines, a second and core", value: Double(lines) / plain / 1e6, unit: "M/s",
            budget: 1
        ).print()
        let whole = fastest(repeats: 1) { _ = compressor.compress(encode(&encoder, read())) }
        Row(
            name: "read, encode and gzip foreign lines, a second and core", value: Double(lines) / whole / 1e6,
            unit: "M/s", budget: 1
        ).print()
    }

    /// What it costs the metadata relay to put a guest's labels on lines.
    private static func enforce(_ payload: [UInt8], _ perLine: Double) {
        let names = ["vm_id", "vm_name", "tenant_id", "tenant", "domain_id", "host", "host_id", "zone"]
        let enforcement = LabelEnforcement(labels: names.map { Tag($0, "0cb6d3f4-3a5e-4f0e-9d57-\($0)") })
        var out = ByteWriter(capacity: payload.count * 4)
        let seconds = fastest {
            var position = LineProtocolParser.Position()
            var tally = LabelEnforcement.Tally()
            var issues = LineIssues()
            out.removeAll()
            payload.withUnsafeBufferPointer {
                _ = enforcement.rewrite($0, from: &position, into: &out, &tally, &issues)
            }
        }
        Row(
            name: "put 8 labels on a guest's line, 5 integer fields", value: seconds * perLine, unit: "ns",
            floor: (copySeconds(out.bytes) * perLine, "memcpy of the same bytes"), lessIsBetter: true
        ).print()
    }

    /// CPU seconds of zlib's own one-call compression.
    private static func plainZlib(_ payload: [UInt8]) -> Double {
        var target = [UInt8](repeating: 0, count: Int(compressBound(uLong(payload.count))))
        return fastest(repeats: 1) {
            var length = uLong(target.count)
            _ = target.withUnsafeMutableBufferPointer { out in
                compress2(out.baseAddress, &length, payload, uLong(payload.count), 1)
            }
        }
    }
}
