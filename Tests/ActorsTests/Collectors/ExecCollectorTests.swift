import Pipeline
import Testing

@testable import Actors

@Suite("Input exec")
struct ExecCollectorTests {
    private func gather(
        _ settings: [String: OptionValue], within: Duration = .seconds(60)
    ) async throws -> (
        rows: [String], errors: [String]
    ) {
        let clock = WorkLoop(name: "test")
        let host = LinuxHost(environment: [:], clock: clock)
        let collector = try ExecCollector(
            options: OptionValues(ExecCollector.spec.options, set: settings), host: host)
        let gather = await collector.gather(
            at: Timestamp(nanoseconds: 7), now: clock.now, deadline: clock.now + within)
        var encoder = StreamEncoder()
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "x")
        _ = encoder.add(gather.samples, from: "x")
        let text = encoder.seal { lines, _, _ in String(decoding: lines, as: UTF8.self) } ?? ""
        return (text.split(separator: "\n").map(String.init), gather.errors)
    }

    private static let influx: [String: OptionValue] = ["data_format": .string("influx")]

    private func shell(_ scripts: String...) -> [String: OptionValue] {
        Self.influx.merging(["commands": .commands(scripts.map { ["sh", "-c", $0] })]) { $1 }
    }

    @Test("what programs print becomes points, in the order of the programs")
    func points() async throws {
        let (rows, errors) = try await gather(shell("echo 'a v=1 5'; echo 'b w=2i'", "echo c x=t"))
        #expect(rows == ["a v=1 5", "b w=2i 7", "c x=true 7"])
        #expect(errors == [])
    }

    @Test("a program that fails is an error, and the others go on")
    func failures() async throws {
        let (rows, errors) = try await gather(shell("echo bad >&2; echo a v=1; exit 3", "echo b v=2", "echo 'c v=x'"))
        #expect(rows == ["b v=2 7"])
        #expect(errors.count == 2)
        #expect(errors.first == "sh: exit status 3: bad")
        #expect(errors.last?.hasPrefix("sh: line 1: ") == true)
    }

    @Test("with ignore_error the output of a failed program counts")
    func ignored() async throws {
        let settings = shell("echo a v=1; exit 3").merging(["ignore_error": .bool(true)]) { $1 }
        let (rows, errors) = try await gather(settings)
        #expect(rows == ["a v=1 7"] && errors == [])
    }

    @Test("a program that takes too long is killed, with what it started")
    func deadline() async throws {
        let settings = shell("sleep 600 & sleep 600").merging(["timeout": .duration(.milliseconds(200))]) { $1 }
        let (rows, errors) = try await gather(settings)
        #expect(rows == [] && errors == ["sh: did not end within 0.2 s, killed"] || errors.count == 1)
    }

    @Test("variables are handed on, the agent's own are not")
    func environment() async throws {
        let settings = shell("echo \"a,x=$X v=$(env | wc -l)\"").merging(["environment": .strings(["X=y z"])]) { $1 }
        let (_, errors) = try await gather(settings)
        #expect(errors.count == 1)
        let good = shell("echo \"a,x=$X v=1\"; env | grep HOME; true")
            .merging(["environment": .strings(["X=y"])]) { $1 }
        #expect(try await gather(good).rows == ["a,x=y v=1 7"])
    }

    @Test("JSON is read as such, and by default")
    func json() async throws {
        let (rows, _) = try await gather(["commands": .commands([["echo", #"{"a":1,"b":{"c":2}}"#]])])
        #expect(rows == ["exec a=1,b_c=2 7"])
    }

    @Test("an environment that is none is refused without its value")
    func refusal() async throws {
        await #expect(throws: CollectorError.self) {
            _ = try await gather(["environment": .strings(["secret"])])
        }
    }
}
