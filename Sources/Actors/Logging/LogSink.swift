import CLinux
import Glibc
import Logging
import Pipeline
import Synchronization

/// How log lines are spelled.
public enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// `<6>message key=value`: the journal reads the level from the prefix. Without a journal the level is spelled out.
    case text
    /// One JSON object a line.
    case structured
}

/// Where all log lines of the process end: one descriptor, one level, one format, changeable by a reload.
///
/// A line that repeats (same label, level, text and subject) is written once a minute with the number of repeats, so
/// that a dead link costs one line a minute and not one a second. A reader that has stopped reading loses lines, which
/// the next line counts: it never stops the agent.
/// Bounds: `memoryLimit` remembered lines of 24 bytes; beyond that the memory starts anew.
public final class LogSink: Sendable {
    /// A repeated line is held back for this long.
    public static let repeatWindow = Duration.seconds(60)
    /// Enough for some lines about each of a thousand tunnels.
    static let memoryLimit = 4_096
    /// What a pipe takes at once when it is writable at all; a longer line is cut to its beginning.
    static let lineBytes = Int(PIPE_BUF)

    private struct Repeat {
        var since: Instant
        var suppressed: Int
    }

    private struct State {
        var descriptor: Int32 = 2
        /// The file behind the descriptor; nil for standard error.
        var path: String?
        var level = Logger.Level.info
        var format = LogFormat.text
        var toJournal = false
        var isQuiet = false
        /// By the hash of what makes a line the same: seeded by the process, so that nobody can choose two that meet.
        var repeats: [Int: Repeat] = [:]
        /// Lines that nobody took.
        var lost = 0
    }
    private let state: Mutex<State>

    public init(journal: Bool, descriptor: Int32 = 2) {
        var initial = State()
        initial.descriptor = descriptor
        initial.toJournal = journal
        state = Mutex(initial)
    }

    public var level: Logger.Level { state.withLock(\.level) }

    /// Applies the configuration. `reopen` opens the log file; false when that fails, with `errno`, and nothing changes.
    public func configure(_ agent: AgentConfig, reopen: Bool) -> Bool {
        var descriptor: Int32?
        if reopen && !agent.logFile.isEmpty {
            let opened = LogSink.open(agent.logFile)
            guard opened >= 0 else { return false }
            descriptor = opened
        }
        state.withLock { state in
            state.level = Logger.Level(agent.logLevel)
            state.format = agent.logsJSON ? .structured : .text
            guard let descriptor else { return }
            state.descriptor = descriptor
            state.path = agent.logFile
            state.toJournal = false
        }
        return true
    }

    /// Opens the log file anew, for a rotation that has renamed it; false when that fails, with `errno`: then the lines
    /// go on into the old one.
    public func reopen() -> Bool {
        state.withLock { state in
            guard let path = state.path else { return true }
            let opened = LogSink.open(path)
            guard opened >= 0 else { return false }
            defer { close(opened) }
            // In place, since a line may be on its way to the descriptor.
            return dup3(opened, state.descriptor, O_CLOEXEC) >= 0
        }
    }

    private static func open(_ path: String) -> Int32 {
        // O_NONBLOCK: a FIFO that nobody reads would hang the start, and no signal could end it.
        godwit_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
    }

    /// A live page has the terminal: only what cannot wait is written, when that is where the log goes.
    public func quieten() {
        state.withLock { state in
            if state.descriptor == 2 && isatty(2) == 1 { state.isQuiet = true }
        }
    }

    /// Makes a logger that writes here.
    public func logger(_ label: String) -> Logger { Logger(label: label) { self.backend($0) } }

    /// The same with a level of its own; nil follows the sink's.
    public func logger(_ label: String, level: ConfigLogLevel?) -> Logger {
        var logger = logger(label)
        if let level { logger.logLevel = Logger.Level(level) }
        return logger
    }

    /// The backend of a logger, for `LoggingSystem.bootstrap`.
    public func backend(_ label: String) -> any LogHandler { LogBackend(label: label, sink: self) }

    /// Writes one line, unless it repeats; `descriptor` is the test's, nil the configured one.
    func write(
        label: String, level: Logger.Level, message: String, metadata: Logger.Metadata, to descriptor: Int32? = nil
    ) {
        let now = KernelClock.monotonic()
        let line: (text: String, descriptor: Int32)? = state.withLock { state in
            guard !state.isQuiet || level >= .critical else { return nil }
            var identity = Hasher()
            identity.combine(label)
            identity.combine(level)
            identity.combine(message)
            for key in LogSink.subjectKeys { identity.combine(metadata[key].map { "\($0)" }) }
            guard let repeats = LogSink.admit(identity.finalize(), now, &state) else { return nil }
            guard LogSink.isWritable(descriptor ?? state.descriptor) else {
                state.lost += 1
                return nil
            }
            var metadata = metadata
            if repeats > 0 { metadata["repeated"] = "\(repeats)" }
            if state.lost > 0 { metadata["lines_lost"] = "\(state.lost)" }
            state.lost = 0
            var text = LogSink.line(label, level, message, metadata, state)
            if text.utf8.count > LogSink.lineBytes {
                let start = String(decoding: message.utf8.prefix(512), as: UTF8.self)
                text = LogSink.line(label, level, start, ["bytes_of_line": "\(text.utf8.count)"], state)
            }
            return (text, descriptor ?? state.descriptor)
        }
        guard var line else { return }
        line.text.withUTF8 { bytes in
            // A log that cannot be written must not stop the agent: one try, no loop.
            _ = Glibc.write(line.descriptor, bytes.baseAddress, bytes.count)
        }
    }

    /// Metadata that says what a line is about: with another value it is another line. Only what the configuration and
    /// the host can name stands here (no peer, no scraped target), so that no stranger can fill the log.
    private static let subjectKeys = [
        "address", "changes", "child", "error", "file", "input", "issue", "output", "proxy", "stream", "supervisor",
        "tunnel",
    ]

    /// Whether a line can be written without waiting: a pipe or terminal that nobody reads is full at some time.
    private static func isWritable(_ descriptor: Int32) -> Bool {
        var target = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&target, 1, 0) != 0
    }

    /// How often the line was held back since it was last written; nil = hold it back now.
    private static func admit(_ key: Int, _ now: Instant, _ state: inout State) -> Int? {
        if let known = state.repeats[key], now - known.since < repeatWindow {
            state.repeats[key]?.suppressed += 1
            return nil
        }
        let suppressed = state.repeats[key]?.suppressed ?? 0
        if state.repeats.count >= memoryLimit {
            state.repeats = state.repeats.filter { now - $0.value.since < repeatWindow }
            if state.repeats.count >= memoryLimit { state.repeats.removeAll() }
        }
        state.repeats[key] = Repeat(since: now, suppressed: 0)
        return suppressed
    }

    private static func line(
        _ label: String, _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata, _ state: State
    ) -> String {
        switch state.format {
        case .text: text(label, level, message, metadata, journal: state.toJournal)
        case .structured: json(label, level, message, metadata)
        }
    }

    private static func text(
        _ label: String, _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata, journal: Bool
    ) -> String {
        var line = journal ? "<\(journalPriority(level))>" : "\(UTCTime(KernelClock.wall()).text) \(levelName(level)) "
        line += "\(label): \(singleLine(message))"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(quotedIfNeeded("\(value)"))"
        }
        return line + "\n"
    }

    private static func json(
        _ label: String, _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata
    ) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("time", .string(UTCTime(KernelClock.wall()).text))
        writer.member("level", .string("\(level)"))
        writer.member("logger", .string(label))
        writer.member("msg", .string(message))
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { writer.member(key, .string("\(value)")) }
        writer.endObject()
        return writer.text + "\n"
    }

    /// A hostile name in a message must not forge a second line.
    private static func singleLine(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var line = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { line.append(isControl(scalar) ? "\u{FFFD}" : scalar) }
        return String(line)
    }

    /// C0, DEL and C1, which a terminal takes for the begin of an escape sequence.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
    }

    private static func quotedIfNeeded(_ text: String) -> String {
        let plain = text.utf8.allSatisfy {
            $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") && $0 != 0x7F
        }
        guard !plain || text.isEmpty || text.unicodeScalars.contains(where: isControl) else { return text }
        var writer = JSONWriter()
        // The writer escapes C0; the rest of the controls may stand raw in JSON, but not on a terminal.
        writer.value(
            .string(String(text.unicodeScalars.map { $0.value >= 0x7F && isControl($0) ? "\u{FFFD}" : Character($0) })))
        return writer.text
    }

    private static func journalPriority(_ level: Logger.Level) -> Int {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }

    private static func levelName(_ level: Logger.Level) -> String {
        switch level {
        case .critical: "CRIT"
        case .error: "ERROR"
        case .warning: "WARN"
        case .notice: "NOTE"
        case .info: "INFO"
        case .debug: "DEBUG"
        case .trace: "TRACE"
        }
    }
}

/// A swift-log backend over a shared sink.
struct LogBackend: LogHandler {
    let label: String
    let sink: LogSink
    var metadata: Logger.Metadata = [:]
    /// nil follows the sink, whose level a reload may change.
    private var ownLevel: Logger.Level?
    var logLevel: Logger.Level {
        get { ownLevel ?? sink.level }
        set { ownLevel = newValue }
    }

    init(label: String, sink: LogSink) {
        self.label = label
        self.sink = sink
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        sink.write(
            label: label, level: event.level, message: "\(event.message)",
            metadata: metadata.merging(event.metadata ?? [:]) { _, new in new })
    }
}

extension Logger.Level {
    init(_ level: ConfigLogLevel) {
        switch level {
        case .error: self = .error
        case .warn: self = .warning
        case .info: self = .info
        case .debug: self = .debug
        case .trace: self = .trace
        }
    }
}
