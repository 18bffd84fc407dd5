/// The counters of one CPU, or of all together.
///
/// Units: clock ticks since boot (CLK_TCK a second). Kept as doubles, which hold them exactly up to 2^53.
public struct CPUTimes: Sendable, Hashable {
    /// As the file calls it: `cpu0`; the first line's `cpu` reads `cpu-total`.
    public var name: String
    public var user = 0.0
    public var nice = 0.0
    public var system = 0.0
    public var idle = 0.0
    public var iowait = 0.0
    public var irq = 0.0
    public var softirq = 0.0
    public var steal = 0.0
    public var guest = 0.0
    public var guestNice = 0.0

    public init(name: String) { self.name = name }

    /// All time. Guest time is left out: the kernel has counted it in user and nice already.
    public var total: Double { user + system + nice + iowait + irq + softirq + steal + idle }
    /// All time but idle; includes iowait and guest.
    public var active: Double { total - idle }
}

/// The CPU lines of `/proc/stat`.
///
/// Shape: `cpu0 user nice system idle iowait irq softirq [steal [guest [guest_nice]]]`. The first line is the total.
/// A line with fewer than seven values, or with one that is no number, is left out without an error.
/// Source: proc(5).
public struct ProcStat: Sendable, Hashable {
    /// The first line.
    public var total: CPUTimes?
    /// The lines after it that begin with `cpu`, up to the first that does not.
    public var cpus: [CPUTimes] = []

    public init(total: CPUTimes? = nil, cpus: [CPUTimes] = []) {
        self.total = total
        self.cpus = cpus
    }

    /// Reads the first line, and the CPUs after it if `eachCPU`.
    public static func parse(_ bytes: [UInt8], eachCPU: Bool = true) -> ProcStat {
        var cursor = ByteCursor(bytes)
        var stat = ProcStat()
        guard cursor.nextLine() else { return stat }
        stat.total = times(&cursor)
        guard eachCPU else { return stat }
        while cursor.nextLine(), cursor.hasPrefix(cursor.rest, "cpu") {
            if let cpu = times(&cursor) { stat.cpus.append(cpu) }
        }
        return stat
    }

    /// Number of lines `cpuN`, wherever they stand.
    public static func cpuCount(_ bytes: [UInt8]) -> Int {
        var cursor = ByteCursor(bytes)
        var count = 0
        while cursor.nextLine() {
            let line = cursor.rest
            guard cursor.hasPrefix(line, "cpu"), line.count > 3 else { continue }
            if bytes[line.lowerBound + 3] &- UInt8(ascii: "0") < 10 { count += 1 }
        }
        return count
    }

    private static func times(_ cursor: inout ByteCursor) -> CPUTimes? {
        guard let name = cursor.word(), cursor.hasPrefix(name, "cpu") else { return nil }
        var times = CPUTimes(name: name.count == 3 ? "cpu-total" : cursor.text(name))
        guard let user = value(&cursor), let nice = value(&cursor), let system = value(&cursor),
            let idle = value(&cursor), let iowait = value(&cursor), let irq = value(&cursor),
            let softirq = value(&cursor)
        else { return nil }
        times.user = user
        times.nice = nice
        times.system = system
        times.idle = idle
        times.iowait = iowait
        times.irq = irq
        times.softirq = softirq
        // Each of the three came with a later kernel; one that is there must be a number.
        for column in [\CPUTimes.steal, \CPUTimes.guest, \CPUTimes.guestNice] {
            cursor.skipBlanks()
            guard !cursor.isAtLineEnd else { break }
            guard let number = value(&cursor) else { return nil }
            times[keyPath: column] = number
        }
        return times
    }

    @inline(__always)
    private static func value(_ cursor: inout ByteCursor) -> Double? {
        guard let word = cursor.word() else { return nil }
        if let number = cursor.unsigned(in: word) { return Double(number) }
        return Double(cursor.text(word)).flatMap { $0.isFinite ? $0 : nil }
    }
}
