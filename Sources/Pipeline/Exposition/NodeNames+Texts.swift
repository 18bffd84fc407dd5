extension NodeNames {
    /// Help texts of metrics that the input `node` has and of a few others, a name and its text a line.
    static let texts: [String: String] = {
        var found: [String: String] = [:]
        for line in lines.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { found[String(parts[0])] = String(parts[1]) }
        }
        return found
    }()

    /// Help text of a sensor's metric, by what stands behind `node_hwmon_`.
    static func sensorText(_ name: String) -> String {
        let words = name.split(separator: "_").map(String.init)
        guard words.count > 1, let type = words.first, let last = words.last else {
            return name == "humidity"
                ? "Hardware monitor for humidity, as a ratio "
                    + "(multiply with 100.0 to get the humidity as a percentage) (input)"
                : "Hardware monitor \(name) element "
        }
        let element = words.dropFirst().dropLast().joined(separator: "_")
        let shown = element.isEmpty ? "input" : element
        switch last {
        case "alarm", "fault": return "Hardware sensor \(last) status (\(name.dropLast(last.count + 1)))"
        case "celsius": return "Hardware monitor for temperature (\(shown))"
        case "volts": return "Hardware monitor for voltage (\(shown))"
        case "amps": return "Hardware monitor for current (\(shown))"
        case "total": return "Hardware monitor for joules used so far (input)"
        case "watt": return "Hardware monitor for power usage in watts (\(shown))"
        case "rpm": return "Hardware monitor for fan revolutions per minute (\(shown))"
        case "seconds": return "Hardware monitor power usage update interval (\(shown))"
        case "enabled": return "Hardware beep enabled"
        default: return "Hardware monitor \(type) element \(words.dropFirst().joined(separator: "_"))"
        }
    }

    private static let lines = """
        node_arp_entries ARP entries by device
        node_cooling_device_cur_state Current throttle state of the cooling device
        node_cooling_device_max_state Maximum throttle state of the cooling device
        node_cpu_frequency_hertz Current cpu thread frequency in hertz.
        node_cpu_frequency_max_hertz Maximum cpu thread frequency in hertz.
        node_cpu_frequency_min_hertz Minimum cpu thread frequency in hertz.
        node_cpu_scaling_frequency_hertz Current scaled CPU thread frequency in hertz.
        node_cpu_scaling_frequency_max_hertz Maximum scaled CPU thread frequency in hertz.
        node_cpu_scaling_frequency_min_hertz Minimum scaled CPU thread frequency in hertz.
        node_disk_discard_time_seconds_total This is the total number of seconds spent by all discards.
        node_disk_discarded_sectors_total The total number of sectors discarded successfully.
        node_disk_discards_completed_total The total number of discards completed successfully.
        node_disk_discards_merged_total The total number of discards merged.
        node_disk_flush_requests_time_seconds_total This is the total number of seconds spent by all flush requests.
        node_disk_flush_requests_total The total number of flush requests completed successfully
        node_disk_info Info of /sys/block/<block_device>.
        node_entropy_pool_size_bits Bits of entropy pool.
        node_filesystem_device_error Whether an error occurred while getting statistics for the given device.
        node_hwmon_chip_names Annotation metric for human-readable chip names
        node_hwmon_sensor_label Label for given chip and sensor
        node_interrupts_total Interrupt details.
        node_network_info Non-numeric data from /sys/class/net/<iface>, value is always 1.
        node_network_up Value is 1 if operstate is 'up', 0 otherwise.
        node_nf_conntrack_stat_drop Number of packets dropped due to conntrack failure.
        node_nf_conntrack_stat_early_drop Number of dropped conntrack entries to make room for new ones, if maximum \
        table size was reached.
        node_nf_conntrack_stat_found Number of searched entries which were successful.
        node_nf_conntrack_stat_ignore Number of packets seen which are already connected to a conntrack entry.
        node_nf_conntrack_stat_insert Number of entries inserted into the list.
        node_nf_conntrack_stat_insert_failed Number of entries for which list insertion was attempted but failed.
        node_nf_conntrack_stat_invalid Number of packets seen which can not be tracked.
        node_nf_conntrack_stat_search_restart Number of conntrack table lookups which had to be restarted due to \
        hashtable resizes.
        node_os_info A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, \
        name, pretty_name, variant, variant_id, version, version_codename, version_id.
        node_os_version Metric containing the major.minor part of the OS version.
        node_processes_pids Number of PIDs
        node_processes_state Number of processes in each state.
        node_processes_threads Allocated threads in system
        node_procs_blocked Number of processes blocked waiting for I/O to complete.
        node_procs_running Number of processes in runnable state.
        node_schedstat_running_seconds_total Number of seconds CPU spent running a process.
        node_schedstat_timeslices_total Number of timeslices executed by CPU.
        node_schedstat_waiting_seconds_total Number of seconds spent by processing waiting for this CPU.
        node_selinux_current_mode Current SELinux enforcement mode
        node_selinux_enabled SELinux is enabled, 1 is true, 0 is false
        node_sockstat_sockets_used Number of IPv4 sockets in use.
        node_softnet_dropped_total Number of dropped packets
        node_softnet_processed_total Number of processed packets
        node_softnet_times_squeezed_total Number of times processing packets ran out of quota
        node_systemd_unit_state Systemd unit
        node_thermal_zone_temp Zone temperature in Celsius
        node_time_clocksource_available_info Available clocksources read from '/sys/devices/system/clocksource'.
        node_time_clocksource_current_info Current clocksource read from '/sys/devices/system/clocksource'.
        node_time_zone_offset_seconds System time zone offset in seconds.
        node_timex_estimated_error_seconds Estimated error in seconds.
        node_timex_frequency_adjustment_ratio Local clock frequency adjustment.
        node_timex_loop_time_constant Phase-locked loop time constant.
        node_timex_maxerror_seconds Maximum error in seconds.
        node_timex_offset_seconds Time offset in between local system and reference clock.
        node_timex_pps_calibration_total Pulse per second count of calibration intervals.
        node_timex_pps_error_total Pulse per second count of calibration errors.
        node_timex_pps_frequency_hertz Pulse per second frequency.
        node_timex_pps_jitter_seconds Pulse per second jitter.
        node_timex_pps_jitter_total Pulse per second count of jitter limit exceeded events.
        node_timex_pps_shift_seconds Pulse per second interval duration.
        node_timex_pps_stability_exceeded_total Pulse per second count of stability limit exceeded events.
        node_timex_pps_stability_hertz Pulse per second stability, average of recent frequency changes.
        node_timex_status Value of the status array bits.
        node_timex_sync_status Is clock synchronized to a reliable server (1 = yes, 0 = no).
        node_timex_tai_offset_seconds International Atomic Time (TAI) offset.
        node_timex_tick_seconds Seconds between clock ticks.
        node_udp_queues Number of allocated memory in the kernel for UDP datagrams in bytes.
        """
}
