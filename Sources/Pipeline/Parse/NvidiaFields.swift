extension NvidiaReport {
    /// The fields of a card: name, kind, and the elements below `<gpu>` that may hold it.
    static let cardFields: [(name: String, kind: Kind, paths: [String])] = cardTable.map {
        ($0.0, $0.1, $0.3.split(separator: " ").map(String.init))
    }

    /// The fields of a part of a card (multi-instance GPU): name and the element below `<mig_device>`.
    static let partitionFields: [(name: String, path: String)] = [
        ("sram_uncorrectable", "ecc_error_count/volatile_count/sram_uncorrectable"),
        ("memory_fb_total", "fb_memory_usage/total"), ("memory_fb_reserved", "fb_memory_usage/reserved"),
        ("memory_fb_used", "fb_memory_usage/used"), ("memory_fb_free", "fb_memory_usage/free"),
        ("memory_bar1_total", "bar1_memory_usage/total"), ("memory_bar1_used", "bar1_memory_usage/used"),
        ("memory_bar1_free", "bar1_memory_usage/free"),
    ]

    /// What each measurement holds. Counters of time are in microseconds, memory is in MiB, PCIe traffic in KB/s.
    public static var metrics: [MetricSpec] {
        [
            MetricSpec(
                "nvidia_smi", tags: ["arch", "compute_mode", "index", "name", "pstate", "uuid"],
                fields: ["driver_version", "cuda_version"].map {
                    MetricSpec.Field($0, .string, .none, "nvidia-smi: \($0)")
                }
                    + cardTable.map { name, kind, unit, paths in
                        MetricSpec.Field(
                            name, kind.field, unit, "nvidia-smi: \(paths.split(separator: " ").last ?? "")")
                    }),
            MetricSpec(
                "nvidia_smi_mig",
                tags: ["arch", "compute_index", "compute_mode", "gpu_index", "index", "name", "pstate", "uuid"],
                fields: partitionFields.map {
                    MetricSpec.Field($0.name, .int, .count, "nvidia-smi: mig_device/\($0.path)")
                }
            ),
            MetricSpec(
                "nvidia_smi_process", tags: ["name", "type"],
                fields: [
                    MetricSpec.Field("pid", .int, .none, "nvidia-smi: process_info/pid"),
                    MetricSpec.Field("used_memory", .int, .count, "nvidia-smi: process_info/used_memory"),
                ]),
        ]
    }

    /// Name, kind, unit, and paths separated by blanks.
    private static let cardTable: [(String, Kind, MetricUnit, String)] = [
        ("serial", .text, .none, "serial"),
        ("vbios_version", .text, .none, "vbios_version"),
        ("display_active", .text, .none, "display_active"),
        ("display_mode", .text, .none, "display_mode"),
        ("current_ecc", .text, .none, "ecc_mode/current_ecc"),
        ("fan_speed", .int, .percent, "fan_speed"),
        ("memory_total", .int, .count, "fb_memory_usage/total"),
        ("memory_used", .int, .count, "fb_memory_usage/used"),
        ("memory_free", .int, .count, "fb_memory_usage/free"),
        ("memory_reserved", .int, .count, "fb_memory_usage/reserved"),
        ("ecc_errors_volatile_dram_correctable", .int, .count, "ecc_errors/volatile/dram_correctable"),
        ("ecc_errors_volatile_dram_uncorrectable", .int, .count, "ecc_errors/volatile/dram_uncorrectable"),
        ("ecc_errors_volatile_sram_correctable", .int, .count, "ecc_errors/volatile/sram_correctable"),
        ("ecc_errors_volatile_sram_uncorrectable", .int, .count, "ecc_errors/volatile/sram_uncorrectable"),
        (
            "ecc_errors_volatile_sram_uncorrectable_parity", .int, .count,
            "ecc_errors/volatile/sram_uncorrectable_parity"
        ),
        (
            "ecc_errors_volatile_sram_uncorrectable_secded", .int, .count,
            "ecc_errors/volatile/sram_uncorrectable_secded"
        ),
        ("ecc_errors_aggregate_dram_correctable", .int, .count, "ecc_errors/aggregate/dram_correctable"),
        ("ecc_errors_aggregate_dram_uncorrectable", .int, .count, "ecc_errors/aggregate/dram_uncorrectable"),
        ("ecc_errors_aggregate_sram_correctable", .int, .count, "ecc_errors/aggregate/sram_correctable"),
        ("ecc_errors_aggregate_sram_uncorrectable", .int, .count, "ecc_errors/aggregate/sram_uncorrectable"),
        (
            "ecc_errors_aggregate_sram_uncorrectable_parity", .int, .count,
            "ecc_errors/aggregate/sram_uncorrectable_parity"
        ),
        (
            "ecc_errors_aggregate_sram_uncorrectable_secded", .int, .count,
            "ecc_errors/aggregate/sram_uncorrectable_secded"
        ),
        ("ecc_errors_aggregate_sram_threshold_exceeded", .text, .none, "ecc_errors/aggregate/sram_threshold_exceeded"),
        (
            "ecc_errors_aggregate_sram_uncorrectable_l2", .int, .count,
            "ecc_errors/aggregate_uncorrectable_sram_sources/sram_l2"
        ),
        (
            "ecc_errors_aggregate_sram_uncorrectable_microcontroller", .int, .count,
            "ecc_errors/aggregate_uncorrectable_sram_sources/sram_microcontroller"
        ),
        (
            "ecc_errors_aggregate_sram_uncorrectable_other", .int, .count,
            "ecc_errors/aggregate_uncorrectable_sram_sources/sram_other"
        ),
        (
            "ecc_errors_aggregate_sram_uncorrectable_pcie", .int, .count,
            "ecc_errors/aggregate_uncorrectable_sram_sources/sram_pcie"
        ),
        (
            "ecc_errors_aggregate_sram_uncorrectable_sm", .int, .count,
            "ecc_errors/aggregate_uncorrectable_sram_sources/sram_sm"
        ),
        ("ecc_errors_channel_repair_pending", .text, .none, "ecc_errors/channel_repair_pending"),
        ("ecc_errors_tpc_repair_pending", .text, .none, "ecc_errors/tpc_repair_pending"),
        ("ecc_errors_unrepairable_memory", .text, .none, "ecc_errors/unrepairable_memory"),
        (
            "retired_pages_multiple_single_bit", .int, .count,
            "retired_pages/multiple_single_bit_retirement/retired_count"
        ),
        ("retired_pages_double_bit", .int, .count, "retired_pages/double_bit_retirement/retired_count"),
        ("retired_pages_blacklist", .text, .none, "retired_pages/pending_blacklist"),
        ("retired_pages_pending", .text, .none, "retired_pages/pending_retirement"),
        ("remapped_rows_correctable", .int, .count, "remapped_rows/correctable remapped_rows/remapped_row_corr"),
        ("remapped_rows_uncorrectable", .int, .count, "remapped_rows/uncorrectable remapped_rows/remapped_row_unc"),
        ("remapped_rows_pending", .text, .none, "remapped_rows/pending remapped_rows/remapped_row_pending"),
        ("remapped_rows_failure", .text, .none, "remapped_rows/failure remapped_rows/remapped_row_failure"),
        ("temperature_gpu", .int, .celsius, "temperature/gpu_temp"),
        ("temperature_gpu_tlimit", .int, .celsius, "temperature/gpu_temp_tlimit"),
        ("temperature_memory", .int, .celsius, "temperature/memory_temp"),
        ("temperature_gpu_target", .int, .celsius, "temperature/gpu_target_temperature"),
        ("temperature_gpu_target_min", .int, .celsius, "supported_gpu_target_temp/gpu_target_temp_min"),
        ("temperature_gpu_target_max", .int, .celsius, "supported_gpu_target_temp/gpu_target_temp_max"),
        ("temperature_max_threshold", .int, .celsius, "temperature/gpu_temp_max_threshold"),
        ("temperature_slow_threshold", .int, .celsius, "temperature/gpu_temp_slow_threshold"),
        ("temperature_max_gpu_threshold", .int, .celsius, "temperature/gpu_temp_max_gpu_threshold"),
        ("temperature_max_mem_threshold", .int, .celsius, "temperature/gpu_temp_max_mem_threshold"),
        ("temperature_max_tlimit_threshold", .int, .celsius, "temperature/gpu_temp_max_tlimit_threshold"),
        ("temperature_slow_tlimit_threshold", .int, .celsius, "temperature/gpu_temp_slow_tlimit_threshold"),
        ("temperature_max_gpu_tlimit_threshold", .int, .celsius, "temperature/gpu_temp_max_gpu_tlimit_threshold"),
        ("temperature_max_mem_tlimit_threshold", .int, .celsius, "temperature/gpu_temp_max_mem_tlimit_threshold"),
        ("utilization_gpu", .int, .percent, "utilization/gpu_util"),
        ("utilization_memory", .int, .percent, "utilization/memory_util"),
        ("utilization_encoder", .int, .percent, "utilization/encoder_util"),
        ("utilization_decoder", .int, .percent, "utilization/decoder_util"),
        ("utilization_jpeg", .int, .percent, "utilization/jpeg_util"),
        ("utilization_ofa", .int, .percent, "utilization/ofa_util"),
        ("pcie_link_gen_current", .int, .none, "pci/pci_gpu_link_info/pcie_gen/current_link_gen"),
        ("pcie_link_width_current", .int, .none, "pci/pci_gpu_link_info/link_widths/current_link_width"),
        ("pcie_rx_util", .int, .count, "pci/rx_util"),
        ("pcie_tx_util", .int, .count, "pci/tx_util"),
        ("encoder_stats_session_count", .int, .count, "encoder_stats/session_count"),
        ("encoder_stats_average_fps", .int, .perSecond, "encoder_stats/average_fps"),
        ("encoder_stats_average_latency", .int, .microseconds, "encoder_stats/average_latency"),
        ("fbc_stats_session_count", .int, .count, "fbc_stats/session_count"),
        ("fbc_stats_average_fps", .int, .perSecond, "fbc_stats/average_fps"),
        ("fbc_stats_average_latency", .int, .microseconds, "fbc_stats/average_latency"),
        ("clocks_current_graphics", .int, .megahertz, "clocks/graphics_clock"),
        ("clocks_current_sm", .int, .megahertz, "clocks/sm_clock"),
        ("clocks_current_memory", .int, .megahertz, "clocks/mem_clock"),
        ("clocks_current_video", .int, .megahertz, "clocks/video_clock"),
        (
            "clocks_event_reason_sw_power_cap", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_sw_power_cap "
                + "clocks_event_reasons/clocks_event_reason_sw_power_cap"
        ),
        (
            "clocks_event_reason_sw_thermal_slowdown", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_sw_thermal_slowdown "
                + "clocks_event_reasons/clocks_event_reason_sw_thermal_slowdown"
        ),
        (
            "clocks_event_reason_hw_thermal_slowdown", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_hw_thermal_slowdown "
                + "clocks_event_reasons/clocks_event_reason_hw_thermal_slowdown"
        ),
        (
            "clocks_event_reason_hw_power_brake_slowdown", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_hw_power_brake_slowdown "
                + "clocks_event_reasons/clocks_event_reason_hw_power_brake_slowdown"
        ),
        (
            "clocks_event_reason_hw_slowdown", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_hw_slowdown "
                + "clocks_event_reasons/clocks_event_reason_hw_slowdown"
        ),
        (
            "clocks_event_reason_sync_boost", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_sync_boost "
                + "clocks_event_reasons/clocks_event_reason_sync_boost"
        ),
        (
            "clocks_event_reason_gpu_idle", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_gpu_idle "
                + "clocks_event_reasons/clocks_event_reason_gpu_idle"
        ),
        (
            "clocks_event_reason_applications_clocks_setting", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_applications_clocks_setting "
                + "clocks_event_reasons/clocks_event_reason_applications_clocks_setting"
        ),
        (
            "clocks_event_reason_display_clocks_setting", .flag, .none,
            "clocks_throttle_reasons/clocks_throttle_reason_display_clocks_setting "
                + "clocks_event_reasons/clocks_event_reason_display_clocks_setting"
        ),
        (
            "clocks_event_reasons_counters_sw_power_cap", .int, .microseconds,
            "clocks_event_reasons_counters/clocks_event_reasons_counters_sw_power_cap"
        ),
        (
            "clocks_event_reasons_counters_sw_therm_slowdown", .int, .microseconds,
            "clocks_event_reasons_counters/clocks_event_reasons_counters_sw_therm_slowdown"
        ),
        (
            "clocks_event_reasons_counters_hw_therm_slowdown", .int, .microseconds,
            "clocks_event_reasons_counters/clocks_event_reasons_counters_hw_therm_slowdown"
        ),
        (
            "clocks_event_reasons_counters_hw_power_brake", .int, .microseconds,
            "clocks_event_reasons_counters/clocks_event_reasons_counters_hw_power_brake"
        ),
        (
            "clocks_event_reasons_counters_sync_boost", .int, .microseconds,
            "clocks_event_reasons_counters/clocks_event_reasons_counters_sync_boost"
        ),
        (
            "power_draw", .float, .watts,
            "power_readings/power_draw "
                + "power_readings/instant_power_draw gpu_power_readings/power_draw gpu_power_readings/instant_power_draw"
        ),
        (
            "power_limit", .float, .watts,
            "power_readings/power_limit "
                + "gpu_power_readings/current_power_limit gpu_power_readings/power_limit"
        ),
        (
            "power_draw_average", .float, .watts,
            "power_readings/average_power_draw "
                + "gpu_power_readings/average_power_draw"
        ),
        (
            "power_limit_default", .float, .watts,
            "power_readings/default_power_limit "
                + "gpu_power_readings/default_power_limit"
        ),
        ("power_limit_min", .float, .watts, "power_readings/min_power_limit gpu_power_readings/min_power_limit"),
        ("power_limit_max", .float, .watts, "power_readings/max_power_limit gpu_power_readings/max_power_limit"),
        ("power_limit_requested", .float, .watts, "gpu_power_readings/requested_power_limit"),
        (
            "module_power_draw", .float, .watts,
            "module_power_readings/power_draw "
                + "module_power_readings/instant_power_draw"
        ),
    ]
}

extension NvidiaReport.Kind {
    fileprivate var field: FieldKind {
        switch self {
        case .int, .flag: .int
        case .float: .float
        case .text: .string
        }
    }
}
