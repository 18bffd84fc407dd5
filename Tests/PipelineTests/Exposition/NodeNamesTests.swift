import Testing

@testable import Pipeline

@Suite("Pages with kinds and with node_exporter's names")
struct NodeNamesTests {
    private func page(
        _ lines: String, _ change: (inout ExpositionTable) -> Void = { _ in }, nodes: Bool = true,
        version: ExpositionName.Version = .first
    ) -> String {
        var settings = ExpositionTable.Settings()
        settings.names = nodes ? .nodeExporter : .telegraf
        settings.version = version
        var table = ExpositionTable(settings: settings)
        change(&table)
        var parser = LineProtocolParser()
        _ = table.add(parser.parse(all: Array(lines.utf8), at: .zero).samples, now: .zero)
        return String(decoding: table.page(now: .zero).bytes, as: UTF8.self)
    }

    private func samples(_ lines: String) -> [String] {
        page(lines).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
    }

    @Test("CPUs: modes as labels, no total, no host")
    func processors() {
        let text = page(
            "cpu,cpu=cpu1,host=h time_user=1.5,time_idle=2.25,time_guest=0.5,usage_user=7 1\n"
                + "cpu,cpu=cpu-total,host=h time_user=9 1\n")
        #expect(
            text == """
                # HELP node_cpu_guest_seconds_total Seconds the CPUs spent in guests (VMs) for each mode.
                # TYPE node_cpu_guest_seconds_total counter
                node_cpu_guest_seconds_total{cpu="1",mode="user"} 0.5
                # HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
                # TYPE node_cpu_seconds_total counter
                node_cpu_seconds_total{cpu="1",mode="idle"} 2.25
                node_cpu_seconds_total{cpu="1",mode="user"} 1.5

                """)
    }

    @Test("memory, file systems, disks, interfaces: values as node_exporter has them")
    func values() {
        #expect(
            samples("mem cached=10i,sreclaimable=4i,total=100i,used_percent=1,huge_pages_total=3i 1\n") == [
                "node_memory_Cached_bytes 6", "node_memory_HugePages_Total 3", "node_memory_MemTotal_bytes 100",
                "node_memory_SReclaimable_bytes 4",
            ])
        #expect(
            samples("disk,device=sda1,fstype=ext4,path=/,mode=rw,zone=a total=100i,free=40i,used=50i,read_only=0i 1\n")
                == [
                    #"node_filesystem_avail_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/",zone="a"} 40"#,
                    #"node_filesystem_device_error{device="/dev/sda1",fstype="ext4",mountpoint="/",zone="a"} 0"#,
                    #"node_filesystem_free_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/",zone="a"} 50"#,
                    #"node_filesystem_readonly{device="/dev/sda1",fstype="ext4",mountpoint="/",zone="a"} 0"#,
                    #"node_filesystem_size_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/",zone="a"} 100"#,
                ])
        #expect(
            samples(
                "disk,device=tmpfs,fstype=tmpfs,path=/run free=1i 1\ndisk,device=h:/x,fstype=nfs,path=/n free=1i 1\n"
            )
            .map { $0.split(separator: "\"")[1] } == ["h:/x", "tmpfs"])
        #expect(
            samples("diskio,name=vda,serial=x read_time=1234i,reads=5i,iops=9 1\n") == [
                #"node_disk_read_time_seconds_total{device="vda"} 1.234"#,
                #"node_disk_reads_completed_total{device="vda"} 5"#,
            ])
        #expect(
            samples(
                "net,interface=eth0 bytes_recv=7i,speed=1000i 1\nnet,interface=x speed=-1i 1\nnet,interface=all tcp_x=1i 1\n"
            )
                == [
                    #"node_network_receive_bytes_total{device="eth0"} 7"#,
                    #"node_network_speed_bytes{device="eth0"} 125000000"#,
                ])
    }

    @Test(
        "counters of the network, of the memory, and waiting times; what is no family of node_exporter's keeps its name"
    )
    func others() {
        #expect(
            samples("nstat,name=snmp TcpCurrEstab=4i,Udp6InErrors=1i,IcmpMsgInType3=1i,TcpExtTW=2i,IpForwarding=1i 1\n")
                == [
                    "node_netstat_Ip_Forwarding 1", "node_netstat_Tcp_CurrEstab 4", "node_netstat_Udp6_InErrors 1",
                ])
        #expect(
            samples("kernel_vmstat pgfault=4i,nr_dirty=1i,oom_kill=2i,pgmajfault=3i 1\n") == [
                "node_vmstat_oom_kill 2", "node_vmstat_pgfault 4", "node_vmstat_pgmajfault 3",
            ])
        #expect(
            samples(
                "pressure,resource=io,type=full total=1500000i,avg10=1 1\npressure,resource=cpu,type=full total=1i 1\n")
                == ["node_pressure_io_stalled_seconds_total 1.5"])
        #expect(samples("own,host=h value=1 1\n") == [#"own{host="h"} 1"#])
    }

    @Test("kinds and help texts that an input knows; a histogram stands together")
    func notes() {
        let text = page(
            "prometheus,le=+Inf x_bucket=2 1\nprometheus x_sum=3,x_count=2,y=1 1\nprometheus x_a=1 1\n",
            {
                $0.notes.add("x", .init(.histogram, help: "An \\x."))
                $0.notes.add("y", .init(.counter, help: ""))
            }, nodes: false, version: .second)
        #expect(
            text == """
                # HELP x An \\\\x.
                # TYPE x histogram
                x_bucket{le="+Inf"} 2
                x_count 2
                x_sum 3
                # HELP x_a Collected by godwit.
                # TYPE x_a untyped
                x_a 1
                # HELP y Collected by godwit.
                # TYPE y counter
                y 1

                """)
    }

    @Test("points of version 1 become the metrics that they were")
    func firstVersion() {
        let text = page(
            "h,a=b 0.5=1,+Inf=2,sum=3,count=2 1\nq 0.9=5,sum=1,count=1 1\nc counter=4 1\ng gauge=5 1\nu value=6 1\n",
            {
                $0.notes.add("h", .init(.histogram, help: "H."))
                $0.notes.add("q", .init(.summary, help: ""))
                $0.notes.add("c", .init(.counter, help: "C."))
                $0.notes.add("g", .init(.gauge, help: ""))
            }, nodes: false)
        #expect(
            text == """
                # HELP c C.
                # TYPE c counter
                c 4
                # HELP g Collected by godwit.
                # TYPE g gauge
                g 5
                # HELP h H.
                # TYPE h histogram
                h_bucket{a="b",le="0.5"} 1
                h_bucket{a="b",le="+Inf"} 2
                h_count{a="b"} 2
                h_sum{a="b"} 3
                # HELP q Collected by godwit.
                # TYPE q summary
                q{quantile="0.9"} 5
                q_count 1
                q_sum 1
                # HELP u Collected by godwit.
                # TYPE u untyped
                u 6

                """)
    }
}
