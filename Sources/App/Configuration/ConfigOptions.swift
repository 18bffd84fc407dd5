import ArgumentParser
import Pipeline

/// The options of every command that reads the configuration.
struct ConfigOptions: ParsableArguments {
    @Option(name: .long, help: "Configuration file (default: /etc/godwit/config.toml, else config.toml here).")
    var config: String?

    @Option(
        name: .long,
        help: "Folder whose *.conf and *.toml files are read too; without --config instead of the default file.")
    var configDirectory: [String] = []

    @Flag(name: .long, help: "Skip plugins and sections that this version does not have, with a warning.")
    var skipUnknown = false

    /// Reads and checks what the options name.
    func load(allowsNoOutputs: Bool = false, isCheck: Bool = false) -> ConfigReport {
        let decoder = ConfigDecoder(
            inputs: KnownPlugins.inputs, outputs: KnownPlugins.outputs, skipsUnknown: skipUnknown,
            allowsNoOutputs: allowsNoOutputs)
        return ConfigFile.load(ConfigPaths(self), decoder: decoder, isCheck: isCheck)
    }
}

extension ConfigPaths {
    init(_ options: ConfigOptions) {
        self.init(file: options.config, directories: options.configDirectory)
    }
}
