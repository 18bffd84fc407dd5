import Pipeline

/// What a sample costs on its way from line protocol to a compressed write request.
enum RemoteWriteBench {
    static func run(_ payload: [UInt8]) {
        for version in RemoteWriteEncoder.Version.allCases {
            var parser = LineProtocolParser()
            var encoder = RemoteWriteEncoder(version: version)
            var snappy = SnappyCompressor()
            var samples = 0
            func read() {
                var position = LineProtocolParser.Position()
                var issues = LineIssues()
                var isMore = true
                payload.withUnsafeBufferPointer {
                    while isMore {
                        var set = SampleSet()
                        isMore = parser.parse($0, from: &position, at: .zero, into: &set, &issues)
                        encoder.add(set)
                    }
                }
            }
            var packed: [UInt8] = []
            let seconds = fastest(repeats: 1) {
                read()
                let request = encoder.finish()
                samples = request.samples
                packed = snappy.compress(request.message)
            }
            Row(
                name: "remote write \(version.rawValue): lines to message, a sample",
                value: seconds * 1e9 / Double(samples),
                unit: "ns", floor: (copySeconds(payload) * 1e9 / Double(samples), "memcpy of the lines"),
                lessIsBetter: true
            ).print()
            Row(
                name: "remote write \(version.rawValue): bytes a sample", value: Double(packed.count) / Double(samples),
                unit: "B", lessIsBetter: true
            ).print()
        }
    }
}
