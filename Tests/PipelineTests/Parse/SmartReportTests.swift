import Testing

@testable import Pipeline

/// What smartctl prints, written for these tests after the shape of smartmontools 7.
enum SmartSample {
    static let ata = """
        smartctl 7.3 2022-02-28 r5338 [x86_64-linux-6.1.0] (local build)

        === START OF INFORMATION SECTION ===
        Model Family:     Test Disks
        Device Model:     TEST SSD 1000
        Serial Number:    S0X5NZBC422720
        LU WWN Device Id: 5 002538 655584d30
        User Capacity:    500,277,790,720 bytes [500 GB]
        SMART support is: Available - device has SMART capability.
        SMART support is: Enabled
        Power mode is:    ACTIVE or IDLE

        === START OF READ SMART DATA SECTION ===
        SMART overall-health self-assessment test result: PASSED

        ID# ATTRIBUTE_NAME          FLAGS    VALUE WORST THRESH FAIL RAW_VALUE
          1 Raw_Read_Error_Rate     -O-RC-   200   200   000    -    12
          9 Power_On_Hours          -O--CK   099   099   ---    -    65h+33m+09.259s
        173 Wear_Leveling_Count     -O--CK   084   084   000    -    957831397736
        188 Command_Timeout         -O--CK   100   100   000    -    1/4
        194 Temperature_Celsius     -O---K+  064   059   000    Past 36 (Min/Max 24/46)
                                    ||||||_ K auto-keep
        """
    static let nvme = """
        Model Number:                       TS128GMTE850
        Serial Number:                      D704940282
        SMART overall-health self-assessment test result: FAILED!
        Critical Warning:                   0x09
        Temperature:                        38 Celsius
        Available Spare:                    100%
        Percentage Used:                    16%
        Data Units Read:                    11,836,935 [6.06 TB]
        Host Read Commands:                 1\u{FFFD}292
        Unsafe Shutdowns:                   355
        Media and Data Integrity Errors:    0
        Warning  Comp. Temperature Time:    11
        Temperature Sensor 2:               57 C
        Temperature Sensor 3:               44 K
        """
}

@Suite("SmartReport")
struct SmartReportTests {
    private func read(
        _ text: String, status: Int = 0, attributes: Bool = false, type: String = ""
    ) throws -> (device: ParsedPoint, attributes: [ParsedPoint]) {
        let points = SmartReport.points(
            Array(text.utf8), device: "sda", type: type, exitStatus: status, attributes: attributes)
        let device = try #require(points.last)
        #expect(device.measurement == "smart_device")
        return (device, Array(points.dropLast()))
    }

    private func tags(_ point: ParsedPoint) -> [String: String] {
        Dictionary(uniqueKeysWithValues: point.tags.map { ($0.key, $0.value) })
    }

    @Test("an ATA disk: what it is, its health, and its attributes by number and by name")
    func ata() throws {
        let device = try read(SmartSample.ata, status: 64, type: "sat").device
        #expect(
            tags(device) == [
                "device": "sda", "device_type": "sat", "model": "TEST SSD 1000", "serial_no": "S0X5NZBC422720",
                "wwn": "5002538655584d30", "capacity": "500277790720", "enabled": "Enabled", "power": "ACTIVE",
            ])
        let expected: [String: ParsedPoint.Value] = [
            "health_ok": .bool(true), "read_error_rate": .int(12), "power_on_hours": .int(65 * 3_600 + 33 * 60 + 9),
            "wear_leveling_count": .int(84), "command_timeout": .float(0.25), "temp_c": .int(36),
            // An awake disk has no failure, whatever the bits say.
            "exit_status": .int(0),
        ]
        for (name, value) in expected { #expect(device[name] == value, "\(name)") }
        #expect(device.fields.count == expected.count)
    }

    @Test("with attributes each row is a point of its own")
    func attributes() throws {
        let rows = try read(SmartSample.ata, attributes: true).attributes
        #expect(rows.map { tags($0)["id"] } == ["1", "9", "173", "188", "194"])
        let last = try #require(rows.last)
        #expect(tags(last)["name"] == "Temperature_Celsius" && tags(last)["flags"] == "-O---K")
        #expect(tags(last)["fail"] == "Past" && tags(last)["model"] == "TEST SSD 1000")
        #expect(last["value"] == .int(64) && last["worst"] == .int(59) && last["threshold"] == .int(0))
        #expect(last["raw_value"] == .int(36) && last["exit_status"] == .int(0))
        #expect(rows[1]["threshold"] == nil)
        #expect(try read(SmartSample.nvme, attributes: true).attributes.count == 10)
    }

    @Test("an NVMe disk: named lines, numbers with separators, hexadecimal and percent")
    func nvme() throws {
        let device = try read(SmartSample.nvme, status: 8).device
        let expected: [String: ParsedPoint.Value] = [
            "health_ok": .bool(false), "critical_warning": .int(9), "temp_c": .int(38), "available_spare": .int(100),
            "percentage_used": .int(16), "unsafe_shutdowns": .int(355), "media_errors": .int(0),
            "warning_temperature_time": .int(11), "exit_status": .int(8),
        ]
        for (name, value) in expected { #expect(device[name] == value, "\(name)") }
        #expect(device.fields.count == expected.count)
        let rows = try read(SmartSample.nvme, attributes: true).attributes
        let values = Dictionary(uniqueKeysWithValues: rows.map { (tags($0)["name"] ?? "", $0["raw_value"]) })
        #expect(values["Data_Units_Read"] == .int(11_836_935) && values["Host_Read_Commands"] == .int(1_292))
        #expect(values["Temperature_Sensor_2"] == .int(57))
    }

    @Test("a sleeping disk and one that cannot be opened give the exit status")
    func asleep() throws {
        let device = try read("Device is in STANDBY mode, exit(2)\n", status: 2).device
        #expect(tags(device)["power"] == "STANDBY" && device["exit_status"] == .int(2) && device.fields.count == 1)
        #expect(try read("", status: 2).device["exit_status"] == .int(2))
    }

    @Test("raw values that are out of range or no number do no harm")
    func raws() {
        #expect(SmartAttribute.raw("99999999999999999999h") == .int(0))
        #expect(SmartAttribute.raw("9223372036854775807h") == .int(.max))
        #expect(SmartAttribute.raw("abc") == .int(0))
        #expect(SmartFields.Reading.number.value("-") == nil)
        #expect(SmartFields.Reading.hexadecimal.value("0xFFFFFFFFFFFFFFFFF") == nil)
    }

    @Test("cut anywhere there is a device point")
    func cuts() {
        for text in [SmartSample.ata, SmartSample.nvme] {
            let bytes = Array(text.utf8)
            for end in 0..<bytes.count {
                let points = SmartReport.points(
                    Array(bytes[..<end]), device: "sda", exitStatus: 0, attributes: true)
                #expect(points.last?["exit_status"] != nil)
            }
        }
    }
}
