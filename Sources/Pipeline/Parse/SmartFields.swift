/// Which attributes of a device become fields of it, and what the lines of SAS and NVMe devices are called.
enum SmartFields {
    /// Attributes of ATA devices by their number: the field that takes the raw value.
    static let byNumber: [String: String] = [
        "1": "read_error_rate", "5": "reallocated_sectors_count", "7": "seek_error_rate", "9": "power_on_hours",
        "10": "spin_retry_count", "12": "power_cycle_count", "184": "end_to_end_error", "187": "uncorrectable_errors",
        "188": "command_timeout", "190": "temp_c", "194": "temp_c", "196": "realloc_event_count",
        "197": "pending_sector_count", "198": "uncorrectable_sector_count", "199": "udma_crc_errors",
        "201": "soft_read_error_rate",
    ]
    /// Those whose number differs with the vendor, by name: the field that takes the normalized value.
    static let byName: [String: String] = [
        "Percent_Lifetime_Remain": "percent_lifetime_remain", "Wear_Leveling_Count": "wear_leveling_count",
        "Media_Wearout_Indicator": "media_wearout_indicator",
    ]
    /// Named attributes that are fields of the device too.
    static let promoted: [String: String] = [
        "Power_Cycle_Count": "power_cycle_count", "Power_On_Hours": "power_on_hours",
        "Unsafe_Shutdowns": "unsafe_shutdowns", "Available_Spare": "available_spare",
        "Available_Spare_Threshold": "available_spare_threshold", "Percentage_Used": "percentage_used",
        "Critical_Warning": "critical_warning", "Media_and_Data_Integrity_Errors": "media_errors",
        "Error_Information_Log_Entries": "error_log_entries", "Warning_Temperature_Time": "warning_temperature_time",
        "Critical_Temperature_Time": "critical_temperature_time",
    ]

    /// How the number is written.
    enum Reading: Sendable {
        /// `1,234 [5 TB]`, `100%`, `16 829 004`: the digits up to a bracket.
        case number
        /// `0x04`.
        case hexadecimal
        /// `36 C` or `36 Celsius`.
        case temperature, sensor

        func value(_ text: String) -> Int64? {
            switch self {
            case .number:
                return Int64(String(text.prefix { $0 != "[" }.unicodeScalars.filter { "0"..."9" ~= $0 || $0 == "-" }))
            case .hexadecimal:
                guard text.hasPrefix("0x") else { return nil }
                return Int64(text.dropFirst(2).prefix { $0.isHexDigit }, radix: 16)
            case .temperature, .sensor:
                let words = text.split(separator: " ")
                guard words.count >= 2, words[1].hasPrefix("C") else { return nil }
                return Int64(words[0])
            }
        }
    }

    /// Lines by their label: number and name of the attribute.
    static let named: [String: (id: String, name: String, reading: Reading)] = {
        var known: [String: (id: String, name: String, reading: Reading)] = [
            "Accumulated start-stop cycles": ("4", "Start_Stop_Count", .number),
            "Accumulated load-unload cycles": ("193", "Load_Cycle_Count", .number),
            "Current Drive Temperature": ("194", "Temperature_Celsius", .temperature),
            "Temperature": ("194", "Temperature_Celsius", .temperature),
            "Power Cycles": ("12", "Power_Cycle_Count", .number),
            "Power On Hours": ("9", "Power_On_Hours", .number),
            "Critical Warning": ("", "Critical_Warning", .hexadecimal),
            "Percentage used endurance indicator": ("", "Percentage_Used", .number),
            "Warning  Comp. Temperature Time": ("", "Warning_Temperature_Time", .number),
            "Critical Comp. Temperature Time": ("", "Critical_Temperature_Time", .number),
        ]
        let plain = [
            "Media and Data Integrity Errors", "Error Information Log Entries", "Available Spare",
            "Available Spare Threshold", "Percentage Used", "Data Units Read", "Data Units Written",
            "Host Read Commands", "Host Write Commands", "Controller Busy Time", "Unsafe Shutdowns",
        ]
        for label in plain { known[label] = ("", String(label.map { $0 == " " ? "_" : $0 }), .number) }
        for stage in 1...2 {
            known["Thermal Temp. \(stage) Transition Count"] = (
                "", "Thermal_Management_T\(stage)_Trans_Count", .number
            )
            known["Thermal Temp. \(stage) Total Time"] = ("", "Thermal_Management_T\(stage)_Total_Time", .number)
        }
        for sensor in 1...8 { known["Temperature Sensor \(sensor)"] = ("", "Temperature_Sensor_\(sensor)", .sensor) }
        return known
    }()
}

extension SmartReport {
    /// What the two measurements hold.
    public static var metrics: [MetricSpec] {
        let device = ["capacity", "device", "device_type", "enabled", "model", "power", "serial_no", "wwn"]
        func field(_ name: String) -> MetricSpec.Field {
            let unit: MetricUnit =
                name == "temp_c"
                ? .celsius : name.hasPrefix("available") || name.hasPrefix("perc") ? .percent : .count
            return MetricSpec.Field(name, .int, unit, "smartctl --attributes")
        }
        let fields = Set(SmartFields.byNumber.values).union(SmartFields.byName.values).union(
            SmartFields.promoted.values)
        return [
            MetricSpec(
                "smart_device", tags: device,
                fields: [
                    MetricSpec.Field(
                        "exit_status", .int, .none, "smartctl: exit status, 0 for a disk that is awake"),
                    MetricSpec.Field("health_ok", .bool, .none, "smartctl --health"),
                ] + fields.sorted().map(field)),
            MetricSpec(
                "smart_attribute", tags: (device + ["fail", "flags", "id", "name"]).sorted(),
                fields: ["value", "worst", "threshold", "raw_value"].map {
                    MetricSpec.Field($0, .int, .none, "smartctl --attributes")
                } + [MetricSpec.Field("exit_status", .int, .none, "smartctl: exit status")]),
        ]
    }
}
