import Actors
import Pipeline
import Testing

@Suite("Inputs that run programs: smart, nvidia_smi, ping with exec")
struct ProgramProbeTests {
    private static let flags = "--info --health --attributes --tolerance=verypermissive -n standby --format=brief"
    private static let healthy = "Device Model: X\nSMART overall-health self-assessment test result: PASSED\n"

    private func exited(_ status: Int, _ output: String, _ errors: String = "") -> ProgramEnd {
        ProgramEnd(
            output: Array(output.utf8), complaint: errors.split(separator: "\n").first.map(String.init) ?? "",
            failure: status == 0 ? nil : "x: exit status \(status)", status: status)
    }

    // MARK: smart

    @Test("smart scans, leaves excluded devices out, and asks each device once")
    func smartScan() async throws {
        let host = MemoryHost()
        host.change {
            $0.ends["smartctl --scan"] = exited(
                0, "/dev/sda -d scsi # /dev/sda, SCSI device\n/dev/sdb -d sat # b\n/dev/nvme0 -d nvme # c\n")
            $0.ends["smartctl --scan --device=nvme"] = exited(0, "/dev/nvme0 -d nvme # c\n")
            for device in ["sda", "nvme0"] {
                $0.ends["smartctl \(ProgramProbeTests.flags) /dev/\(device)"] = exited(
                    4, ProgramProbeTests.healthy)
            }
        }
        var bench = try Bench("smart", ["excludes": .strings(["/dev/sdb"])], host: host)
        let (lines, errors) = await bench.gather()
        #expect(errors == [])
        #expect(
            lines == ["nvme0", "sda"].map { "smart_device,device=\($0),model=X exit_status=4i,health_ok=true" })
        #expect(host.state.ran.count == 4)
    }

    @Test("smart takes devices with options, sudo, another program, and one after the other")
    func smartDevices() async throws {
        let host = MemoryHost()
        let command = "sudo -n /opt/smartctl \(ProgramProbeTests.flags) /dev/bus/0 -d megaraid,4"
        host.change { $0.ends[command] = exited(0, ProgramProbeTests.healthy) }
        var bench = try Bench(
            "smart",
            [
                "devices": .strings(["/dev/bus/0 -d megaraid,4"]), "use_sudo": .bool(true),
                "path_smartctl": .string("/opt/smartctl"), "tag_with_device_type": .bool(true),
                "read_method": .string("sequential"),
            ], host: host)
        let (lines, errors) = await bench.gather()
        #expect(errors == [])
        #expect(
            lines == ["smart_device,device=0,device_type=megaraid\\,4,model=X exit_status=0i,health_ok=true"])
    }

    @Test("without smartctl there is one error that says what to do; its complaints are errors of one device")
    func smartErrors() async throws {
        var bench = try Bench("smart")
        #expect(
            await bench.gather().errors == ["the program smartctl is not there (Debian: apt install smartmontools)"])
        let host = MemoryHost()
        host.change {
            $0.ends["smartctl --scan"] = exited(0, "/dev/sda -d sat # a\n/dev/sdb -d sat # b\n")
            $0.ends["smartctl --scan --device=nvme"] = exited(0, "")
            $0.ends["smartctl \(ProgramProbeTests.flags) /dev/sda"] = exited(
                2, "Smartctl open device: /dev/sda failed: Permission denied\n")
            $0.ends["smartctl \(ProgramProbeTests.flags) /dev/sdb"] = ProgramEnd(
                failure: "smartctl: did not end within 9 s")
        }
        bench = try Bench("smart", host: host)
        let (lines, errors) = await bench.gather()
        #expect(lines == ["smart_device,device=sda exit_status=2i"])
        #expect(
            errors == [
                "sda: smartctl: Smartctl open device: /dev/sda failed: Permission denied",
                "sdb: smartctl: did not end within 9 s",
            ])
        #expect(throws: CollectorError.self) { try Bench("smart", ["devices": .strings(["--help"])]) }
    }

    // MARK: nvidia_smi

    @Test("nvidia_smi falls back to the program on PATH, and says when there is none")
    func nvidia() async throws {
        let host = MemoryHost()
        var bench = try Bench("nvidia_smi", host: host)
        #expect(
            await bench.gather().errors == ["the program nvidia-smi is not there (bin_path and PATH were tried)"])
        let log =
            "<!DOCTYPE nvidia_smi_log SYSTEM \"nvsmi_device_v12.dtd\"><nvidia_smi_log><gpu><uuid>u</uuid>"
            + "<fan_speed>30 %</fan_speed></gpu></nvidia_smi_log>"
        host.change { $0.ends["nvidia-smi -q -x"] = exited(0, log) }
        #expect(await bench.gather().lines == ["nvidia_smi,index=0,uuid=u fan_speed=30i"])
        host.change { $0.ends["nvidia-smi -q -x"] = exited(9, "", "NVIDIA-SMI has failed\n") }
        #expect(await bench.gather().errors == ["x: exit status 9: NVIDIA-SMI has failed"])
        host.change { $0.ends["nvidia-smi -q -x"] = exited(0, "<nvidia_smi_log>") }
        #expect(await bench.gather().errors.count == 1)
    }

    // MARK: ping

    @Test("ping with exec: answers, loss, and what the program complains of")
    func ping() async throws {
        let host = MemoryHost()
        let words = "ping -c 2 -n -s 16 -i 1 -W 1 -w 10"
        host.change {
            $0.ends["\(words) good"] = exited(
                0,
                "24 bytes from 1: icmp_seq=1 ttl=61 time=2 ms\n2 packets transmitted, 2 received, 0% packet loss\n"
                    + "rtt min/avg/max/mdev = 1.5/2/2.5/0.5 ms\n")
            $0.ends["\(words) silent"] = exited(1, "2 packets transmitted, 0 received, 100% packet loss, time 9ms\n")
            $0.ends["\(words) unknown"] = exited(2, "", "ping: unknown: Name or service not known\n")
            $0.ends["\(words) odd"] = exited(0, "nothing\n")
        }
        var bench = try Bench(
            "ping", ["urls": .strings(["good", "silent", "unknown", "odd", "none"]), "count": .integer(2)], host: host)
        let (lines, errors) = await bench.gather()
        #expect(
            lines == [
                "ping,url=good average_response_ms=2,maximum_response_ms=2.5,minimum_response_ms=1.5,"
                    + "packets_received=2i,packets_transmitted=2i,percent_packet_loss=0,result_code=0i,"
                    + "standard_deviation_ms=0.5,ttl=61i",
                "ping,url=silent packets_received=0i,packets_transmitted=2i,percent_packet_loss=100,result_code=1i",
                "ping,url=unknown result_code=2i", "ping,url=odd result_code=2i", "ping,url=none result_code=2i",
            ])
        #expect(errors.count == 3)
        #expect(errors[0] == "unknown: exit status 2: ping: unknown: Name or service not known")
        #expect(errors[2].contains("apt install iputils-ping"))
    }

    @Test("the arguments of ping follow the options, and a host is never one")
    func pingArguments() throws {
        func command(_ set: [String: OptionValue]) -> String {
            PingCollector.command(OptionValues(PingCollector.spec.options, set: set), "h").joined(separator: " ")
        }
        #expect(command([:]) == "ping -c 1 -n -s 16 -i 1 -W 1 -w 10 h")
        #expect(
            command([
                "ping_interval": .duration(.milliseconds(500)), "timeout": .duration(.zero),
                "deadline": .duration(.zero), "interface": .string("eth0"), "ipv6": .bool(true),
                "binary": .string("/bin/ping"),
            ]) == "/bin/ping -c 1 -n -s 16 -i 0.5 -I eth0 -6 h")
        #expect(command(["arguments": .strings(["-c", "3"])]) == "ping -c 3 h")
        for url in ["-f", "", "a b"] {
            #expect(throws: CollectorError.self) { try Bench("ping", ["urls": .strings([url])]) }
        }
    }
}
