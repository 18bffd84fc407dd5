import Actors
import Pipeline

extension Daemon {
    /// What input `internal` shows of the outputs.
    func outputFigures() async -> [OutputFigures] {
        let batches = await batcher.status()
        var spills: [String: SpillStatus] = [:]
        for stream in layout.streams { spills[stream.name] = await streams[stream.name]?.status() }
        var all: [OutputFigures] = []
        for output in config.outputs {
            guard let stream = layout.stream(of: output.id), let sender = senders[output.id] else { continue }
            let status = await sender.status()
            var figures = OutputFigures(plugin: output.plugin, alias: output.alias, id: output.id)
            let reader = spills[stream.name]?.readers.first { $0.name == SpillFiles.sanitised(output.id) }
            if let balance = reader?.balance {
                figures.added = balance.sealed
                figures.written = balance.delivered
                figures.rejected = balance.rejected
                figures.dropped = balance.droppedTotal
                figures.pending = balance.pending
            }
            let limit = Double(config.spill.settings.bytesLimit) / Double(max(1, layout.streams.count))
            if batches.sealedBytes > 0 {
                let points = limit * Double(batches.sealedPoints) / Double(batches.sealedBytes)
                figures.limit = UInt64(exactly: points.rounded()) ?? 0
            }
            figures.failures = status.requests.reduce(0) {
                $1.key == .delivered ? $0 : $0.addingSaturated($1.value)
            }
            figures.bytes = status.bytes
            figures.latency = status.lastLatency ?? .zero
            all.append(figures)
        }
        return all
    }
}
