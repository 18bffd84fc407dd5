import Glibc

/// An extended regular expression (POSIX) over the names or command lines of processes, as pgrep(1) takes them.
///
/// Bytes count, not characters. Owned by one collector. `\d` and `\D`, which POSIX does not know, mean what they mean
/// elsewhere.
/// Errors: what the C library says of a pattern that it cannot compile, also for `(?`, which it would misread.
final class ProcessPattern {
    /// What is looked at of a command line; the C library's matching is not linear for every pattern.
    static let textLimit = 64 * 1024

    private var compiled = regex_t()
    private var text: [CChar] = []

    /// `option` is where the pattern comes from.
    init(_ pattern: String, option: String = "pattern") throws {
        guard !pattern.utf8.contains(0), !pattern.contains("(?") else {
            throw CollectorError("\"\(pattern)\": is no extended regular expression", option: option)
        }
        let code = regcomp(&compiled, ProcessPattern.translated(pattern), REG_EXTENDED | REG_NOSUB)
        guard code == 0 else {
            var message = [CChar](repeating: 0, count: 128)
            regerror(code, &compiled, &message, message.count)
            let reason = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw CollectorError("\"\(pattern)\": \(reason)", option: option)
        }
    }

    deinit { regfree(&compiled) }

    /// `\d` and `\D` as classes; what stands in brackets is left alone, there POSIX knows no backslash.
    private static func translated(_ pattern: String) -> String {
        var out = ""
        var isEscaped = false
        /// Characters since the bracket opened; nil outside of brackets.
        var inside: Int?
        for character in pattern {
            if let count = inside {
                // A bracket that comes first, also behind ^, stands for itself.
                inside = character == "]" && count > 0 ? nil : character == "^" && count == 0 ? 0 : count + 1
                out.append(character)
            } else if isEscaped {
                isEscaped = false
                out += character == "d" ? "[0-9]" : character == "D" ? "[^0-9]" : "\\" + String(character)
            } else if character == "\\" {
                isEscaped = true
            } else {
                if character == "[" { inside = 0 }
                out.append(character)
            }
        }
        return isEscaped ? out + "\\" : out
    }

    /// Whether it matches anywhere in `bytes`, up to a NUL.
    func matches(_ bytes: [UInt8]) -> Bool {
        text.removeAll(keepingCapacity: true)
        for byte in bytes.prefix(ProcessPattern.textLimit) { text.append(CChar(bitPattern: byte)) }
        text.append(0)
        return regexec(&compiled, text, 0, nil, 0) == 0
    }
}
