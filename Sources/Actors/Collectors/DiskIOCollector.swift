import Pipeline

/// Input `diskio`: counters of block devices from /proc/diskstats, and how busy they were since the gather before.
///
/// Keeps: the counters of the previous gather and, for a minute or until counters fall, name and tags of each device.
/// The time between gathers is monotonic. Rules: `docs/inputs.md`.
public actor DiskIOCollector: Collector {
    public static let spec = PluginSpec(
        name: "diskio", summary: "Counters of block devices.",
        options: [
            OptionSpec(
                "devices", .strings([]),
                "Only these devices: names or links below /dev, or globs of both; empty: all."),
            OptionSpec("skip_serial_number", .bool(true), "No tag serial."),
            OptionSpec("device_tags", .strings([]), "Properties of udev that become tags."),
            OptionSpec(
                "name_templates", .strings([]),
                "What the tag name shows: the first of these whose $PROPERTY and ${PROPERTY} all exist."),
        ])

    private struct Known {
        let name: [UInt8]
        let number: [UInt8]
        /// nil when the device is not selected.
        var series: Series?
        var believedUntil: Instant
        var counters: DiskCounters?
    }

    private static let schema = Schema([
        .uint("reads"), .uint("writes"), .uint("merged_reads"), .uint("merged_writes"), .uint("read_bytes"),
        .uint("write_bytes"), .uint("read_time"), .uint("write_time"), .uint("iops_in_progress"), .uint("io_time"),
        .uint("weighted_io_time"), .float("io_await"), .float("io_svctm"), .float("io_util"),
    ])
    /// How long names, tags and selection are believed.
    private static let tagAge = Duration.seconds(60)

    private let host: any Host
    private let identity: DiskIdentity
    private let file = HostFile(.proc, "diskstats")
    private var buffer: [UInt8] = []
    private var known: [Known] = []
    private var previous: Instant?

    /// Errors: a glob of `devices` that cannot be compiled.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        identity = try DiskIdentity(options: options, host: host)
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let rows: [DiskCounters]
        do {
            try host.read(file, into: &buffer)
            rows = try ProcDiskstats.parse(buffer)
        } catch {
            return Gather(errors: ["\(error)"])
        }
        let elapsed = previous.map { (now - $0).wholeNanoseconds / 1_000_000 } ?? 0
        previous = now
        var gather = Gather()
        var current: [Known] = []
        current.reserveCapacity(rows.count)
        for (index, row) in rows.enumerated() {
            var device = entry(row, near: index, now)
            let rates = device.counters.flatMap { row.rates(since: $0, elapsed: elapsed) }
            if device.counters != nil, rates == nil || now >= device.believedUntil { refresh(&device, now) }
            device.counters = row
            current.append(device)
            if let series = device.series { append(row, rates, series, time, to: &gather.samples) }
        }
        known = current
        return gather
    }

    private func append(
        _ row: DiskCounters, _ rates: DiskRates?, _ series: Series, _ time: Timestamp, to samples: inout SampleSet
    ) {
        samples.append(series, DiskIOCollector.schema, at: time)
        samples.uint(row.reads)
        samples.uint(row.writes)
        samples.uint(row.mergedReads)
        samples.uint(row.mergedWrites)
        samples.uint(row.sectorsRead.multipliedSaturated(by: 512))
        samples.uint(row.sectorsWritten.multipliedSaturated(by: 512))
        samples.uint(row.readTime)
        samples.uint(row.writeTime)
        samples.uint(row.inProgress)
        samples.uint(row.ioTime)
        samples.uint(row.weightedIOTime)
        // What is no number is left out of the line.
        samples.float(rates?.await ?? .nan)
        samples.float(rates?.serviceTime ?? .nan)
        samples.float(rates?.utilisation ?? .nan)
    }

    /// What is kept of the device: as a rule it stands where it stood.
    private func entry(_ row: DiskCounters, near index: Int, _ now: Instant) -> Known {
        let cursor = ByteCursor(buffer)
        func isSame(_ device: Known) -> Bool {
            cursor.equals(row.name, device.name) && cursor.equals(row.number, device.number)
        }
        if index < known.count, isSame(known[index]) { return known[index] }
        if let found = known.first(where: isSame) { return found }
        var device = Known(
            name: Array(buffer[row.name]), number: Array(buffer[row.number]), series: nil, believedUntil: now,
            counters: nil)
        refresh(&device, now)
        return device
    }

    private func refresh(_ device: inout Known, _ now: Instant) {
        let tags = identity.tags(of: String(decoding: device.name, as: UTF8.self))
        // What the batcher derives from a series is cached by its identity: the same tags keep the same object.
        if tags.map(Series.normalized) != device.series?.tags {
            device.series = tags.map { Series("diskio", tags: $0) }
        }
        device.believedUntil = now + DiskIOCollector.tagAge
    }
}
