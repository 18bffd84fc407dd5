import Pipeline
import Testing

@Suite("Mount tables")
struct MountTests {
    private func mounts() throws -> [Mount] { try MountInfo.parse(KernelSamples.bytes(KernelSamples.mountinfo)) }
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("octal escapes of the mount point are decoded")
    func octalEscapes() throws {
        #expect(text(try mounts()[2].mountPoint) == "/mnt/a b\\c")
        #expect(Mount.decodingOctal(Array("\\777\\04".utf8)[...]) == Array("\\777\\04".utf8))
        #expect(Mount.decodingOctal(Array("\\377".utf8)[...]) == [0xFF])
    }

    @Test("of lines with one device number the first names the device")
    func firstDeviceWins() throws {
        #expect(try mounts()[3].device == "/dev/root")
    }

    @Test("a part of a device is a bind mount, a btrfs subvolume is not")
    func bindMounts() throws {
        #expect(try mounts()[3].options.contains("bind"))
        #expect(try !mounts()[4].options.contains("bind"))
        #expect(try !mounts()[6].options.contains("bind"))
    }

    @Test("read-only is what mount or superblock says")
    func readOnly() throws {
        #expect(try mounts()[5].mode == "ro")
        #expect(try !mounts()[5].options.contains("rw"))
        #expect(try mounts()[0].mode == "rw")
        #expect(try MountInfo.parse(Array("1 2 3:4 / /a noatime - ext4 /dev/x\n".utf8))[0].mode == "unknown")
        #expect(try MountInfo.parse(Array("1 2 3:4 / /a - ext4 /dev/x\n".utf8))[0].mode == "unknown")
    }

    @Test("an empty source stays empty, a network source is the device")
    func sources() throws {
        #expect(try mounts()[7].device.isEmpty)
        #expect(try mounts()[6].device == "nas:/vol1")
        #expect(try MountInfo.parse(Array("1 2 0:4 /sub /a rw - fuse.x src rw\n".utf8))[0].device == "/sub")
    }

    @Test(
        "a line without separator or with too few fields fails the file",
        arguments: [
            "22 1 254:1 / / rw\n", "22 1 254:1 / - ext4 /dev/x rw\n", "22 1 254:1 / / rw - ext4\n",
            "22 1 254:1 / / rw - \n",
            "\n", "22 1 254:1 / / rw - ext4 /dev/x rw\n\n22\n",
        ])
    func malformedLines(_ text: String) {
        #expect(throws: ParseError.self) { try MountInfo.parse(Array(text.utf8)) }
    }

    @Test("mounts: four fields, options split at commas")
    func procMounts() throws {
        let mount = try ProcMounts.parse(Array("/dev/vda1 /a\\040b ext4 rw,relatime 0 0\n".utf8))[0]
        #expect(mount.device == "/dev/vda1")
        #expect(text(mount.mountPoint) == "/a b")
        #expect(mount.options == ["rw", "relatime"])
        #expect(throws: ParseError.self) { try ProcMounts.parse(Array("/dev/vda1 / ext4\n".utf8)) }
    }

    @Test("filters: options, exact mount points, types, and never autofs")
    func filters() throws {
        let table = try mounts() + ProcMounts.parse(Array("auto /auto autofs rw 0 0\n".utf8))
        func paths(_ points: [String] = [], _ types: [String] = [], _ options: [String] = []) -> [String] {
            MountSelection(mountPoints: points, ignoredTypes: types, ignoredOptions: options)
                .select(table, mountPrefix: "").map { text($0.shownPath) }
        }
        #expect(!paths().contains("/auto"))
        #expect(paths(["/", "/nfs", "/auto"]) == ["/", "/nfs"])
        #expect(!paths([], ["xfs"]).contains("/mnt/a b\\c"))
        #expect(!paths([], [], ["bind"]).contains("/bind"))
        #expect(!paths([], [], ["ro"]).contains("/ro"))
    }

    @Test("HOST_MOUNT_PREFIX: asked below it, shown without it, dropped when both are listed")
    func mountPrefix() throws {
        let table = try ProcMounts.parse(
            Array(
                ("a / ext4 rw 0 0\nb /data ext4 rw 0 0\nc /host/data ext4 rw 0 0\n"
                    + "d /hostfs ext4 rw 0 0\ne /host ext4 rw 0 0\n")
                    .utf8))
        let selected = MountSelection(mountPoints: [], ignoredTypes: [], ignoredOptions: [])
            .select(table, mountPrefix: "/host")
        #expect(selected.map { text($0.statPath) } == ["/host/data", "/hostfs", "/host"])
        #expect(selected.map { text($0.shownPath) } == ["/data", "/fs", "/"])
    }

    @Test("the tag device has no /dev/, and the type stands in for none")
    func shownDevice() {
        #expect(MountSelection.shownDevice("/dev/sda1", "ext4") == "sda1")
        #expect(MountSelection.shownDevice("/dev//dev/x", "ext4") == "x")
        #expect(MountSelection.shownDevice("none", "tmpfs") == "tmpfs")
        #expect(MountSelection.shownDevice("", "tmpfs") == "tmpfs")
        #expect(MountSelection.shownDevice("nas:/vol1", "nfs") == "nas:/vol1")
    }

    @Test("network and FUSE types may hang, local ones do not")
    func mayHang() {
        for type in ["nfs", "nfs4", "cifs", "smb3", "fuse", "fuse.sshfs", "fuseblk", "9p", "ceph", "lustre", "afs"] {
            #expect(MountSelection.mayHang(type), "\(type)")
        }
        for type in ["ext4", "xfs", "btrfs", "tmpfs", "fusectl", "overlay", "proc", "zfs"] {
            #expect(!MountSelection.mayHang(type), "\(type)")
        }
    }

    @Test(
        "paths are cleaned like a shell user would",
        arguments: [
            ("/", "/"), ("//a//b/", "/a/b"), ("/a/../..", "/"), ("/./a/.", "/a"),
        ])
    func cleanPaths(_ path: String, _ expected: String) {
        #expect(text(MountSelection.clean(Array(path.utf8))) == expected)
    }
}
