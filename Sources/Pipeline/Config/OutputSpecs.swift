/// The outputs and their options.
public enum OutputSpecs {
    /// All outputs of this version.
    public static var all: [PluginSpec] { [influxdb, influxdbV2, file, prometheusClient, remoteWrite] }

    static let missing = "not available in this version"

    /// Files on this machine.
    public static var file: PluginSpec {
        PluginSpec(
            name: "file", summary: "Writes line protocol to files that are rotated.",
            options: [
                OptionSpec(
                    "directory", .string(""), "Folder of the files; empty means metrics in the state directory."),
                OptionSpec(
                    "rotation_max_bytes", .size(16 << 20), "Size at which a file is closed.", bounds: 4_096...1e12),
                OptionSpec(
                    "rotation_interval", .duration(.seconds(3_600)), "Age at which a file is closed.",
                    bounds: 1...31_536_000),
                OptionSpec("max_files", .integer(8), "Files that are kept.", bounds: 1...100_000),
                OptionSpec(
                    "max_age", .duration(.seconds(86_400)), "Age at which a file is deleted.", bounds: 1...315_360_000),
                OptionSpec("influx_uint_support", .bool(false), "Write unsigned fields as such."),
                OptionSpec(
                    "files", .strings([]), "Telegraf's list of files.",
                    refusedBecause: "files are rotated in a folder here; use directory"),
                OptionSpec(
                    "data_format", .string("influx"), "Format of the lines.", choices: ["influx"]),
            ])
    }
}
