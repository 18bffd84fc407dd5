import Glibc

/// One row for `Benchmarks/run.py`: a JSON object on a line of its own.
struct Row {
    var name: String
    var value: Double
    var unit: String
    /// The same work done by the least that could do it, in the same unit and the same run.
    var floor: (value: Double, name: String)?
    /// What is asked for: of the value, not of the ratio.
    var budget: Double?
    var lessIsBetter = false

    func print() {
        var text = "{\"name\":\"\(name)\",\"value\":\(value),\"unit\":\"\(unit)\",\"less_is_better\":\(lessIsBetter)"
        if let floor { text += ",\"floor\":\(floor.value),\"floor_name\":\"\(floor.name)\"" }
        if let budget { text += ",\"budget\":\(budget),\"budget_of_value\":true" }
        // Not buffered: what was measured before a crash is there to read.
        let line = Array((text + "}\n").utf8)
        write(1, line, line.count)
    }
}

/// CPU seconds of this process so far, all threads: on a shared machine the wall clock measures the neighbours.
func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// CPU seconds of one run of `work`: the fastest of several rounds, each long enough to be measured.
func fastest(rounds: Int = 7, repeats: Int = 4, _ work: () -> Void) -> Double {
    work()
    var best = Double.infinity
    for _ in 0..<rounds {
        let start = processorSeconds()
        for _ in 0..<repeats { work() }
        best = min(best, (processorSeconds() - start) / Double(repeats))
    }
    return best
}

/// Bytes copied to another place: nothing that touches every byte once can be cheaper.
func copySeconds(_ bytes: [UInt8]) -> Double {
    var target = [UInt8](repeating: 0, count: max(1, bytes.count))
    return fastest(repeats: 32) {
        bytes.withUnsafeBytes { source in
            target.withUnsafeMutableBytes { $0.copyMemory(from: source) }
        }
    }
}
