import Testing

@testable import Pipeline

/// The plain truth: one mark per record.
private struct NaiveReader {
    enum Mark { case foreign, pending, delivered, dropped }
    var marks: [Mark] = []
    var points: [UInt64] = []
    var rejected: UInt64 = 0
    var isPaused = false

    func sum(_ mark: Mark) -> UInt64 { zip(marks, points).reduce(0) { $1.0 == mark ? $0 + $1.1 : $0 } }
}

@Suite("pending set") struct PendingSetTests {
    @Test("random operations agree with a mark per record, and the balance is exact after each", arguments: 0..<40)
    func model(_ seed: UInt64) throws {
        var random = SpillSeed(seed &+ 1)
        var naive = NaiveReader()
        var positions = [StreamPosition.origin]
        var pending = PendingSet(from: .origin)
        for step in 0..<300 {
            let end = positions[positions.count - 1]
            let records = naive.marks.count
            let operation = Int.random(in: 0..<12, using: &random)
            switch operation {
            case 0...3:
                let count = UInt64.random(in: 1...9, using: &random)
                naive.marks.append(naive.isPaused ? .foreign : .pending)
                naive.points.append(count)
                positions.append(StreamPosition(sequence: end.sequence + 1, points: end.points + count))
            case 4...7 where records > 0:
                let lane: Lane = Bool.random(using: &random) ? .live : .replay
                var index = Int.random(in: 0..<records, using: &random)
                if operation < 7, let next = pending.next(lane, end: end, isStrict: false) {
                    index = Int(next.start.sequence) - 1
                }
                let span = StreamSpan(positions[index], positions[index + 1])
                let taken = pending.acknowledge(span, delivered: naive.points[index], rejected: 0, end: end)
                if taken {
                    #expect(naive.marks[index] == .pending)
                    naive.marks[index] = .delivered
                }
            case 8 where records > 0:
                let first = Int.random(in: 0..<records, using: &random)
                let last = min(records, first + Int.random(in: 1...5, using: &random))
                let before = pending
                pending.drop(StreamSpan(positions[first], positions[last]), .bytes, end: end)
                guard pending != before else { break }
                for index in first..<last where naive.marks[index] == .pending { naive.marks[index] = .dropped }
            case 9: pending.demote(end: end)
            case 10:
                pending.pause(end: end)
                naive.isPaused = pending.isPaused
            case 11:
                pending.resume(end: end)
                naive.isPaused = false
            default: break
            }
            let now = positions[positions.count - 1]
            let balance = pending.balance(end: now)
            #expect(balance.isExact, "seed \(seed), step \(step)")
            #expect(balance.pending == naive.sum(.pending), "seed \(seed), step \(step)")
            #expect(balance.delivered == naive.sum(.delivered) && balance.droppedTotal == naive.sum(.dropped))
            #expect(pending.ranges.count <= PendingSet.capacity)
            for index in naive.marks.indices {
                let span = StreamSpan(positions[index], positions[index + 1])
                #expect(pending.overlaps(span, end: now) == (naive.marks[index] == .pending), "seed \(seed) \(step)")
            }
            var instance = SpillSeed(1)
            let cursor = Cursor(instance: InstanceID(random: &instance), written: .zero, pending: pending, end: now)
            #expect(Cursor(cursor.bytes) == cursor, "seed \(seed), step \(step)")
        }
    }

    @Test("counts that do not add up are made to, so the balance cannot break")
    func counts() {
        let end = StreamPosition(sequence: 2, points: 10)
        var pending = PendingSet(from: .origin)
        pending.acknowledge(StreamSpan(.origin, end), delivered: 3, rejected: 2, end: end)
        #expect(pending.balance(end: end).dropped == [.undeliverable: 5])
        var greedy = PendingSet(from: .origin)
        greedy.acknowledge(StreamSpan(.origin, end), delivered: 30, rejected: 2, end: end)
        #expect(greedy.balance(end: end) == Balance(sealed: 10, delivered: 10, rejected: 0, dropped: [:], pending: 0))
    }

    @Test("when eight ranges are in use a demotion is refused and the order stays")
    func demotionLimit() {
        var pending = PendingSet(from: .origin)
        var end = StreamPosition.origin
        for round in 0..<9 {
            let first = end
            let middle = StreamPosition(sequence: first.sequence + 1, points: first.points + 1)
            end = StreamPosition(sequence: first.sequence + 2, points: first.points + 2)
            pending.acknowledge(StreamSpan(first, middle), delivered: 1, rejected: 0, end: end)
            let isDemoted = pending.demote(end: end)
            #expect(isDemoted == (round < 8))
        }
        #expect(pending.ranges.count == 8 && pending.live(end: end).batches == 1)
        #expect(pending.balance(end: end).isExact)
    }
}
