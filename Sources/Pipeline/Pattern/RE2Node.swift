/// A parsed regular expression.
indirect enum RE2Node: Sendable, Hashable {
    case empty
    /// One character out of a set.
    case oneOf(RE2Class)
    /// A place between characters.
    case assertion(RE2Assertion)
    case sequence([RE2Node])
    /// Earlier ones are preferred.
    case alternatives([RE2Node])
    /// A group that is remembered under its number, from 1 on.
    case capture(RE2Node, index: Int)
    case loop(RE2Node, atLeast: Int, atMost: Int?, isLazy: Bool)
}

/// What must hold at a place, without reading a character.
enum RE2Assertion: Sendable, Hashable {
    case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary

    /// Whether it holds between `before` and `after`; nil stands for the ends of the text.
    func holds(before: UInt32?, after: UInt32?) -> Bool {
        switch self {
        case .textStart: before == nil
        case .textEnd: after == nil
        case .lineStart: before == nil || before == 10
        case .lineEnd: after == nil || after == 10
        case .wordBoundary: RE2Assertion.isWord(before) != RE2Assertion.isWord(after)
        case .noWordBoundary: RE2Assertion.isWord(before) == RE2Assertion.isWord(after)
        }
    }

    private static func isWord(_ scalar: UInt32?) -> Bool { scalar.map { RE2Class.word.contains($0) } ?? false }
}

/// A set of characters: ranges and Unicode categories.
struct RE2Class: Sendable, Hashable {
    /// A general category such as `Lu`, or the first letter of several.
    struct Category: Sendable, Hashable {
        let name: String
        let isNegated: Bool

        func contains(_ scalar: Unicode.Scalar) -> Bool {
            let category = RE2Class.abbreviation(scalar.properties.generalCategory)
            return category.hasPrefix(name) != isNegated
        }
    }

    var ranges: [ClosedRange<UInt32>] = []
    var categories: [Category] = []
    /// Sets taken away from everything: `\D` inside of brackets.
    var complements: [[ClosedRange<UInt32>]] = []
    var isNegated = false
    var foldsCase = false

    static let digit = RE2Class(ranges: [48...57])
    static let word = RE2Class(ranges: [48...57, 65...90, 95...95, 97...122])
    static let space = RE2Class(ranges: [9...10, 12...13, 32...32])

    func contains(_ value: UInt32) -> Bool {
        guard foldsCase else { return holds(value) != isNegated }
        return (holds(value) || RE2Class.variants(value).contains { holds($0) }) != isNegated
    }

    private func holds(_ value: UInt32) -> Bool {
        for range in ranges where range.contains(value) { return true }
        for ranges in complements where !ranges.contains(where: { $0.contains(value) }) { return true }
        guard !categories.isEmpty, let scalar = Unicode.Scalar(value) else { return false }
        return categories.contains { $0.contains(scalar) }
    }

    /// The same letter in its other cases.
    private static func variants(_ value: UInt32) -> [UInt32] {
        if value < 0x80 {
            switch value {
            case 65...90: return [value + 32]
            case 97...122: return [value - 32]
            default: return []
            }
        }
        guard let scalar = Unicode.Scalar(value) else { return [] }
        let upper = single(scalar.properties.uppercaseMapping)
        return [single(scalar.properties.lowercaseMapping), upper, upper.flatMap(lower)].compactMap { $0 }
    }

    private static func single(_ mapping: String) -> UInt32? {
        let scalars = mapping.unicodeScalars
        return scalars.count == 1 ? scalars.first?.value : nil
    }

    private static func lower(_ value: UInt32) -> UInt32? {
        Unicode.Scalar(value).flatMap { single($0.properties.lowercaseMapping) }
    }

    /// The names of the categories, as `\p{…}` takes them.
    static let categoryNames: Set<String> = [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe",
        "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Co",
    ]

    private static func abbreviation(_ category: Unicode.GeneralCategory) -> String {
        switch category {
        case .uppercaseLetter: "Lu"
        case .lowercaseLetter: "Ll"
        case .titlecaseLetter: "Lt"
        case .modifierLetter: "Lm"
        case .otherLetter: "Lo"
        case .nonspacingMark: "Mn"
        case .spacingMark: "Mc"
        case .enclosingMark: "Me"
        case .decimalNumber: "Nd"
        case .letterNumber: "Nl"
        case .otherNumber: "No"
        case .connectorPunctuation: "Pc"
        case .dashPunctuation: "Pd"
        case .openPunctuation: "Ps"
        case .closePunctuation: "Pe"
        case .initialPunctuation: "Pi"
        case .finalPunctuation: "Pf"
        case .otherPunctuation: "Po"
        case .mathSymbol: "Sm"
        case .currencySymbol: "Sc"
        case .modifierSymbol: "Sk"
        case .otherSymbol: "So"
        case .spaceSeparator: "Zs"
        case .lineSeparator: "Zl"
        case .paragraphSeparator: "Zp"
        case .control: "Cc"
        case .format: "Cf"
        case .surrogate: "Cs"
        case .privateUse: "Co"
        case .unassigned: "--"
        @unknown default: "--"
        }
    }

    /// `[[:alpha:]]` and its like.
    static let posix: [String: [ClosedRange<UInt32>]] = [
        "alnum": [48...57, 65...90, 97...122], "alpha": [65...90, 97...122], "ascii": [0...127],
        "blank": [9...9, 32...32], "cntrl": [0...31, 127...127], "digit": [48...57], "graph": [33...126],
        "lower": [97...122], "print": [32...126], "punct": [33...47, 58...64, 91...96, 123...126],
        "space": [9...13, 32...32], "upper": [65...90], "word": [48...57, 65...90, 95...95, 97...122],
        "xdigit": [48...57, 65...70, 97...102],
    ]
}
