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

    /// Why an input could not be made, with file and line; the bare error when the files tell nothing any more.
    func explain(_ error: any Error) -> [String] {
        let issues = ConfigFile.issues(ofInputs: load(allowsNoOutputs: true)).filter { $0.severity == .error }
        return issues.isEmpty ? ["\(error)"] : issues.map { "\($0)" }
    }
}

extension ConfigPaths {
    init(_ options: ConfigOptions) {
        self.init(file: options.config, directories: options.configDirectory)
    }
}
