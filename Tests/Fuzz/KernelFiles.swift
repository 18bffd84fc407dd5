import Pipeline

/// Every parser of a kernel file: the first byte chooses one, the rest is the file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzKernelFiles(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let choice = input.byte() % 13
    let bytes = input.all
    switch choice {
    case 0:
        let whole = ProcStat.parse(bytes)
        precondition(ProcStat.parse(bytes, eachCPU: false).cpus.isEmpty, "cpus without being asked")
        precondition(whole.cpus.count <= bytes.count, "more CPUs than bytes")
        _ = ProcStat.cpuCount(bytes)
    case 1:
        guard let memory = try? ProcMeminfo.parse(bytes) else { break }
        for key in ProcMeminfo.Key.allCases { _ = (memory.has(key), memory.bytes(key), memory.count(key)) }
        _ = memory.estimatedAvailable(lowWatermarkPages: UInt64(bytes.count), pageSize: 4096)
        _ = memory.estimatedAvailable(lowWatermarkPages: .max, pageSize: .max)
        _ = memory.estimatedAvailable(lowWatermarkPages: nil, pageSize: 4096)
    case 2:
        for row in (try? ProcNetDev.parse(bytes)) ?? [] {
            precondition(row.name.upperBound <= bytes.count && !row.name.isEmpty, "a name outside of the file")
        }
    case 3:
        for mount in (try? MountInfo.parse(bytes)) ?? [] {
            precondition(mount.mountPoint.count <= bytes.count, "a mount point longer than the file")
        }
    case 4: _ = try? ProcMounts.parse(bytes)
    case 5: _ = try? ProcLoadavg.parse(bytes)
    case 6:
        var counters = ProcNetSnmp()
        // Two readings: the second meets what the first left behind.
        let half = bytes.count / 2
        _ = try? counters.update(Array(bytes[..<half]))
        _ = try? counters.update(Array(bytes[half...]))
        _ = try? counters.update(bytes)
    case 7: _ = ProcCPUInfo.parse(bytes)
    case 8: _ = ProcZoneinfo.lowWatermarkPages(bytes)
    case 9:
        let users = Utmp.users(bytes)
        precondition(users.distinct <= users.sessions, "more names than sessions")
    case 10: _ = UdevRecord.label(bytes)
    case 11: _ = OSRelease.parse(bytes)
    default:
        _ = ChassisType.name(String(decoding: bytes, as: UTF8.self))
        var cursor = ByteCursor(bytes)
        var lines = 0
        while cursor.nextLine() {
            lines += 1
            let rest = cursor.rest
            _ = (cursor.signed(in: rest), cursor.decimal(in: rest), cursor.trimmed(rest), cursor.text(rest))
            while let word = cursor.word() { _ = cursor.unsigned(in: word) }
        }
        precondition(lines <= bytes.count, "more lines than bytes")
    }
    return 0
}
