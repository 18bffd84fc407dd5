import Glibc
import Pipeline

/// Runs every case of a tree of fixtures against the inputs and decisions of this program.
///
///     fixture-runner [FOLDER]
///
/// The folder is the argument, else GODWIT_FIXTURES, else `../shared/fixtures/telegraf`. The format of the tree is in
/// its `INDEX.md`: a folder with `case.json` is a case, a JSON file at a known path is a list of cases, all else is
/// none.
/// Then the recorded exchanges of PushProx, in the folder that GODWIT_PUSHPROX_SAMPLES names, else in
/// `../shared/fixtures/pushprox`, unless a folder was given.
/// Closes with `N passed, N failed, N skipped`; exit status 1 when a case failed.
@main
struct FixtureRunner {
    static let defaultFolder = "../shared/fixtures/telegraf"

    static func main() async {
        let folder = CommandLine.arguments.dropFirst().first ?? environment("GODWIT_FIXTURES") ?? defaultFolder
        var report = Report()
        guard Files.isFolder(folder) else {
            print("no fixtures at \(folder)")
            for kind in SingleFile.all.map(\.path) + ["case.json"] { report.skip("fixtures", kind, "no such folder") }
            report.close()
            exit(environment("CI") == "true" ? 1 : 0)
        }
        await run(folder, "", &report)
        if CommandLine.arguments.count < 2 {
            PushProxSamples.run(environment("GODWIT_PUSHPROX_SAMPLES") ?? PushProxSamples.defaultFolder, &report)
        }
        report.close()
        exit(report.failed > 0 ? 1 : 0)
    }

    /// Walks `path` below `root` in the order of names.
    private static func run(_ root: String, _ path: String, _ report: inout Report) async {
        let folder = path.isEmpty ? root : "\(root)/\(path)"
        let names = Files.names(folder)
        if names.contains("case.json") {
            await FolderCase(folder: folder, name: path).run(&report)
            return
        }
        for name in names {
            let below = path.isEmpty ? name : "\(path)/\(name)"
            if Files.isFolder("\(root)/\(below)") {
                await run(root, below, &report)
            } else if let kind = SingleFile.all.first(where: { $0.path == below }) {
                await kind.runAll("\(root)/\(below)", &report)
            }
        }
    }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}

/// What became of the cases.
struct Report {
    private(set) var failed = 0
    private var passed = 0
    private var skipped = 0
    private var perGroup: [String: (passed: Int, failed: Int, skipped: Int)] = [:]

    /// Counts a case; each difference is printed, none means passed.
    mutating func add(_ group: String, _ name: String, differences: [String]) {
        if differences.isEmpty {
            passed += 1
            perGroup[group, default: (0, 0, 0)].passed += 1
            return
        }
        failed += 1
        perGroup[group, default: (0, 0, 0)].failed += 1
        print("FAILED  \(name)")
        for difference in differences { print("        \(difference)") }
    }

    mutating func skip(_ group: String, _ name: String, _ reason: String) {
        skipped += 1
        perGroup[group, default: (0, 0, 0)].skipped += 1
        print("skipped \(name): \(reason)")
    }

    /// Prints the count of each group and the sum, alone on the last line.
    func close() {
        for (group, count) in perGroup.sorted(by: { $0.key < $1.key }) {
            print("\(group): \(count.passed) passed, \(count.failed) failed, \(count.skipped) skipped")
        }
        print("\(passed) passed, \(failed) failed, \(skipped) skipped")
    }
}

/// The file system, as far as the runner needs it.
enum Files {
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Names in a folder, sorted.
    static func names(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The whole file; nil, with errno set, when it cannot be read.
    static func read(_ path: String) -> [UInt8]? { read(Array(path.utf8)) }

    static func read(_ path: [UInt8]) -> [UInt8]? {
        let name = path.map { CChar(bitPattern: $0) } + [0]
        let descriptor = open(name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            guard count >= 0 else { return nil }
            if count == 0 { return bytes }
            bytes += piece[..<count]
        }
    }

    static func json(_ path: String) throws -> JSONValue {
        guard let bytes = read(path) else { throw CaseError("\(path) cannot be read") }
        return try JSONValue.parse(bytes)
    }
}

/// A case that is not as the format wants it, or something that the runner does not know.
struct CaseError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
