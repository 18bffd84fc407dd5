import Glibc
import Pipeline

/// Which files make up the configuration.
struct ConfigPaths: Sendable, Hashable {
    /// `--config`.
    var file: String?
    /// `--config-directory`: all `*.conf` and `*.toml` below them.
    var directories: [String]

    init(file: String? = nil, directories: [String] = []) {
        self.file = file
        self.directories = directories
    }

    /// What is read, in order; the default file only when nothing is named.
    var all: [String] {
        if let file { return [file] + directories }
        return directories.isEmpty ? [Paths.configFile] : directories
    }
}

/// Reads the configuration: files → trees → one tree → environment variables put in → checked `Config`.
///
/// What it promises: every problem of every file in one report. What it refuses: files above 4 MiB, and folders nested
/// beyond `depthLimit`.
enum ConfigFile {
    static let depthLimit = 16
    /// Files of all directories together.
    static let countLimit = 1_000

    /// The files read and checked. `main` is the file to read when the paths name nothing.
    static func load(
        _ paths: ConfigPaths, decoder: ConfigDecoder, main: String = Paths.configFile,
        environment: [String: String] = ConfigFile.environment, isCheck: Bool = false
    ) -> ConfigReport {
        var reading = Reading()
        if let file = paths.file {
            reading.read(file)
        } else if paths.directories.isEmpty {
            reading.read(main)
        }
        for directory in paths.directories { reading.readAll(below: directory) }
        return check(reading, decoder, environment, isCheck: isCheck)
    }

    /// The same for text that is no file, such as a test's.
    static func load(
        text: String, name: String = "config.toml", decoder: ConfigDecoder, environment: [String: String] = [:]
    ) -> ConfigReport {
        var reading = Reading()
        reading.parse(Array(text.utf8), name)
        return check(reading, decoder, environment)
    }

    private static func check(
        _ reading: Reading, _ decoder: ConfigDecoder, _ environment: [String: String], isCheck: Bool = false
    ) -> ConfigReport {
        let (merged, mergeIssues) = ConfigMerge.merge(reading.trees)
        var issues = reading.issues + mergeIssues
        let tree = merged.substituting(environment, key: "", &issues)
        var decoder = decoder
        decoder.filesReadableByOthers.formUnion(reading.readableByOthers)
        decoder.keepsFaulty = isCheck
        decoder.files = reading.trees.map(\.origin.file)
        return examined(decoder.decode(tree, issues: issues), isCheck: isCheck)
    }

    /// The environment of this process.
    static var environment: [String: String] {
        var result: [String: String] = [:]
        var cursor = environ
        while let entry = cursor.pointee {
            let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { result[String(parts[0])] = String(parts[1]) }
            cursor += 1
        }
        return result
    }
}

/// Files read so far.
private struct Reading {
    var trees: [ConfigNode] = []
    var issues: [ConfigIssue] = []
    var readableByOthers: Set<String> = []
    private var count = 0

    mutating func read(_ path: String) {
        count += 1
        guard count <= ConfigFile.countLimit else {
            if count == ConfigFile.countLimit + 1 { complain(path, "more than \(ConfigFile.countLimit) files") }
            return
        }
        // A FIFO that nobody writes to must not hang a reload.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { return complain(path, ConfigFile.reason(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return complain(path, ConfigFile.reason(errno)) }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            return complain(path, "is a directory; use --config-directory")
        }
        if status.st_mode & (S_IRGRP | S_IROTH) != 0 { readableByOthers.insert(path) }
        guard let bytes = content(descriptor) else { return complain(path, ConfigFile.reason(errno)) }
        parse(bytes, path)
    }

    mutating func parse(_ bytes: [UInt8], _ name: String) {
        let (tree, found) = TOMLParser.parse(bytes, file: name)
        trees.append(tree)
        issues += found
    }

    /// All there is, up to one byte more than a file may have; nil, with `errno`, when reading fails.
    private func content(_ descriptor: Int32) -> [UInt8]? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= TOMLParser.sizeLimit {
            let length = Glibc.read(descriptor, &chunk, chunk.count)
            if length < 0 && (errno == EINTR || errno == EAGAIN && ConfigFile.becomesReadable(descriptor)) { continue }
            guard length >= 0 else { return nil }
            if length == 0 { break }
            bytes += chunk[..<length]
        }
        return bytes
    }

    /// Reads `*.conf` and `*.toml` below `directory` in the order of their names, sub-folders in their place. Names that
    /// begin with `..` are skipped: that is how mounted secrets keep their versions.
    mutating func readAll(below directory: String, depth: Int = 0) {
        guard depth < ConfigFile.depthLimit else { return complain(directory, "folders are nested too deeply") }
        guard let names = ConfigFile.names(in: directory) else { return complain(directory, ConfigFile.reason(errno)) }
        for name in names where !name.hasPrefix("..") && name != "." {
            let path = directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
            var status = stat()
            guard stat(path, &status) == 0 else {
                complain(path, ConfigFile.reason(errno))
                continue
            }
            if status.st_mode & S_IFMT == S_IFDIR {
                readAll(below: path, depth: depth + 1)
            } else if name.hasSuffix(".conf") || name.hasSuffix(".toml") {
                read(path)
            }
        }
    }

    private mutating func complain(_ path: String, _ message: String) {
        issues.append(ConfigIssue(.error, ConfigOrigin(file: path, line: 0), "", message))
    }
}

extension ConfigFile {
    /// Waits for the writer of a pipe, up to 5 s; false with `errno` when nothing comes.
    fileprivate static func becomesReadable(_ descriptor: Int32) -> Bool {
        var source = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let count = poll(&source, 1, 5_000)
        if count == 0 { errno = ETIMEDOUT }
        return count > 0
    }

    /// The names in a folder, sorted by their bytes; nil, with `errno`, when it cannot be read.
    fileprivate static func names(in directory: String) -> [String]? {
        guard let handle = opendir(directory) else { return nil }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { names.append(String(cString: $0)) }
            }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    fileprivate static func reason(_ code: Int32) -> String {
        switch code {
        case ENOENT: "there is no such file"
        case EACCES, EPERM: "permission denied"
        case ENOTDIR: "is not a directory"
        default: "cannot be read: \(String(cString: strerror(code)))"
        }
    }
}
