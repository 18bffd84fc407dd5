import Actors
import Pipeline
import Testing

@Suite("NtpqCollector")
struct NtpqCollectorTests {
    private let heading = "     remote           refid      st t when poll reach   delay   offset  jitter\n====\n"

    @Test("one letter of the tally is cut, not all")
    func tally() async throws {
        var bench = try Bench("ntpq")
        let text = heading + "*ox.example 10.1.1.1 2 u 5 64 377 1.5 -0.5 0.25\n+-x 10.1.1.2 2 u - 1h 0 1 +2 3\n"
        bench.host.change { $0.programs["ntpq -p"] = .output(Array(text.utf8)) }
        let (lines, errors) = await bench.gather()
        #expect(errors.isEmpty)
        #expect(
            lines == [
                "ntpq,refid=10.1.1.1,remote=ox.example,state_prefix=*,stratum=2,type=u "
                    + "delay=1.5,jitter=0.25,offset=-0.5,poll=64i,reach=377i,when=5i",
                "ntpq,refid=10.1.1.2,remote=-x,state_prefix=+,stratum=2,type=u "
                    + "delay=1,jitter=3,offset=2,poll=3600i,reach=0i",
            ])
    }

    @Test("each server has its tag and its own errors; a row without any field is dropped")
    func servers() async throws {
        var bench = try Bench(
            "ntpq", ["servers": .strings(["a", "b"]), "options": .string("-p '-c x'"), "dns_lookup": .bool(false)])
        let text = heading + "*n 10.1.1.1 2 u x x 9x x x x\n n 10.1.1.1 2 u 1 2 3 4 5 6\n"
        bench.host.change {
            $0.programs["ntpq -p -c x -n a"] = .output(Array(text.utf8))
            $0.programs["ntpq -p -c x -n b"] = .failed("ntpq: no answer")
        }
        let (lines, errors) = await bench.gather()
        #expect(lines.count == 1 && lines[0].contains(",source=a,"))
        #expect(errors.count == 7)
        #expect(errors.last == "[b] ntpq: no answer")
        #expect(errors.dropLast().allSatisfy { $0.hasPrefix("[a] ntpq: line 3: ") })
    }

    @Test("an open quote in options is an error at the start")
    func openQuote() {
        #expect(throws: CollectorError.self) { try Bench("ntpq", ["options": .string("-p 'x")]) }
    }

    @Test(
        "arguments are cut as a shell does",
        arguments: [
            ("", []), ("  a  b ", ["a", "b"]), ("'a b' \"c d\"", ["a b", "c d"]), ("a\\ b", ["a b"]), ("''", [""]),
            ("\"a\\\"b\\n\"", ["a\"b\\n"]), ("x'y'z", ["xyz"]), ("'", nil), ("\\", nil), ("'\\'", ["\\"]),
        ] as [(String, [String]?)])
    func shellWords(_ line: String, _ words: [String]?) {
        #expect(ShellWords.split(line) == words)
    }

    @Test("output cut at every byte gives peers or nothing, never a trap")
    func cuts() {
        let text = Array((heading + "*a (b) 10.1.1.1 2 u 5d 64m 377 1.5 -0.5 0.25\n").utf8)
        for end in 0...text.count {
            for reach in NtpqReach.allCases { _ = NtpqPeer.parse(Array(text[..<end]), reach: reach) }
        }
    }
}
