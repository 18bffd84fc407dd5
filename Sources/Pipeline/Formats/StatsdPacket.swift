/// One sample of a statsd line.
public struct StatsdSample: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case gauge, counter, set, timing, histogram
    }

    public var kind: Kind
    /// nil for sets.
    public var number: Double?
    /// For sets: the member.
    public var text: String
    /// Whether a gauge grows by the number instead of becoming it.
    public var isRelative: Bool
    /// How many events it stands for: 1 / sample rate.
    public var weight: Double
}

/// A line of statsd: `name[,tag=value…]:value|type[|@rate][|#tags]`, or several values in one:
/// `name:1|c:2|c|@0.1`, or `name:1:2|c`, where a value takes the type of the next one that has one.
///
/// Shape: types `g`, `c`, `s`, `ms`, `h`; a sign before a gauge's number makes it relative. With
/// `datadogExtensions` `|#key:value,key` are tags (a key without a value is `true`), and `|c:…` and `|T…` are passed
/// over.
/// Bounds: `bytesLimit` a line. Never traps.
/// Source: statsd's and DogStatsD's descriptions of their datagrams, Telegraf's page of the input.
public struct StatsdLine: Sendable, Hashable {
    public static let bytesLimit = 8_192
    /// Fewer events than one in a million are taken for an error of the sender.
    private static let leastRate = 1e-6

    public var bucket: String
    /// As written in the line, in order.
    public var tags: [Tag]
    public var samples: [StatsdSample]

    /// nil for a line that is not understood; of its values those that are bad are counted in `badValues`.
    public init?(_ line: ArraySlice<UInt8>, datadogExtensions: Bool, badValues: inout Int) {
        guard line.count <= StatsdLine.bytesLimit else { return nil }
        var rest = line
        var dogTags: [Tag] = []
        if datadogExtensions { rest = StatsdLine.withoutExtensions(line, &dogTags) }
        let pieces = StatsdLine.pieces(rest)
        guard let name = pieces.name, !pieces.values.isEmpty else { return nil }
        let parts = name.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard let first = parts.first, !first.isEmpty else { return nil }
        bucket = String(decoding: first, as: UTF8.self)
        tags = []
        for part in parts.dropFirst() {
            let sides = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, !sides[0].isEmpty, !sides[1].isEmpty else { continue }
            tags.append(Tag(String(decoding: sides[0], as: UTF8.self), String(decoding: sides[1], as: UTF8.self)))
        }
        tags += dogTags
        samples = []
        for value in pieces.values {
            if let sample = StatsdLine.sample(value) { samples.append(sample) } else { badValues += 1 }
        }
        guard !samples.isEmpty else { return nil }
    }

    /// The name and its values, all parted by colons.
    private static func pieces(
        _ line: ArraySlice<UInt8>
    ) -> (name: ArraySlice<UInt8>?, values: [ArraySlice<UInt8>]) {
        let parts = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard let name = parts.first, parts.count > 1, parts.count <= 1_024 else { return (nil, []) }
        var values: [ArraySlice<UInt8>] = []
        var type: ArraySlice<UInt8> = []
        for part in parts.dropFirst().reversed() {
            if let bar = part.firstIndex(of: UInt8(ascii: "|")) {
                type = part[bar...]
                values.append(part)
            } else {
                values.append((Array(part) + type)[...])
            }
        }
        return (name, values.reversed())
    }

    /// `number|type`, `number|type|@rate`.
    private static func sample(_ value: ArraySlice<UInt8>) -> StatsdSample? {
        let parts = value.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        guard parts.count >= 2, let kind = kind(parts[1]), !parts[0].isEmpty else { return nil }
        var weight = 1.0
        for part in parts.dropFirst(2) where part.first == UInt8(ascii: "@") {
            guard let rate = Double(String(decoding: part.dropFirst(), as: UTF8.self)), rate >= leastRate, rate <= 1
            else {
                return nil
            }
            weight = 1 / rate
        }
        let text = String(decoding: parts[0], as: UTF8.self)
        var sample = StatsdSample(kind: kind, number: nil, text: text, isRelative: false, weight: weight)
        if kind == .set { return sample }
        guard let number = Double(text), number.isFinite, !text.contains(where: { "xXpP".contains($0) }) else {
            return nil
        }
        sample.number = number
        sample.text = ""
        sample.isRelative =
            kind == .gauge && (parts[0].first == UInt8(ascii: "+") || parts[0].first == UInt8(ascii: "-"))
        return sample
    }

    private static func kind(_ name: ArraySlice<UInt8>) -> StatsdSample.Kind? {
        switch (name.count, name.first) {
        case (1, UInt8(ascii: "g")): .gauge
        case (1, UInt8(ascii: "c")): .counter
        case (1, UInt8(ascii: "s")): .set
        case (1, UInt8(ascii: "h")): .histogram
        case (2, UInt8(ascii: "m")) where name.last == UInt8(ascii: "s"): .timing
        default: nil
        }
    }

    /// The line without DogStatsD's own parts, whose tags go to `tags`.
    private static func withoutExtensions(_ line: ArraySlice<UInt8>, _ tags: inout [Tag]) -> ArraySlice<UInt8> {
        var kept: [ArraySlice<UInt8>] = []
        let parts = line.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            // The first two are name, value and type.
            guard index > 1 else {
                kept.append(part)
                continue
            }
            switch part.first {
            case UInt8(ascii: "#"):
                for tag in part.dropFirst().split(separator: UInt8(ascii: ",")) {
                    let sides = tag.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
                    guard let key = sides.first, !key.isEmpty else { continue }
                    let value = sides.count > 1 ? String(decoding: sides[1], as: UTF8.self) : "true"
                    if !value.isEmpty { tags.append(Tag(String(decoding: key, as: UTF8.self), value)) }
                }
            case UInt8(ascii: "c") where part.dropFirst().first == UInt8(ascii: ":"): break
            case UInt8(ascii: "T"): break
            default: kept.append(part)
            }
        }
        return Array(kept.joined(separator: [UInt8(ascii: "|")]))[...]
    }
}
