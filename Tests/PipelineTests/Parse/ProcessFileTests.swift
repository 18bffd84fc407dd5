import Pipeline
import Testing

@Suite("Files of one process")
struct ProcessFileTests {
    /// Linux 6.1 on a virtual machine; the name is made up.
    static let stat =
        "88 (a) b\n,\"=) S 2 88 88 0 -1 4194560 11 12 13 14 150 250 0 0 20 -5 7 0 4711 69238848 1024 "
        + "18446744073709551615 1 1 0 0 0 0 0 4096 17663 0 0 0 17 3 50 1 600 0 0\n"
    static let status =
        "Name:\ta\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nVmPeak:\t 9 kB\nVmLck:\t       4 kB\nVmData:\t 8 kB\n"
        + "VmStk:\t 132 kB\nThreads:\t7\nSigPnd:\t00\nShdPnd:\t0000000000004002\nvoluntary_ctxt_switches:\t150\n"
        + "nonvoluntary_ctxt_switches:\t545\n"
    static let io =
        "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n"
    static let limits =
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        + "Max cpu time              unlimited            unlimited            seconds   \n"
        + "Max open files            1024                 524288               files     \n"
        + "Max nice priority         0                    0                    \n"
    static let smaps =
        "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:  9 kB\nPss:   5 kB\nPss_Dirty: 1 kB\nSwap: 2 kB\n"

    @Test("stat: whatever stands in the name, the columns behind the last bracket count")
    func stat() throws {
        let stat = try ProcessStat.parse(Array(ProcessFileTests.stat.utf8))
        #expect(stat.pid == 88 && stat.name == Array("a) b\n,\"=".utf8) && stat.parent == 2)
        #expect(stat.minorFaults == 11 && stat.childMinorFaults == 12)
        #expect(stat.majorFaults == 13 && stat.childMajorFaults == 14)
        #expect(stat.userTicks == 150 && stat.systemTicks == 250 && stat.nice == -5 && stat.threads == 7)
        #expect(stat.startTicks == 4711 && stat.virtualBytes == 69_238_848 && stat.residentPages == 1024)
        #expect(stat.realtimePriority == 50 && stat.blockedTicks == 600 && stat.stateName == "sleep")
    }

    @Test("stat: what is none of a process is an error", arguments: ["", "x", "1 a S", "(a) S 1", "0 (a) S", "5 (a)"])
    func badStat(_ text: String) {
        #expect(throws: ParseError.self) { try ProcessStat.parse(Array(text.utf8)) }
    }

    @Test("a name that the kernel cut goes on as the program's file name does, if it does")
    func names() throws {
        var stat = try ProcessStat.parse(Array("1 (averylongproces) S 1".utf8))
        func full(_ line: String) -> String {
            String(decoding: stat.fullName(commandLine: Array(line.utf8)), as: UTF8.self)
        }
        #expect(full("/usr/bin/averylongprocessname\0-x\0") == "averylongprocessname")
        #expect(full("averylongprocessname") == "averylongprocessname")
        #expect(full("/bin/other\0averylongprocessname") == "averylongproces")
        #expect(full("") == "averylongproces")
        stat.name = Array("short".utf8)
        #expect(full("shorter") == "short")
    }

    @Test("a command line has blanks for its NULs, and an end, which is no half character")
    func commandLines() {
        #expect(ProcessCommandLine.text(Array("a\0\0b c\0".utf8)) == Array("a b c".utf8))
        #expect(ProcessCommandLine.text([]) == [] && ProcessCommandLine.text([0, 0]) == [])
        let long = Array(repeating: Array("äß".utf8), count: 10_000).flatMap { $0 }
        let cut = ProcessCommandLine.text([UInt8(ascii: "x")] + long)
        #expect(cut.count <= ProcessCommandLine.limit && cut.count > ProcessCommandLine.limit - 4)
        #expect(String(validating: cut, as: UTF8.self) != nil)
        #expect(ProcessCommandLine.text(Array(repeating: 0x80, count: 20_000)).count <= ProcessCommandLine.limit)
    }

    @Test("status, io, limits, smaps: what they hold, and what they lack")
    func details() throws {
        let status = ProcessStatus.parse(Array(ProcessFileTests.status.utf8))
        #expect(status.realUser == 1000 && status.effectiveUser == 0 && status.pendingSignals == 0x4002)
        #expect(status.dataBytes == 8192 && status.stackBytes == 135_168 && status.lockedBytes == 4096)
        #expect(status.voluntarySwitches == 150 && status.involuntarySwitches == 545)
        #expect(ProcessStatus.parse(Array("Uid:\tx\nVmData:\n\n".utf8)) == ProcessStatus())
        let io = try ProcessIO.parse(Array(ProcessFileTests.io.utf8))
        #expect(io.readBytes == 1 && io.writeBytes == 2 && io.readCalls == 3 && io.diskWriteBytes == 6)
        #expect(throws: ParseError.self) { try ProcessIO.parse(Array("rchar: 1\n".utf8)) }
        let limits = ProcessLimits.parse(Array(ProcessFileTests.limits.utf8)).values
        #expect(limits[0] == ProcessLimits.Limit(soft: .max, hard: .max))
        #expect(limits[4] == ProcessLimits.Limit(soft: 1024, hard: 524_288))
        #expect(limits[9] == ProcessLimits.Limit(soft: 0, hard: 0) && limits[1] == nil)
        let map = ProcessMemoryMap.parse(Array((ProcessFileTests.smaps + ProcessFileTests.smaps).utf8))
        #expect(map?.values == [10, 0, 0, 0, 0, 0, 0, 4])
        #expect(ProcessMemoryMap.parse(Array("55d0-7ffd\n".utf8)) == nil)
    }

    @Test("cgroup: a unit is a whole folder of the systemd path, in both layouts")
    func cgroups() {
        func isMember(_ text: String) -> Bool { ProcessCgroup.isMember(Array(text.utf8), of: Array("a.service".utf8)) }
        #expect(isMember("0::/system.slice/a.service\n") && isMember("4:cpu:/\n1:name=systemd:/x/a.service/sub\n"))
        #expect(!isMember("0::/system.slice/aa.service\n") && !isMember("4:cpu:/a.service\n") && !isMember("0::\nx\n"))
        #expect(!ProcessCgroup.isMember(Array("0::/\n".utf8), of: []))
    }

    @Test("passwd: the first of two counts; lines that are none are passed")
    func users() {
        let file = PasswdFile.parse(
            Array("root:x:0:0::/:/b\nadmin:x:0:0:\n\nbad:x:y:\n::\nweb:x:33:33:\nweb:x:34:1:\n".utf8))
        #expect(file.names == [0: "root", 33: "web", 34: "web"])
        #expect(file.numbers == ["root": 0, "admin": 0, "web": 33])
    }

    @Test("supervisorctl: programs that run have a number")
    func supervisor() {
        let text = "web   RUNNING   pid 1234, uptime 1:00:00\ndb    STOPPED   Not started\nx\nodd RUNNING pid\n"
        let programs = SupervisorStatus.parse(Array(text.utf8))
        #expect(programs.map(\.name) == ["web", "db", "odd"] && programs.map(\.pid) == [1234, nil, nil])
    }

    @Test("cut at every byte, none of them traps")
    func cuts() {
        for text in [
            ProcessFileTests.stat, ProcessFileTests.status, ProcessFileTests.io, ProcessFileTests.limits,
            ProcessFileTests.smaps, "1:name=systemd:/x/a.service\n", "root:x:0:0::/:/b\n",
            "web RUNNING pid 12, uptime\n",
        ] {
            let bytes = Array(text.utf8)
            for end in 0...bytes.count { ProcessFileTests.parseAll(Array(bytes[..<end])) }
        }
    }

    private static func parseAll(_ bytes: [UInt8]) {
        if let stat = try? ProcessStat.parse(bytes) { _ = (stat.fullName(commandLine: bytes), stat.stateName) }
        _ = (ProcessCommandLine.text(bytes), ProcessStatus.parse(bytes), try? ProcessIO.parse(bytes))
        _ = (ProcessLimits.parse(bytes), ProcessMemoryMap.parse(bytes), PasswdFile.parse(bytes))
        _ = (ProcessCgroup.isMember(bytes, of: [0x61]), SupervisorStatus.parse(bytes))
    }
}
