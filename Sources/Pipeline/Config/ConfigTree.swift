/// Where in the configuration something stands.
public struct ConfigOrigin: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var file: String
    /// Counted from 1; 0 = the file as a whole.
    public var line: Int

    public init(file: String, line: Int) {
        self.file = file
        self.line = line
    }

    public static func < (a: ConfigOrigin, b: ConfigOrigin) -> Bool {
        a.file == b.file ? a.line < b.line : a.file < b.file
    }

    public var description: String { line > 0 ? "\(file):\(line)" : file }
}

/// A value of a configuration file, whatever its syntax, with the place where it stands.
public struct ConfigNode: Sendable, Hashable {
    public indirect enum Kind: Sendable, Hashable {
        /// In the order of the file. Keys are unique.
        case table([ConfigEntry])
        case array([ConfigNode])
        case string(String)
        case integer(Int64)
        case float(Double)
        case bool(Bool)
        /// A date or time, as it is written. No option takes one.
        case moment(String)
    }

    public var kind: Kind
    public var origin: ConfigOrigin
    /// Whether an environment variable gave (a part of) the text.
    public var isSubstituted = false

    public init(_ kind: Kind, at origin: ConfigOrigin) {
        self.kind = kind
        self.origin = origin
    }

    /// The name of the kind, for messages: `a string`.
    public var kindName: String {
        switch kind {
        case .table: "a table"
        case .array: "a list"
        case .string: "a string"
        case .integer: "a whole number"
        case .float: "a number"
        case .bool: "true or false"
        case .moment: "a date"
        }
    }

    /// The entries of a table; empty for anything else.
    public var entries: [ConfigEntry] {
        if case .table(let entries) = kind { return entries }
        return []
    }

    /// The entry's value, for a table that has the key.
    public subscript(_ key: String) -> ConfigNode? { entries.first { $0.key == key }?.value }
}

/// A key of a table with its value.
public struct ConfigEntry: Sendable, Hashable {
    public var key: String
    /// Where the key stands.
    public var origin: ConfigOrigin
    public var value: ConfigNode

    public init(_ key: String, _ value: ConfigNode, at origin: ConfigOrigin? = nil) {
        self.key = key
        self.origin = origin ?? value.origin
        self.value = value
    }
}
