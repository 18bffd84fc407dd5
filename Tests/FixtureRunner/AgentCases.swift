import Actors
import Pipeline

/// `agent/filters.json`
enum FilterCases: CaseList {
    static func check(_ element: JSONValue) throws -> [String] {
        if let option = element["option"]?.string { return try checkNames(element, option) }
        guard let config = element["config"] else { throw CaseError("neither option nor config") }
        let options = try options(config)
        if let metrics = element["metrics"]?.members {
            let transform = MetricTransform(options, globalTags: [], stage: .input)
            return metrics.compactMap { metric in
                let ours = transform.apply(name: metric.key, tags: [])?.name
                return ours == metric.value.string
                    ? nil : "\(metric.key) becomes \(ours ?? "nothing"), not \(metric.value.string ?? "nothing")"
            }
        }
        guard let rows = element["rows"]?.array else { throw CaseError("neither metrics nor rows") }
        return rows.enumerated().flatMap { index, row in checkRow(row, options).map { "row \(index): \($0)" } }
    }

    private static func checkNames(_ element: JSONValue, _ option: String) throws -> [String] {
        var config: [JSONMember] = [JSONMember(option, element["value"] ?? .array([]))]
        if let separator = element["separator"] { config.append(JSONMember(option + "_separator", separator)) }
        let transform = MetricTransform(try options(.object(config)), globalTags: [], stage: .input)
        let mustPass = (element["pass"]?.array ?? []).compactMap(\.string)
        let mustDrop = (element["drop"]?.array ?? []).compactMap(\.string)
        return mustPass.filter { transform.apply(name: $0, tags: []) == nil }.map { "\($0) is dropped" }
            + mustDrop.filter { transform.apply(name: $0, tags: []) != nil }.map { "\($0) passes" }
    }

    private static func checkRow(_ row: JSONValue, _ options: MetricOptions) -> [String] {
        let globalTags = ConfigValues.tags(row["global_tags"])
        let transform = MetricTransform(options, globalTags: globalTags, stage: .input)
        let result = transform.apply(name: "metric", tags: Series.normalized(ConfigValues.tags(row["tags"])))
        let given = row["fields"].flatMap { ConfigValues.strings($0) }
        let kept = given?.filter { transform.keepsField($0) }
        let passes = result != nil && kept?.isEmpty != true
        var differences: [String] = []
        if let expected = row["passes"]?.bool, expected != passes {
            differences.append(passes ? "passes" : "is dropped")
        }
        guard let result, passes else { return differences }
        if let expected = row["result_tags"], Series.normalized(ConfigValues.tags(expected)) != result.tags {
            differences.append("tags \(result.tags), not \(ConfigValues.tags(expected))")
        }
        if let expected = row["result_fields"].flatMap({ ConfigValues.strings($0) }),
            expected.sorted() != kept?.sorted()
        {
            differences.append("fields \(kept ?? []), not \(expected)")
        }
        return differences
    }

    /// The common options of an input, under their names in the configuration file.
    private static func options(_ config: JSONValue) throws -> MetricOptions {
        func list(_ names: String...) -> [String] {
            names.flatMap { config[$0].flatMap { ConfigValues.strings($0) } ?? [] }
        }
        func text(_ name: String) -> String { config[name]?.string ?? "" }
        func table(_ name: String) throws -> [MetricFilter.TagPatterns] {
            try (config[name]?.members ?? []).map {
                MetricFilter.TagPatterns(key: $0.key, values: try PatternList(ConfigValues.strings($0.value) ?? []))
            }
        }
        var options = MetricOptions()
        options.nameOverride = text("name_override")
        options.namePrefix = text("name_prefix")
        options.nameSuffix = text("name_suffix")
        options.tags = Series.normalized(ConfigValues.tags(config["tags"]))
        options.filter.namePass = try PatternList(list("namepass"), separators: text("namepass_separator"))
        options.filter.nameDrop = try PatternList(list("namedrop"), separators: text("namedrop_separator"))
        options.filter.tagPass = try table("tagpass")
        options.filter.tagDrop = try table("tagdrop")
        options.filter.fieldInclude = try PatternList(list("fieldinclude", "fieldpass", "pass"))
        options.filter.fieldExclude = try PatternList(list("fieldexclude", "fielddrop", "drop"))
        options.filter.tagInclude = try PatternList(list("taginclude"))
        options.filter.tagExclude = try PatternList(list("tagexclude"))
        return options
    }
}

/// `agent/schedule.json`
enum ScheduleCases: CaseList {
    static func check(_ element: JSONValue) throws -> [String] {
        guard let interval = element["interval"].flatMap({ ConfigValues.duration($0) }) else {
            throw CaseError("no interval")
        }
        if let gathered = try instant(element["gathered"]), let expected = try instant(element["timestamp"]) {
            let configured = element["precision"].flatMap { ConfigValues.duration($0) } ?? .zero
            let ours = gathered.rounded(to: TickSchedule.precision(configured: configured, interval: interval))
            return ours == expected ? [] : ["\(ours.nanoseconds), not \(expected.nanoseconds)"]
        }
        guard let start = try instant(element["start"]), let ticks = element["ticks"]?.array else {
            throw CaseError("neither ticks nor rounding")
        }
        let jitter = element["jitter"].flatMap { ConfigValues.duration($0) } ?? .zero
        var schedule = TickSchedule(
            interval: interval, roundInterval: element["round_interval"]?.bool ?? true,
            offset: element["offset"].flatMap { ConfigValues.duration($0) } ?? .zero, jitter: jitter)
        var random = SystemRandomNumberGenerator()
        var previous: TickSchedule.Tick?
        return try ticks.enumerated().compactMap { index, tick in
            guard let expected = try instant(tick) else { throw CaseError("a tick is no instant") }
            let ours =
                previous.map { schedule.next(after: $0.fire, using: &random) }
                ?? schedule.first(from: start, using: &random)
            previous = ours
            let isGood = jitter > .zero ? ours.fire >= expected && ours.fire < expected + jitter : ours.fire == expected
            return isGood ? nil : "tick \(index): \(ours.fire.nanoseconds), not \(expected.nanoseconds)"
        }
    }

    /// An instant of RFC 3339 in UTC: `2024-05-05T10:00:00.499Z`; nil for no value.
    private static func instant(_ json: JSONValue?) throws -> Timestamp? {
        guard let json else { return nil }
        guard let text = json.string, text.hasSuffix("Z") else { throw CaseError("no instant: \(json)") }
        let parts = text.dropLast().split { "-T:.".contains($0) }
        let numbers = parts.compactMap { Int64($0) }
        guard numbers.count == parts.count, numbers.count == 6 || numbers.count == 7 else {
            throw CaseError("no instant: \(text)")
        }
        // Days since 1970 of a Gregorian date, with years that begin in March.
        let year = numbers[1] <= 2 ? numbers[0] - 1 : numbers[0]
        let dayOfYear = (153 * (numbers[1] + (numbers[1] > 2 ? -3 : 9)) + 2) / 5 + numbers[2] - 1
        let era = year / 400
        let yearOfEra = year - era * 400
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        let seconds = days * 86_400 + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
        let fraction = parts.count == 7 ? Int64((parts[6] + "000000000").prefix(9)) ?? 0 : 0
        return Timestamp(nanoseconds: seconds * 1_000_000_000 + fraction)
    }
}

/// `disk/prefix_cases.json`
enum DiskPrefixCases: CaseList {
    static func check(_ element: JSONValue) async throws -> [String] {
        guard let partition = element["partition"], let expected = element["expected"]?.string else {
            throw CaseError("no partition or nothing expected")
        }
        var step = FixtureHost.Step()
        step.environment["HOST_MOUNT_PREFIX"] = element["HOST_MOUNT_PREFIX"]?.string ?? ""
        step.mock = .object([JSONMember("statfs", element["statfs"] ?? .object([]))])
        let options = (partition["opts"]?.array ?? []).compactMap(\.string).joined(separator: ",")
        let columns =
            ["device", "mountpoint", "fstype"].map { escaped(partition[$0]?.string ?? "") }
            + [options.isEmpty ? "-" : options]
        step.files["proc/1/mounts"] = Array((columns.joined(separator: " ") + " 0 0\n").utf8)
        let host = FixtureHost()
        host.enter(step)
        let collector = DiskCollector(
            options: try ConfigValues.options(DiskCollector.spec.options, from: .object([])), host: host)
        let now = Instant(nanoseconds: 1_000_000_000_000)
        let gather = await collector.gather(
            at: Timestamp(nanoseconds: 1_700_000_000_000_000_000), now: now, deadline: now + .seconds(10))
        return try LineComparison.differences(
            expected: Array(expected.utf8), actual: try LineComparison.lines(of: gather.samples))
            + gather.errors.map { "error \($0)" }
    }

    /// As the kernel writes a path in a mount table.
    private static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case " ": "\\040"
            case "\t": "\\011"
            case "\n": "\\012"
            case "\\": "\\134"
            default: String(character)
            }
        }.joined()
    }
}
