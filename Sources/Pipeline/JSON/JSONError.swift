/// Why a text is not acceptable JSON.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// The text ends in the middle of a value.
        case truncated
        /// A byte that the grammar does not allow at that place.
        case syntax
        /// Nesting deeper than the limit.
        case tooDeep
        /// More bytes than the limit.
        case tooLong
        /// A string that is not valid UTF-8, holds a raw control character, a bad escape or half a surrogate pair.
        case badString
        /// A number that is no finite `Double`.
        case badNumber
        /// A key that stands twice in one object.
        case duplicateKey
        /// Something other than white space behind the value.
        case trailing
    }

    public var code: Code
    /// Where: bytes from the start of the text.
    public var offset: Int

    public init(_ code: Code, at offset: Int) {
        self.code = code
        self.offset = offset
    }

    public var description: String { "JSON \(code.rawValue) at byte \(offset)" }
}
