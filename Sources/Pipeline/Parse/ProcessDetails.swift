/// `/proc/PID/status`: lines `Key:\tvalue`.
///
/// Units: bytes for memory; the signals are a mask. What is missing or odd is nil.
public struct ProcessStatus: Sendable, Hashable {
    /// Who started it, and with whose rights it runs.
    public var realUser: UInt32?
    public var effectiveUser: UInt32?
    public var dataBytes: UInt64?
    public var stackBytes: UInt64?
    public var lockedBytes: UInt64?
    /// Signals that wait for the process as a whole.
    public var pendingSignals: UInt64?
    public var voluntarySwitches: Int64?
    public var involuntarySwitches: Int64?

    public init() {}

    public static func parse(_ bytes: [UInt8]) -> ProcessStatus {
        var cursor = ByteCursor(bytes)
        var status = ProcessStatus()
        while cursor.nextLine() {
            guard let first = cursor.rest.first else { continue }
            // Most of the lines are none of ours.
            switch bytes[first] {
            case UInt8(ascii: "U"), UInt8(ascii: "V"), UInt8(ascii: "S"), UInt8(ascii: "v"), UInt8(ascii: "n"):
                status.take(&cursor)
            default: break
            }
        }
        return status
    }

    private mutating func take(_ cursor: inout ByteCursor) {
        guard let key = cursor.word() else { return }
        func kibibytes(_ cursor: inout ByteCursor) -> UInt64? {
            cursor.unsigned().map { $0.multipliedSaturated(by: 1024) }
        }
        func count(_ cursor: inout ByteCursor) -> Int64? { cursor.unsigned().map { Int64(clamping: $0) } }
        switch cursor.text(key) {
        case "Uid:":
            realUser = cursor.unsigned().flatMap { UInt32(exactly: $0) }
            effectiveUser = cursor.unsigned().flatMap { UInt32(exactly: $0) }
        case "VmData:": dataBytes = kibibytes(&cursor)
        case "VmStk:": stackBytes = kibibytes(&cursor)
        case "VmLck:": lockedBytes = kibibytes(&cursor)
        case "ShdPnd:": pendingSignals = cursor.word().flatMap { UInt64(cursor.text($0), radix: 16) }
        case "voluntary_ctxt_switches:": voluntarySwitches = count(&cursor)
        case "nonvoluntary_ctxt_switches:": involuntarySwitches = count(&cursor)
        default: break
        }
    }
}

/// `/proc/PID/io`: what a process read and wrote. Shape: `rchar: 123`, a line each.
/// Errors: one of the six numbers is missing.
public struct ProcessIO: Sendable, Hashable {
    public var readCalls: UInt64
    public var writeCalls: UInt64
    /// Through system calls, caches included.
    public var readBytes: UInt64
    public var writeBytes: UInt64
    public var diskReadBytes: UInt64
    public var diskWriteBytes: UInt64

    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> ProcessIO {
        var cursor = ByteCursor(bytes)
        var values: [String: UInt64] = [:]
        while cursor.nextLine() {
            guard let key = cursor.word() else { continue }
            values[cursor.text(key)] = cursor.unsigned()
        }
        guard let readCalls = values["syscr:"], let writeCalls = values["syscw:"], let readBytes = values["rchar:"],
            let writeBytes = values["wchar:"], let diskRead = values["read_bytes:"],
            let diskWrite = values["write_bytes:"]
        else { throw ParseError("PID/io", "misses a number") }
        return ProcessIO(
            readCalls: readCalls, writeCalls: writeCalls, readBytes: readBytes, writeBytes: writeBytes,
            diskReadBytes: diskRead, diskWriteBytes: diskWrite)
    }
}

/// `/proc/PID/smaps_rollup`, or the sum of all parts of `/proc/PID/smaps`: what the memory of a process is made of.
///
/// Shape: `Pss:    123 kB`. Units: KiB.
public struct ProcessMemoryMap: Sendable, Hashable {
    /// The fields of the input with the keys of the file.
    public static let keys = [
        ("memory_pss", "Pss:"), ("memory_shared_clean", "Shared_Clean:"), ("memory_shared_dirty", "Shared_Dirty:"),
        ("memory_private_clean", "Private_Clean:"), ("memory_private_dirty", "Private_Dirty:"),
        ("memory_referenced", "Referenced:"), ("memory_anonymous", "Anonymous:"), ("memory_swap", "Swap:"),
    ]
    private static let keyBytes = keys.map { Array($0.1.utf8) }

    /// One for each of `keys`.
    public var values: [UInt64]

    /// nil when there is no line of such a kind: a kernel thread, or a process that just ended.
    public static func parse(_ bytes: [UInt8]) -> ProcessMemoryMap? {
        var cursor = ByteCursor(bytes)
        var map = ProcessMemoryMap(values: Array(repeating: 0, count: keys.count))
        var isFound = false
        while cursor.nextLine() {
            guard let word = cursor.word(), bytes[word.upperBound - 1] == UInt8(ascii: ":"),
                let index = keyBytes.firstIndex(where: { cursor.equals(word, $0) }), let value = cursor.unsigned()
            else { continue }
            map.values[index] = map.values[index].addingSaturated(value)
            isFound = true
        }
        return isFound ? map : nil
    }
}

/// `/proc/PID/limits`: how much of what a process may use.
///
/// Shape: a heading, then `Max open files            1024                 524288               files`. Limits without a
/// bound are `unlimited`, which reads as the largest number.
public struct ProcessLimits: Sendable, Hashable {
    /// The parts of the field names with the beginnings of the lines.
    public static let names = [
        ("cpu_time", "Max cpu time"), ("memory_data", "Max data size"), ("memory_stack", "Max stack size"),
        ("memory_rss", "Max resident set"), ("num_fds", "Max open files"), ("memory_locked", "Max locked memory"),
        ("memory_vms", "Max address space"), ("file_locks", "Max file locks"),
        ("signals_pending", "Max pending signals"), ("nice_priority", "Max nice priority"),
        ("realtime_priority", "Max realtime priority"),
    ]
    private static let lineStarts = names.map { Array($0.1.utf8) + [0x20] }

    public struct Limit: Sendable, Hashable {
        public var soft: UInt64
        public var hard: UInt64

        public init(soft: UInt64, hard: UInt64) {
            self.soft = soft
            self.hard = hard
        }
    }

    /// One for each of `names`; nil where the file has none.
    public var values: [Limit?]

    public static func parse(_ bytes: [UInt8]) -> ProcessLimits {
        var cursor = ByteCursor(bytes)
        var limits = ProcessLimits(values: Array(repeating: nil, count: names.count))
        while cursor.nextLine() {
            let line = cursor.rest
            guard
                let index = lineStarts.firstIndex(where: { start in
                    line.count > start.count
                        && cursor.equals(line.lowerBound..<(line.lowerBound + start.count), start)
                })
            else { continue }
            for _ in names[index].1.split(separator: " ") { _ = cursor.word() }
            if let soft = value(&cursor), let hard = value(&cursor) {
                limits.values[index] = Limit(soft: soft, hard: hard)
            }
        }
        return limits
    }

    private static func value(_ cursor: inout ByteCursor) -> UInt64? {
        guard let word = cursor.word() else { return nil }
        return cursor.equals(word, unlimited) ? .max : cursor.unsigned(in: word)
    }

    private static let unlimited = Array("unlimited".utf8)
}

/// `/proc/PID/cgroup`: where a process stands in the control groups.
///
/// Shape: `0::/system.slice/x.service`, or for the old hierarchies `1:name=systemd:/system.slice/x.service`.
public enum ProcessCgroup {
    /// Whether one of the folders of its systemd path is `unit`.
    public static func isMember(_ bytes: [UInt8], of unit: [UInt8]) -> Bool {
        guard !unit.isEmpty else { return false }
        var cursor = ByteCursor(bytes)
        while cursor.nextLine() {
            let parts = bytes[cursor.rest].split(
                separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, parts[1].isEmpty || parts[1].elementsEqual("name=systemd".utf8) else { continue }
            if parts[2].split(separator: UInt8(ascii: "/")).contains(where: { $0.elementsEqual(unit) }) { return true }
        }
        return false
    }
}

/// `/etc/passwd`: names of users. Shape: `name:x:1000:…`. Lines without a number are passed.
public struct PasswdFile: Sendable, Hashable {
    public private(set) var names: [UInt32: String] = [:]
    public private(set) var numbers: [String: UInt32] = [:]

    public init() {}

    public static func parse(_ bytes: [UInt8]) -> PasswdFile {
        var cursor = ByteCursor(bytes)
        var file = PasswdFile()
        while cursor.nextLine() {
            let parts = bytes[cursor.rest].split(
                separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count == 4, !parts[0].isEmpty,
                let number = cursor.unsigned(in: parts[2].startIndex..<parts[2].endIndex).flatMap({
                    UInt32(exactly: $0)
                })
            else { continue }
            let name = String(decoding: parts[0], as: UTF8.self)
            // Of two with one number or name the first counts, as for the C library.
            if file.names[number] == nil { file.names[number] = name }
            if file.numbers[name] == nil { file.numbers[name] = number }
        }
        return file
    }
}
