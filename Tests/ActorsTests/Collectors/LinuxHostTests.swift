import Actors
import Glibc
import Pipeline
import Testing

@Suite("LinuxHost")
struct LinuxHostTests {
    private let host = LinuxHost(environment: [:], clock: ManualClock())

    /// A folder of this test alone.
    private func makeFolder() throws -> String {
        var template = Array("/tmp/godwit-host-XXXXXX".utf8).map { CChar(bitPattern: $0) } + [0]
        let made = mkdtemp(&template) != nil
        try #require(made)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func write(_ path: String, _ text: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try #require(descriptor >= 0)
        _ = Glibc.write(descriptor, text, text.utf8.count)
        close(descriptor)
    }

    @Test("a kept file is read anew each time")
    func keptFile() throws {
        var buffer: [UInt8] = []
        let file = HostFile(.proc, "self/stat", isSinglePiece: true)
        try host.read(file, into: &buffer)
        let first = buffer
        for _ in 0..<1000 { _ = getpid() }
        try host.read(file, into: &buffer)
        #expect(first.prefix(4) == buffer.prefix(4))
        #expect(!buffer.isEmpty)
    }

    @Test("a file in many pieces is read whole")
    func longFile() throws {
        let folder = try makeFolder()
        let text = String(repeating: "0123456789abcdef", count: 10_000)
        try write(folder + "/long", text)
        let moved = LinuxHost(environment: ["HOST_PROC": folder], clock: ManualClock())
        var buffer: [UInt8] = []
        for isSinglePiece in [true, false] {
            try moved.read(HostFile(.proc, "long", isSinglePiece: isSinglePiece), into: &buffer)
            #expect(buffer == Array(text.utf8))
        }
        #expect(moved.isMoved(.proc) && !moved.isMoved(.sys))
    }

    @Test("a missing file is an error that names it")
    func missingFile() {
        var buffer: [UInt8] = [1]
        let error = #expect(throws: HostError.self) { try host.read(HostFile(.proc, "no/such"), into: &buffer) }
        #expect(error?.code == ENOENT)
        #expect(error?.description == "open /proc/no/such: No such file or directory")
        #expect(buffer.isEmpty)
    }

    @Test("a mount table on procfs says when it changed, a copy of one may always have")
    func mountTableChanges() throws {
        var buffer: [UInt8] = []
        let file = HostFile(.proc, "self/mountinfo")
        #expect(host.mayHaveChanged(file))
        try host.read(file, into: &buffer)
        _ = host.mayHaveChanged(file)
        _ = host.mayHaveChanged(file)
        let folder = try makeFolder()
        try write(folder + "/mountinfo", "x")
        let moved = LinuxHost(environment: ["HOST_PROC_MOUNTINFO": folder + "/mountinfo"], clock: ManualClock())
        let copy = HostFile(.mountTable, "mountinfo")
        try moved.read(copy, into: &buffer)
        #expect(buffer == Array("x".utf8))
        for _ in 0..<3 { #expect(moved.mayHaveChanged(copy)) }
    }

    @Test("the kernel answers for the file systems and interfaces of this machine")
    func systemCalls() throws {
        #expect(try host.usage(of: Array("/".utf8)).blocks > 0)
        #expect(throws: HostError.self) { try host.usage(of: Array("/no/such".utf8)) }
        let loopback = host.interfaceFlags(Array("lo".utf8))
        #expect(loopback == nil || loopback?.isLoopback == true)
        #expect(host.interfaceFlags(Array("no-such-if".utf8)) == nil)
        #expect(host.interfaceFlags([UInt8](repeating: 0x61, count: 300)) == nil)
        #expect(try host.figures().uptime > 0)
        #expect(host.names(in: .proc, "self/fd").contains("0"))
        #expect(host.names(in: .proc, "no/such").isEmpty)
        #expect(host.linkTarget(.proc, "self") == "\(getpid())")
        #expect(host.deviceNumber("null") == "1:3")
        #expect(host.deviceNumber("no-such") == nil)
        #expect(!host.kernel.machine.isEmpty && !host.kernel.release.isEmpty)
    }

    @Test("processes come and go between two passes; kept files and a fresh look agree")
    func processes() throws {
        let files = ProcessFiles()
        func pids(_ files: ProcessFiles) throws -> Set<String> {
            var seen: Set<String> = []
            try host.readProcesses(files) { bytes in
                seen.insert(String(decoding: bytes.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self))
            }
            return seen
        }
        for _ in 0..<3 {
            var child = pid_t()
            let sleep = strdup("sleep")
            let long = strdup("60")
            defer {
                free(sleep)
                free(long)
            }
            try #require(posix_spawnp(&child, "sleep", nil, nil, [sleep, long, nil], nil) == 0)
            let during = try pids(files)
            #expect(during.contains("\(child)") && during.contains("\(getpid())"))
            #expect(try pids(ProcessFiles()).contains("\(child)"))
            kill(child, SIGKILL)
            var status: Int32 = 0
            waitpid(child, &status, 0)
            #expect(try !pids(files).contains("\(child)"))
        }
    }

    @Test("a long table comes in pieces of whole lines")
    func pieces() throws {
        let folder = try makeFolder()
        let lines = (0..<20_000).map { "line \($0)\n" }
        try write(folder + "/long", lines.joined() + "no end")
        let moved = LinuxHost(environment: ["HOST_PROC": folder], clock: ManualClock())
        var buffer: [UInt8] = []
        var whole: [UInt8] = []
        var count = 0
        try moved.readPieces(HostFile(.proc, "long"), &buffer) { bytes, isFirst in
            #expect(isFirst == (count == 0))
            count += 1
            if bytes.last != UInt8(ascii: "\n") { #expect(bytes.count == 6) }
            whole += bytes
        }
        #expect(whole == Array((lines.joined() + "no end").utf8))
        #expect(count > 2)
    }

    /// Inputs that have something to tell on any machine, in the first gather.
    private static let everywhere = [
        "disk", "internal", "interrupts", "kernel", "kernel_vmstat", "linux_sysctl_fs", "mem", "net", "netstat",
        "nstat",
        "processes", "swap", "system",
    ]

    @Test("inputs that read the kernel gather on this machine without an error")
    func everyInput() async throws {
        let now = Instant(nanoseconds: 1_000_000_000_000)
        for name in LinuxHostTests.everywhere + ["cpu", "diskio"] {
            let input = try #require(InputRegistry.plugin(name))
            let collector = try input.make(OptionValues(input.spec.options), host)
            var points = 0
            for _ in 0..<2 {
                let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(10))
                #expect(gather.errors.isEmpty, "\(input.spec.name): \(gather.errors)")
                #expect(gather.samples.isComplete)
                points += gather.samples.rows.count
            }
            #expect(points > 0 || !LinuxHostTests.everywhere.contains(name), "\(name) gave nothing")
        }
    }
}
