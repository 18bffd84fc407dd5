extension RE2Parser {
    /// What follows a `\` outside of brackets.
    mutating func escape() throws(RE2Pattern.SyntaxError) -> RE2Node {
        guard let scalar = next else { throw error("a \\ stands at the end") }
        position += 1
        switch scalar {
        case "A": return .assertion(.textStart)
        case "z": return .assertion(.textEnd)
        case "b": return .assertion(.wordBoundary)
        case "B": return .assertion(.noWordBoundary)
        case "Q": return quoted()
        case "1"..."9": throw error("references to groups are not possible in linear time")
        default: break
        }
        position -= 1
        if let set = try perlClass() { return .oneOf(set) }
        guard let value = Unicode.Scalar(try character()) else { throw error("an escape is no character") }
        return literal(value)
    }

    /// `\Q…\E`: the text as it stands.
    private mutating func quoted() -> RE2Node {
        var nodes: [RE2Node] = []
        while let scalar = next {
            position += 1
            if scalar == "\\", take("E") { break }
            nodes.append(literal(scalar))
        }
        return .sequence(nodes)
    }

    /// `d`, `W`, `pL`, `p{Lu}`: nil, with nothing read, for an escape that is one character.
    private mutating func perlClass() throws(RE2Pattern.SyntaxError) -> RE2Class? {
        guard let scalar = next else { return nil }
        var set: RE2Class
        switch scalar {
        case "d", "D": set = .digit
        case "w", "W": set = .word
        case "s", "S": set = .space
        case "p", "P":
            position += 1
            return try category(isNegated: scalar == "P")
        default: return nil
        }
        position += 1
        set.isNegated = ("A"..."Z").contains(scalar)
        return set
    }

    /// The name of a Unicode category, its `p` already read.
    private mutating func category(isNegated: Bool) throws(RE2Pattern.SyntaxError) -> RE2Class {
        var name = String.UnicodeScalarView()
        var isNegated = isNegated
        if take("{") {
            if take("^") { isNegated.toggle() }
            while let scalar = next, scalar != "}" {
                name.append(scalar)
                position += 1
            }
            guard take("}") else { throw error("a \\p{ is not closed") }
        } else if let scalar = next {
            name.append(scalar)
            position += 1
        }
        guard RE2Class.categoryNames.contains(String(name)) else {
            throw error("\\p{\(String(name))} is not available; the general categories such as \\p{L} are")
        }
        return RE2Class(
            categories: [RE2Class.Category(name: String(name), isNegated: isNegated)], foldsCase: flags.foldsCase)
    }

    /// The value of an escape that is one character.
    private mutating func character() throws(RE2Pattern.SyntaxError) -> UInt32 {
        guard let scalar = next else { throw error("a \\ stands at the end") }
        position += 1
        switch scalar {
        case "n": return 10
        case "t": return 9
        case "r": return 13
        case "f": return 12
        case "v": return 11
        case "a": return 7
        case "0": return octal()
        case "x": return try hexadecimal()
        default: break
        }
        // Punctuation stands for itself; a letter or digit without a meaning is a mistake.
        guard scalar.value < 0x80, !RE2Class.word.contains(scalar.value) || scalar == "_" else {
            throw error("\\\(scalar) is not known")
        }
        return scalar.value
    }

    private mutating func octal() -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<2 {
            guard let digit = next, ("0"..."7").contains(digit) else { break }
            value = value * 8 + digit.value - 48
            position += 1
        }
        return value
    }

    private mutating func hexadecimal() throws(RE2Pattern.SyntaxError) -> UInt32 {
        let isBraced = take("{")
        var digits = ""
        while let scalar = next, scalar.properties.isASCIIHexDigit, digits.utf8.count < (isBraced ? 6 : 2) {
            digits.unicodeScalars.append(scalar)
            position += 1
        }
        guard let value = UInt32(digits, radix: 16), isBraced ? take("}") : digits.utf8.count == 2,
            Unicode.Scalar(value) != nil
        else { throw error("\\x is followed by two digits, or by {…}") }
        return value
    }

    // MARK: Brackets

    /// A set, its `[` already read.
    mutating func bracket() throws(RE2Pattern.SyntaxError) -> RE2Class {
        var set = RE2Class(foldsCase: flags.foldsCase)
        set.isNegated = take("^")
        var isFirst = true
        while true {
            guard let scalar = next else { throw error("a [ is not closed") }
            if scalar == "]", !isFirst {
                position += 1
                return set
            }
            isFirst = false
            if scalar == "[", position + 1 < text.count, text[position + 1] == ":" {
                try posixClass(&set)
                continue
            }
            if scalar == "\\" {
                position += 1
                if let inner = try perlClass() {
                    RE2Parser.add(inner, to: &set)
                    continue
                }
                position -= 1
            }
            try range(&set)
        }
    }

    private static func add(_ inner: RE2Class, to set: inout RE2Class) {
        set.categories += inner.categories
        if inner.isNegated { set.complements.append(inner.ranges) } else { set.ranges += inner.ranges }
    }

    private mutating func range(_ set: inout RE2Class) throws(RE2Pattern.SyntaxError) {
        let low = try member()
        var high = low
        if next == "-", position + 1 < text.count, text[position + 1] != "]" {
            position += 1
            high = try member()
        }
        guard low <= high else { throw error("a range is reversed") }
        set.ranges.append(low...high)
    }

    private mutating func member() throws(RE2Pattern.SyntaxError) -> UInt32 {
        guard let scalar = next else { throw error("a [ is not closed") }
        position += 1
        return scalar == "\\" ? try character() : scalar.value
    }

    private mutating func posixClass(_ set: inout RE2Class) throws(RE2Pattern.SyntaxError) {
        position += 2
        let isNegated = take("^")
        var name = ""
        while let scalar = next, scalar != ":" {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take(":"), take("]"), let ranges = RE2Class.posix[name] else { throw error("[:\(name):] is not known") }
        if isNegated { set.complements.append(ranges) } else { set.ranges += ranges }
    }
}
