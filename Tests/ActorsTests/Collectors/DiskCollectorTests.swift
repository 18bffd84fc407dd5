import Actors
import Pipeline
import Testing

@Suite("DiskCollector")
struct DiskCollectorTests {
    private static let usage = FileSystemUsage(
        blockSize: 10, blocks: 100, freeBlocks: 40, availableBlocks: 20, inodes: 10, freeInodes: 4)

    private func bench(_ table: String, _ options: [String: OptionValue] = [:]) throws -> Bench {
        let bench = try Bench("disk", options.merging(["rates": .bool(false)]) { set, _ in set })
        bench.host.file("proc/1/mountinfo", table)
        bench.host.change { world in
            for path in ["/", "/a", "/b", "/nfs"] { world.usage[path] = DiskCollectorTests.usage }
        }
        return bench
    }

    @Test("space and inodes of a mount")
    func oneMount() async throws {
        var bench = try bench("1 2 8:1 / / rw - ext4 /dev/sda1 rw\n")
        #expect(
            await bench.gather().lines == [
                "disk,device=sda1,fstype=ext4,mode=rw,path=/ free=200i,inodes_free=4i,inodes_total=10i,inodes_used=6i,"
                    + "inodes_used_percent=60,total=1000i,used=600i,used_percent=75"
            ])
    }

    @Test("links of the device mapper and /dev/root are followed, labels found")
    func devicesAndLabels() async throws {
        var bench = try bench(
            "1 2 253:0 / / rw - ext4 /dev/mapper/vg-root rw\n2 2 8:1 / /a rw - ext4 /dev/root rw\n"
                + "3 2 8:2 / /b rw - ext4 /dev/sdb rw\n"
        )
        bench.host.change {
            $0.links = ["dev/mapper/vg-root": "../dm-0", "sys/dev/block/8:1": "../../block/sda/sda1"]
            $0.devices = ["sdb": "8:16"]
        }
        bench.host.file("sys/block/dm-0/dm/name", "vg-root\n")
        bench.host.file("run/udev/data/b8:16", "E:ID_FS_LABEL=data\n")
        #expect(
            await bench.gather().lines.map { $0.prefix { $0 != " " } } == [
                "disk,device=dm-0,fstype=ext4,label=vg-root,mode=rw,path=/",
                "disk,device=sda1,fstype=ext4,mode=rw,path=/a",
                "disk,device=sdb,fstype=ext4,label=data,mode=rw,path=/b",
            ])
    }

    @Test("the table is taken from mounts, then from self, and without any there is one error")
    func fallbacks() async throws {
        var bench = try bench("1 2 8:1 / / rw - ext4 /dev/sda1 rw\n")
        bench.host.change { world in world.files = [:] }
        let missing = await bench.gather()
        #expect(missing.lines.isEmpty && missing.errors.count == 1)
        bench.host.file("proc/self/mountinfo", "1 2 8:1 / /a rw - ext4 /dev/sda1 rw\n")
        #expect(await bench.gather().lines.count == 1)
        bench.host.change { $0.files = [:] }
        bench.host.file("proc/1/mounts", "/dev/sdb /b ext4 ro 0 0\n")
        #expect(await bench.gather().lines[0].hasPrefix("disk,device=sdb,fstype=ext4,mode=ro,path=/b "))
    }

    @Test("a damaged table fails the gather and heals")
    func damagedTable() async throws {
        var bench = try bench("1 2 8:1 / / rw\n")
        let damaged = await bench.gather()
        #expect(damaged.lines.isEmpty && damaged.errors.count == 1)
        #expect(await bench.gather().errors.count == 1)
        bench.host.file("proc/1/mountinfo", "1 2 8:1 / / rw - ext4 /dev/sda1 rw\n")
        #expect(await bench.gather().lines.count == 1)
    }

    @Test("an unchanged table is not read again, for a minute at most")
    func unchangedTable() async throws {
        var bench = try bench("1 2 8:1 / / rw - ext4 /dev/sda1 rw\n")
        _ = await bench.gather()
        bench.host.change { world in
            world.reads = []
            world.tableHasChanged = false
        }
        #expect(await bench.gather().lines.count == 1)
        #expect(bench.host.state.reads.isEmpty)
        _ = await bench.gather(after: .seconds(61))
        #expect(!bench.host.state.reads.isEmpty)
    }

    @Test("a file system that turned read-only is seen without a change of the table")
    func turnedReadOnly() async throws {
        var bench = try bench("1 2 8:1 / / rw - ext4 /dev/sda1 rw\n")
        _ = await bench.gather()
        bench.host.file("proc/1/mountinfo", "1 2 8:1 / / rw - ext4 /dev/sda1 ro\n")
        bench.host.change { world in
            world.tableHasChanged = false
            world.usage["/"]?.isReadOnly = true
        }
        _ = await bench.gather()
        #expect(await bench.gather().lines[0].contains("mode=ro"))
    }

    @Test("a mount that hangs is one error, then silence; the others go on")
    func stuckMount() async throws {
        var bench = try bench("1 2 8:1 / / rw - ext4 /dev/sda1 rw\n2 2 0:5 / /nfs rw - nfs4 nas:/x rw\n")
        bench.host.change { $0.remote["/nfs"] = .stuck(isNew: true) }
        let first = await bench.gather()
        #expect(first.lines.count == 1 && first.errors.count == 1)
        bench.host.change { $0.remote["/nfs"] = .stuck(isNew: false) }
        let second = await bench.gather()
        #expect(second.lines.count == 1 && second.errors.isEmpty)
        bench.host.change { $0.remote["/nfs"] = .notAsked }
        #expect(await bench.gather().errors.count == 1)
        #expect(await bench.gather().errors.isEmpty)
        bench.host.change { $0.remote["/nfs"] = .answered(DiskCollectorTests.usage) }
        #expect(await bench.gather().lines.count == 2)
        #expect(bench.host.state.asked.allSatisfy { $0 == Array("/".utf8) })
    }

    @Test("autofs is never asked for, empty file systems are not reported")
    func skippedMounts() async throws {
        var bench = try bench("1 2 0:1 / /a rw - autofs auto rw\n2 2 0:2 / /b rw - proc proc rw\n")
        bench.host.change { $0.usage["/b"]?.blocks = 0 }
        #expect(await bench.gather().lines.isEmpty)
        #expect(bench.host.state.asked == [Array("/b".utf8)])
    }

    @Test("a file system without a size is asked again only with the next reading of the mount table")
    func sizeless() async throws {
        let table = "1 2 8:1 / /a rw - ext4 /dev/sda1 rw\n2 2 0:2 / /b rw - proc proc rw\n"
        var bench = try bench(table)
        bench.host.change { $0.usage["/b"]?.blocks = 0 }
        for _ in 0..<3 { #expect(await bench.gather().lines.count == 1) }
        let asked = [Array("/a".utf8), Array("/b".utf8)]
        #expect(bench.host.state.asked == asked + [asked[0], asked[0]])
        bench.host.change { $0.usage["/b"] = DiskCollectorTests.usage }
        #expect(await bench.gather(after: .seconds(61)).lines.count == 2)
        bench.host.change { $0.usage["/b"]?.blocks = 0 }
        #expect(await bench.gather().lines.count == 1)
        bench.host.change { $0.usage["/b"] = DiskCollectorTests.usage }
        bench.host.file("proc/1/mountinfo", table + "3 2 8:2 / / rw - ext4 /dev/sda2 rw\n")
        #expect(await bench.gather().lines.count == 3)
    }

    @Test("hostile paths are escaped, and asked for by their bytes")
    func hostilePaths() async throws {
        var bench = try bench("1 2 8:1 / /a,=\"\\134\\012\\377x rw - ext4 /dev/s,=\\040d rw\n")
        bench.host.change { $0.usage["/a,=\"\\\n\u{FFFD}x"] = DiskCollectorTests.usage }
        let (lines, errors) = await bench.gather()
        #expect(bench.host.state.asked == [Array("/a,=\"\\\n".utf8) + [0xFF, 0x78]])
        #expect(lines[0].hasPrefix("disk,device=s\\,\\=\\040d,fstype=ext4,mode=rw,path=/a\\,\\=\"\\\\n\u{FFFD}x free="))
        #expect(errors.isEmpty)
    }

    @Test("a label cannot lead out of /sys")
    func labelPath() async throws {
        var bench = try bench("1 2 8:1 / / rw - fuse /dev/../../etc rw\n2 2 8:2 / /a rw - ext4 ../../etc rw\n")
        _ = await bench.gather()
        #expect(!bench.host.state.reads.contains { $0.contains("..") })
    }
}
