/// Why a kernel file could not be understood.
///
/// Shape of the text: `meminfo line 3: no number after MemFree`. Only the file's own name appears, never its content,
/// which may be hostile.
public struct ParseError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file below its root: `meminfo`, `1/mountinfo`.
    public let source: String
    /// Counted from 1; 0 when the file as a whole is meant.
    public let line: Int
    public let reason: String

    public init(_ source: String, line: Int = 0, _ reason: String) {
        self.source = source
        self.line = line
        self.reason = reason
    }

    public var description: String { line > 0 ? "\(source) line \(line): \(reason)" : "\(source): \(reason)" }
}
