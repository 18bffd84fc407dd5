import CLinux
import Glibc
import Pipeline
import Synchronization

/// The crash ledger as a mapped file: who is at work is written there before each gather, and survives the process.
///
/// Cost: two stores a gather, no system call. A file that cannot be had costs the attribution only, never the start.
public final class CrashRecord: Sendable {
    /// The mapped page and who has which slot. The page is written under the lock alone.
    private struct Page {
        /// As a number, because a pointer cannot go from one thread to another.
        var address: UInt
        var ledger: CrashLedger
        var places: [String: Int] = [:]
        var counter: UInt64 = 0

        var base: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: address) }
    }

    /// Collectors that must begin parked, by name.
    public let verdicts: [String: ParkedStart]
    /// Why there is no file; nil when there is one.
    public let failure: String?
    private let page: Mutex<Page>

    /// Opens `crash-record` in `directory`, books the crash of the process before this one, and watches for fatal
    /// signals from now on.
    public init(directory: String, names: [String], version: String, now: Timestamp) {
        let path = directory + "/crash-record"
        var ledger = CrashLedger(bytes: SmallFile.read(path, limit: CrashLedger.byteCount + 1), version: version)
        let found = ledger.begin(names: names, now: now)
        verdicts = Dictionary(found.map { ($0.name, $0.start) }) { first, _ in first }
        let base = Self.map(path)
        failure = base == nil ? "\(path): \(String(cString: strerror(errno)))" : nil
        base?.copyMemory(from: ledger.encoded(), byteCount: CrashLedger.byteCount)
        page = Mutex(Page(address: UInt(bitPattern: base), ledger: ledger))
        if let base { Self.watchSignals(base + CrashLedger.Offset.signal) }
    }

    /// A collector begins to gather.
    public func enter(_ name: String) {
        page.withLock { page in
            guard let base = page.base, let offset = Self.slot(of: name, &page) else { return }
            page.counter &+= 1
            let entry = offset + CrashLedger.Offset.entryInSlot
            base.storeBytes(of: page.counter.littleEndian, toByteOffset: entry, as: UInt64.self)
        }
    }

    /// It has ended, in whatever way but a trap. A trial that ends so is passed.
    public func leave(_ name: String) {
        page.withLock { page in
            guard let base = page.base, let offset = Self.slot(of: name, &page) else { return }
            base.storeBytes(of: 0, toByteOffset: offset + CrashLedger.Offset.entryInSlot, as: UInt64.self)
            base.storeBytes(of: 0, toByteOffset: offset + CrashLedger.Offset.parkingsInSlot, as: UInt8.self)
        }
    }

    private static func slot(of name: String, _ page: inout Page) -> Int? {
        if let known = page.places[name] { return known }
        guard let place = page.ledger.place(for: name) else { return nil }
        let offset = place * CrashLedger.slotBytes
        let bytes = page.ledger.encoded()[offset..<(offset + CrashLedger.slotBytes)]
        page.base?.advanced(by: offset).copyMemory(from: Array(bytes), byteCount: bytes.count)
        page.places[name] = offset
        return offset
    }

    private static func map(_ path: String) -> UnsafeMutableRawPointer? {
        let descriptor = godwit_open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // Allocated, not just extended: a store into a hole of a full disk would be a fatal signal.
        let failure = posix_fallocate(descriptor, 0, off_t(CrashLedger.byteCount))
        guard failure == 0, ftruncate(descriptor, off_t(CrashLedger.byteCount)) == 0 else {
            if failure != 0 { errno = failure }
            return nil
        }
        let base = mmap(nil, CrashLedger.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        return base == MAP_FAILED ? nil : base
    }

    /// The address of the signal field, for the signal's own context, which can take no lock.
    private static let signalField = Atomic<UInt>(0)

    /// Notes the number of a fatal signal that the program caused itself, then lets it be fatal.
    private static func watchSignals(_ field: UnsafeMutableRawPointer) {
        signalField.store(UInt(bitPattern: field), ordering: .sequentiallyConsistent)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { number in
            let address = CrashRecord.signalField.load(ordering: .relaxed)
            UnsafeMutableRawPointer(bitPattern: address)?.storeBytes(of: UInt32(number), as: UInt32.self)
        }
        // Back to the default at once: the instruction that trapped runs again and ends the process as it would have.
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND) | UInt32(SA_NODEFER))
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT] { sigaction(number, &action, nil) }
    }
}
