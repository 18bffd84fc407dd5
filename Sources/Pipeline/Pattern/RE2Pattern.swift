/// A regular expression in RE2's syntax, the one that Go and so Telegraf uses.
///
/// All alternatives are followed at once, so that a match costs steps × characters and no pattern is exponential. Of
/// several matches the leftmost is taken, of those the one that the order of alternatives and loops prefers.
/// Bounds: patterns of `lengthLimit` characters, programs of `RE2Program.stepLimit` steps, texts of `textLimit`
/// characters (a longer text does not match).
/// Errors: what RE2 does not know, and `\p{…}` of scripts, is refused with a `SyntaxError`.
/// Why: Swift's own expressions go back and forth, which a hostile text can make exponential, and bring a library of
/// their own into memory.
public struct RE2Pattern: Sendable, Hashable {
    /// Why a pattern cannot be compiled.
    public struct SyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
        public let pattern: String
        public let reason: String
        public var description: String { "regular expression \"\(pattern)\": \(reason)" }
    }

    public static let lengthLimit = 4_096
    public static let textLimit = 65_536

    /// As it was written.
    public let pattern: String
    /// The names of the groups in their order; empty for those without one.
    public let groupNames: [String]
    let program: RE2Program

    public init(_ pattern: String) throws(SyntaxError) {
        self.pattern = pattern
        guard pattern.unicodeScalars.count <= RE2Pattern.lengthLimit else {
            throw SyntaxError(
                pattern: String(pattern.prefix(40)) + "…", reason: "longer than \(RE2Pattern.lengthLimit) characters")
        }
        var parser = RE2Parser(pattern)
        let node = try parser.parse()
        groupNames = parser.groups
        guard let program = RE2Program(node) else {
            throw SyntaxError(pattern: pattern, reason: "its repetitions make it too large")
        }
        self.program = program
    }

    public static func == (a: RE2Pattern, b: RE2Pattern) -> Bool { a.pattern == b.pattern }
    public func hash(into hasher: inout Hasher) { hasher.combine(pattern) }

    /// Whether any part of `text` matches.
    public func matches(_ text: String) -> Bool {
        guard let scalars = RE2Pattern.scalars(text) else { return false }
        var matcher = RE2Matcher(program, slots: 0, scalars)
        return matcher.find(from: 0) != nil
    }

    /// The texts of the groups of the first match, an empty one for a group that took no part; nil without a match.
    public func groups(of text: String) -> [String]? {
        guard let scalars = RE2Pattern.scalars(text) else { return nil }
        var matcher = RE2Matcher(program, slots: (groupNames.count + 1) * 2, scalars)
        guard let match = matcher.find(from: 0) else { return nil }
        return (1..<(groupNames.count + 1)).map { RE2Pattern.text(of: $0, match, scalars) }
    }

    /// `text` with every match replaced; nil when nothing matches.
    public func replacing(in text: String, with replacement: RE2Replacement) -> String? {
        guard let scalars = RE2Pattern.scalars(text) else { return nil }
        var matcher = RE2Matcher(program, slots: (groupNames.count + 1) * 2, scalars)
        var out = String.UnicodeScalarView()
        var (end, start) = (0, 0)
        var hasMatched = false
        while start <= scalars.count, let match = matcher.find(from: start) {
            hasMatched = true
            for index in end..<max(end, match[0]) { RE2Pattern.append(scalars[index], to: &out) }
            // An empty match right behind another one does not count.
            if match[1] > end || match[0] == 0 {
                for part in replacement.parts {
                    switch part {
                    case .text(let text): out.append(contentsOf: text.unicodeScalars)
                    case .group(let index):
                        guard index <= groupNames.count else { continue }
                        out.append(contentsOf: RE2Pattern.text(of: index, match, scalars).unicodeScalars)
                    case .named(let name):
                        guard let index = groupNames.firstIndex(of: name) else { continue }
                        out.append(contentsOf: RE2Pattern.text(of: index + 1, match, scalars).unicodeScalars)
                    }
                }
            }
            end = match[1]
            start = match[1] > start ? match[1] : start + 1
        }
        guard hasMatched else { return nil }
        for index in end..<max(end, scalars.count) { RE2Pattern.append(scalars[index], to: &out) }
        return String(out)
    }

    /// The characters of a text as numbers; nil for one that is too long.
    private static func scalars(_ text: String) -> [UInt32]? {
        let scalars = text.unicodeScalars.map(\.value)
        return scalars.count <= textLimit ? scalars : nil
    }

    private static func text(of group: Int, _ match: [Int], _ scalars: [UInt32]) -> String {
        let (start, end) = (match[group * 2], match[group * 2 + 1])
        guard start >= 0, end >= start else { return "" }
        var out = String.UnicodeScalarView()
        for index in start..<end { append(scalars[index], to: &out) }
        return String(out)
    }

    private static func append(_ value: UInt32, to out: inout String.UnicodeScalarView) {
        if let scalar = Unicode.Scalar(value) { out.append(scalar) }
    }
}

extension RE2Pattern: CustomStringConvertible {
    public var description: String { pattern }
}

/// What a match is replaced by: text with references to groups, `$1`, `${1}`, `${name}`, and `$$` for a dollar.
///
/// A name takes as many letters, digits and `_` as follow, so that `$1x` means a group named `1x`: write `${1}x`. A group
/// that does not exist is empty, a dollar without a name is a dollar.
public struct RE2Replacement: Sendable, Hashable {
    enum Part: Sendable, Hashable {
        case text(String)
        case group(Int)
        case named(String)
    }

    let parts: [Part]

    public init(_ template: String) {
        var parts: [Part] = []
        var text = String.UnicodeScalarView()
        var rest = Array(template.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            guard scalar == "$" else {
                text.append(scalar)
                continue
            }
            if rest.first == "$" {
                rest.removeFirst()
                text.append("$")
                continue
            }
            guard let part = RE2Replacement.reference(&rest) else {
                text.append("$")
                continue
            }
            if !text.isEmpty { parts.append(.text(String(text))) }
            text = String.UnicodeScalarView()
            parts.append(part)
        }
        if !text.isEmpty { parts.append(.text(String(text))) }
        self.parts = parts
    }

    /// The reference behind a `$`; nil, with nothing read, when there is none.
    private static func reference(_ rest: inout ArraySlice<Unicode.Scalar>) -> Part? {
        var ahead = rest
        let isBraced = ahead.first == "{"
        if isBraced { ahead.removeFirst() }
        let letters = ahead.prefix {
            $0 == "_" || $0.properties.isAlphabetic || $0.properties.generalCategory == .decimalNumber
        }
        ahead = ahead.dropFirst(letters.count)
        guard !letters.isEmpty else { return nil }
        if isBraced {
            guard ahead.first == "}" else { return nil }
            ahead.removeFirst()
        }
        rest = ahead
        var name = String.UnicodeScalarView()
        name.append(contentsOf: letters)
        // A number that is too large is a group that does not exist.
        if letters.allSatisfy({ ("0"..."9").contains($0) }) { return .group(Int(String(name)) ?? .max) }
        return .named(String(name))
    }
}
