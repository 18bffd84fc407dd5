/// Which outputs share a stream of batches.
///
/// Points are encoded, compressed and spilled once per stream. Outputs that change nothing about them share the stream
/// `default`, each with a cursor of its own; those of Prometheus, which take what no database does, share `exact`. An
/// output with names, filters or an encoding of its own has its own stream, named like its folder.
public struct StreamLayout: Sendable, Hashable {
    public struct Stream: Sendable, Hashable {
        public var name: String
        public var encoding: OutputEncoding
        public var codec: PayloadCodec
        /// Ids of the outputs that read it, in configured order; never empty.
        public var outputs: [String]
    }

    public static let sharedName = "default"
    public static let exactName = "exact"

    public private(set) var streams: [Stream] = []

    public init(_ config: Config) {
        var shared: [String] = []
        for (name, writesSpecials) in [(StreamLayout.sharedName, false), (StreamLayout.exactName, true)] {
            let plain = OutputEncoding(
                metric: MetricOptions(), flush: FlushConfig(config.agent), writesUnsigned: false, omitsTimestamp: false,
                isCompressed: nil, writesSpecials: writesSpecials)
            let eligible = config.outputs.filter { $0.encoding.ignoringCompression == plain }
            let wantsGzip = eligible.contains { $0.encoding.isCompressed == true }
            let outputs = eligible.filter { !(wantsGzip && $0.encoding.isCompressed == false) }.map(\.id)
            guard !outputs.isEmpty else { continue }
            shared += outputs
            streams.append(
                Stream(name: name, encoding: plain, codec: wantsGzip ? .gzip : .identity, outputs: outputs))
        }
        for output in config.outputs where !shared.contains(output.id) {
            streams.append(
                Stream(
                    name: output.folderName, encoding: output.encoding,
                    codec: output.encoding.isCompressed == true ? .gzip : .identity, outputs: [output.id]))
        }
    }

    /// The stream that an output reads.
    public func stream(of output: String) -> Stream? { streams.first { $0.outputs.contains(output) } }
}

extension OutputEncoding {
    var ignoringCompression: OutputEncoding {
        var encoding = self
        encoding.isCompressed = nil
        return encoding
    }
}
