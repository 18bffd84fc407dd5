import Pipeline
import Testing

@testable import Actors

@Suite("Handing over points with a receipt")
struct HandoverTests {
    private static let set: SampleSet = {
        var set = SampleSet()
        set.append(Series("m"), Schema([.int("v")]), at: .zero)
        set.int(1)
        return set
    }()

    @Test("the sender hears when the batcher has them, and not before")
    func confirmed() async {
        let channel = SampleChannel()
        let elements = channel.open()
        async let handover = channel.deliver(Self.set, from: "x", sealing: true)
        for await element in elements {
            guard case .foreign("x", _, let receipt) = element else { continue }
            #expect(receipt.isSealing)
            receipt.confirm()
            break
        }
        #expect(await handover == .taken)
    }

    @Test("without a batcher there is no room")
    func closed() async {
        #expect(await SampleChannel().deliver(Self.set, from: "x", sealing: false) == .busy)
    }

    @Test("what the batcher never came to is lost, and the sender hears it")
    func lost() async {
        let channel = SampleChannel()
        do {
            let elements = channel.open()
            async let handover = channel.deliver(Self.set, from: "x", sealing: false)
            var iterator = elements.makeAsyncIterator()
            _ = await iterator.next()
            #expect(await handover == .lost)
        }
    }

    @Test("more than the bound are told to come back, and nobody is pushed out")
    func full() async {
        let channel = SampleChannel()
        let elements = channel.open()
        await withTaskGroup(of: Handover.self) { group in
            for _ in 0..<(SampleChannel.foreignCapacity + 20) {
                group.addTask { await channel.deliver(Self.set, from: "x", sealing: false) }
            }
            var busy = 0
            while busy < 20, let handover = await group.next() { busy += handover == .busy ? 1 : 0 }
            #expect(busy == 20)
            var taken = 0
            for await element in elements {
                if case .foreign(_, _, let receipt) = element { receipt.confirm() }
                taken += 1
                if taken == SampleChannel.foreignCapacity { break }
            }
            for await handover in group { #expect(handover == .taken) }
        }
        #expect(channel.droppedPoints == 0)
    }

    @Test("a cancelled sender does not wait")
    func cancelled() async {
        let channel = SampleChannel()
        let elements = channel.open()
        let handover = await withTaskGroup(of: Handover.self) { group in
            group.addTask { await channel.deliver(Self.set, from: "x", sealing: false) }
            group.cancelAll()
            return await group.next()
        }
        #expect(handover == .lost || handover == .busy)
        _ = elements
    }

    @Test("foreign times of another age neither expire at once nor live for ever")
    func age() {
        let now = Timestamp(nanoseconds: 1_000_000_000_000)
        #expect(Batcher.age(now + .seconds(-5), sealedAt: now) == now + .seconds(-5))
        #expect(Batcher.age(.zero, sealedAt: now) == now)
        #expect(Batcher.age(now + .seconds(7_200), sealedAt: now) == now)
    }
}
