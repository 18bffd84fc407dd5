/// Why a line of foreign data was not taken: its number and the reason, never its content, which may be secret.
public struct LineIssue: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with a line.
    public enum Reason: String, Sendable, Hashable {
        case missingMeasurement = "no measurement"
        case missingTagKey = "a tag without a key"
        case missingTagValue = "a tag without a value"
        case missingFields = "no fields"
        case missingFieldKey = "a field without a key"
        case missingFieldValue = "a field without a value"
        case badNumber = "a value that is no number"
        case outOfRange = "a number that does not fit its type"
        case badBool = "a value that is neither true nor false"
        case openString = "a string that is not closed"
        case afterValue = "something other than a comma or a blank behind a value"
        case badTime = "a timestamp that is no whole number"
        case timeOutOfRange = "a timestamp out of range"
        case afterTime = "something behind the timestamp"
        case tooManyTags = "too many tags"
        case tooManyFields = "too many fields"
        case tooLong = "too long"
        case controlCharacter = "a control character in a name or tag"
        case ambiguousEscape = "a backslash before an escape, which databases read in different ways"
        case foreignIdentity = "the identity of somebody else"
    }

    /// Counted from 1 in what was given.
    public let line: Int
    public let reason: Reason

    public init(line: Int, _ reason: Reason) {
        self.line = line
        self.reason = reason
    }

    public var description: String { "line \(line): \(reason.rawValue)" }
}

/// The lines that were not taken: all are counted, the first few are named.
public struct LineIssues: Sendable, Hashable {
    /// How many are named.
    public static let namedLimit = 8

    public private(set) var named: [LineIssue] = []
    public private(set) var count = 0

    public init() {}

    public mutating func add(_ issue: LineIssue) {
        count += 1
        if named.count < LineIssues.namedLimit { named.append(issue) }
    }

    /// One text a named line, and one for the rest.
    public var texts: [String] {
        named.map(\.description) + (count > named.count ? ["\(count - named.count) more lines not understood"] : [])
    }
}
