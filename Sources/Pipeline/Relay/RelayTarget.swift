/// What a request to the metadata relay asks for, judged by its method and the bytes of its target alone.
///
/// What it promises: only what is listed is let through. The path must be one of the known ones byte for byte: nothing is
/// decoded, joined or made shorter first, so a dot segment, a percent sign, a doubled slash, another case or a whole URL
/// is another path, and there is no such path.
public enum RelayTarget: Sendable, Hashable {
    /// `POST /monitor/write`.
    case write(RelayWrite)
    /// `GET` or `HEAD /monitor/ping`.
    case ping
    /// `POST` or `GET /monitor/query`, with the statement if it stands in the target.
    case query(statement: String?)
    /// `GET` or `HEAD` below `/latest` or a date; the parts behind that.
    case metadata([String])
    /// Everything else.
    case refused(Refusal)

    public enum Refusal: Sendable, Hashable {
        case path
        /// The methods that there are for this path.
        case method(allowed: String)
        /// What is wrong with a parameter.
        case parameter(String)
    }

    /// Longest target that is looked at.
    public static let lengthLimit = 8_192

    public init(method: String, target: String) { self = RelayTarget.judged(method, Array(target.utf8)) }

    private static func judged(_ method: String, _ bytes: [UInt8]) -> RelayTarget {
        guard bytes.count <= RelayTarget.lengthLimit, bytes.first == UInt8(ascii: "/"),
            !bytes.contains(where: { $0 <= 0x20 || $0 >= 0x7F })
        else { return .refused(.path) }
        let path = bytes.prefix { $0 != UInt8(ascii: "?") }
        let query = bytes.dropFirst(path.count + 1)
        switch String(decoding: path, as: UTF8.self) {
        case "/monitor/write":
            guard method == "POST" else { return .refused(.method(allowed: "POST")) }
            do throws(RelayWrite.Complaint) { return .write(try RelayWrite(FormFields(query))) } catch {
                return .refused(.parameter(error.text))
            }
        case "/monitor/ping":
            return method == "GET" || method == "HEAD" ? .ping : .refused(.method(allowed: "GET, HEAD"))
        case "/monitor/query":
            guard method == "GET" || method == "POST" else { return .refused(.method(allowed: "GET, POST")) }
            return .query(statement: FormFields(query)["q"])
        default:
            guard let parts = metadataParts(path) else { return .refused(.path) }
            guard method == "GET" || method == "HEAD" else { return .refused(.method(allowed: "GET, HEAD")) }
            return .metadata(parts)
        }
    }

    /// `/latest/meta-data/mac` → `meta-data`, `mac`; one slash may stand at the end. nil for another path.
    private static func metadataParts(_ path: ArraySlice<UInt8>) -> [String]? {
        var path = path.dropFirst()
        if path.last == UInt8(ascii: "/") { path = path.dropLast() }
        let parts = path.split(separator: UInt8(ascii: "/"), maxSplits: 16, omittingEmptySubsequences: false)
        guard let version = parts.first, isVersion(version) else { return nil }
        for part in parts.dropFirst() {
            guard let first = part.first, first != UInt8(ascii: "."), part.allSatisfy(isPlain) else { return nil }
        }
        return parts.dropFirst().map { String(decoding: $0, as: UTF8.self) }
    }

    /// `latest`, or a date such as `2016-09-02`.
    private static func isVersion(_ part: ArraySlice<UInt8>) -> Bool {
        if part.elementsEqual("latest".utf8) { return true }
        return part.count == 10
            && part.enumerated().allSatisfy { index, byte in
                index == 4 || index == 7 ? byte == UInt8(ascii: "-") : byte &- 48 < 10
            }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

/// The parameters of a write that go on to the database; `db` is pinned and no other is passed.
public struct RelayWrite: Sendable, Hashable {
    /// Why a parameter cannot be passed on.
    public struct Complaint: Error {
        public var text: String
    }

    public var precision = TimePrecision.nanoseconds
    /// As the guest wrote the precision; empty when it did not.
    public var precisionText = ""
    public var retentionPolicy = ""
    public var consistency = ""
    /// The database that the guest asked for.
    public var database: String?

    public init() {}

    init(_ fields: FormFields) throws(Complaint) {
        precisionText = fields["precision"] ?? ""
        guard let precision = TimePrecision(parameter: precisionText) else {
            throw Complaint(text: "invalid precision: use ns, u, ms, s, m or h")
        }
        self.precision = precision
        // One spelling for each, whatever the guest's was.
        precisionText = precision == .nanoseconds ? "" : precision.parameter
        consistency = fields["consistency"] ?? ""
        guard ["", "any", "one", "quorum", "all"].contains(consistency) else {
            throw Complaint(text: "invalid consistency: use any, one, quorum or all")
        }
        retentionPolicy = fields["rp"] ?? ""
        guard retentionPolicy.utf8.count <= 255, !retentionPolicy.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else { throw Complaint(text: "invalid rp") }
        database = fields["db"]
    }
}

/// The names and values of a query or a form; of several with one name the first, as InfluxDB takes it.
public struct FormFields: Sendable, Hashable {
    /// More fields are not looked at.
    private static let limit = 64

    private var values: [String: String] = [:]

    /// Shape: `name=value&name=value`, percent-encoded, a plus for a blank.
    public init(_ bytes: some Collection<UInt8>) {
        let pairs = bytes.split(separator: UInt8(ascii: "&"), maxSplits: FormFields.limit)
        for pair in pairs.prefix(FormFields.limit) {
            let sides = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = sides.first else { continue }
            let name = FormFields.decoded(first)
            guard values[name] == nil else { continue }
            values[name] = sides.count > 1 ? FormFields.decoded(sides[1]) : ""
        }
    }

    public subscript(_ name: String) -> String? { values[name] }

    /// A `%` without two hexadecimal digits stays as it is.
    private static func decoded(_ bytes: some Collection<UInt8>) -> String {
        let bytes = Array(bytes)
        var out: [UInt8] = []
        var at = 0
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "%"), at + 2 < bytes.count, let high = digit(bytes[at + 1]),
                let low = digit(bytes[at + 2])
            {
                out.append(high << 4 | low)
                at += 3
            } else {
                out.append(bytes[at] == UInt8(ascii: "+") ? 0x20 : bytes[at])
                at += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 87
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 55
        default: nil
        }
    }
}

/// The one statement that agents send at their start.
public enum DatabaseStatement {
    /// Whether `statement` is `CREATE DATABASE` for that database and nothing more. The name may stand in quotes, the
    /// keywords in any case, a semicolon at the end.
    public static func creates(_ database: String, _ statement: String) -> Bool {
        var rest = Array(statement.utf8)[...]
        guard rest.count <= 4_096 else { return false }
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        if rest.last == UInt8(ascii: ";") { rest.removeLast() }
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        rest = rest.drop(while: isBlank)
        for word in ["create", "database"] {
            guard rest.count > word.utf8.count, rest.prefix(word.utf8.count).map({ $0 | 0x20 }).elementsEqual(word.utf8)
            else { return false }
            rest = rest.dropFirst(word.utf8.count)
            guard let next = rest.first, isBlank(next) else { return false }
            rest = rest.drop(while: isBlank)
        }
        if rest.first == UInt8(ascii: "\"") { return rest.elementsEqual(quoted(database)) }
        // Without quotes only names that need none.
        let isPlain = database.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "_") || byte &- 48 < 10 || (byte | 0x20) &- 97 < 26
        }
        return isPlain && rest.elementsEqual(database.utf8)
    }

    private static func quoted(_ name: String) -> [UInt8] {
        var out = [UInt8(ascii: "\"")]
        for byte in name.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { out.append(UInt8(ascii: "\\")) }
            out.append(byte)
        }
        return out + [UInt8(ascii: "\"")]
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
}

extension TimePrecision {
    /// As the parameter of a write names it.
    var parameter: String {
        switch self {
        case .nanoseconds: "ns"
        case .microseconds: "u"
        case .milliseconds: "ms"
        case .seconds: "s"
        case .minutes: "m"
        case .hours: "h"
        }
    }
}
