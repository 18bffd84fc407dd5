import CLinux
import Glibc

/// What this process costs its host, as the kernel counts it.
public struct OwnProcess: Sendable, Hashable {
    public var residentBytes: UInt64 = 0
    /// Resident memory that is ours alone: what the agent really takes from the machine.
    public var anonymousBytes: UInt64 = 0
    public var threads = 0
    public var openDescriptors = 0
    public var cpuSeconds = 0.0
    public var voluntarySwitches: UInt64 = 0
    public var involuntarySwitches: UInt64 = 0

    /// Reads /proc/self/status, /proc/self/fd and getrusage. Cost: some 50 µs, so only when somebody asks.
    public static func read() -> OwnProcess {
        var own = OwnProcess()
        for line in SmallFile.read("/proc/self/status", limit: 8_192).split(separator: UInt8(ascii: "\n")) {
            let words = line.split { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }
            guard words.count >= 2, let number = UInt64(String(decoding: words[1], as: UTF8.self)) else { continue }
            switch String(decoding: words[0], as: UTF8.self) {
            case "VmRSS:": own.residentBytes = number &* 1024
            case "RssAnon:": own.anonymousBytes = number &* 1024
            case "Threads:": own.threads = Int(clamping: number)
            case "voluntary_ctxt_switches:": own.voluntarySwitches = number
            case "nonvoluntary_ctxt_switches:": own.involuntarySwitches = number
            default: break
            }
        }
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        own.cpuSeconds =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        own.voluntarySwitches = UInt64(clamping: usage.ru_nvcsw)
        own.involuntarySwitches = UInt64(clamping: usage.ru_nivcsw)
        if let directory = opendir("/proc/self/fd") {
            while readdir(directory) != nil { own.openDescriptors += 1 }
            closedir(directory)
            own.openDescriptors = max(0, own.openDescriptors - 3)
        }
        return own
    }

    /// Unmaps the clean, file-backed, read-only pages of start-up code (configuration, argument parsing, TLS set-up);
    /// what is needed again comes back from the page cache. Call once after warm-up and after a reload.
    ///
    /// Why `Anonymous: 0` is required: relocated read-only data and breakpoints are private pages that would be lost.
    /// Why pieces: a fault maps all cached pages of the 64 KiB around it that lie in the same mapping, so that 3.7 MB of
    /// text in use show as 8.7. Differently advised neighbours do not merge: a fault maps no more than its piece.
    /// Measured: 25.8 MB resident become 13.5, with pieces 10.
    public static func dropColdPages() {
        let maps = String(decoding: SmallFile.read("/proc/self/smaps", limit: 4 << 20), as: UTF8.self)
        var candidate: (start: UInt, length: UInt)?
        for line in maps.split(separator: "\n") {
            if let mapping = Mapping(line) {
                candidate = mapping.isCleanFile ? (mapping.start, mapping.length) : nil
            } else if line.hasPrefix("Anonymous:"), let (start, length) = candidate {
                let isClean = line.split(separator: " ").dropFirst().first == "0"
                if isClean, let address = UnsafeMutableRawPointer(bitPattern: start) {
                    madvise(address, Int(length), MADV_DONTNEED)
                    if length >= piecesFrom { split(address, Int(length)) }
                }
                candidate = nil
            }
        }
        malloc_trim(0)
    }

    /// Gives the free pages of the heap back to the system, those between used ones too. Costs milliseconds where the
    /// heap is large.
    public static func giveBackMemory() { malloc_trim(0) }

    /// Allows so many open descriptors, or as many as may be had; returns how many that are.
    ///
    /// Why: the usual limit of 1,024 is one that a process may lift itself.
    static func allowDescriptors(_ count: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return count }
        let wanted = rlim_t(clamping: count)
        if limit.rlim_cur < wanted {
            limit.rlim_cur = min(wanted, limit.rlim_max)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        return Int(clamping: limit.rlim_cur)
    }

    private static let pieceBytes = 32 * 1024
    /// A smaller mapping is not worth the entries in the kernel's tables, some 200 bytes a piece.
    private static let piecesFrom: UInt = 512 * 1024

    /// Advises every other piece of a mapping differently, which splits it.
    private static func split(_ start: UnsafeMutableRawPointer, _ length: Int) {
        for offset in stride(from: 0, to: length - pieceBytes, by: 2 * pieceBytes) {
            madvise(start + offset, pieceBytes, MADV_RANDOM)
        }
    }

    /// The head of a mapping in smaps: `start-end perms offset dev inode path`.
    private struct Mapping {
        let start: UInt
        let length: UInt
        let isCleanFile: Bool

        init?(_ line: Substring) {
            let words = line.split(separator: " ", maxSplits: 5)
            let range = words.first?.split(separator: "-") ?? []
            guard words.count >= 5, range.count == 2, let start = UInt(range[0], radix: 16),
                let end = UInt(range[1], radix: 16), end > start
            else { return nil }
            self.start = start
            length = end - start
            let isFile = words.count == 6 && words[5].drop { $0 == " " }.hasPrefix("/")
            isCleanFile = isFile && (words[1] == "r-xp" || words[1] == "r--p")
        }
    }
}

/// Whole small files, for the agent's own book-keeping (collectors read through their `Host`).
public enum SmallFile {
    /// The first `limit` bytes of a file; empty when it cannot be read.
    public static func read(_ path: String, limit: Int) -> [UInt8] {
        let descriptor = godwit_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < limit {
            let count = Glibc.read(descriptor, &chunk, min(chunk.count, limit - bytes.count))
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}
