/// What the parts of a statsd bucket mean: `[filter] pattern [tag=value,…]`.
///
/// Shape: the pattern's words stand for the bucket's parts, both parted by dots: `measurement` goes to the name,
/// `measurement*` takes all that is left, an empty word passes a part over, `field` and `field*` name the field, any
/// other word is a tag. The filter is a glob over the bucket's parts. Of several templates the one whose filter has the
/// most parts counts; without a filter it is the last resort.
/// Source: Telegraf's page of template patterns.
public struct StatsdTemplates: Sendable {
    private struct Template: Sendable {
        var filter: [Glob]
        var words: [String]
        var tags: [Tag]
    }

    /// What a bucket becomes.
    public struct Name: Sendable, Hashable {
        public var measurement: String
        public var tags: [Tag]
        /// nil: the kind of the metric decides.
        public var field: String?
    }

    private let templates: [Template]
    private let separator: String

    /// Errors: a template that is not understood.
    public init(_ lines: [String], separator: String) throws(FormatError) {
        self.separator = separator
        var made: [Template] = []
        for line in lines { made.append(try StatsdTemplates.template(line)) }
        // Stable: of equal ones the first counts.
        templates = made.enumerated().sorted {
            ($1.element.filter.count, $0.offset) < ($0.element.filter.count, $1.offset)
        }.map(\.element)
    }

    private static func template(_ line: String) throws(FormatError) -> Template {
        var parts = line.split(separator: " ").map(String.init)
        var tags: [Tag] = []
        if parts.count > 1, let last = parts.last, last.contains("=") {
            for pair in last.split(separator: ",") {
                let sides = pair.split(separator: "=", maxSplits: 1)
                guard sides.count == 2 else { throw FormatError("template \"\(line)\": a tag is not key=value") }
                tags.append(Tag(String(sides[0]), String(sides[1])))
            }
            parts.removeLast()
        }
        guard let pattern = parts.popLast(), parts.count <= 1 else {
            throw FormatError("template \"\(line)\": [filter] pattern [key=value,…] is expected")
        }
        var filter: [Glob] = []
        for part in parts.first?.split(separator: ".", omittingEmptySubsequences: false) ?? [] {
            do throws(Glob.PatternError) { filter.append(try Glob(String(part))) } catch {
                throw FormatError("template \"\(line)\": \(error)")
            }
        }
        let words = pattern.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard words.contains(where: { $0.hasPrefix("measurement") }) else {
            throw FormatError("template \"\(line)\": no word is measurement")
        }
        return Template(filter: filter, words: words, tags: tags)
    }

    /// The name of a bucket; without a template that fits, its dots become the separator.
    public func name(_ bucket: String) -> Name {
        guard !templates.isEmpty else { return plain(bucket) }
        let parts = bucket.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard let template = templates.first(where: { fits($0, parts) }) else { return plain(bucket) }
        var measurement: [String] = []
        var field: [String] = []
        var tags: [(key: String, values: [String])] = []
        scan: for (index, word) in template.words.enumerated() where index < parts.count {
            switch word {
            case "": break
            case "measurement": measurement.append(parts[index])
            case "measurement*":
                measurement += parts[index...]
                break scan
            case "field": field.append(parts[index])
            case "field*":
                field += parts[index...]
                break scan
            default:
                if let known = tags.firstIndex(where: { $0.key == word }) {
                    tags[known].values.append(parts[index])
                } else {
                    tags.append((word, [parts[index]]))
                }
            }
        }
        guard !measurement.isEmpty else { return plain(bucket) }
        let own = tags.map { Tag($0.key, $0.values.joined(separator: separator)) }
        return Name(
            measurement: measurement.joined(separator: separator), tags: template.tags + own,
            field: field.isEmpty ? nil : field.joined(separator: separator))
    }

    private func plain(_ bucket: String) -> Name {
        var name = bucket
        if bucket.contains(".") {
            name = bucket.split(separator: ".", omittingEmptySubsequences: false).joined(separator: separator)
        }
        return Name(measurement: name, tags: [], field: nil)
    }

    private func fits(_ template: Template, _ parts: [String]) -> Bool {
        template.filter.count <= parts.count
            && zip(template.filter, parts).allSatisfy { $0.matches($1) }
    }
}
