/// Small kernel files, from a virtual machine with two CPUs, Linux 6.1.
enum KernelSamples {
    static let stat = """
        cpu  74608 2520 24433 1117073 6176 4054 100 7 50 20
        cpu0 37304 1260 12216 558536 3088 2027 50 3 25 10
        cpu1 37304 1260 12217 558537 3088 2027 50 4 25 10
        intr 1462898 0 9 0
        ctxt 115315
        btime 1769078410
        cpu9 1 2 3 4 5 6 7

        """
    static let meminfo = """
        MemTotal:       16200000 kB
        MemFree:         1800000 kB
        MemAvailable:   14000000 kB
        Buffers:         2300000 kB
        Cached:         10000000 kB
        SwapCached:         1272 kB
        Active:          9000000 kB
        Inactive:        5300000 kB
        Active(file):    3400000 kB
        Inactive(file):  4300000 kB
        Mlocked:              32 kB
        SReclaimable:    1800000 kB
        HugePages_Total:       4
        HugePages_Free:        3
        Hugepagesize:       2048 kB

        """
    static let mountinfo = """
        22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro
        23 22 0:21 / /proc rw,nosuid shared:2 - proc proc rw
        24 22 253:0 / /mnt/a\\040b\\134c rw - xfs /dev/mapper/vg-data rw
        25 22 254:1 /srv /bind rw,noatime - ext4 /dev/vda1 rw
        26 22 0:40 /@home /home rw - btrfs /dev/vdb rw,subvol=/@home
        27 22 0:41 / /ro rw - ext4 /dev/vdc ro
        28 22 0:42 / /nfs rw master:3 propagate_from:2 - nfs4 nas:/vol1 rw,vers=4.2
        29 22 0:43 / /empty rw - tmpfs  rw

        """
    static let netDev = """
        Inter-|   Receive                            |  Transmit
         face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls
            lo:  884433    9001    0    0    0     0   0    0   884433    9001    0    0    0     0   0    0
          eth0:8734422   23456  832    7    0     0    0    0     1123     781    8    1    0     0   0    0
        veth:1:       5       1    0    0    0     0   0    0        6       1    0    0    0     0   0    0
         short: 1 2 3

        """
    static let snmp = """
        Ip: Forwarding DefaultTTL
        Ip: 2 64
        IcmpMsg: InType3
        IcmpMsg: 11005
        Other: Any Thing
        Other: x
        Tcp: RtoAlgorithm MaxConn
        Tcp: 1 -1

        """
    static let cpuinfo = """
        processor\t: 0
        flags\t\t: fpu vme pc
        physical id\t: 0
        core id\t\t: 0
        cpu cores\t: 2

        processor\t: 1
        physical id\t: 1
        core id\t\t: 3
        cpu cores\t: 4

        """
    static let osRelease = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\n"
    static let zoneinfo = """
        Node 0, zone      DMA
          pages free     2816
                min      10
                low      100
        Node 0, zone   Normal
                low      200
                low      x

        """
    static let udev = "S:disk/by-label/root\nE:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=root=1\nE:ID_FS_LABEL_ENC=root\n"

    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
}
