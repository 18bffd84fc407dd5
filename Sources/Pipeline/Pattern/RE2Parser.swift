/// Parses the text of a regular expression in RE2's syntax.
///
/// Bounds: groups nest at most `depthLimit` deep, a repetition has at most 1,000 turns.
struct RE2Parser {
    static let depthLimit = 100
    static let groupLimit = 200
    static let repeatLimit = 1_000

    /// What `(?ims)` switches on.
    struct Flags: Sendable, Hashable {
        var foldsCase = false
        var isMultiline = false
        var dotTakesAll = false
        var prefersShort = false
    }

    let pattern: String
    let text: [Unicode.Scalar]
    var position = 0
    var flags = Flags()
    /// Names of the capturing groups, by number − 1; empty for those without one.
    private(set) var groups: [String] = []
    private var depth = 0

    init(_ pattern: String) {
        self.pattern = pattern
        text = Array(pattern.unicodeScalars)
    }

    /// Parses all of the text.
    mutating func parse() throws(RE2Pattern.SyntaxError) -> RE2Node {
        let node = try alternatives()
        guard position == text.count else { throw error("a ) has no (") }
        return node
    }

    func error(_ reason: String) -> RE2Pattern.SyntaxError {
        RE2Pattern.SyntaxError(pattern: pattern, reason: reason)
    }

    var next: Unicode.Scalar? { position < text.count ? text[position] : nil }

    /// Steps over `scalar`, if it is next.
    mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private mutating func alternatives() throws(RE2Pattern.SyntaxError) -> RE2Node {
        depth += 1
        defer { depth -= 1 }
        guard depth <= RE2Parser.depthLimit else { throw error("groups nest too deeply") }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(RE2Pattern.SyntaxError) -> RE2Node {
        var nodes: [RE2Node] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            guard let node = try atom() else { continue }
            nodes.append(try repeated(node))
        }
        return nodes.count == 1 ? nodes[0] : nodes.isEmpty ? .empty : .sequence(nodes)
    }

    /// The next piece without its repetition; nil for what stands for nothing, such as `(?i)`.
    private mutating func atom() throws(RE2Pattern.SyntaxError) -> RE2Node? {
        let scalar = text[position]
        position += 1
        switch scalar {
        case "(": return try group()
        case "[": return .oneOf(try bracket())
        case ".":
            var any = RE2Class(isNegated: true)
            if !flags.dotTakesAll { any.ranges = [10...10] }
            return .oneOf(any)
        case "^": return .assertion(flags.isMultiline ? .lineStart : .textStart)
        case "$": return .assertion(flags.isMultiline ? .lineEnd : .textEnd)
        case "*", "+", "?": throw error("nothing stands before \(scalar) to repeat")
        case "\\": return try escape()
        default: return literal(scalar)
        }
    }

    func literal(_ scalar: Unicode.Scalar) -> RE2Node {
        .oneOf(RE2Class(ranges: [scalar.value...scalar.value], foldsCase: flags.foldsCase))
    }

    // MARK: Repetition

    private mutating func repeated(_ node: RE2Node) throws(RE2Pattern.SyntaxError) -> RE2Node {
        guard let (least, most) = try repetition() else { return node }
        let isLazy = take("?") != flags.prefersShort
        if try repetition() != nil { throw error("a repetition is repeated; put it into a group") }
        return .loop(node, atLeast: least, atMost: most, isLazy: isLazy)
    }

    private mutating func repetition() throws(RE2Pattern.SyntaxError) -> (Int, Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        guard next == "{" else { return nil }
        let start = position
        position += 1
        guard let counts = counts() else {
            // Braces that count nothing stand for themselves.
            position = start
            return nil
        }
        let (least, most) = counts
        guard least <= RE2Parser.repeatLimit, most ?? 0 <= RE2Parser.repeatLimit else {
            throw error("a repetition counts beyond \(RE2Parser.repeatLimit)")
        }
        if let most, most < least { throw error("a repetition has its counts reversed") }
        return (least, most)
    }

    /// `3}`, `3,}` or `3,5}`; nil for anything else.
    private mutating func counts() -> (Int, Int?)? {
        guard let least = number() else { return nil }
        if take("}") { return (least, least) }
        guard take(",") else { return nil }
        if take("}") { return (least, nil) }
        guard let most = number(), take("}") else { return nil }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let scalar = next, ("0"..."9").contains(scalar) {
            value = min((value ?? 0) * 10 + Int(scalar.value - 48), 1_000_000)
            position += 1
        }
        return value
    }

    // MARK: Groups

    /// A group, its `(` already read.
    private mutating func group() throws(RE2Pattern.SyntaxError) -> RE2Node? {
        let outer = flags
        if take("?") {
            if take("P") {
                guard next == "<" else { throw error("(?P is followed by <name>") }
            }
            if take("<") {
                if next == "=" || next == "!" { throw error("looking back is not possible in linear time") }
                return try capture(named: try name(), outer)
            }
            if next == "=" || next == "!" { throw error("looking ahead is not possible in linear time") }
            guard try readFlags() else { return nil }
        } else {
            return try capture(named: "", outer)
        }
        let node = try closed()
        flags = outer
        return node
    }

    private mutating func capture(named name: String, _ outer: Flags) throws(RE2Pattern.SyntaxError) -> RE2Node {
        guard groups.count < RE2Parser.groupLimit else { throw error("more than \(RE2Parser.groupLimit) groups") }
        guard name.isEmpty || !groups.contains(name) else { throw error("two groups are named \(name)") }
        groups.append(name)
        let index = groups.count
        let node = try closed()
        flags = outer
        return .capture(node, index: index)
    }

    private mutating func closed() throws(RE2Pattern.SyntaxError) -> RE2Node {
        let node = try alternatives()
        guard take(")") else { throw error("a ( is not closed") }
        return node
    }

    private mutating func name() throws(RE2Pattern.SyntaxError) -> String {
        var name = String.UnicodeScalarView()
        while let scalar = next, scalar != ">" {
            guard RE2Class.word.contains(scalar.value) else { throw error("the name of a group is a word") }
            name.append(scalar)
            position += 1
        }
        guard take(">"), !name.isEmpty else { throw error("the name of a group is not closed or empty") }
        return String(name)
    }

    /// `i)`, `i-s:`; true when a group follows, false when the flags hold for the rest of the group around them.
    private mutating func readFlags() throws(RE2Pattern.SyntaxError) -> Bool {
        var isOn = true
        while let scalar = next {
            position += 1
            switch scalar {
            case "i": flags.foldsCase = isOn
            case "m": flags.isMultiline = isOn
            case "s": flags.dotTakesAll = isOn
            case "U": flags.prefersShort = isOn
            case "-" where isOn: isOn = false
            case ":": return true
            case ")": return false
            default: throw error("(?\(scalar) is not known")
            }
        }
        throw error("a ( is not closed")
    }
}
