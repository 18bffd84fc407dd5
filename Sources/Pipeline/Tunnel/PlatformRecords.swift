/// Records of the platform's proxy service, as its API and its command line print them.
///
/// Shape: JSON; objects anywhere in `{"proxy_endpoints": […]}`, `{"forwards": […]}`, `{"proxy_agents": […]}`, the same in
/// the singular, `{"data": […]}` or a bare list. What an object is follows from the name around it, else from its fields.
/// Bounds: the JSON parser's 16 MiB and 64 levels; 20,000 records.
public struct PlatformRecords: Sendable {
    /// What one object describes.
    public enum Kind: Sendable, Hashable { case endpoint, forward, agent }

    /// One object with the place where it begins.
    public struct Record: Sendable {
        public var kind: Kind
        public var origin: ConfigOrigin
        public var value: JSONValue

        /// A member as text; empty when it is missing, null or no text. Numbers are taken as text too.
        public func text(_ key: String) -> String {
            guard let member = value[key] else { return "" }
            return member.string ?? member.int.map { "\($0)" } ?? ""
        }

        /// A port: a number or its text; nil for anything else, 0 when it is missing.
        public func port(_ key: String) -> UInt16? {
            let text = text(key)
            if text.isEmpty { return value[key] == nil || value[key] == .null || value[key] == .string("") ? 0 : nil }
            return UInt16(text)
        }
    }

    public static let countLimit = 20_000
    private static let kinds: [String: Kind] = [
        "proxy_endpoints": .endpoint, "proxy_endpoint": .endpoint, "forwards": .forward, "forward": .forward,
        "proxy_agents": .agent, "proxy_agent": .agent,
    ]

    public private(set) var records: [Record] = []
    private let file: String
    /// The lines on which objects begin, in the order of the text, which is that of the walk.
    private var lines: ArraySlice<Int>

    /// Errors: one `ConfigIssue` with the line.
    public init(_ bytes: [UInt8], file: String) throws(ConfigIssue) {
        self.file = file
        let root: JSONValue
        do throws(JSONError) {
            root = try JSONValue.parse(bytes)
        } catch {
            let line = bytes.prefix(error.offset).count { $0 == UInt8(ascii: "\n") } + 1
            throw ConfigIssue(.error, ConfigOrigin(file: file, line: line), "", "\(error)")
        }
        lines = Self.objectLines(bytes)[...]
        walk(root, nil)
        if records.isEmpty {
            throw ConfigIssue(
                .error, ConfigOrigin(file: file, line: 0), "", "no proxy_endpoints, proxy_agents or forwards in it")
        }
        if records.count > Self.countLimit {
            throw ConfigIssue(
                .error, ConfigOrigin(file: file, line: 0), "", "more than \(Self.countLimit) records in one file")
        }
    }

    /// The lines of all `{` that are not in a string. The text is known to be JSON.
    private static func objectLines(_ bytes: [UInt8]) -> [Int] {
        var lines: [Int] = []
        var line = 1
        var isInString = false
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: "\""): isInString.toggle()
            case UInt8(ascii: "\\") where isInString: index += 1
            case UInt8(ascii: "{") where !isInString: lines.append(line)
            default: break
            }
            index += 1
        }
        return lines
    }

    /// Recursion is bounded by the parser's.
    private mutating func walk(_ value: JSONValue, _ around: Kind?) {
        switch value {
        case .array(let elements): for element in elements { walk(element, around) }
        case .object(let members):
            let origin = ConfigOrigin(file: file, line: lines.popFirst() ?? 0)
            let isEnvelope = members.contains { member in
                Self.isContainer(member.value) && (Self.kinds[member.key] != nil || member.key == "data")
            }
            let kind = around ?? Self.kind(value)
            if let kind, !isEnvelope { records.append(Record(kind: kind, origin: origin, value: value)) }
            for member in members {
                // What is inside of a record is not a record, but its lines count.
                walk(member.value, isEnvelope ? Self.kinds[member.key] ?? around : nil)
            }
        default: break
        }
    }

    private static func isContainer(_ value: JSONValue) -> Bool {
        switch value {
        case .array, .object: true
        default: false
        }
    }

    private static func kind(_ value: JSONValue) -> Kind? {
        if value["proxy_endpoint_id"] != nil || value["remote_addr"] != nil { return .forward }
        if value["intranet_ip_addr"] != nil { return .endpoint }
        return value["advertise_addr"] != nil ? .agent : nil
    }
}
