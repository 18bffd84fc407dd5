import Actors
import ArgumentParser
import Glibc
import Pipeline

/// `godwit spill check|cat|drop`: the backlog on disk, without the daemon.
struct Spill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look into the backlog on disk.",
        discussion: "check and cat only read and may run beside the daemon; drop needs it stopped.",
        subcommands: [SpillCheck.self, SpillCat.self, SpillDrop.self])
}

/// Which spill directory, and which stream in it.
struct SpillPlace: ParsableArguments {
    @OptionGroup var config: ConfigOptions

    @Option(name: .long, help: "The spill directory (default: that of the configuration).")
    var directory: String?

    /// Errors: exit code 78 when the configuration that would name the directory cannot be read.
    func path() throws -> String {
        if let directory { return directory }
        guard let found = spillDirectory(config: config) else {
            complain("the configuration cannot be read; name the spill directory with --directory")
            throw ExitStatus.configuration
        }
        return found
    }

    /// The stream folders of `directory`, or the one that is asked for.
    /// Errors: exit code 69 when the directory, or the stream in it, is not there.
    func streams(_ directory: String, only stream: String?) throws -> [String] {
        do {
            let all = try SpillInspection.streams(directory)
            guard let stream else { return all }
            if all.contains(stream) { return [stream] }
            complain("no stream \(stream) in \(directory); there are: \(all.joined(separator: ", "))")
        } catch {
            complain("\(error)")
        }
        throw ExitStatus.unavailable
    }
}

/// The spill directory of a configuration; nil when that cannot be read.
func spillDirectory(config: ConfigOptions) -> String? {
    guard let config = config.load(allowsNoOutputs: true).config else { return nil }
    let state = Paths.stateDirectory(config)
    return config.spill.directory.isEmpty ? state + "/spill" : config.spill.directory
}

/// `godwit spill check`: exit code 0 when every byte is sound, 1 when something is damaged.
struct SpillCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check every segment and cursor; changes nothing.",
        discussion: "Exit code 0: sound. Exit code 1: damage found. A torn tail of the newest segment is no damage.")

    @OptionGroup var place: SpillPlace

    @Option(name: .long, help: "Only this stream.")
    var stream: String?

    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func run() throws {
        let directory = try place.path()
        var inspections: [SpillInspection] = []
        for name in try place.streams(directory, only: stream) {
            do {
                inspections.append(try SpillInspection(directory: directory, stream: name))
            } catch {
                complain("\(error)")
                throw ExitStatus.unavailable
            }
        }
        if json {
            emit(String(decoding: Self.json(directory, inspections).encoded(indent: true), as: UTF8.self) + "\n")
        } else {
            emit(inspections.map(Self.text).joined(separator: "\n"))
            if inspections.isEmpty { emit("no stream in \(directory)\n") }
        }
        if !inspections.allSatisfy(\.isSound) { throw ExitCode(1) }
    }

    static func text(_ inspection: SpillInspection) -> String {
        var lines = ["stream \(inspection.stream): \(inspection.isSound ? "sound" : "DAMAGED")"]
        for segment in inspection.segments {
            var parts = ["  \(segment.name)  \(segment.bytes) bytes"]
            if let problem = segment.problem {
                parts.append("PROBLEM: \(problem)")
            } else {
                parts.append("\(segment.records) batches, \(segment.points) points")
                parts.append(segment.isSealed ? "sealed" : "open")
            }
            if segment.corruptRecords > 0 { parts.append("\(segment.corruptRecords) CORRUPT") }
            if segment.damagedBytes > 0 { parts.append("\(segment.damagedBytes) bytes DAMAGED") }
            if let offset = segment.tornAt { parts.append("torn tail at \(offset)") }
            lines.append(parts.joined(separator: ", "))
        }
        for reader in inspection.readers {
            guard let cursor = reader.cursor, let balance = reader.balance else {
                lines.append("  output \(reader.name): cursor DAMAGED (everything on disk is sent again)")
                continue
            }
            let dropped = balance.dropped.sorted { $0.key.rawValue < $1.key.rawValue }
                .map { " \($0.key.rawValue)=\($0.value)" }.joined()
            lines.append(
                "  output \(reader.name)\(cursor.pending.isPaused ? " (orphaned)" : ""): sealed \(balance.sealed) = "
                    + "delivered \(balance.delivered) + rejected \(balance.rejected) + "
                    + "dropped \(balance.droppedTotal)\(dropped) + pending \(balance.pending)")
        }
        for file in inspection.quarantined { lines.append("  quarantined \(file.name), \(file.size) bytes") }
        for file in inspection.unknownFiles { lines.append("  unknown file \(file)") }
        return lines.joined(separator: "\n") + "\n"
    }

    static func json(_ directory: String, _ inspections: [SpillInspection]) -> JSONValue {
        .object([
            JSONMember("directory", .string(directory)),
            JSONMember("sound", .bool(inspections.allSatisfy(\.isSound))),
            JSONMember("streams", .array(inspections.map(stream))),
        ])
    }

    private static func stream(_ inspection: SpillInspection) -> JSONValue {
        .object([
            JSONMember("name", .string(inspection.stream)),
            JSONMember("sound", .bool(inspection.isSound)),
            JSONMember("segments", .array(inspection.segments.map(segment))),
            JSONMember("outputs", .array(inspection.readers.map(reader))),
            JSONMember("quarantined", .array(inspection.quarantined.map { .string($0.name) })),
            JSONMember("unknown_files", .array(inspection.unknownFiles.map { .string($0) })),
        ])
    }

    private static func segment(_ segment: SpillInspection.Segment) -> JSONValue {
        .object([
            JSONMember("name", .string(segment.name)),
            JSONMember("bytes", JSONValue(exactly: segment.bytes)),
            JSONMember("batches", JSONValue(exactly: segment.records)),
            JSONMember("points", JSONValue(exactly: segment.points)),
            JSONMember("corrupt_batches", JSONValue(exactly: segment.corruptRecords)),
            JSONMember("damaged_bytes", JSONValue(exactly: segment.damagedBytes)),
            JSONMember("torn_at", segment.tornAt.map { JSONValue(exactly: $0) } ?? .null),
            JSONMember("sealed", .bool(segment.isSealed)),
            JSONMember("problem", segment.problem.map { .string($0) } ?? .null),
        ])
    }

    private static func reader(_ reader: SpillInspection.Reader) -> JSONValue {
        guard let cursor = reader.cursor, let balance = reader.balance else {
            return .object([JSONMember("name", .string(reader.name)), JSONMember("cursor_valid", .bool(false))])
        }
        let dropped = DropReason.allCases.map {
            JSONMember($0.rawValue, JSONValue(exactly: balance.dropped[$0] ?? 0))
        }
        return .object([
            JSONMember("name", .string(reader.name)),
            JSONMember("cursor_valid", .bool(true)),
            JSONMember("orphaned", .bool(cursor.pending.isPaused)),
            JSONMember("sealed", JSONValue(exactly: balance.sealed)),
            JSONMember("delivered", JSONValue(exactly: balance.delivered)),
            JSONMember("rejected", JSONValue(exactly: balance.rejected)),
            JSONMember("dropped", .object(dropped)),
            JSONMember("pending", JSONValue(exactly: balance.pending)),
        ])
    }
}

/// `godwit spill cat`: line protocol on standard output, oldest first.
struct SpillCat: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cat", abstract: "Print what is on disk as line protocol; changes nothing.")

    @OptionGroup var place: SpillPlace

    @Option(name: .long, help: "Only this stream.")
    var stream: String?

    @Option(name: .long, help: "Only what this output has not got yet.")
    var output: String?

    /// More than any batch of ours inflates to; a damaged or hostile payload ends there.
    private static let inflatedLimit = 64 << 20

    func run() throws {
        let directory = try place.path()
        for name in try place.streams(directory, only: stream) {
            do {
                try SpillInspection.forEachRecord(
                    directory: directory, stream: name, pendingFor: output.map(SpillFiles.sanitised)
                ) { stored in
                    switch stored.batch.codec {
                    case .identity: return emit(String(decoding: stored.batch.payload, as: UTF8.self))
                    case .gzip:
                        do {
                            let bytes = try Gzip.inflate(stored.batch.payload, limit: Self.inflatedLimit)
                            return emit(String(decoding: bytes, as: UTF8.self))
                        } catch {
                            complain("batch \(stored.sequence) cannot be inflated: \(error)")
                            return true
                        }
                    }
                }
            } catch {
                complain("\(error)")
                throw ExitStatus.unavailable
            }
        }
    }
}

/// `godwit spill drop`: gives a backlog up, counted as `dropped_by_operator`.
struct SpillDrop: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop",
        abstract: "Give up the backlog of a stream, or of one output in it. The daemon must be stopped.",
        discussion: "Exit code 75: the daemon holds the directory.")

    @OptionGroup var place: SpillPlace

    @Option(name: .long, help: "The stream whose backlog is given up; may be left out where there is only one.")
    var stream: String?

    @Option(name: .long, help: "Only of this output.")
    var output: String?

    @Flag(name: .long, help: "Really do it.")
    var yes = false

    func run() throws {
        let directory = try place.path()
        let found = try place.streams(directory, only: stream)
        guard found.count == 1, let name = found.first else {
            complain(found.isEmpty ? "there is no backlog" : "name one with --stream: \(found.joined(separator: ", "))")
            throw ExitCode(64)
        }
        guard yes else {
            complain("this deletes points that were not delivered; repeat with --yes (see: godwit spill check)")
            throw ExitCode(64)
        }
        let lock: DirectoryLock
        do throws(DirectoryLock.Failure) {
            lock = try DirectoryLock(directory: directory, file: DirectoryLock.spillFile)
        } catch {
            complain("\(error)")
            if case .held = error { throw ExitStatus.temporaryFailure }
            throw ExitStatus.noPermission
        }
        defer { lock.release() }
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = Timestamp(
            nanoseconds: Int64(time.tv_sec).multipliedSaturated(by: 1_000_000_000).addingSaturated(Int64(time.tv_nsec)))
        do {
            let dropped = try SpillInspection.drop(
                directory: directory, stream: name, reader: output.map(SpillFiles.sanitised), now: now)
            for entry in dropped { emit("output \(entry.reader): \(entry.points) points dropped\n") }
        } catch {
            complain("\(error)")
            throw ExitStatus.cannotCreate
        }
    }
}
