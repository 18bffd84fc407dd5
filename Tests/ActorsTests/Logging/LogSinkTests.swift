import Glibc
import Logging
import Pipeline
import Testing

@testable import Actors

@Suite("Log sink")
struct LogSinkTests {
    private func lines(json: Bool = false, debug: Bool = false, _ body: (LogSink) -> Void) -> [String] {
        let place = TemporaryDirectory()
        let path = place.path + "/log"
        let sink = LogSink(journal: false)
        let agent = AgentConfig(
            OptionValues(
                SectionSpecs.agent,
                set: [
                    "logfile": .string(path), "logformat": .string(json ? "structured" : "text"), "debug": .bool(debug),
                ]))
        #expect(sink.configure(agent, reopen: true))
        body(sink)
        return String(decoding: SmallFile.read(path, limit: 1 << 20), as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }

    @Test("text lines carry time, level, label, message and sorted key=value pairs")
    func text() {
        let lines = lines { $0.logger("input").error("read failed", metadata: ["path": "/proc/x", "a": "two words"]) }
        #expect(lines.count == 1)
        #expect(lines[0].hasSuffix("ERROR input: read failed a=\"two words\" path=/proc/x"))
    }

    @Test("structured lines are one JSON object each")
    func structured() throws {
        let lines = lines(json: true) { $0.logger("input").warning("odd \"name\"\n", metadata: ["n": "1"]) }
        let value = try JSONValue.parse(lines[0])
        #expect(value["level"]?.string == "warning")
        #expect(value["msg"]?.string == "odd \"name\"\n")
        #expect(value["n"]?.string == "1")
    }

    @Test("a FIFO that nobody reads is refused at once and keeps nobody waiting")
    func fifo() {
        let place = TemporaryDirectory()
        let path = place.path + "/log"
        #expect(mkfifo(path, 0o600) == 0)
        let agent = AgentConfig(OptionValues(SectionSpecs.agent, set: ["logfile": .string(path)]))
        #expect(!LogSink(journal: false).configure(agent, reopen: true))
    }

    @Test("a file that was renamed is left for a new one of its name")
    func reopened() {
        let place = TemporaryDirectory()
        let path = place.path + "/log"
        let sink = LogSink(journal: false)
        #expect(sink.reopen(), "without a file there is nothing to do")
        #expect(
            sink.configure(
                AgentConfig(OptionValues(SectionSpecs.agent, set: ["logfile": .string(path)])), reopen: true))
        sink.logger("a").error("before")
        #expect(rename(path, path + ".1") == 0)
        #expect(sink.reopen())
        sink.logger("a").error("after")
        #expect(String(decoding: SmallFile.read(path + ".1", limit: 4_096), as: UTF8.self).hasSuffix("a: before\n"))
        #expect(String(decoding: SmallFile.read(path, limit: 4_096), as: UTF8.self).hasSuffix("a: after\n"))
        #expect(rename(place.path, place.path + ".gone") == 0)
        #expect(!sink.reopen(), "its folder is gone")
        sink.logger("a").error("still")
        #expect(rename(place.path + ".gone", place.path) == 0)
        #expect(String(decoding: SmallFile.read(path, limit: 4_096), as: UTF8.self).hasSuffix("a: still\n"))
    }

    @Test("a hostile name cannot forge a line")
    func hostile() {
        let lines = lines { $0.logger("input").error("mount /a\n<3>forged: line", metadata: ["m": "x\ny"]) }
        #expect(lines.count == 1)
    }

    @Test("levels below the configured one are not written")
    func levels() {
        #expect(lines { $0.logger("x").debug("no") }.isEmpty)
        #expect(lines(debug: true) { $0.logger("x").debug("yes") }.count == 1)
    }

    @Test("the same words about something else are another line")
    func repeatsOfAnother() {
        let lines = lines { sink in
            for output in ["a", "b", "a", "b"] {
                for reason in ["after 1 ms", "after 2 ms"] {
                    sink.logger("output").warning(
                        "delivery failed", metadata: ["output": "\(output)", "reason": "\(reason)"])
                }
            }
            for error in ["one", "two"] {
                sink.logger("godwit").error("reload refused", metadata: ["error": "\(error)"])
            }
        }
        #expect(lines.count == 4)
    }

    @Test(
        "what befalls each tunnel, input, output, proxy and listener is told of each",
        arguments: ["tunnel", "input", "output", "proxy", "address", "child", "stream", "supervisor", "issue"])
    func repeatsBySubject(_ key: String) {
        let lines = lines { sink in
            let logger = sink.logger("tunnel")
            for _ in 0..<3 {
                for number in 0..<1_000 {
                    logger.warning("down", metadata: [key: "\(number)", "reason": "connection refused"])
                }
            }
        }
        #expect(lines.count == 1_000)
        for number in [0, 499, 999] { #expect(lines.contains { "\($0) ".contains(" \(key)=\(number) ") }) }
    }

    @Test("a stranger cannot fill the log by coming from many addresses")
    func repeatsOfStrangers() {
        let lines = lines { sink in
            for number in 0..<1_000 {
                sink.logger("pushprox").warning("a push from a stranger", metadata: ["peer": "10.0.0.1:\(number)"])
            }
        }
        #expect(lines.count == 1)
    }

    @Test("more subjects than the memory holds are written again, not forgotten")
    func repeatsBounded() {
        let count = LogSink.memoryLimit + 1
        let lines = lines { sink in
            for number in 0..<count { sink.logger("x").warning("down", metadata: ["tunnel": "\(number)"]) }
            sink.logger("x").warning("down", metadata: ["tunnel": "0"])
        }
        #expect(lines.count == count + 1)
    }

    @Test("escape sequences of 8 bits do not reach a terminal")
    func eightBitControls() {
        let lines = lines { $0.logger("input").error("mount \u{9B}31m", metadata: ["m": "x\u{9B}2J"]) }
        #expect(lines.count == 1 && !lines[0].unicodeScalars.contains("\u{9B}"))
    }

    @Test("a reader that has stopped reading does not stop the agent")
    func blockedReader() {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        let sink = LogSink(journal: false, descriptor: ends[1])
        // Far more than a pipe holds.
        for number in 0..<2_000 { sink.logger("x").error("\(number) \(String(repeating: "x", count: 200))") }
        // Room for a page is made, and a line longer than that comes.
        var page = [UInt8](repeating: 0, count: 4_096)
        #expect(read(ends[0], &page, page.count) == page.count)
        sink.logger("x").error("long", metadata: ["reason": "\(String(repeating: "x", count: 20_000))"])
        close(ends[0])
        close(ends[1])
    }

    @Test("a plugin's own level goes before the agent's")
    func ownLevel() {
        let lines = lines { sink in
            sink.logger("input", level: .debug).debug("yes")
            sink.logger("input", level: .error).warning("no")
            sink.logger("input", level: nil).debug("no")
        }
        #expect(lines.count == 1 && lines[0].hasSuffix("yes"))
    }

    @Test("a repeated line is held back, another one is not")
    func repeats() {
        let lines = lines { sink in
            for _ in 0..<100 { sink.logger("output").warning("delivery failed", metadata: ["reason": "refused"]) }
            sink.logger("output").warning("something else")
        }
        #expect(lines.count == 2)
    }

    @Test("the journal gets the level as a prefix")
    func journal() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let sink = LogSink(journal: true)
        sink.write(label: "x", level: .error, message: "m", metadata: [:], to: ends[1])
        close(ends[1])
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(ends[0], &bytes, bytes.count)
        close(ends[0])
        #expect(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) == "<3>x: m\n")
    }
}
