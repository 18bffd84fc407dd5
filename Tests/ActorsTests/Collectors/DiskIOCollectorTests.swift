import Actors
import Pipeline
import Testing

@Suite("DiskIOCollector")
struct DiskIOCollectorTests {
    private func row(_ name: String, _ reads: Int) -> String { "8 0 \(name) \(reads) 0 8 10 0 0 0 0 0 5 5\n" }

    @Test("a device that comes back has no rates at first, one whose counters fell neither")
    func rates() async throws {
        var bench = try Bench("diskio")
        bench.host.file("proc/diskstats", row("sda", 5))
        #expect(await !bench.gather().lines[0].contains("io_util"))
        #expect(await bench.gather().lines[0].contains("io_util=0,"))
        bench.host.file("proc/diskstats", row("sda", 4))
        #expect(await !bench.gather().lines[0].contains("io_util"))
        bench.host.file("proc/diskstats", "")
        #expect(await bench.gather().lines.isEmpty)
        bench.host.file("proc/diskstats", row("sda", 4))
        #expect(await !bench.gather().lines[0].contains("io_util"))
    }

    @Test("tags are looked up again after a minute, and when a new device has the old name")
    func freshTags() async throws {
        var bench = try Bench("diskio")
        bench.host.file("proc/diskstats", row("sda", 5))
        bench.host.file("sys/block/sda/wwid", "eui.1 \n")
        #expect(await bench.gather().lines[0].hasPrefix("diskio,name=sda,wwid=eui.1\\  "))
        bench.host.file("sys/block/sda/wwid", "eui.2\n")
        #expect(await bench.gather().lines[0].contains("wwid=eui.1"))
        #expect(await bench.gather(after: .seconds(60)).lines[0].contains("wwid=eui.2"))
        bench.host.file("sys/block/sda/wwid", "eui.3\n")
        bench.host.file("proc/diskstats", row("sda", 1))
        #expect(await bench.gather().lines[0].contains("wwid=eui.3"))
    }

    @Test("an entry of devices may be a link, absolute or below /dev")
    func links() async throws {
        for entry in ["/dev/disk/by-id/x", "disk/by-id/x", "/dev/sda", "sda"] {
            var bench = try Bench("diskio", ["devices": .strings([entry])])
            bench.host.change { $0.links["dev/disk/by-id/x"] = "../../sda" }
            bench.host.file("proc/diskstats", row("sda", 5) + row("sdb", 5))
            #expect(await bench.gather().lines.map { $0.prefix(16) } == ["diskio,name=sda "])
        }
    }

    @Test("without udev's serial number model and serial of the hardware are one")
    func serial() async throws {
        var bench = try Bench("diskio", ["skip_serial_number": .bool(false)])
        bench.host.change { $0.devices["sda"] = "8:0" }
        bench.host.file("proc/diskstats", row("sda", 5))
        bench.host.file("run/udev/data/b8:0", "E:ID_SERIAL=a=b\n")
        bench.host.file("sys/dev/block/8:0/device/model", "MODEL \n")
        bench.host.file("sys/dev/block/8:0/device/serial", "S1\n")
        #expect(await bench.gather().lines[0].hasPrefix("diskio,name=sda,serial=MODEL\\ _S1 "))
    }

    @Test("DEVPATH is where the device's link leads")
    func devicePath() async throws {
        var bench = try Bench("diskio", ["device_tags": .strings(["DEVPATH", "DEVNAME", "MISSING"])])
        bench.host.change {
            $0.devices["sda"] = "8:0"
            $0.links["sys/class/block/sda"] = "../../devices/pci0/0:0:0:0/block/sda"
            $0.links["sys/class/block/sda/device"] = "../../../0:0:0:0"
        }
        bench.host.file("proc/diskstats", row("sda", 5))
        bench.host.file("run/udev/data/b8:0", "E:A=1\n")
        bench.host.file("sys/class/block/sda/uevent", "MAJOR=8\nDEVNAME=sda\n")
        #expect(
            await bench.gather().lines[0].hasPrefix(
                "diskio,DEVNAME=/dev/sda,DEVPATH=/devices/pci0/0:0:0:0/sda,name=sda "))
    }

    @Test("HOST_ROOT, else HOST_MOUNT_PREFIX, stands before /dev, /run and /sys that are not moved")
    func roots() async throws {
        let host = MemoryHost()
        host.file("proc/diskstats", row("sda", 5))
        host.file("absolute//host/sys/block/sda/wwid", "one")
        host.file("absolute//root/sys/block/sda/wwid", "two")
        host.file("sys/block/sda/wwid", "three")
        host.change { $0.mountPrefix = "/host" }
        var prefixed = try Bench("diskio", host: host)
        #expect(await prefixed.gather().lines[0].contains("wwid=one"))
        host.change { $0.environment["HOST_ROOT"] = "/root" }
        var rooted = try Bench("diskio", host: host)
        #expect(await rooted.gather().lines[0].contains("wwid=two"))
        host.change { $0.moved = [.sys] }
        var moved = try Bench("diskio", host: host)
        #expect(await moved.gather().lines[0].contains("wwid=three"))
    }
}
