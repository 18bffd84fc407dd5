import Actors
import Testing

@testable import Pipeline

@Suite("Input node")
struct NodeCollectorTests {
    @Test("a host without any of the files says that there is no SELinux, and no error")
    func nothing() async throws {
        var bench = try Bench("node")
        let (lines, errors) = await bench.gather()
        #expect(lines == ["node_selinux enabled=0i"])
        #expect(errors == [])
    }

    @Test("interfaces, disks with udev's record, chips and zones; what is no number is left out")
    func files() async throws {
        var bench = try Bench("node", ["collect": .strings(["netclass", "diskstats", "hwmon", "thermal_zone"])])
        for (name, text) in [
            ("sys/class/net/eth0/ifindex", "2\n"), ("sys/class/net/eth0/operstate", "up\n"),
            ("sys/class/net/eth0/mtu", "1500\n"), ("sys/class/net/eth0/flags", "0x1003\n"),
            ("sys/class/net/eth0/carrier", "x\n"), ("sys/class/net/eth0/ifalias", "\n"),
            ("sys/class/net/eth0/speed", "9223372036854775807\n"), ("sys/class/net/bonding_masters", "\n"),
            (
                "proc/diskstats",
                "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n7 0 loop0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n"
            ),
            ("run/udev/data/b8:0", "E:ID_MODEL=Disk\nE:ID_SERIAL_SHORT=\nE:ID_PATH=pci-1\n"),
            ("sys/class/hwmon/hwmon0/name", "acpi tz\n"), ("sys/class/hwmon/hwmon0/temp1_input", "27800\n"),
            ("sys/class/hwmon/hwmon0/temp2_input", "?\n"), ("sys/class/thermal/thermal_zone0/type", "cpu\n"),
            ("sys/class/thermal/thermal_zone0/temp", "-500\n"),
        ] { bench.host.file(name, text) }
        let (lines, errors) = await bench.gather()
        #expect(errors == [])
        #expect(
            lines == [
                "node_disk,device=sda discard_time_seconds_total=0.015,discarded_sectors_total=14i,discards_completed_total=12i,"
                    + "discards_merged_total=13i",
                "node_disk,device=sda,major=8,minor=0,model=Disk,path=pci-1 info=1i",
                "node_hwmon,chip=acpi_tz,chip_name=acpi_tz chip_names=1i",
                "node_hwmon,chip=acpi_tz,sensor=temp1 temp_celsius=27.8",
                "node_network,device=eth0 flags=4099i,iface_id=2i,mtu_bytes=1500i,up=1i",
                "node_network,device=eth0,operstate=up info=1i", "node_thermal_zone,type=cpu,zone=0 temp=-0.5",
            ])
    }
}

@Suite("Prometheus' own names of what inputs declare")
struct DeclaredNamesTests {
    @Test("no two fields of any inputs have one name, and every name is one that promtool has no remark on")
    func unique() {
        var seen: [String: String] = [:]
        for metric in InputRegistry.all.flatMap(\.spec.metrics) where !metric.measurement.contains("*") {
            var fields: Set<String> = []
            for field in metric.fields
            where field.kind != .string && !field.name.contains("*") && fields.insert(field.name).inserted {
                let kind = field.exposition(of: metric.measurement)
                let shown = PrometheusName.metric(metric.measurement, field.name, kind, field.unit)?.name
                let whole = "\(metric.measurement).\(field.name)"
                guard let shown else {
                    Issue.record("\(whole) has no name")
                    continue
                }
                if let other = seen[shown], other != whole { Issue.record("\(shown) is both \(other) and \(whole)") }
                seen[shown] = whole
                #expect(shown.allSatisfy { $0 == "_" || $0.isLowercase || $0.isNumber }, "\(shown)")
            }
        }
        #expect(seen.count > 300)
    }
}
