/// `/proc/cpuinfo`: which processors there are, and where they sit.
///
/// Shape: a section per processor with lines `processor\t: 0`, `physical id\t: 0`, `core id\t: 0`, `cpu cores\t: 2`;
/// an empty line ends it. Which names exist depends on the architecture.
public struct ProcCPUInfo: Sendable, Hashable {
    public struct Processor: Sendable, Hashable {
        public var number: UInt64
        /// Empty when the file does not tell.
        public var coreID = ""
        public var physicalID = ""
    }

    public var processors: [Processor] = []
    /// Sum over the sockets of their `cpu cores`; 0 when the file does not tell.
    public var coreCount = 0

    public init() {}

    public static func parse(_ bytes: [UInt8]) -> ProcCPUInfo {
        var cursor = ByteCursor(bytes)
        var info = ProcCPUInfo()
        var coresOfSocket: [UInt64: UInt64] = [:]
        var socket: UInt64?
        var cores: UInt64?
        func endSection() {
            if let socket, let cores { coresOfSocket[socket] = cores }
            socket = nil
            cores = nil
        }
        while cursor.nextLine() {
            let line = cursor.trimmed(cursor.rest)
            guard !line.isEmpty else {
                endSection()
                continue
            }
            // Cheap tests first: most lines are others, and `flags` is long.
            let first = bytes[line.lowerBound] | 0x20
            guard first == UInt8(ascii: "p") || first == UInt8(ascii: "c"),
                let colon = cursor.first(UInt8(ascii: ":"), in: line)
            else { continue }
            let value = cursor.trimmed((colon + 1)..<line.upperBound)
            switch cursor.text(cursor.trimmed(line.lowerBound..<colon)).lowercased() {
            case "processor":
                if let number = cursor.unsigned(in: value) { info.processors.append(Processor(number: number)) }
            case "physical id":
                socket = cursor.unsigned(in: value) ?? socket
                if let last = info.processors.indices.last { info.processors[last].physicalID = cursor.text(value) }
            case "core id":
                if let last = info.processors.indices.last { info.processors[last].coreID = cursor.text(value) }
            case "cpu cores":
                cores = cursor.unsigned(in: value) ?? cores
            default: break
            }
        }
        endSection()
        info.coreCount = Int(clamping: coresOfSocket.values.reduce(into: UInt64(0)) { $0 = $0.addingSaturated($1) })
        return info
    }
}
