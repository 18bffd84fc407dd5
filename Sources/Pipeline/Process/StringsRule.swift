/// `[[processors.strings]]`: functions on the text of names, keys and values.
public struct StringsRule: Sendable, Hashable {
    /// What a function does to a text.
    public enum Function: Sendable, Hashable {
        case lowercase, uppercase, titlecase
        /// An empty set stands for white space.
        case trim(String, left: Bool, right: Bool)
        case trimPrefix(String)
        case trimSuffix(String)
        case replace(old: String, new: String)
        /// At most so many bytes; a character that does not fit is left out.
        case left(Int)
        case base64Decode
        /// Each run of replacement characters, which is what invalid bytes become when they are read.
        case validUTF8(String)
    }

    /// One function and what it is applied to; `*` is all of them.
    public struct Step: Sendable, Hashable {
        public var function: Function
        public var measurement = ""
        public var tag = ""
        public var tagKey = ""
        public var field = ""
        public var fieldKey = ""
        /// Where the result goes; empty = where the text came from.
        public var destination = ""

        public init(_ function: Function) { self.function = function }
    }

    public var steps: [Step]

    public init(_ steps: [Step]) { self.steps = steps }

    func apply(to point: inout Point) {
        for step in steps {
            if !step.field.isEmpty { change(fieldsOf: &point, step) }
            if !step.fieldKey.isEmpty { change(fieldKeysOf: &point, step) }
            if !step.tag.isEmpty { change(tagsOf: &point, step) }
            if !step.tagKey.isEmpty { change(tagKeysOf: &point, step) }
            if !step.measurement.isEmpty, step.measurement == "*" || step.measurement == point.name {
                point.name = step.function.result(point.name)
            }
        }
    }

    private func change(fieldsOf point: inout Point, _ step: Step) {
        for field in point.fields where step.field == "*" || step.field == field.key {
            guard case .string(let text) = field.value else { continue }
            let key = step.field == "*" || step.destination.isEmpty ? field.key : step.destination
            point.set(field: key, to: .string(step.function.result(text)))
        }
    }

    private func change(tagsOf point: inout Point, _ step: Step) {
        for tag in point.tags where step.tag == "*" || step.tag == tag.key {
            let key = step.tag == "*" || step.destination.isEmpty ? tag.key : step.destination
            point.set(tag: key, to: step.function.result(tag.value))
        }
    }

    private func change(fieldKeysOf point: inout Point, _ step: Step) {
        for field in point.fields where step.fieldKey == "*" || step.fieldKey == field.key {
            let key = step.function.result(field.key)
            guard !key.isEmpty, key != field.key else { continue }
            point.remove(field: field.key)
            point.set(field: key, to: field.value)
        }
    }

    private func change(tagKeysOf point: inout Point, _ step: Step) {
        for tag in point.tags where step.tagKey == "*" || step.tagKey == tag.key {
            let key = step.function.result(tag.key)
            guard !key.isEmpty, key != tag.key else { continue }
            point.remove(tag: tag.key)
            point.set(tag: key, to: tag.value)
        }
    }
}

extension StringsRule.Function {
    /// The text after the function.
    func result(_ text: String) -> String {
        switch self {
        case .lowercase: StringsRule.mapped(text, \.lowercaseMapping)
        case .uppercase: StringsRule.mapped(text, \.uppercaseMapping)
        case .titlecase: StringsRule.titlecased(text)
        case .trim(let set, let left, let right): StringsRule.trimmed(text, set, left, right)
        case .trimPrefix(let prefix): StringsRule.without(prefix: prefix, text)
        case .trimSuffix(let suffix): StringsRule.without(suffix: suffix, text)
        case .replace(let old, let new): StringsRule.replaced(text, old, new)
        case .left(let width): StringsRule.prefix(text, width)
        case .base64Decode: Base64.decode(text).flatMap { String(validating: $0, as: UTF8.self) } ?? text
        case .validUTF8(let replacement): StringsRule.repaired(text, replacement)
        }
    }
}

extension StringsRule {
    /// Character by character, as Go does it: a letter that would become several stays.
    fileprivate static func mapped(
        _ text: String, _ mapping: (Unicode.Scalar.Properties) -> String
    ) -> String {
        var out = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { append(mapping(scalar.properties), or: scalar, to: &out) }
        return String(out)
    }

    private static func append(_ mapped: String, or scalar: Unicode.Scalar, to out: inout String.UnicodeScalarView) {
        let scalars = mapped.unicodeScalars
        if scalars.count == 1 { out.append(contentsOf: scalars) } else { out.append(scalar) }
    }

    /// The first letter of each word in title case. Digits and `_` belong to words, and so do apostrophes, dots and
    /// colons between letters.
    fileprivate static func titlecased(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        var out = String.UnicodeScalarView()
        var isInWord = false
        for (index, scalar) in scalars.enumerated() {
            let isLetter = scalar.properties.isAlphabetic
            if isLetter, !isInWord {
                append(scalar.properties.titlecaseMapping, or: scalar, to: &out)
            } else {
                out.append(scalar)
            }
            let joins =
                isInWord && index + 1 < scalars.count && scalars[index + 1].properties.isAlphabetic
                && "'\u{2019}.:\u{B7}".unicodeScalars.contains(scalar)
            isInWord =
                isLetter || joins || scalar == "_" || scalar.properties.numericType != nil
                || isInWord && scalar.properties.generalCategory == .nonspacingMark
        }
        return String(out)
    }

    fileprivate static func trimmed(_ text: String, _ set: String, _ left: Bool, _ right: Bool) -> String {
        func goes(_ scalar: Unicode.Scalar) -> Bool {
            set.isEmpty ? scalar.properties.isWhitespace : set.unicodeScalars.contains(scalar)
        }
        var rest = text.unicodeScalars[...]
        if left { rest = rest.drop(while: goes) }
        if right { while let last = rest.last, goes(last) { rest.removeLast() } }
        return String(rest)
    }

    fileprivate static func without(prefix: String, _ text: String) -> String {
        text.utf8.starts(with: prefix.utf8)
            ? String(decoding: text.utf8.dropFirst(prefix.utf8.count), as: UTF8.self) : text
    }

    fileprivate static func without(suffix: String, _ text: String) -> String {
        let ends = text.utf8.reversed().starts(with: suffix.utf8.reversed())
        return ends ? String(decoding: text.utf8.dropLast(suffix.utf8.count), as: UTF8.self) : text
    }

    /// Every occurrence replaced; a text of which nothing would be left stays as it is. An empty `old` stands before
    /// every character and at the end.
    fileprivate static func replaced(_ text: String, _ old: String, _ new: String) -> String {
        let (bytes, wanted, replacement) = (Array(text.utf8), Array(old.utf8), Array(new.utf8))
        var out: [UInt8] = []
        var index = 0
        if wanted.isEmpty {
            for scalar in text.unicodeScalars { out += replacement + Array(String(scalar).utf8) }
            out += replacement
        } else {
            while index < bytes.count {
                if bytes[index] == wanted[0], bytes[index...].starts(with: wanted) {
                    out += replacement
                    index += wanted.count
                } else {
                    out.append(bytes[index])
                    index += 1
                }
            }
        }
        return out.isEmpty ? text : String(decoding: out, as: UTF8.self)
    }

    fileprivate static func prefix(_ text: String, _ width: Int) -> String {
        guard text.utf8.count > width else { return text }
        var out = String.UnicodeScalarView()
        var used = 0
        for scalar in text.unicodeScalars {
            used += UTF8.width(scalar)
            guard used <= width else { break }
            out.append(scalar)
        }
        return String(out)
    }

    fileprivate static func repaired(_ text: String, _ replacement: String) -> String {
        var out = String.UnicodeScalarView()
        var isInRun = false
        for scalar in text.unicodeScalars {
            if scalar == "\u{FFFD}" {
                if !isInRun { out.append(contentsOf: replacement.unicodeScalars) }
                isInRun = true
            } else {
                out.append(scalar)
                isInRun = false
            }
        }
        return String(out)
    }
}
