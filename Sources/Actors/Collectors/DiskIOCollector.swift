import Pipeline

/// Input `diskio`: counters of block devices from /proc/diskstats, and how busy they were since the gather before.
///
/// Keeps: the counters of the previous gather and, for a minute or until counters fall, name and tags of each device.
/// The time between gathers is monotonic. Rules: `docs/inputs.md`.
public actor DiskIOCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
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
                OptionSpec("rates", .bool(true), "Sums, rates and waiting times that Telegraf does not have."),
            ],
            metrics: [
                MetricSpec(
                    "diskio", tags: ["name", "wwid", "serial"], fields: fields + rateFields,
                    note: "Tags also: the properties that `device_tags` names.")
            ])
    }

    private static let fields: [MetricSpec.Field] = [
        .uint("reads", .count, "/proc/diskstats: column 4"), .uint("writes", .count, "/proc/diskstats: column 8"),
        .uint("merged_reads", .count, "/proc/diskstats: column 5"),
        .uint("merged_writes", .count, "/proc/diskstats: column 9"),
        .uint("read_bytes", .bytes, "/proc/diskstats: column 6, times 512"),
        .uint("write_bytes", .bytes, "/proc/diskstats: column 10, times 512"),
        .uint("read_time", .milliseconds, "/proc/diskstats: column 7"),
        .uint("write_time", .milliseconds, "/proc/diskstats: column 11"),
        .uint("iops_in_progress", .count, "/proc/diskstats: column 12"),
        .uint("io_time", .milliseconds, "/proc/diskstats: column 13"),
        .uint("weighted_io_time", .milliseconds, "/proc/diskstats: column 14"),
        .float("io_await", .milliseconds, "growth of read_time and write_time a request; none without requests"),
        .float("io_svctm", .milliseconds, "growth of io_time a request; none without requests"),
        .float("io_util", .percent, "growth of io_time, of the time between two gathers"),
    ]
    /// With the option `rates`.
    private static let rateFields: [MetricSpec.Field] = [
        .uint("iobytes", .bytes, "read_bytes + write_bytes; option rates"),
        .uint("iocount", .count, "reads + writes; option rates"),
        .uint("merged_iocount", .count, "merged_reads + merged_writes; option rates"),
        .float("iops", .perSecond, "growth of reads and writes; option rates"),
        .float("read_iops", .perSecond, "growth of reads; option rates"),
        .float("write_iops", .perSecond, "growth of writes; option rates"),
        .float("bps", .bytesPerSecond, "growth of read_bytes and write_bytes; option rates"),
        .float("read_bps", .bytesPerSecond, "growth of read_bytes; option rates"),
        .float("write_bps", .bytesPerSecond, "growth of write_bytes; option rates"),
        .float("read_await", .milliseconds, "growth of read_time a read, 0 without reads; option rates"),
        .float("write_await", .milliseconds, "growth of write_time a write, 0 without writes; option rates"),
        .float("await", .milliseconds, "both times a request, 0 without requests; option rates"),
        .float("ioutil", .percent, "growth of io_time, of the time between two gathers; option rates"),
        .float("avgqu_sz", .count, "growth of weighted_io_time a millisecond: requests waiting; option rates"),
    ]

    private struct Known {
        let name: [UInt8]
        let number: [UInt8]
        /// nil when the device is not selected.
        var series: Series?
        var believedUntil: Instant
        var counters: DiskCounters?
        var meter = RateMeter<8>()
    }

    /// How long names, tags and selection are believed.
    private static let tagAge = Duration.seconds(60)

    private let host: any Host
    private let hasRates: Bool
    private let schema: Schema
    private let identity: DiskIdentity
    private let file = HostFile(.proc, "diskstats")
    private var buffer: [UInt8] = []
    private var known: [Known] = []
    private var previous: Instant?

    /// Errors: a glob of `devices` that cannot be compiled.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        hasRates = options.bool("rates")
        schema = Schema(declared: DiskIOCollector.fields + (hasRates ? DiskIOCollector.rateFields : []))
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
            let growth = hasRates ? device.meter.advance(to: row.growing, at: now) : nil
            current.append(device)
            guard let series = device.series else { continue }
            append(row, rates, series, time, to: &gather.samples)
            if hasRates { appendRates(row, growth, to: &gather.samples) }
        }
        known = current
        return gather
    }

    private func append(
        _ row: DiskCounters, _ rates: DiskRates?, _ series: Series, _ time: Timestamp, to samples: inout SampleSet
    ) {
        samples.append(series, schema, at: time)
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

    private func appendRates(_ row: DiskCounters, _ growth: CounterGrowth<8>?, to samples: inout SampleSet) {
        samples.uint(row.sectorsRead.addingSaturated(row.sectorsWritten).multipliedSaturated(by: 512))
        samples.uint(row.reads.addingSaturated(row.writes))
        samples.uint(row.mergedReads.addingSaturated(row.mergedWrites))
        let flow = growth.map { DiskFlow($0) } ?? .unknown
        samples.float(flow.readsPerSecond + flow.writesPerSecond)
        samples.float(flow.readsPerSecond)
        samples.float(flow.writesPerSecond)
        samples.float(flow.bytesReadPerSecond + flow.bytesWrittenPerSecond)
        samples.float(flow.bytesReadPerSecond)
        samples.float(flow.bytesWrittenPerSecond)
        samples.float(flow.readWait)
        samples.float(flow.writeWait)
        samples.float(flow.wait)
        samples.float(flow.utilisation)
        samples.float(flow.queue)
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
