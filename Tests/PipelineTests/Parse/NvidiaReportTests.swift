import Testing

@testable import Pipeline

/// What `nvidia-smi -q -x` prints, shortened: written for these tests after the element names of its document types.
enum NvidiaSample {
    static func log(_ version: String, _ gpus: String) -> [UInt8] {
        Array(
            """
            <?xml version="1.0" ?>
            <!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_\(version).dtd">
            <nvidia_smi_log>
            <timestamp>Sat Nov 21 06:00:00 2026</timestamp>
            <driver_version>535.54.03</driver_version>
            <cuda_version>12.2</cuda_version>
            <attached_gpus>1</attached_gpus>
            \(gpus)</nvidia_smi_log>
            """.utf8)
    }

    static let card = """
        <gpu id="00000000:01:00.0">
            <product_name>NVIDIA Test 3000</product_name>
            <product_architecture>Ampere</product_architecture>
            <uuid>GPU-0001</uuid>
            <performance_state>P2</performance_state>
            <compute_mode>Default</compute_mode>
            <serial>N/A</serial>
            <vbios_version>94.02.71</vbios_version>
            <fan_speed>30 %</fan_speed>
            <fb_memory_usage><total>10240 MiB</total><used>22 MiB</used><free>9900 MiB</free></fb_memory_usage>
            <utilization><gpu_util>7 %</gpu_util><memory_util>1 %</memory_util></utilization>
            <temperature><gpu_temp>31 C</gpu_temp><memory_temp>N/A</memory_temp></temperature>
            <pci><pci_gpu_link_info>
                <pcie_gen><current_link_gen>4</current_link_gen></pcie_gen>
                <link_widths><current_link_width>16x</current_link_width></link_widths>
            </pci_gpu_link_info><rx_util>0 KB/s</rx_util></pci>
            <clocks_event_reasons>
                <clocks_event_reason_gpu_idle>Active</clocks_event_reason_gpu_idle>
                <clocks_event_reason_sync_boost>Not Active</clocks_event_reason_sync_boost>
            </clocks_event_reasons>
            <power_readings><power_draw>1.00 W</power_draw></power_readings>
            <gpu_power_readings><instant_power_draw>22.78 W</instant_power_draw>
                <current_power_limit>336.00 W</current_power_limit></gpu_power_readings>
            <clocks><graphics_clock>210 MHz</graphics_clock></clocks>
            <mig_devices><mig_device><index>0</index><gpu_instance_id>3</gpu_instance_id>
                <compute_instance_id>1</compute_instance_id>
                <ecc_error_count><volatile_count><sram_uncorrectable>2</sram_uncorrectable></volatile_count></ecc_error_count>
                <fb_memory_usage><total>4864 MiB</total></fb_memory_usage></mig_device></mig_devices>
            <processes><process_info><pid>42</pid><type>C</type><process_name>/usr/bin/a b</process_name>
                <used_memory>100 MiB</used_memory></process_info></processes>
        </gpu>

        """
}

@Suite("NvidiaReport")
struct NvidiaReportTests {
    private func tags(_ point: ParsedPoint) -> [String: String] {
        Dictionary(uniqueKeysWithValues: point.tags.map { ($0.key, $0.value) })
    }

    @Test("a card, its parts and its processes become points; what is not available is left out")
    func points() throws {
        let points = try NvidiaReport.points(NvidiaSample.log("v12", NvidiaSample.card))
        #expect(points.map(\.measurement) == ["nvidia_smi", "nvidia_smi_mig", "nvidia_smi_process"])
        let card = points[0]
        #expect(
            tags(card) == [
                "index": "0", "name": "NVIDIA Test 3000", "arch": "Ampere", "uuid": "GPU-0001", "pstate": "P2",
                "compute_mode": "Default",
            ])
        let expected: [String: ParsedPoint.Value?] = [
            "driver_version": .string("535.54.03"), "cuda_version": .string("12.2"), "serial": nil,
            "vbios_version": .string("94.02.71"), "fan_speed": .int(30), "memory_total": .int(10_240),
            "memory_used": .int(22), "memory_free": .int(9_900), "memory_reserved": nil, "utilization_gpu": .int(7),
            "utilization_memory": .int(1),
            "temperature_gpu": .int(31), "temperature_memory": nil, "pcie_link_gen_current": .int(4),
            "pcie_link_width_current": .int(16), "pcie_rx_util": .int(0), "clocks_event_reason_gpu_idle": .int(1),
            "clocks_event_reason_sync_boost": .int(0), "power_draw": .float(22.78), "power_limit": .float(336),
            "clocks_current_graphics": .int(210),
        ]
        for (name, value) in expected { #expect(card[name] == value, "\(name)") }
        #expect(card.fields.count == expected.values.compactMap(\.self).count)
        #expect(tags(points[1])["gpu_index"] == "3" && tags(points[1])["uuid"] == "GPU-0001")
        #expect(points[1]["sram_uncorrectable"] == .int(2) && points[1]["memory_fb_total"] == .int(4_864))
        #expect(tags(points[2]) == ["name": "/usr/bin/a b", "type": "C"])
        #expect(points[2]["pid"] == .int(42) && points[2]["used_memory"] == .int(100))
    }

    @Test("older document types have no tag for the architecture; cards are numbered")
    func versions() throws {
        let points = try NvidiaReport.points(NvidiaSample.log("v11", NvidiaSample.card + NvidiaSample.card))
        let cards = points.filter { $0.measurement == "nvidia_smi" }.map(tags)
        #expect(cards.map { $0["index"] } == ["0", "1"])
        #expect(cards.allSatisfy { $0["arch"] == nil })
    }

    @Test("every field that can come is declared, with its kind")
    func declared() throws {
        let declared = Dictionary(
            uniqueKeysWithValues: NvidiaReport.metrics.map { metric in
                (metric.measurement, Dictionary(uniqueKeysWithValues: metric.fields.map { ($0.name, $0.kind) }))
            })
        for point in try NvidiaReport.points(NvidiaSample.log("v13", NvidiaSample.card)) {
            for field in point.fields { #expect(declared[point.measurement]?[field.key] == field.value.kind) }
        }
    }

    @Test("no card is no point; other documents and cut ones are errors")
    func errors() throws {
        #expect(try NvidiaReport.points(NvidiaSample.log("v12", "")).isEmpty)
        #expect(throws: ParseError.self) { try NvidiaReport.points(Array("<html></html>".utf8)) }
        let bytes = NvidiaSample.log("v12", NvidiaSample.card)
        for end in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: ParseError.self) { try NvidiaReport.points(Array(bytes[..<end])) }
        }
    }
}
