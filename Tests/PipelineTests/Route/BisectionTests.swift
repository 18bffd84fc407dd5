import Pipeline
import Testing

@Suite struct BisectionTests {
    /// Plays a server that refuses every request with one of the `bad` lines in it.
    private func run(_ count: Int, bad: Set<Int>, parts: Int = 1) -> (bisection: BatchBisection, requests: Int) {
        var bisection = BatchBisection(lineCount: count, parts: parts)
        var requests = 0
        var taken: [Int] = []
        while let lines = bisection.next {
            requests += 1
            if bad.contains(where: { lines.contains($0) }) {
                bisection.refused(reason: "bad")
            } else {
                taken += lines
                bisection.accepted()
            }
        }
        #expect(taken == (0..<count).filter { !bad.contains($0) }, "each good line once and in order")
        #expect(bisection.deadLines.map(\.line) == bad.sorted())
        #expect(bisection.settled == count - bad.count)
        return (bisection, requests)
    }

    @Test("one bad line anywhere in 5,000 costs at most 30 requests")
    func oneBadLine() {
        for bad in stride(from: 0, to: 5000, by: 7) { #expect(run(5000, bad: [bad]).requests <= 30) }
        #expect(run(5000, bad: [4999]).requests <= 30)
    }

    @Test("any number of bad lines ends within 2n requests")
    func manyBadLines() {
        var random = JitterSource(seed: 5)
        for _ in 0..<50 {
            let count = Int.random(in: 0...40, using: &random)
            let bad = Set((0..<count).map { _ in Int.random(in: 0..<300, using: &random) })
            #expect(run(300, bad: bad).requests <= 600)
        }
        #expect(run(64, bad: Set(0..<64)).requests <= 128)
        #expect(run(1, bad: [0]).requests == 1)
        #expect(run(0, bad: []).requests == 0)
        #expect(run(10, bad: [3], parts: 4).bisection.isDone)
    }

    @Test("a server that wavers loses nothing: every line is accepted or asked for alone")
    func waveringServer() {
        var bisection = BatchBisection(lineCount: 1000)
        var random = JitterSource(seed: 9)
        var lines = 0
        while let next = bisection.next {
            if next.count > 1, Bool.random(using: &random) {
                bisection.refused(reason: "mood")
            } else {
                lines += next.count
                bisection.accepted()
            }
        }
        #expect(lines == 1000)
        #expect(bisection.deadLines.isEmpty)
    }

    @Test("too large is halved without conclusions about the other half")
    func halves() {
        var bisection = BatchBisection(lineCount: 100)
        var requests = 0
        while let lines = bisection.next {
            requests += 1
            if lines.count > 30 { bisection.tooBig(reason: "413") } else { bisection.accepted(rejected: 1) }
        }
        #expect(requests == 7)
        #expect(bisection.settled == 100)
        #expect(bisection.rejected == 4)
        var single = BatchBisection(lineCount: 1)
        single.tooBig(reason: "413")
        #expect(single.deadLines.first?.line == 0 && single.deadLines.first?.isTooBig == true)
    }

    @Test("a learned limit cuts the next batch and is forgotten after an hour")
    func learnedLimit() {
        let start = Instant(nanoseconds: 5_000_000_000)
        var limit = LearnedLimit()
        #expect(limit.parts(for: 1 << 20, now: start) == 1)
        limit.refused(bytes: 1 << 20, now: start)
        #expect(limit.parts(for: 1 << 20, now: start) == 2)
        limit.refused(bytes: 1 << 19, now: start)
        #expect(limit.parts(for: 1 << 20, now: start) == 4)
        limit.accepted(bytes: 400_000)
        #expect(limit.parts(for: 1 << 20, now: start) == 3)
        #expect(limit.parts(for: 1 << 20, now: start + .seconds(3600)) == 1)
    }

    @Test("lines are found by LF, and inside quotes an LF is text where the count says so")
    func lineIndex() {
        let plain = Array("a v=1 1\nb v=2 2\nc v=3 3".utf8)
        let index = LineIndex(plain, expected: 3)
        #expect(index.count == 3)
        #expect(plain[index.bytes(of: 1..<3)] == plain[8...])
        #expect(index.bytes(of: 5..<9).isEmpty)
        let quoted = Array("a s=\"x\ny\" 1\nb\\ \"c v=2 2\n".utf8)
        #expect(LineIndex(quoted, expected: 2).count == 2)
        let unbalanced = Array("a s=\"x 1\nb v=2 2\n".utf8)
        #expect(LineIndex(unbalanced, expected: 2).count == 2)
        #expect(LineIndex([], expected: 0).count == 0)
    }

    @Test("dead letters are counted all and kept up to their bytes, the newest")
    func deadLetters() {
        var letters = DeadLetters(bytesLimit: 1000)
        for sequence in 0..<100 {
            let line = [UInt8](repeating: 1, count: 30)
            letters.append(.init(line: line, reason: "r", sequence: UInt64(sequence), at: .zero))
        }
        #expect(letters.total == 100)
        #expect(letters.letters.count == 10)
        #expect(letters.letters.last?.sequence == 99)
        letters.append(.init(line: [UInt8](repeating: 1, count: 3000), reason: "r", sequence: 7, at: .zero))
        #expect(letters.total == 101)
        #expect(letters.letters.count == 10)
    }

    @Test("a batch id names the batch, or the lines of it")
    func batchID() {
        #expect(BatchID(instance: "i", sequence: 7).description == "i-7")
        #expect(BatchID(instance: "i", sequence: 7, lines: 0..<2500).description == "i-7.0-2499")
    }
}
