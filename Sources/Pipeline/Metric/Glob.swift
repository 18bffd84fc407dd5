/// One pattern of a metric filter, compiled.
///
/// Shape: `*` any run, `?` one character, `[abc]` `[a-z]` `[!a-z]` one of a class, `{a,b}` alternatives (they nest),
/// `\` takes the next character as it is. The whole text must match, case counts. `*` and `?` do not cross the
/// separators, when there are any; `**` crosses them.
/// Cost: states × characters, never exponential: all alternatives are followed at once.
/// Source: the filter rules of Telegraf, `docs/configuration.md`.
public struct Glob: Sendable, Hashable {
    /// Why a pattern cannot be compiled.
    public struct PatternError: Error, Sendable, Hashable, CustomStringConvertible {
        public let pattern: String
        public let reason: String
        public var description: String { "pattern \"\(pattern)\": \(reason)" }
    }

    /// Longest accepted pattern, in characters.
    public static let lengthLimit = 4096

    /// The pattern as it was written.
    public let pattern: String
    /// Characters that `*` and `?` do not cross.
    public let separators: [Unicode.Scalar]
    private let program: [Step]

    /// One state of the machine that reads a text character by character.
    enum Step: Sendable, Hashable {
        case scalar(Unicode.Scalar)
        /// Any character but a separator.
        case any
        /// Stays for any character but a separator (all, when `crosses`), and is left without one.
        case run(crosses: Bool)
        case oneOf([ClosedRange<Unicode.Scalar>], negated: Bool)
        /// Continues at all of these.
        case fork([Int])
        case jump(Int)
    }

    /// Compiles `pattern`.
    /// Errors: an unclosed `[` or `{`, an empty or reversed class, a `\` at the end, a pattern that is too long.
    public init(_ pattern: String, separators: String = "") throws(PatternError) {
        self.pattern = pattern
        self.separators = Array(separators.unicodeScalars)
        var compiler = GlobCompiler(pattern)
        program = try compiler.compile()
    }

    /// Whether the whole of `text` matches.
    public func matches(_ text: String) -> Bool {
        var current = StateSet(count: program.count + 1)
        var following = StateSet(count: program.count + 1)
        enter(0, &current)
        for scalar in text.unicodeScalars {
            guard !current.members.isEmpty else { return false }
            let isSeparator = separators.contains(scalar)
            following.removeAll()
            for state in current.members where state < program.count {
                switch program[state] {
                case .scalar(let wanted): if scalar == wanted { enter(state + 1, &following) }
                case .any: if !isSeparator { enter(state + 1, &following) }
                case .run(let crosses): if crosses || !isSeparator { enter(state, &following) }
                case .oneOf(let ranges, let negated):
                    if ranges.contains(where: { $0.contains(scalar) }) != negated { enter(state + 1, &following) }
                case .fork, .jump: break
                }
            }
            swap(&current, &following)
        }
        return current.contains(program.count)
    }

    /// Adds `state` and all that is reached from it without reading a character.
    private func enter(_ state: Int, _ set: inout StateSet) {
        var waiting = [state]
        while let state = waiting.popLast() {
            guard set.insert(state), state < program.count else { continue }
            switch program[state] {
            case .run: waiting.append(state + 1)
            case .fork(let targets): waiting += targets
            case .jump(let target): waiting.append(target)
            case .scalar, .any, .oneOf: break
            }
        }
    }

    /// A set of small integers that is emptied in the time of its members.
    private struct StateSet {
        var members: [Int] = []
        private var isMember: [Bool]

        init(count: Int) { isMember = Array(repeating: false, count: count) }

        func contains(_ state: Int) -> Bool { isMember[state] }

        mutating func insert(_ state: Int) -> Bool {
            guard !isMember[state] else { return false }
            isMember[state] = true
            members.append(state)
            return true
        }

        mutating func removeAll() {
            for member in members { isMember[member] = false }
            members.removeAll(keepingCapacity: true)
        }
    }
}

/// Turns the text of a pattern into steps. Alternatives become forks and jumps; open ones stand on a stack.
private struct GlobCompiler {
    private let pattern: String
    private let text: [Unicode.Scalar]
    private var position = 0
    private var program: [Glob.Step] = []
    private var open: [Group] = []

    /// An alternative group that is still open.
    private struct Group {
        let fork: Int
        var starts: [Int]
        var ends: [Int] = []
    }

    init(_ pattern: String) {
        self.pattern = pattern
        text = Array(pattern.unicodeScalars)
    }

    mutating func compile() throws(Glob.PatternError) -> [Glob.Step] {
        guard text.count <= Glob.lengthLimit else { throw error("longer than \(Glob.lengthLimit) characters") }
        while position < text.count {
            let scalar = text[position]
            position += 1
            switch scalar {
            case "*": appendRun()
            case "?": program.append(.any)
            case "[": try appendClass()
            case "{":
                open.append(Group(fork: program.count, starts: [program.count + 1]))
                program.append(.fork([]))
            case "," where !open.isEmpty: nextAlternative()
            case "}" where !open.isEmpty: closeGroup()
            case "\\":
                guard position < text.count else { throw error("a \\ stands at the end") }
                program.append(.scalar(text[position]))
                position += 1
            default: program.append(.scalar(scalar))
            }
        }
        guard open.isEmpty else { throw error("a { is not closed") }
        return program
    }

    private mutating func appendRun() {
        var crosses = false
        while position < text.count, text[position] == "*" {
            crosses = true
            position += 1
        }
        program.append(.run(crosses: crosses))
    }

    private mutating func nextAlternative() {
        open[open.count - 1].ends.append(program.count)
        program.append(.jump(0))
        open[open.count - 1].starts.append(program.count)
    }

    private mutating func closeGroup() {
        guard let group = open.popLast() else { return }
        program[group.fork] = .fork(group.starts)
        for end in group.ends { program[end] = .jump(program.count) }
    }

    /// A class, its `[` already read.
    private mutating func appendClass() throws(Glob.PatternError) {
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        var isNegated = false
        if position < text.count, text[position] == "!" {
            isNegated = true
            position += 1
        }
        while let low = try classMember() {
            guard position + 1 < text.count, text[position] == "-", text[position + 1] != "]" else {
                ranges.append(low...low)
                continue
            }
            position += 1
            guard let high = try classMember() else { throw error("a [ is not closed") }
            guard low <= high else { throw error("the range \(low)-\(high) is reversed") }
            ranges.append(low...high)
        }
        guard !ranges.isEmpty else { throw error("a class is empty") }
        program.append(.oneOf(ranges, negated: isNegated))
    }

    /// The next character of a class; nil at its `]`.
    private mutating func classMember() throws(Glob.PatternError) -> Unicode.Scalar? {
        guard position < text.count else { throw error("a [ is not closed") }
        var scalar = text[position]
        position += 1
        if scalar == "]" { return nil }
        if scalar == "\\" {
            guard position < text.count else { throw error("a [ is not closed") }
            scalar = text[position]
            position += 1
        }
        return scalar
    }

    private func error(_ reason: String) -> Glob.PatternError { Glob.PatternError(pattern: pattern, reason: reason) }
}
