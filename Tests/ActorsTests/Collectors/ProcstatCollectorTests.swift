import Actors
import Glibc
import Pipeline
import Testing

@Suite("ProcstatCollector")
struct ProcstatCollectorTests {
    /// A host with a web server of two processes, a shell of another user, and a thread of the kernel.
    private func host() -> MemoryHost {
        let host = MemoryHost()
        host.file("etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/false\n")
        host.file("proc/stat", "cpu 1\ncpu0 1\ncpu1 1\nbtime 1700000000\n")
        host.file("proc/meminfo", "MemTotal: 4096 kB\n")
        process(host, 10, "nginx", "nginx: master\0", user: 0, parent: 1, unit: "nginx.service")
        process(host, 11, "nginx", "nginx: worker\0", user: 33, parent: 10, unit: "nginx.service")
        process(
            host, 12, "averylongproces", "/usr/bin/averylongprocessname\0-x\0", user: 33, parent: 1, unit: "a.scope")
        process(host, 2, "kthreadd", "", user: 0, parent: 0, unit: "")
        return host
    }

    private func process(
        _ host: MemoryHost, _ pid: Int, _ name: String, _ line: String, user: Int, parent: Int, unit: String,
        cpu: Int = 100
    ) {
        let folder = "proc/\(pid)"
        host.file(
            "\(folder)/stat",
            "\(pid) (\(name)) S \(parent) 1 1 0 -1 0 1 2 3 4 \(cpu) 50 0 0 20 0 1 0 \(1000 + pid) 8192 2 0 1 1 0 0 0 0 0 "
                + "0 0 0 0 0 17 0 0 0 25\n")
        host.file("\(folder)/status", "Uid:\t\(user)\t\(user)\t0\t0\nvoluntary_ctxt_switches:\t5\n")
        host.file("\(folder)/cmdline", line)
        host.file("\(folder)/cgroup", "0::/system.slice/\(unit)\n")
        host.file("\(folder)/fd/0", "")
        host.file("\(folder)/fd/1", "")
    }

    private func names(_ lines: [String]) -> [String] {
        lines.filter { $0.hasPrefix("procstat,") }.compactMap { line in
            line.firstRange(of: "pid=").map { String(line[$0.upperBound...].prefix { $0.isNumber }) }
        }
    }

    @Test(
        "each rule finds its processes",
        arguments: [
            (["exe": "^nginx$"], ["10", "11"]), (["exe": "processname"], ["12"]), (["exe": "averylongproces$"], ["12"]),
            (["pattern": "nginx: (w|x)"], ["11"]), (["pattern": "^kthr"], ["2"]),
            (["pattern": "."], ["2", "10", "11", "12"]),
            (["user": "web"], ["11", "12"]), (["user": "33"], ["11", "12"]),
            (["systemd_unit": "nginx.service"], ["10"]),
            (["systemd_unit": "none.service"], []), (["pid_file": "/run/x.pid"], ["12"]),
            (["cgroup": "system.slice/nginx.*"], ["10", "11"]), (["cgroup": "/sys/fs/cgroup/none"], []),
            (["exe": "a{1,2}very\\D+"], ["12"]), (["exe": "\\d"], []), (["exe": "^[^]\\d]+$"], ["10", "11", "12"]),
            (["exe": "^ngin[[x]$"], ["10", "11"]),
        ] as [([String: String], [String])])
    func rules(_ options: [String: String], _ pids: [String]) async throws {
        let host = host()
        host.file("absolute//run/x.pid", "12\n")
        host.file("sys/fs/cgroup/system.slice/nginx.service/cgroup.procs", "10\n11\n999\n")
        var bench = try Bench("procstat", options.mapValues { .string($0) }, host: host)
        let (lines, errors) = await bench.gather()
        #expect(errors.isEmpty)
        #expect(Set(names(lines)) == Set(pids))
        let lookup = try #require(lines.last)
        #expect(lookup.hasPrefix("procstat_lookup,") && lookup.contains("result=success"))
        #expect(lookup.contains("running=\(pids.count)i") && lookup.contains("result_code=0i"))
    }

    @Test("all fields of a process, by kind and place")
    func fields() async throws {
        let host = host()
        host.file("proc/11/io", "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\n")
        host.file("proc/11/smaps_rollup", "Pss: 7 kB\nSwap: 1 kB\n")
        host.file("proc/11/limits", "Max open files            1024                 unlimited            files\n")
        var bench = try Bench("procstat", ["pattern": .string("worker")], host: host)
        let (lines, errors) = await bench.gather()
        #expect(errors.isEmpty)
        #expect(
            lines == [
                "procstat,pattern=worker,process_name=nginx child_major_faults=4i,child_minor_faults=2i,"
                    + "cmdline=\"nginx: worker\",cpu_time=1i,cpu_time_iowait=0.25,cpu_time_system=0.5,cpu_time_user=1,"
                    + "created_at=1700000010110000000i,disk_read_bytes=5i,disk_write_bytes=6i,major_faults=3i,"
                    + "memory_anonymous=0i,memory_private_clean=0i,memory_private_dirty=0i,memory_pss=7i,"
                    + "memory_referenced=0i,memory_rss=8192i,memory_shared_clean=0i,memory_shared_dirty=0i,"
                    + "memory_size=8i,memory_swap=1i,memory_usage=0.1953125,memory_vms=8192i,minor_faults=1i,"
                    + "nice_priority=20i,num_fds=2i,num_threads=1i,pid=11i,ppid=10i,read_bytes=1i,read_count=3i,"
                    + "realtime_priority=0i,rlimit_num_fds_hard=9223372036854775807i,rlimit_num_fds_soft=1024i,"
                    + "status=\"sleep\",user=\"web\",voluntary_context_switches=5i,write_bytes=2i,write_count=4i",
                "procstat_lookup,pattern=worker,pid_finder=pgrep,result=success pid_count=1i,result_code=0i,running=1i",
            ])
    }

    @Test("cpu_usage is there from the second tick, and not for another process of the same number")
    func usage() async throws {
        let host = host()
        var bench = try Bench(
            "procstat", ["exe": .string("nginx"), "properties": .strings(["cpu"]), "mode": .string("Solaris")],
            host: host)
        #expect(await bench.gather().lines.allSatisfy { !$0.contains("cpu_usage") })
        process(host, 11, "nginx", "", user: 33, parent: 10, unit: "", cpu: 600)
        host.file("proc/10/stat", "10 (nginx) S 1 1 1 0 -1 0 1 2 3 4 900 50 0 0 20 0 1 0 99999 8192 2\n")
        let lines = await bench.gather(after: .seconds(10)).lines.filter { $0.contains("cpu_usage") }
        // Five of ten seconds, on two CPUs.
        #expect(lines.count == 1 && lines[0].contains("pid=11i") && lines[0].contains("cpu_usage=25,"))
        process(host, 11, "nginx", "", user: 33, parent: 10, unit: "", cpu: 1)
        #expect(await bench.gather().lines.contains { $0.contains("pid=11i") && $0.contains("cpu_usage=0,") })
    }

    @Test("tags instead of fields, a prefix, a name of our own")
    func tags() async throws {
        var bench = try Bench(
            "procstat",
            [
                "exe": .string("very"), "tag_with": .strings(["cmdline", "ppid", "status", "user"]),
                "pid_tag": .bool(true), "prefix": .string("p"), "process_name": .string("mine"),
                "properties": .strings(["cpu"]),
            ], host: host())
        let line = try #require(await bench.gather().lines.first)
        #expect(
            line.hasPrefix(
                "procstat,cmdline=/usr/bin/averylongprocessname\\ -x,exe=very,pid=12,ppid=1,process_name=mine,"
                    + "status=sleep,user=web p_child_major_faults=4i,"))
        #expect(!line.contains("memory_rss") && line.contains(",p_num_fds=2i,"))
    }

    @Test("names that nobody should choose stay inside of their tag")
    func hostileNames() async throws {
        let host = host()
        host.change { world in
            world.files["proc/10/stat"] = Array("10 (".utf8) + [0xFF, 0x0A] + Array(",\"=) ) S 1 1\n".utf8)
            world.files["proc/10/cmdline"] = [0xFE] + Array("\n\"\\,= \0".utf8)
        }
        var bench = try Bench("procstat", ["user": .string("root"), "properties": .strings(["memory"])], host: host)
        let lines = await bench.gather().lines
        #expect(lines.count == 3)
        let line = try #require(lines.first { $0.contains("pid=10i") })
        #expect(line.hasPrefix("procstat,process_name=\u{FFFD}\\n\\,\"\\=)\\ ,user=root "))
        #expect(line.contains("cmdline=\"\u{FFFD}\n\\\"\\\\,= \""))
    }

    @Test("a process that vanishes gives no point; what may not be read of one is left out")
    func vanished() async throws {
        let host = host()
        var bench = try Bench("procstat", ["exe": .string(".")], host: host)
        host.change { $0.files["proc/12/status"] = nil }
        host.change { $0.failures["proc/11/stat"] = ESRCH }
        for file in ["io", "smaps_rollup", "smaps", "limits", "cmdline", "fd"] { host.deny("proc/10/\(file)") }
        let (lines, errors) = await bench.gather()
        #expect(errors.isEmpty)
        #expect(Set(names(lines)) == ["10", "2"])
        let line = try #require(lines.first { $0.contains("pid=10i") })
        #expect(!line.contains("num_fds") && !line.contains("read_count") && !line.contains("rlimit"))
        #expect(lines.last?.contains("pid_count=3i,result_code=0i,running=2i") == true)
    }

    @Test("a rule that fails gives an error and a point that says so")
    func failures() async throws {
        for (options, reason) in [
            (["pid_file": "/none"], "/none"), (["user": "nobody-here"], "nobody-here"), (["pid_file": "/bad"], "/bad"),
        ] {
            let host = host()
            host.file("absolute//bad", "-5\n")
            var bench = try Bench("procstat", options.mapValues { .string($0) }, host: host)
            let (lines, errors) = await bench.gather()
            #expect(errors.count == 1 && errors[0].contains(reason))
            #expect(
                lines.count == 1 && lines[0].contains("pid_finder=pgrep") && lines[0].contains("result=lookup_error"))
            #expect(lines[0].hasSuffix(" pid_count=0i,result_code=1i,running=0i"))
        }
    }

    @Test("a unit with its children is a control group, in both layouts")
    func children() async throws {
        for root in ["sys/fs/cgroup/systemd/system.slice", "sys/fs/cgroup/system.slice"] {
            let host = host()
            host.file("\(root)/nginx.service/cgroup.procs", "10\n11\n")
            var bench = try Bench(
                "procstat", ["systemd_unit": .string("nginx.*"), "include_systemd_children": .bool(true)], host: host)
            let lines = await bench.gather().lines
            #expect(names(lines) == ["10", "11"])
            #expect(lines[0].contains("cgroup_full=/\(root)/nginx.service,"))
        }
    }

    @Test("programs of supervisord, with their children")
    func supervisor() async throws {
        var bench = try Bench("procstat", ["supervisor_units": .strings(["web", "db"])], host: host())
        let status = "web  RUNNING  pid 10, uptime 0:00:01\ndb  STOPPED  Not started\n"
        bench.host.change { $0.programs["supervisorctl status web db"] = .output(Array(status.utf8)) }
        let lines = await bench.gather().lines
        #expect(names(lines) == ["10", "11"])
        #expect(lines[0].contains("supervisor_unit=web"))
        #expect(lines[2].contains("supervisor_unit=web;db ") && lines[2].contains("pid_count=2i"))
    }

    @Test(
        "what cannot work is refused at the start",
        arguments: [
            [:], ["exe": .string("(")], ["exe": .string("(?i)x")], ["pattern": .string("a\0b")],
            ["exe": .string("x"), "properties": .strings(["sockets"])],
        ] as [[String: OptionValue]])
    func refused(_ options: [String: OptionValue]) {
        #expect(throws: CollectorError.self) { try Bench("procstat", options) }
    }
}
