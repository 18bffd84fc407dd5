import Actors
import Pipeline
import Testing

@Suite("Collectors that run programs")
struct ProgramCollectorTests {
    private func answer(_ bench: Bench, _ command: String, _ text: String) {
        bench.host.change { $0.programs[command] = .output(Array(text.utf8)) }
    }

    /// chronyc 4.3, with a server that answers, one that never did, and a clock.
    private static let sources = """
        ^,*,127.0.0.1,3,0,377,5,-0.000000001,-0.000000048,0.000003267
        ^,?,127.0.0.9,0,6,0,4294967295,0.000000000,0.000000000,0.000000000
        #,+,GPS,0,-2,17,1,0.0025,0.0025,0.0001
        """
    private static let stats = """
        127.0.0.1,28,16,11,-0.001,0.049,-0.000000001,0.000000241
        127.0.0.9,0,0,0,0.000,2000.000,0.000000000,4.000000000
        """
    private static let data = """
        127.0.0.1,7F000001,123,127.0.0.1,7F000001,Normal,4,Server,3,0,1,-26,0.000000015,0.000000,0.000000,7F7F0101,,\
        1795241403.567192839,0.000000048,0.000006464,0.000000035,0.000053235,0.50,111,111,1111,No,No,Kernel,Kernel,30
        127.0.0.9,7F000009,123,[UNSPEC],00000000,Normal,0,Invalid,0,0,1,0,1.0,0.0,0.0,00000000,,0.0,0.0,0.0,0.0,0.0
        """

    private func chrony(_ bench: Bench, _ arguments: String = "") {
        answer(
            bench, "chronyc -c -n \(arguments)tracking",
            "7F000001,127.0.0.1,4,1795241416.063,-0.000001157,-0.000000047,0.000000121,-0.003,-0.001,0.053,"
                + "0.000006342,0.000000912,1.0,Not synchronised\n")
        answer(bench, "chronyc -c -n \(arguments)sources", ProgramCollectorTests.sources)
        answer(bench, "chronyc -c -n \(arguments)sourcestats", ProgramCollectorTests.stats)
        answer(bench, "chronyc -c -n \(arguments)ntpdata", ProgramCollectorTests.data)
    }

    @Test("chrony: tracking, and each source in the shape of ntpq")
    func chronyDefault() async throws {
        var bench = try Bench("chrony")
        chrony(bench)
        let (lines, errors) = await bench.gather()
        #expect(errors.isEmpty)
        #expect(
            lines == [
                "chrony,leap_status=not\\ synchronized,reference_id=7F000001,stratum=4 frequency=-0.003,"
                    + "last_offset=-0.000000047,residual_freq=-0.001,rms_offset=0.000000121,"
                    + "root_delay=0.000006342,root_dispersion=0.000000912,skew=0.053,system_time=-0.000001157,"
                    + "update_interval=1",
                "ntpq,refid=127.127.1.1,remote=127.0.0.1,state_prefix=*,stratum=3,type=u delay=0.006464,"
                    + "jitter=0.000241,offset=0.000001,poll=1i,reach=377i,when=5i",
                "ntpq,refid=.INIT.,remote=127.0.0.9,stratum=16,type=u poll=64i,reach=0i",
                "ntpq,refid=.GPS.,remote=GPS,state_prefix=+,stratum=0,type=l offset=-2.5,poll=0i,reach=17i,when=1i",
            ])
    }

    @Test("chrony: who may not see delays gets the rest without a word; what fails else is an error")
    func chronyRights() async throws {
        var bench = try Bench("chrony", ["server": .string("udp://[::1]"), "reach_format": .string("count")])
        chrony(bench, "-h ::1 -p 323 ")
        bench.host.change {
            $0.programs["chronyc -c -n -h ::1 -p 323 ntpdata"] = .failed("501")
            $0.programs["chronyc -c -n -h ::1 -p 323 tracking"] = .output(Array("506 Cannot talk to daemon\n".utf8))
        }
        let (lines, errors) = await bench.gather()
        #expect(errors == ["chrony: tracking has no line of 14 values"])
        #expect(lines.count == 3)
        #expect(
            lines[0] == "ntpq,remote=127.0.0.1,source=[::1]:323,state_prefix=*,stratum=3,type=u "
                + "jitter=0.000241,offset=0.000001,poll=1i,reach=8i,when=5i")
        var silent = try Bench("chrony", ["metrics": .strings([])])
        #expect(await silent.gather() == ([], ["chrony: no such program"]))
    }

    @Test("chrony: sources by the names of the configuration, counts of the server")
    func chronyAll() async throws {
        let all = ["activity", "serverstats", "sources", "sourcestats"]
        let bench = try Bench("chrony", ["metrics": .strings(all), "server": .string("unixgram:///run/c.sock")])
        chrony(bench, "-h /run/c.sock ")
        answer(bench, "chronyc -c -n -h /run/c.sock activity", "2,0,0,0,1\n")
        answer(bench, "chronyc -c -n -h /run/c.sock serverstats", "1,2,3,4,5,6,7,8,9,10,11\n")
        answer(
            bench, "chronyc -c -N -h /run/c.sock sources",
            ProgramCollectorTests.sources.replacing("127.0.0.1", with: "ntp.example"))
        let gather = await bench.collector.gather(at: .zero, now: .zero, deadline: .zero + .seconds(10))
        let lines = Bench.lines(gather.samples)
        #expect(gather.errors.isEmpty)
        #expect(MetricSpec.undeclared(in: gather.samples, ChronyCollector.spec.metrics) == [])
        #expect(lines[0].hasSuffix("burst_offline=0i,burst_online=0i,offline=0i,online=2i,unresolved=1i"))
        #expect(lines[1].contains("cmd_drops=4i") && lines[1].contains("ntp_span_seconds=11i"))
        #expect(
            lines[2] == "chrony_sources,peer=ntp.example,source=/run/c.sock index=0i,ip=\"127.0.0.1\","
                + "latest_measurement=-0.000000001,latest_measurement_error=0.000003267,mode=\"client\",poll=0i,"
                + "reachability=255i,sample=5i,state=\"sync\",stratum=3i")
        #expect(lines[3].hasPrefix("chrony_sourcestats,peer=ntp.example,reference_id=7F000001,source="))
        #expect(lines[4].contains("sample=4294967295i") && lines[4].contains("state=\"unreach\""))
    }

    @Test(
        "chrony: a server that is no address is refused",
        arguments: ["x", "udp://", "udp://a/b", "udp://a:b", "udp://-x", "tcp://a", "unixgram://x"])
    func chronyServers(_ server: String) {
        #expect(throws: CollectorError.self) { try Bench("chrony", ["server": .string(server)]) }
    }

    @Test("sensors: values of each feature; names that nobody would choose, values that are none")
    func sensors() async throws {
        var bench = try Bench("sensors")
        answer(
            bench, "sensors -A -u",
            "coretemp-isa-0000\nPackage id 0:\n  temp1_input: 45.000\n  temp1_max: -100.5\nCore 0:\n"
                + "  temp2_input: x\n\nodd,\"=chip\nA=b, c::\n  in0_min: 1\n  in1_min: 2\n  y\n\nempty\n")
        let (lines, errors) = await bench.gather()
        #expect(errors.isEmpty)
        #expect(
            lines == [
                "sensors,chip=coretemp-isa-0000,feature=package_id_0 temp_input=45,temp_max=-100.5",
                "sensors,chip=odd\\,\"\\=chip,feature=a\\=b\\,_c in_min=2",
            ])
        var numbered = try Bench("sensors", ["remove_numbers": .bool(false)], host: bench.host)
        #expect(await numbered.gather().lines[1].hasSuffix(" in0_min=1,in1_min=2"))
        var absent = try Bench("sensors")
        #expect(await absent.gather() == ([], ["no such program"]))
    }

    private static let list = "systemctl list-units --all --plain --no-legend --no-pager --full --type=service -- "
    private static let shown =
        "Id,LoadState,ActiveState,SubState,UnitFileState,UnitFilePreset,StatusErrno,NRestarts,MainPID,MemoryCurrent,"
        + "MemoryPeak,MemorySwapCurrent,MemorySwapPeak,MemoryAvailable,ActiveEnterTimestamp"

    @Test("systemd_units: states with their numbers; marks in front, states that nobody knows")
    func units() async throws {
        var bench = try Bench("systemd_units", ["pattern": .string("ssh* -.mount")])
        answer(
            bench, ProgramCollectorTests.list + "ssh* -.mount",
            "ssh.service loaded active running OpenBSD Secure Shell server\n"
                + "● x\\x20,\"y.service not-found failed auto-restart x y\nz.service loaded active new\nshort.service a\n"
        )
        let (lines, errors) = await bench.gather()
        #expect(
            lines == [
                "systemd_units,active=active,load=loaded,name=ssh.service,sub=running active_code=0i,load_code=0i,sub_code=0i",
                "systemd_units,active=failed,load=not-found,name=x\\x20\\,\"y.service,sub=auto-restart "
                    + "active_code=3i,load_code=2i,sub_code=13i",
            ])
        #expect(errors == ["systemd_units: z.service is in a state that is not known"])
    }

    @Test("systemd_units: details, of units on disk too; a systemctl that knows no --timestamp is asked again without")
    func details() async throws {
        var bench = try Bench(
            "systemd_units", ["details": .bool(true), "collect_disabled_units": .bool(true)])
        answer(bench, ProgramCollectorTests.list + "*", "ssh.service loaded active running\n")
        answer(
            bench, "systemctl list-unit-files --no-legend --no-pager --full --type=service -- *",
            "ssh.service enabled enabled\noff.service disabled enabled\na@.service static -\n")
        let show = "systemctl show --no-pager --property=\(ProgramCollectorTests.shown)"
        let text = """
            Id=ssh.service
            LoadState=loaded
            ActiveState=active
            SubState=running
            UnitFileState=enabled
            UnitFilePreset=
            StatusErrno=0
            NRestarts=2
            MainPID=77
            MemoryCurrent=4096
            MemoryPeak=18446744073709551615
            MemorySwapCurrent=[not set]
            ActiveEnterTimestamp=Thu 2024-02-29 12:34:56.250000 UTC

            Id=off.service
            LoadState=loaded
            ActiveState=inactive
            SubState=dead
            ActiveEnterTimestamp=

            """
        answer(bench, "\(show) --timestamp=us+utc -- ssh.service off.service", text)
        let gather = await bench.collector.gather(at: .zero, now: .zero, deadline: .zero + .seconds(10))
        #expect(gather.errors.isEmpty)
        #expect(MetricSpec.undeclared(in: gather.samples, SystemdUnitsCollector.spec.metrics) == [])
        #expect(
            Bench.lines(gather.samples) == [
                "systemd_units,active=active,load=loaded,name=ssh.service,state=enabled,sub=running "
                    + "active_code=0i,active_enter_timestamp_us=1709210096250000i,load_code=0i,mem_current=4096i,"
                    + "pid=77i,restarts=2i,status_errno=0i,sub_code=0i",
                "systemd_units,active=inactive,load=loaded,name=off.service,sub=dead active_code=2i,load_code=0i,sub_code=1i",
            ])
        bench.host.change {
            $0.programs["\(show) --timestamp=us+utc -- ssh.service off.service"] = .failed(
                "systemctl: exit status 1: systemctl: unrecognized option '--timestamp=us+utc'")
        }
        answer(bench, "\(show) -- ssh.service off.service", text.replacing(".250000 UTC", with: " CET"))
        let (lines, errors) = await bench.gather()
        #expect(errors.isEmpty && lines.count == 2 && !lines[0].contains("active_enter"))
    }

    @Test("systemd_units: many units are asked for in groups, and no systemd is one error")
    func manyUnits() async throws {
        var bench = try Bench("systemd_units", ["details": .bool(true)])
        #expect(await bench.gather() == ([], ["systemd_units: no such program"]))
        let names = (0..<450).map { "u\($0).service" }
        answer(bench, ProgramCollectorTests.list + "*", names.map { "\($0) loaded active running\n" }.joined())
        for start in stride(from: 0, to: 450, by: 200) {
            let group = names[start..<min(start + 200, 450)]
            answer(
                bench,
                "systemctl show --no-pager --property=\(ProgramCollectorTests.shown) --timestamp=us+utc -- "
                    + group.joined(separator: " "),
                group.map { "Id=\($0)\nLoadState=loaded\nActiveState=active\nSubState=running\n\n" }.joined())
        }
        #expect(await bench.gather().lines.count == 450)
    }

    @Test("cut at every byte, none of the answers traps")
    func cuts() {
        let texts = [
            ProgramCollectorTests.sources, ProgramCollectorTests.stats, ProgramCollectorTests.data,
            "a\nb:\n  c1: 2\n\n", "● a.service loaded active running x\n",
            "Id=a.b\nLoadState=x\nActiveEnterTimestamp=Thu 2024-02-29 12:34:56.250000 UTC\n\n",
        ]
        for text in texts.map({ Array($0.utf8) }) {
            for end in 0...text.count {
                let bytes = Array(text[..<end])
                let rows = ChronyReport.rows(bytes, atLeast: 1)
                for source in ChronySource.parse(bytes) {
                    _ = source.peer("x", stats: rows.first, data: rows.last, reach: .ratio)
                    _ = ChronySource.referenceID(source.name)
                }
                _ = (ChronyTracking.parse(bytes), SensorsReport.parse(bytes, removesNumbers: true))
                _ = (SystemdUnit.list(bytes), SystemdUnit.fileNames(bytes))
                for unit in SystemdUnit.show(bytes) { _ = (unit.activeSince, unit.number("Id")) }
            }
        }
    }

    @Test(
        "when a unit became active: dates and what is none",
        arguments: [
            ("Thu 1970-01-01 00:00:00 UTC", 0), ("Tue 2000-02-29 23:59:59.000001 UTC", 951_868_799_000_001),
            ("Sat 2026-11-21 05:35:30 CET", nil), ("", nil), ("n/a", nil), ("x 2026-13-01 00:00:00 UTC", nil),
            ("x 2026-01-01 24:00:00 UTC", nil), ("x 99999-01-01 00:00:00 UTC", nil),
            ("x 2026-01-01 00:00:nan UTC", nil),
        ] as [(String, UInt64?)])
    func dates(_ text: String, _ microseconds: UInt64?) {
        let unit = SystemdUnit.show(Array("Id=a.b\nActiveEnterTimestamp=\(text)\n".utf8)).first
        #expect(unit?.activeSince == microseconds)
    }

    @Test("procstat emits nothing that is not declared")
    func procstatDeclared() async throws {
        let host = LinuxHost(environment: [:], clock: ManualClock())
        let input = try #require(InputRegistry.plugin("procstat"))
        let collector = try input.make(
            OptionValues(input.spec.options, set: ["pattern": .string("xctest|swift")]), host)
        for second in 0..<2 {
            let now = Instant(nanoseconds: 0) + .seconds(second)
            let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(10))
            #expect(gather.errors.isEmpty && gather.samples.isComplete)
            #expect(MetricSpec.undeclared(in: gather.samples, input.spec.metrics) == [])
        }
    }
}
