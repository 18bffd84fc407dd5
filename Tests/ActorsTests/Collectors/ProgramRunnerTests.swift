import Glibc
import Pipeline
import Testing

@testable import Actors

@Suite("ProgramRunner")
struct ProgramRunnerTests {
    private func run(_ scripts: [String], within limit: Duration = .seconds(20)) async throws -> [ProgramResult] {
        try await ProgramRunner().run(scripts.map { ["sh", "-c", $0] }, within: limit)
    }

    @Test("several programs at a time, results in order, output of any length read whole")
    func outputs() async throws {
        let results = try await run([
            "sleep 0.1; echo slow", "echo fast", "head -c 300000 /dev/zero", "exec >&-; sleep 0.1",
        ])
        #expect(results[0] == .output(Array("slow\n".utf8)))
        #expect(results[1] == .output(Array("fast\n".utf8)))
        #expect(results[2] == .output([UInt8](repeating: 0, count: 300_000)))
        #expect(results[3] == .output([]))
    }

    @Test("a failing program says why: its status, its first line of errors, or that it does not exist")
    func failures() async throws {
        let results = try await run(["echo first >&2; echo second >&2; exit 3", "kill -TERM $$"])
        #expect(results == [.failed("sh: exit status 3: first"), .failed("sh: ended by signal 15")])
        let quiet = try await run(["echo nobody there >&2", "echo fine; echo remark >&2"])
        #expect(quiet == [.failed("sh: nobody there"), .output(Array("fine\n".utf8))])
        let missing = try await ProgramRunner().run([["no-such-program"]], within: .seconds(5))
        #expect(missing == [.failed("no-such-program: No such file or directory")])
    }

    @Test("a program that runs on is killed at the deadline with all that it started; the others have their results")
    func deadline() async throws {
        var begin = timespec()
        clock_gettime(CLOCK_MONOTONIC, &begin)
        let script = "trap '' TERM; echo begun; sleep 57.31 & sleep 57.31"
        let results = try await run([script, "echo fine"], within: .milliseconds(300))
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        #expect(results == [.failed("sh: did not end within 0.3 s, killed"), .output(Array("fine\n".utf8))])
        // Before the programs would have ended by themselves.
        #expect(end.tv_sec - begin.tv_sec < 55)
    }

    @Test("what writes without end is stopped")
    func endlessOutput() async throws {
        #expect(try await run(["exec cat /dev/zero"]) == [.failed("sh: writes too much")])
    }

    @Test("cancelling ends the programs at once")
    func cancellation() async throws {
        let task = Task.detached { try await ProgramRunner().run([["sleep", "58"]], within: .seconds(58)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("a program has no standard input, no descriptor of ours, no blocked signal and its own group")
    func surroundings() async throws {
        let results = try await run([
            "cat; ls /proc/self/fd | wc -l", "grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\t\\n'",
            "test $$ = $(ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat) && echo own", "echo $LC_ALL",
        ])
        #expect(results[0] == .output(Array("4\n".utf8)))
        // 32 and 33 belong to the C library, which ignores them in a new program.
        let none = ["0000000000000000", "0000000180000000"]
        #expect(none.contains { results[1] == .output(Array("SigBlk:0000000000000000SigIgn:\($0)".utf8)) })
        #expect(results[2] == .output(Array("own\n".utf8)))
        #expect(results[3] == .output(Array("C\n".utf8)))
    }
}
