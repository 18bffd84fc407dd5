import Pipeline

/// Cases that stand in one file.
protocol CaseList: Sendable {
    /// What differs in one element of the list; nothing = passed. A file that holds one object is its own only element.
    /// `folder` holds the file. Errors: an element that is not as the format wants it.
    static func check(_ element: JSONValue, in folder: String) async throws -> [String]
    /// The same for kinds that need no other file.
    static func check(_ element: JSONValue) async throws -> [String]
}

extension CaseList {
    static func check(_ element: JSONValue, in folder: String) async throws -> [String] { try await check(element) }
    static func check(_ element: JSONValue) async throws -> [String] { throw CaseError("needs its folder") }
}

/// A kind of file that holds a list of cases; its path below the root says which.
struct SingleFile: Sendable {
    let path: String
    /// nil = the program does not have this yet.
    let cases: (any CaseList.Type)?

    static let all = [
        SingleFile(path: "agent/filters.json", cases: FilterCases.self),
        SingleFile(path: "agent/schedule.json", cases: ScheduleCases.self),
        SingleFile(path: "disk/prefix_cases.json", cases: DiskPrefixCases.self),
        SingleFile(path: "diskio/devices_filter.json", cases: DiskFilterCases.self),
        SingleFile(path: "diskio/serial_sanitize.json", cases: DiskSerialCases.self),
        SingleFile(path: "diskio/udev_names/expected.json", cases: DiskNameCases.self),
        SingleFile(path: "internal/accumulate.json", cases: InternalCases.self),
        SingleFile(path: "line_protocol/vectors.json", cases: LineProtocolCases.self),
        SingleFile(path: "ntpq/commandline.json", cases: NtpqCommandCases.self),
        SingleFile(path: "outputs_influxdb/responses.json", cases: ResponseCases.self),
        SingleFile(path: "system/uptime_format.json", cases: UptimeCases.self),
    ]

    func runAll(_ file: String, _ report: inout Report) async {
        let group = String(path.prefix { $0 != "/" })
        guard let cases else {
            report.skip(group, path, "this kind of case does not apply yet")
            return
        }
        do {
            let content = try Files.json(file)
            let folder = file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "."
            for (index, element) in (content.array ?? [content]).enumerated() {
                let name = content.array == nil ? "" : element["name"]?.string ?? "\(index)"
                do {
                    report.add(group, "\(path) \(name)", differences: try await cases.check(element, in: folder))
                } catch {
                    report.add(group, "\(path) \(name)", differences: ["\(error)"])
                }
            }
        } catch {
            report.add(group, path, differences: ["\(error)"])
        }
    }
}

/// `system/uptime_format.json`
enum UptimeCases: CaseList {
    static func check(_ element: JSONValue) throws -> [String] {
        guard let seconds = element["uptime"]?.uint64, let text = element["uptime_format"]?.string else {
            throw CaseError("no uptime or no text")
        }
        let ours = Uptime.format(seconds)
        return ours == text ? [] : ["'\(ours)', not '\(text)'"]
    }
}

/// `outputs_influxdb/responses.json`
enum ResponseCases: CaseList {
    static func check(_ element: JSONValue) throws -> [String] {
        guard let status = element["status"]?.int, let expected = element["class"]?.string else {
            throw CaseError("no status or no class")
        }
        let retryAfter = (element["headers"]?.members ?? []).first { $0.key.lowercased() == "retry-after" }?.value
        let outcome = InfluxDBReply.classify(
            status: status, retryAfter: retryAfter?.string ?? retryAfter?.int64.map { "\($0)" },
            body: Array((element["body"]?.string ?? "").utf8),
            skipDatabaseCreation: element["skip_database_creation"]?.bool ?? false,
            now: Timestamp(nanoseconds: 1_700_000_000_000_000_000))
        var differences: [String] = []
        if outcome.outcomeClass.rawValue != expected {
            differences.append("class \(outcome.outcomeClass.rawValue), not \(expected)")
        }
        if let batch = element["batch"]?.string, fate(outcome) != batch {
            differences.append("batch \(fate(outcome)), not \(batch)")
        }
        if let seconds = element["retry_after_s"]?.double {
            var wait = 0.0
            if case .throttled(let delay, _) = outcome { wait = delay?.inSeconds ?? 0 }
            if wait < seconds { differences.append("waits \(wait) s, not \(seconds) s") }
        }
        if let rejected = element["rejected"]?.int {
            var ours = 0
            if case .partial(let count, _) = outcome { ours = count }
            if ours != rejected { differences.append("\(ours) points rejected, not \(rejected)") }
        }
        return differences
    }

    /// What becomes of the batch, in the words of the file.
    private static func fate(_ outcome: DeliveryOutcome) -> String {
        switch outcome {
        case .delivered, .partial: "acknowledged"
        case .data: "bisected"
        case .tooBig: "halved"
        default: "kept"
        }
    }
}

/// `line_protocol/vectors.json`
enum LineProtocolCases: CaseList {
    static func check(_ element: JSONValue) throws -> [String] {
        guard let name = element["metric"]?.string, let fields = element["fields"]?.members,
            let time = element["time"]?.int64
        else { throw CaseError("metric, fields or time is missing") }
        var samples = SampleSet()
        let schema = Schema(try fields.map { Schema.Field($0.key, try kind($0.value)) })
        samples.append(Series(name, tags: ConfigValues.tags(element["tags"])), schema, at: Timestamp(nanoseconds: time))
        for field in fields { try append(field.value, to: &samples) }
        let options = LineProtocol.Options(
            uintSupport: element["uint_support"]?.bool ?? false, maxLineBytes: element["max_bytes"]?.int)
        let result = encode(samples, options)
        switch result {
        case .success(let line):
            guard let expected = element["line"]?.string else { return ["no error, but '\(line)'"] }
            return line == expected ? [] : ["'\(line)', not '\(expected)'"]
        case .failure(let error):
            let expected = element["error"]?.string ?? "a line"
            return error.rawValue == expected ? [] : ["error '\(error.rawValue)', not '\(expected)'"]
        }
    }

    private static func encode(
        _ samples: SampleSet, _ options: LineProtocol.Options
    ) -> Result<String, LineProtocol.EncodingError> {
        var out = ByteWriter()
        let row = samples.rows[0]
        guard let header = LineProtocol.header(row.series.measurement, row.series.tags) else {
            return .failure(.invalidName)
        }
        do throws(LineProtocol.EncodingError) {
            try LineProtocol.append(
                header: header, schema: row.schema, columns: row.schema.lineOrder, set: samples,
                firstCell: row.firstCell, time: row.time, options: options, to: &out)
        } catch {
            return .failure(error)
        }
        return .success(String(decoding: out.bytes, as: UTF8.self))
    }

    private static func kind(_ value: JSONValue) throws -> FieldKind {
        switch value.members?.first?.key {
        case "int": .int
        case "uint": .uint
        case "float": .float
        case "bool": .bool
        case "string": .string
        default: throw CaseError("unknown type of field: \(value)")
        }
    }

    private static func append(_ value: JSONValue, to samples: inout SampleSet) throws {
        if let number = value["int"]?.int64 { return samples.int(number) }
        if let number = value["uint"]?.uint64 { return samples.uint(number) }
        if let number = value["float"]?.double { return samples.float(number) }
        if let text = value["float"]?.string, let number = Double(text) { return samples.float(number) }
        if let flag = value["bool"]?.bool { return samples.bool(flag) }
        if let text = value["string"]?.string { return samples.string(text) }
        throw CaseError("value does not fit its type: \(value)")
    }
}
