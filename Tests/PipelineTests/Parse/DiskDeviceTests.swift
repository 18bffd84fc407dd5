import Pipeline
import Testing

@Suite("Block devices")
struct DiskDeviceTests {
    @Test("diskstats: rows of fewer columns or only zeros are passed, newer columns too")
    func rows() throws {
        let bytes = Array(
            """
               8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
               7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 9 9
               8       1 sda1 1 2 3 4

            """.utf8)
        let rows = try ProcDiskstats.parse(bytes)
        #expect(rows.map { String(decoding: bytes[$0.name], as: UTF8.self) } == ["sda"])
        #expect(rows[0].weightedIOTime == 11 && rows[0].sectorsWritten == 7)
        #expect(String(decoding: bytes[rows[0].number], as: UTF8.self) == "8       0")
        #expect(throws: ParseError.self) { try ProcDiskstats.parse(Array("8 0 sda 1 2 3 4 5 6 7 8 9 x 11\n".utf8)) }
    }

    @Test("rates need requests, time, and counters that did not fall")
    func rates() throws {
        func row(_ text: String) throws -> DiskCounters { try #require(ProcDiskstats.parse(Array(text.utf8)).first) }
        let before = try row("8 0 sda 100 0 0 50 100 0 0 50 0 1000 0\n")
        let after = try row("8 0 sda 110 0 0 80 110 0 0 60 0 1500 0\n")
        let rates = try #require(after.rates(since: before, elapsed: 1000))
        #expect(rates.await == 2 && rates.serviceTime == 25 && rates.utilisation == 50)
        let still = try #require(before.rates(since: before, elapsed: 0))
        #expect(still.await.isNaN && still.serviceTime.isNaN && still.utilisation.isNaN)
        #expect(before.rates(since: after, elapsed: 1000) == nil)
    }

    @Test(
        "templates are filled with properties; one that is missing rules the template out",
        arguments: [
            (["$A"], "one"), (["x${A}x$B"], "xonextwo"), (["$C", "$A"], "one"), (["${A"], "${A"), (["$"], "$"),
            (["$-A"], "$-A"), (["$AB"], nil), ([], nil), (["plain"], "plain"),
        ] as [([String], String?)])
    func templates(_ templates: [String], _ name: String?) {
        var properties = DeviceProperties()
        properties.add(udev: Array("E:A=one\nE:B=two\n".utf8))
        #expect(properties.name(templates) == name)
    }

    @Test("a path of an NVMe device has the serial number of the device")
    func nvmePaths() {
        #expect(DiskSerial.node(of: "nvme0c12n1") == "nvme0n1")
        for name in ["nvme0n1", "nvme0n1p1", "sda", "nvmec1n1", "nvme0c", "nvme0cn1"] {
            #expect(DiskSerial.node(of: name) == name)
        }
    }
}
