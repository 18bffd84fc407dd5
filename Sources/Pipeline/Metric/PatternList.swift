/// The patterns of one filter option, compiled.
///
/// A list in which no pattern has `*`, `?` or `[`, and that has no separators, is compared literally: `{cpu,mem}` alone
/// means that very text. As soon as one pattern has one of them, all are globs. That is Telegraf's rule.
public struct PatternList: Sendable, Hashable {
    /// The patterns as they were written.
    public let patterns: [String]
    /// Characters that `*` and `?` do not cross.
    public let separators: String
    private let literals: Set<[UInt8]>
    private let globs: [Glob]

    /// Nothing: matches no text.
    public static let none = PatternList()

    private init() {
        patterns = []
        separators = ""
        literals = []
        globs = []
    }

    /// Compiles `patterns`. Characters of `separators` are not crossed by `*` and `?`.
    public init(_ patterns: [String], separators: String = "") throws(Glob.PatternError) {
        self.patterns = patterns
        self.separators = separators
        let hasGlob = patterns.contains { $0.utf8.contains { "*?[".utf8.contains($0) } }
        guard hasGlob || !separators.isEmpty else {
            literals = Set(patterns.map { Array($0.utf8) })
            globs = []
            return
        }
        literals = []
        var compiled: [Glob] = []
        for pattern in patterns { compiled.append(try Glob(pattern, separators: separators)) }
        globs = compiled
    }

    public var isEmpty: Bool { patterns.isEmpty }

    /// Whether any of the patterns matches the whole of `text`.
    public func matches(_ text: String) -> Bool {
        if globs.isEmpty { return !literals.isEmpty && literals.contains(Array(text.utf8)) }
        return globs.contains { $0.matches(text) }
    }
}

extension PatternList: CustomStringConvertible {
    /// The patterns as they were written, and the separators: the same text in every process.
    public var description: String { separators.isEmpty ? "\(patterns)" : "\(patterns) separated by \(separators)" }
}
