import CLinux
import Glibc
import Pipeline

/// Input `tail`: follows files that grow, and reads points from their lines.
///
/// Owns the descriptors and how far each file was read; a position moves on only when the batcher has the points before
/// it. Lives on a loop of its own, since a disk may hang. Positions are kept in the state directory at each tick and at the
/// end. A file that is moved away is read to its end before the one that takes its place; one that becomes shorter is read
/// from its beginning.
/// Bounds: 1,000 files, 1 MiB a line, `max_undelivered_lines` lines on their way.
public actor TailInput: ServiceInput {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "tail", summary: "Points from the lines that are appended to files.",
            options: [
                OptionSpec("files", .strings([]), "Files or patterns; ** crosses folders."),
                OptionSpec(
                    "initial_read_offset", .string("saved-or-end"),
                    "Where to begin in files that are there at the start.",
                    choices: ["beginning", "end", "saved-or-beginning", "saved-or-end"]),
                OptionSpec("from_beginning", .bool(false), "Old form of initial_read_offset = beginning."),
                OptionSpec(
                    "watch_method", .string("inotify"), "How changes are noticed; poll looks every 250ms.",
                    choices: ["inotify", "poll"]),
                OptionSpec(
                    "max_undelivered_lines", .integer(1_000), "Lines on their way to the batcher.", bounds: 1...100_000),
                OptionSpec("path_tag", .string("path"), "Tag for the path of the file; empty: none."),
                OptionSpec(
                    "pipe", .bool(false), "Whether the file is a named pipe.", refusedBecause: "pipes are not followed"),
                OptionSpec(
                    "character_encoding", .string(""), "Encoding of the files.", choices: ["", "utf-8"]),
                OptionSpec(
                    "filters", .strings([]), "Filters of lines.", refusedBecause: "lines are read as they are"),
                OptionSpec(
                    "multiline", .table([:]), "Lines that belong together.",
                    refusedBecause: "each line is read on its own"),
            ] + ForeignData.options(fallback: "influx"),
            metrics: [
                MetricSpec("*", tags: ["path"], fields: [MetricSpec.Field("*", .float, .none, "lines of the files")])
            ],
            isService: true)
    }

    private let patterns: [String]
    private let beginning: (usesMarks: Bool, isEnd: Bool)
    private let polls: Bool
    private let linesLimit: Int
    private let pathTag: String
    private let options: OptionValues
    private let host: any Host
    private let loop: WorkLoop
    private let statePath: String
    private var files: [String: TailedFile] = [:]
    private var state = TailState()
    private var kept: [UInt8] = []
    private var hasScanned = false
    private var mustExpand = true
    private var watches = InotifyWatches()

    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    public nonisolated var isGathered: Bool { true }

    /// Errors: a data format or a pattern that is not understood.
    public init(options: OptionValues, environment: InputEnvironment) throws {
        patterns = options.strings("files")
        let offset = options.bool("from_beginning") ? "beginning" : options.string("initial_read_offset")
        beginning = (offset.hasPrefix("saved"), offset.hasSuffix("end"))
        polls = options.string("watch_method") == "poll"
        linesLimit = Int(clamping: options.integer("max_undelivered_lines"))
        pathTag = options.string("path_tag")
        self.options = options
        host = environment.host
        loop = environment.files
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in patterns.joined(separator: "\n").utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        statePath =
            environment.stateDirectory.isEmpty
            ? "" : environment.stateDirectory + "/tail-" + String(hash, radix: 16) + ".json"
        do {
            _ = try ForeignData(options: options, measurement: "tail")
            for pattern in patterns { _ = try Glob(pattern, separators: "/") }
        } catch {
            throw CollectorError("tail: \(error)")
        }
    }

    /// Looks for new files, and keeps the positions.
    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        mustExpand = true
        guard let problem = keep() else { return Gather() }
        return Gather(errors: [problem])
    }

    public func serve(_ emitter: any SampleEmitter) async throws {
        if !statePath.isEmpty, beginning.usesMarks { state = TailState(SmallFile.read(statePath, limit: 1 << 20)) }
        if !polls { watches.open() }
        defer {
            watches.close()
            _ = keep()
            files.removeAll()
            hasScanned = false
        }
        while !Task.isCancelled {
            if mustExpand || watches.folderChanged { expand() }
            for path in files.keys.sorted() { await follow(path, emitter) }
            if Task.isCancelled { break }
            // Not more often, however busy the files are.
            try await loop.sleep(for: .milliseconds(polls ? 250 : 20))
            if watches.isOpen {
                // The files are looked at now and then whatever inotify says: it knows nothing of network file systems.
                _ = try await loop.withDeadline(loop.now + .seconds(5)) { await self.waitForChange() }
            }
        }
        try Task.checkCancellation()
    }

    private func waitForChange() async {
        await DescriptorWait(loop: loop).wait(for: [watches.descriptor])
        watches.drain()
    }

    // MARK: Which files

    private func expand() {
        mustExpand = false
        var found: [String] = []
        for pattern in patterns {
            found += pattern.contains("**") ? FileWalk.paths(matching: pattern) : host.paths(matching: pattern)
        }
        for path in found where files[path] == nil && files.count < TailState.filesLimit {
            open(path, isNew: hasScanned)
        }
        hasScanned = true
        for pattern in patterns { watches.add(folder: FileWalk.folder(of: pattern)) }
        for path in files.keys { watches.add(folder: FileWalk.folder(of: path)) }
    }

    private func open(_ path: String, isNew: Bool) {
        let tags = pathTag.isEmpty ? [] : [Tag(pathTag, path)]
        guard let data = try? ForeignData(options: options, measurement: "tail", extraTags: tags) else { return }
        let mark = isNew ? nil : state.marks[path]
        let file = TailedFile(path, data) { identity, size in
            TailState.start(
                mark: mark, device: identity.device, inode: identity.inode, size: size,
                withoutMark: !isNew && beginning.isEnd ? size : 0)
        }
        guard let file else { return }
        files[path] = file
        watches.add(file: path)
    }

    // MARK: What they say

    private func follow(_ path: String, _ emitter: any SampleEmitter) async {
        guard let file = files[path] else { return }
        let fate = file.fate
        var isOverlong = false
        while !Task.isCancelled, let (lines, end) = file.next(lines: linesLimit, isOverlong: &isOverlong) {
            let time = loop.wall
            let result = emitter.attributed { file.data.read(lines: lines, at: time) }
            if !result.errors.isEmpty { await emitter.report(result.errors.map { "\(path): \($0)" }) }
            await emitter.emit(result.samples, patientlyWith: loop)
            // Cancelled before the batcher had them: they are read again at the next start.
            if Task.isCancelled, !result.samples.isEmpty { return }
            file.advance(to: end)
        }
        if isOverlong { await emitter.report(["\(path): a line has more than 1MiB"]) }
        guard fate != .same else { return }
        files[path] = nil
        state.marks[path] = nil
        if fate == .replaced { open(path, isNew: true) }
    }

    // MARK: What is kept

    /// Writes the positions, when they have changed. Returns what went wrong.
    private func keep() -> String? {
        guard !statePath.isEmpty else { return nil }
        for (path, file) in files {
            state.marks[path] = TailState.Mark(
                device: file.identity.device, inode: file.identity.inode, offset: file.offset)
        }
        let bytes = state.encoded
        guard bytes != kept, hasScanned else { return nil }
        let fresh = statePath + ".new"
        let descriptor = godwit_open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return "\(fresh): \(SystemError.text(errno))" }
        let written = write(descriptor, bytes, bytes.count)
        SystemError.close(descriptor)
        guard written == bytes.count, rename(fresh, statePath) == 0 else {
            return "\(statePath): \(SystemError.text(errno))"
        }
        kept = bytes
        return nil
    }
}
