/// Names of metrics as Prometheus' own rules want them, and the factor that brings a value to its base unit.
///
/// Shape: words in lower case with `_` between them, then the base unit, then `_total` where it counts:
/// `diskio.read_time` in milliseconds is `diskio_read_time_seconds_total`. What the rules keep for other things is
/// joined to the word before it (`x_gauge` is `xgauge`), so that a name stays recognisable.
/// Source: Prometheus, "Metric and label naming"; what `promtool check metrics` remarks.
enum PrometheusName {
    /// How a unit is written, and what a value is multiplied with.
    struct Base: Sendable, Hashable {
        /// Words at the end of a name; empty for none.
        var words: [String]
        var factor = 1.0
        /// A negative value means that nothing is known.
        var isNeverNegative = false
    }

    /// The name and the factor of a field; nil when nothing of the name can be used.
    static func metric(
        _ measurement: String, _ field: String, _ kind: ExpositionKind, _ unit: MetricUnit?
    ) -> (name: String, base: Base)? {
        var words = words(measurement) + (field == "value" ? [] : self.words(field))
        guard !words.isEmpty else { return nil }
        var base = unit.map(base) ?? Base(words: [])
        if kind == .counter, words.count > 1, words.last == "total" { words.removeLast() }
        if let unit {
            let synonyms = synonyms(unit)
            if !base.words.isEmpty { words = without(synonyms + base.words, words) }
        } else if let last = words.last, words.count > 1, let known = units[last] {
            words.removeLast()
            base = known
        }
        words = joined(words) + base.words
        switch kind {
        case .counter: words.append("total")
        case .untyped: break
        default: if words.count > 1, let last = words.last, reserved.contains(last) { words.append("value") }
        }
        return (words.joined(separator: "_"), base)
    }

    /// The label of a tag or a string field; nil when nothing of the name can be used.
    static func label(_ key: String) -> String? {
        let words = words(key)
        return words.isEmpty ? nil : words.joined(separator: "_")
    }

    /// The base unit in which a metric of that name is, by the word at its end; nil without one.
    static func unit(of name: some StringProtocol) -> String? {
        guard let mark = name.lastIndex(of: "_"), mark > name.startIndex else { return nil }
        let last = String(name[name.index(after: mark)...])
        return baseUnits.contains(last) ? last : nil
    }

    // MARK: Words

    /// Letters and digits in lower case, parted at everything else and where a capital letter begins a word.
    static func words(_ text: String) -> [String] {
        var words: [String] = []
        var word = ""
        var last = Unicode.Scalar(UInt8(ascii: "_"))
        let scalars = Array(text.unicodeScalars)
        func isUpper(_ scalar: Unicode.Scalar) -> Bool { ("A"..."Z").contains(scalar) }
        for (index, scalar) in scalars.enumerated() {
            let isLetter = ("a"..."z").contains(scalar) || isUpper(scalar) || ("0"..."9").contains(scalar)
            let next = index + 1 < scalars.count ? scalars[index + 1] : "_"
            let begins = isUpper(scalar) && (!isUpper(last) || ("a"..."z").contains(next))
            if !isLetter || begins, !word.isEmpty {
                words.append(word)
                word = ""
            }
            if isLetter { word += String(scalar).lowercased() }
            last = scalar
        }
        if !word.isEmpty { words.append(word) }
        // A name begins with a letter.
        if let first = words.first?.unicodeScalars.first, ("0"..."9").contains(first) { words[0] = "x" + words[0] }
        return words
    }

    /// Joins what a name must not have as a word of its own to the word before it.
    private static func joined(_ words: [String]) -> [String] {
        var out: [String] = []
        for word in words {
            var word = word
            while refused.contains(word) || isForeignUnit(word), let before = out.popLast() { word = before + word }
            // No unit begins a name.
            if out.isEmpty, units[word] != nil || refused.contains(word) { word = "x" + word }
            out.append(word)
        }
        return out
    }

    /// Whether promtool wants another unit in place of the word.
    private static func isForeignUnit(_ word: String) -> Bool {
        units[word].map { $0.words.last != word } ?? false
    }

    private static func without(_ synonyms: [String], _ words: [String]) -> [String] {
        words.enumerated().filter { $0.offset == 0 || !synonyms.contains($0.element) }.map(\.element)
    }

    // MARK: Units

    private static func base(_ unit: MetricUnit) -> Base {
        switch unit {
        case .bytes: Base(words: ["bytes"])
        case .kibibytes: Base(words: ["bytes"], factor: 1_024)
        case .seconds: Base(words: ["seconds"])
        case .milliseconds: Base(words: ["seconds"], factor: 1e-3)
        case .microseconds: Base(words: ["seconds"], factor: 1e-6)
        case .nanoseconds: Base(words: ["seconds"], factor: 1e-9)
        case .percent: Base(words: ["ratio"], factor: 0.01)
        case .ratio: Base(words: ["ratio"])
        case .celsius: Base(words: ["celsius"])
        case .hertz: Base(words: ["hertz"])
        case .megahertz: Base(words: ["hertz"], factor: 1e6)
        case .watts: Base(words: ["watts"])
        case .pages: Base(words: ["pages"])
        case .bytesPerSecond: Base(words: ["bytes", "per", "second"])
        case .bitsPerSecond: Base(words: ["bytes", "per", "second"], factor: 0.125)
        case .kibibytesPerSecond: Base(words: ["bytes", "per", "second"], factor: 1_024)
        case .megabitsPerSecond: Base(words: ["bytes", "per", "second"], factor: 125_000, isNeverNegative: true)
        case .perSecond: Base(words: ["per", "second"])
        case .count, .none: Base(words: [])
        }
    }

    /// How names say the unit that they get in another form.
    private static func synonyms(_ unit: MetricUnit) -> [String] {
        switch unit {
        case .kibibytes: ["kb", "kib"]
        case .seconds: ["s", "sec", "secs"]
        case .milliseconds: ["ms", "millis", "millisecs", "milliseconds"]
        case .microseconds: ["us", "usec", "microseconds"]
        case .nanoseconds: ["ns", "nsec", "nanoseconds"]
        case .percent: ["percent", "percentage", "pct"]
        case .celsius: ["c"]
        case .bytes, .ratio, .hertz, .megahertz, .watts, .pages, .bytesPerSecond, .bitsPerSecond,
            .kibibytesPerSecond, .megabitsPerSecond, .perSecond, .count, .none:
            []
        }
    }

    /// Units at the ends of names that nothing is declared of.
    private static let units: [String: Base] = {
        var units: [String: Base] = [
            "s": Base(words: ["seconds"]), "sec": Base(words: ["seconds"]),
            "percent": Base(words: ["ratio"], factor: 0.01),
            "minutes": Base(words: ["seconds"], factor: 60), "hours": Base(words: ["seconds"], factor: 3_600),
            "days": Base(words: ["seconds"], factor: 86_400), "weeks": Base(words: ["seconds"], factor: 604_800),
            "bits": Base(words: ["bytes"], factor: 0.125), "mb": Base(words: ["bytes"], factor: 1_048_576),
            "kb": Base(words: ["bytes"], factor: 1_024), "gb": Base(words: ["bytes"], factor: 1_073_741_824),
            "tb": Base(words: ["bytes"], factor: 1_099_511_627_776),
        ]
        let prefixes: [(String, Double)] = [
            ("pico", 1e-12), ("nano", 1e-9), ("micro", 1e-6), ("milli", 1e-3), ("centi", 1e-2), ("deci", 1e-1),
            ("deca", 10), ("hecto", 100), ("kilo", 1e3), ("mega", 1e6), ("giga", 1e9), ("tera", 1e12), ("peta", 1e15),
            ("kibi", 1_024), ("mebi", 1_048_576), ("gibi", 1_073_741_824), ("tebi", 1_099_511_627_776),
        ]
        for unit in lintedUnits {
            units[unit] = Base(words: [unit])
            for (prefix, factor) in prefixes { units[prefix + unit] = Base(words: [unit], factor: factor) }
        }
        for (short, factor) in [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)] {
            units[short] = Base(words: ["seconds"], factor: factor)
        }
        return units
    }()

    private static let lintedUnits = [
        "amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres", "moles", "seconds", "volts",
    ]
    private static let baseUnits = Set(lintedUnits + ["ratio", "hertz", "watts"])

    /// What metrics of no such kind must not end in.
    private static let reserved: Set<String> = ["total", "sum", "count", "bucket"]
    /// Kinds and abbreviations, which no name may have as words; and units that have no factor of their own here.
    private static let refused: Set<String> = [
        "counter", "gauge", "summary", "histogram", "s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb",
        "m",
        "h", "d", "fahrenheit", "kelvins", "rankine", "inches", "yards", "miles", "calories", "pounds", "ounces",
        "months", "years",
    ]
}
