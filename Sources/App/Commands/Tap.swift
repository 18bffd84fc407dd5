import ArgumentParser

/// `godwit tap`
struct Tap: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print points as they are collected, in line protocol.",
        discussion: """
            For root and the daemon's own user. When the reader is too slow, lines are left out, and a line that \
            begins with # says how many.
            """)

    @OptionGroup var target: SocketOption
    @Option(help: "Only points whose name matches this pattern, as in \"disk*\".")
    var name = "*"
    @Option(help: "Stop after so many points.")
    var count: Int?

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be 1 or more.") }
        if name.utf8.count > 200 { throw ValidationError("--name is longer than 200 bytes.") }
    }

    func run() throws {
        var left = count ?? .max
        var line: [UInt8] = []
        try talking {
            try target.client.stream("/tap?name=\(percentEncoded(name))") { bytes in
                var complete: [UInt8] = []
                for byte in bytes where left > 0 {
                    line.append(byte)
                    guard byte == UInt8(ascii: "\n") else { continue }
                    if line.first != UInt8(ascii: "#") { left -= 1 }
                    complete += line
                    line.removeAll(keepingCapacity: true)
                }
                return emit(String(decoding: complete, as: UTF8.self)) && left > 0
            }
        }
    }

    private func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
                String(Unicode.Scalar(byte))
            default: byte < 16 ? "%0" + String(byte, radix: 16) : "%" + String(byte, radix: 16)
            }
        }.joined()
    }
}
