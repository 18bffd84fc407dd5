import Pipeline

/// The fields of input `system`, group by group, each group in the order in which its values come.
enum SystemFields {
    static let load: [MetricSpec.Field] = [
        .float("load1", .count, "/proc/loadavg: tasks, mean of a minute; else sysinfo(2)"),
        .float("load5", .count, "/proc/loadavg: tasks, mean of five minutes; else sysinfo(2)"),
        .float("load15", .count, "/proc/loadavg: tasks, mean of fifteen minutes; else sysinfo(2)"),
    ]
    /// With the option `rates`.
    static let loadPerCore: [MetricSpec.Field] = load.map {
        .float($0.name + "_pcore", .ratio, "\($0.name), of n_cpus; option rates")
    }
    static let cpus: [MetricSpec.Field] = [
        .int("n_cpus", .count, "/proc/cpuinfo: processors; else /proc/stat"),
        .int("n_physical_cpus", .count, "/sys/devices/system/cpu: distinct core_cpus_list; else /proc/cpuinfo"),
    ]
    static let users: [MetricSpec.Field] = [
        .int("n_users", .count, "/var/run/utmp: sessions"), .int("n_unique_users", .count, "/var/run/utmp: names"),
    ]
    static let uptime: [MetricSpec.Field] = [.uint("uptime", .seconds, "sysinfo(2): uptime")]
    static let uptimeFormat: [MetricSpec.Field] = [
        .string("uptime_format", "sysinfo(2): uptime, as `14 days, 11:07`")
    ]
    static let os: [MetricSpec.Field] = [
        .string("os", "always linux"), .string("arch", "uname(2): machine"), .string("platform", "/etc/os-release: ID"),
        .string("platform_family", "/etc/os-release: ID_LIKE"),
        .string("platform_version", "/etc/os-release: VERSION_ID"), .string("kernel_version", "uname(2): release"),
    ]
    /// Field and file of /sys/class/dmi/id; the one after chassis_type_code is made from it.
    static let dmiFiles = [
        ("bios_vendor", "bios_vendor"), ("bios_version", "bios_version"), ("bios_date", "bios_date"),
        ("board_vendor", "board_vendor"), ("board_product", "board_name"), ("board_version", "board_version"),
        ("board_serial", "board_serial"), ("board_asset_tag", "board_asset_tag"),
        ("chassis_vendor", "chassis_vendor"), ("chassis_type_code", "chassis_type"),
        ("chassis_version", "chassis_version"), ("chassis_serial", "chassis_serial"),
        ("chassis_asset_tag", "chassis_asset_tag"), ("product_vendor", "sys_vendor"),
        ("product_name", "product_name"), ("product_family", "product_family"),
        ("product_version", "product_version"), ("product_serial", "product_serial"),
        ("product_sku", "product_sku"), ("product_uuid", "product_uuid"),
    ]
    static let dmi: [MetricSpec.Field] =
        dmiFiles.map { .string($0.0, "/sys/class/dmi/id/\($0.1); unknown where unreadable") }
        + [.string("chassis_type", "the name of chassis_type_code")]

    static let all = load + loadPerCore + cpus + users + uptime + uptimeFormat + os + dmi
}
