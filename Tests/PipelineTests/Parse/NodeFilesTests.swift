import Testing

@testable import Pipeline

/// From a virtual machine with Linux 6.1, shortened.
@Suite struct NodeFilesTests {
    private typealias Parser = @Sendable ([UInt8]) -> [NodeFiles.Value]

    private func lines(_ values: [NodeFiles.Value]) -> [String] {
        values.map { value in
            let tags = value.tags.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
            let number =
                switch value.number {
                case .int(let number): "\(number)"
                case .float(let number): "\(number)"
                }
            return "\(value.measurement)_\(value.field){\(tags)} \(number)"
        }
    }

    private static let files: [(text: String, parse: Parser, expected: [String])] = [
        (
            "sockets: used 123\nTCP: inuse 5 orphan 0 mem 3\n", { NodeFiles.sockstat($0, pageSize: 4_096) },
            [
                "node_sockstat_sockets_used{} 123", "node_sockstat_TCP_inuse{} 5", "node_sockstat_TCP_orphan{} 0",
                "node_sockstat_TCP_mem{} 3", "node_sockstat_TCP_mem_bytes{} 12288",
            ]
        ),
        (
            "MemTotal:       24684544 kB\nActive(anon):    1 kB\nHugePages_Rsvd:  2\nx\n", NodeFiles.meminfo,
            [
                "node_memory_MemTotal_bytes{} 25276973056", "node_memory_Active_anon_bytes{} 1024",
                "node_memory_HugePages_Rsvd{} 2",
            ]
        ),
        (
            "a\nb\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  bad: 1\n", NodeFiles.netDev,
            [
                "node_network_receive_fifo_total{device=eth0} 5", "node_network_receive_frame_total{device=eth0} 6",
                "node_network_receive_compressed_total{device=eth0} 7",
                "node_network_receive_multicast_total{device=eth0} 8",
                "node_network_transmit_fifo_total{device=eth0} 13", "node_network_transmit_colls_total{device=eth0} 14",
                "node_network_transmit_carrier_total{device=eth0} 15",
                "node_network_transmit_compressed_total{device=eth0} 16",
            ]
        ),
        (
            "254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 1500 16 17\n7 0 loop0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n",
            { NodeFiles.diskstats($0) { $0 != "loop0" } },
            [
                "node_disk_discards_completed_total{device=vda} 12", "node_disk_discards_merged_total{device=vda} 13",
                "node_disk_discarded_sectors_total{device=vda} 14",
                "node_disk_discard_time_seconds_total{device=vda} 1.5",
                "node_disk_flush_requests_total{device=vda} 16",
                "node_disk_flush_requests_time_seconds_total{device=vda} 0.017",
                "node_disk_info{device=vda,major=254,minor=0} 1",
            ]
        ),
        (
            "cpu 1\nprocs_running 2\nprocs_blocked 1\n", NodeFiles.stat,
            ["node_procs_running{} 2", "node_procs_blocked{} 1"]
        ),
        (
            "000000ff 00000001 00000002 0 0 0 0 0 0 0 0 0 00000003\n0a 0 0 0 0 0 0 0 0\n", NodeFiles.softnet,
            [
                "node_softnet_processed_total{cpu=3} 255", "node_softnet_dropped_total{cpu=3} 1",
                "node_softnet_times_squeezed_total{cpu=3} 2", "node_softnet_processed_total{cpu=1} 10",
                "node_softnet_dropped_total{cpu=1} 0", "node_softnet_times_squeezed_total{cpu=1} 0",
            ]
        ),
        (
            "version 15\ncpu0 0 0 0 0 0 0 1500000000 500000000 7\ndomain0 1\n", NodeFiles.schedstat,
            [
                "node_schedstat_running_seconds_total{cpu=0} 1.5", "node_schedstat_waiting_seconds_total{cpu=0} 0.5",
                "node_schedstat_timeslices_total{cpu=0} 7",
            ]
        ),
        (
            "IP HW Flags Address Mask Device\n10.0.0.1 0x1 0x2 02:00 * eth0\n10.0.0.2 0x1 0x2 02:01 * eth0\n",
            NodeFiles.arp,
            ["node_arp_entries{device=eth0} 2"]
        ),
        (
            "sl local rem st tx:rx\n 1: 0:1 0:0 07 00000010:000000A0 0\n 2: 0:1 0:0 07 00000001:00000000 0\n",
            { NodeFiles.udpQueues($0, version: "v4") },
            ["node_udp_queues{ip=v4,queue=tx} 17", "node_udp_queues{ip=v4,queue=rx} 160"]
        ),
        (
            "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12.5.1\"\nVARIANT=''\n", NodeFiles.release,
            [
                "node_os_info{id=debian,name=Debian GNU/Linux,version_id=12.5.1} 1",
                "node_os_version{id=debian,name=Debian GNU/Linux} 12.5",
            ]
        ),
    ]

    @Test("every number of a file has node_exporter's name")
    func values() {
        for file in Self.files { #expect(lines(file.parse(Array(file.text.utf8))) == file.expected) }
    }

    @Test("cut at every byte, and with numbers that no variable holds, none of them traps")
    func cuts() {
        for file in Self.files {
            let bytes = Array(file.text.utf8)
            for end in 0...bytes.count { _ = file.parse(Array(bytes[..<end])) }
            let huge = file.text.map { $0.isNumber ? "99999999" : String($0) }.joined()
            _ = file.parse(Array(huge.utf8))
            let maximum = file.text.split(separator: " ").map { Int64($0) == nil ? String($0) : "\(Int64.max)" }
            _ = file.parse(Array(maximum.joined(separator: " ").utf8))
        }
    }

    @Test("sensors: type, number and element of a file, and the names that are none")
    func sensors() {
        func field(_ file: String) -> String? { NodeMetrics.Sensor(file).map { "\($0.name) \($0.field.name)" } }
        #expect(field("temp1_input") == "temp1 temp_celsius")
        #expect(field("temp12_crit_alarm") == "temp12 temp_crit_alarm_celsius")
        #expect(field("temp1_type") == "temp1 temp_type")
        #expect(field("fan2_alarm") == "fan2 fan_alarm")
        #expect(field("pwm1") == "pwm1 pwm")
        #expect(field("energy1_input") == "energy1 energy_joule_total")
        #expect(field("power1_average_interval") == "power1 power_average_interval_seconds")
        #expect(field("name") == nil)
        #expect(field("temp") == nil)
        #expect(field("temp1x") == nil)
        #expect(
            NodeMetrics.chip(path: "/devices/platform/coretemp.0", name: "x", fallback: "hwmon0")
                == "platform_coretemp_0")
        #expect(NodeMetrics.chip(path: nil, name: "acpi tz!", fallback: "hwmon0") == "acpi_tz")
        #expect(NodeMetrics.chip(path: nil, name: "", fallback: "hwmon0") == "hwmon0")
    }
}
