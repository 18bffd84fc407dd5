import Actors
import Pipeline

/// A batch source in memory: what it hands out, and what it hears about it.
actor FakeBatchSource: BatchSource {
    struct Resolution: Sendable, Hashable {
        var sequence: UInt64
        var delivered: Int
        var rejected: Int
    }

    private var lanes: [Lane: [StoredBatch]] = [:]
    private var outstanding: [Lane: StoredBatch] = [:]
    private(set) var resolutions: [Resolution] = []
    private(set) var demotions = 0

    func add(_ sequence: UInt64, _ batch: Batch, to lane: Lane = .live) {
        lanes[lane, default: []].append(StoredBatch(sequence: sequence, pointsBefore: 0, batch: batch))
    }

    func next(for reader: String, lane: Lane) async throws -> StoredBatch {
        while true {
            if let batch = outstanding[lane] { return batch }
            if lanes[lane]?.isEmpty == false, let batch = lanes[lane]?.removeFirst() {
                outstanding[lane] = batch
                return batch
            }
            try Task.checkCancellation()
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    func resolve(_ sequence: UInt64, for reader: String, delivered: Int, rejected: Int) {
        for lane in Lane.allCases where outstanding[lane]?.sequence == sequence { outstanding[lane] = nil }
        resolutions.append(
            Resolution(sequence: sequence, delivered: delivered, rejected: rejected))
    }

    func demote(reader: String) {
        demotions += 1
        if let batch = outstanding.removeValue(forKey: .live) { lanes[.replay, default: []].append(batch) }
        lanes[.replay, default: []] += lanes[.live] ?? []
        lanes[.live] = []
    }
}
