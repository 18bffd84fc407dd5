import Pipeline

/// Every parser of a kernel file: the first byte chooses one, the rest is the file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzKernelFiles(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let choice = input.byte() % 25
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
    case 12: fuzzCounters(bytes)
    case 13:
        for row in (try? ProcDiskstats.parse(bytes)) ?? [] {
            precondition(row.name.upperBound <= bytes.count && !row.name.isEmpty, "a name outside of the file")
            _ = (row.rates(since: row, elapsed: 0), row.rates(since: row, elapsed: .max))
            var meter = RateMeter<8>()
            _ = meter.advance(to: InlineArray(repeating: 0), at: .zero)
            let growth = meter.advance(to: row.growing, at: Instant(nanoseconds: 1))
            precondition(growth.map { DiskFlow($0).queue.isFinite } ?? false, "growth from 0 that is none")
        }
    case 14:
        var properties = DeviceProperties()
        properties.add(udev: bytes)
        properties.add(uevent: bytes)
        let text = String(decoding: bytes, as: UTF8.self)
        _ = (properties.name([text, "$DEVLINKS"]), DiskSerial.shown(text), DiskSerial.node(of: text))
    case 15:
        var tally = ProcessTally()
        for _ in 0..<2 { if let process = try? ProcPidStat.parse(bytes) { tally.add(process) } }
    case 16, 17: fuzzSockets(bytes)
    case 18:
        for reach in NtpqReach.allCases {
            precondition(NtpqPeer.parse(bytes, reach: reach).peers.allSatisfy(\.hasFields), "a peer without fields")
        }
        _ = ShellWords.split(String(decoding: bytes, as: UTF8.self))
    case 19: fuzzTables(bytes)
    case 20: fuzzProcess(bytes)
    case 21: fuzzPrograms(bytes)
    case 22: fuzzProbes(bytes)
    case 23: fuzzNode(bytes)
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

/// Files of the input `node`.
private func fuzzNode(_ bytes: [UInt8]) {
    let values =
        NodeFiles.sockstat(bytes, pageSize: .max) + NodeFiles.meminfo(bytes) + NodeFiles.netDev(bytes)
        + NodeFiles.diskstats(bytes) { _ in true } + NodeFiles.stat(bytes) + NodeFiles.softnet(bytes)
        + NodeFiles.schedstat(bytes) + NodeFiles.arp(bytes) + NodeFiles.udpQueues(bytes, version: "v4")
        + NodeFiles.release(bytes)
    precondition(values.allSatisfy { $0.measurement.hasPrefix("node_") && !$0.field.isEmpty }, "a value without a name")
    let text = String(decoding: bytes, as: UTF8.self)
    _ = (NodeMetrics.Sensor(text)?.field, NodeMetrics.chip(path: text, name: text, fallback: "x"))
}

/// Files whose names are kept: two readings, the second meets what the first left behind.
private func fuzzCounters(_ bytes: [UInt8]) {
    let half = bytes.count / 2
    var vmstat = ProcVmstat()
    var counters = ProcNetCounters()
    for part in [Array(bytes[..<half]), Array(bytes[half...]), bytes] {
        if (try? vmstat.update(part)) != nil {
            precondition(vmstat.names.count == vmstat.values.count, "names without values")
        }
        counters.updatePairs(part, keepsZeros: true)
        precondition(counters.names.count == counters.values.count, "names without values")
        counters.updateList(part, keepsZeros: false)
        precondition(counters.names.count == counters.values.count, "names without values")
        _ = (ProcVmstat.swapPages(part), ProcVmstat.pagedKibibytes(part))
        _ = try? ProcStatCounters.parse(part)
        _ = try? ProcPressure.parse(part, resource: "cpu")
    }
}

/// Tables of sockets and answers of sock_diag.
private func fuzzSockets(_ bytes: [UInt8]) {
    var tally = SocketTally()
    ProcNetSockets.addInet(bytes, isTCP: true, isFirst: true, to: &tally)
    ProcNetSockets.addInet(bytes, isTCP: false, isFirst: false, to: &tally)
    try? ProcNetSockets.addUnix(bytes, isFirst: true, to: &tally)
    for table in SocketDiag.Table.allCases {
        _ = bytes.withUnsafeBytes { SocketDiag.add($0, table, to: &tally) }
    }
    precondition(tally.udp + tally.tcp.reduce(0, +) <= bytes.count, "more sockets than bytes")
    tally.reset()
}

/// Tables whose rows and columns come from the hardware.
private func fuzzTables(_ bytes: [UInt8]) {
    if let table = try? ProcInterrupts.parse(bytes, source: "interrupts") {
        precondition(table.rows.allSatisfy { $0.counts.count <= table.cpus.count }, "more counts than CPUs")
        for row in table.rows { _ = (ProcInterrupts.tags(row, bytes), table.counts[row.counts]) }
    }
    for row in (try? ConntrackStat.parse(bytes)) ?? [] {
        precondition(row.count == ConntrackStat.names.count, "a row of another number of columns")
    }
    _ = try? NumberFile.list(bytes, limit: 4, source: "x")
    precondition(NumberFile.decimal(bytes).map(\.isFinite) ?? true, "a number that is none")
}

/// The files of one process, and what tells who owns it.
private func fuzzProcess(_ bytes: [UInt8]) {
    if let stat = try? ProcessStat.parse(bytes) {
        precondition(stat.pid > 0 && stat.name.count <= bytes.count, "a process without a number")
        _ = (stat.fullName(commandLine: bytes), stat.stateName)
    }
    precondition(ProcessCommandLine.text(bytes).count <= ProcessCommandLine.limit, "a command line beyond its limit")
    _ = (ProcessStatus.parse(bytes), try? ProcessIO.parse(bytes), ProcessLimits.parse(bytes))
    _ = (ProcessMemoryMap.parse(bytes), PasswdFile.parse(bytes), SupervisorStatus.parse(bytes))
    _ = ProcessCgroup.isMember(bytes, of: Array(bytes.suffix(3)))
}

/// What programs print.
private func fuzzPrograms(_ bytes: [UInt8]) {
    let rows = ChronyReport.rows(bytes, atLeast: 3)
    for source in ChronySource.parse(bytes) {
        for reach in NtpqReach.allCases {
            _ = source.peer("x", stats: rows.first, data: rows.last, reach: reach)
        }
        _ = (ChronySource.referenceID(source.name), source.stateName, source.modeName)
    }
    _ = ChronyTracking.parse(bytes)
    for report in SensorsReport.parse(bytes, removesNumbers: bytes.count % 2 == 0) {
        precondition(!report.values.isEmpty, "a feature without values")
    }
    _ = (SystemdUnit.list(bytes), SystemdUnit.fileNames(bytes))
    for unit in SystemdUnit.show(bytes) { _ = (unit.activeSince, unit.number("MainPID")) }
}

/// What programs print, and what comes from ICMP sockets.
private func fuzzProbes(_ bytes: [UInt8]) {
    if let document = try? XMLDocument.parse(bytes, source: "x") {
        precondition(!document.root.name.isEmpty, "an element without a name")
    }
    _ = try? NvidiaReport.points(bytes)
    let log = Array("<nvidia_smi_log><gpu>".utf8) + bytes + Array("</gpu></nvidia_smi_log>".utf8)
    _ = try? NvidiaReport.points(log)
    let points = SmartReport.points(bytes, device: "sda", type: "sat", exitStatus: 4, attributes: true)
    precondition(points.last?["exit_status"] != nil, "a device without its exit status")
    _ = try? PingOutput.parse(bytes)
    for version in [EchoMessage.Version.ipv4, .ipv6] {
        for hasHeader in [true, false] {
            guard let reply = EchoMessage.reply(bytes[...], version, hasHeader: hasHeader) else { continue }
            precondition(reply.payload.count < bytes.count, "a payload longer than its packet")
        }
    }
    precondition(ControlMessages.hops(bytes).map { 0...255 ~= $0 } ?? true, "more hops than a byte holds")
    _ = HostPort(String(decoding: bytes, as: UTF8.self))
}
