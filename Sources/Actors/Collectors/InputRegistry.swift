import Pipeline

/// All inputs that this program has. A new one is a parser, a collector and a line here.
public enum InputRegistry {
    public static let all: [InputPlugin] = [
        InputPlugin(spec: CPUCollector.spec) { CPUCollector(options: $0, host: $1) },
        InputPlugin(spec: DiskCollector.spec) { DiskCollector(options: $0, host: $1) },
        InputPlugin(spec: MemoryCollector.spec) { MemoryCollector(options: $0, host: $1) },
        InputPlugin(spec: NetworkCollector.spec) { try NetworkCollector(options: $0, host: $1) },
        InputPlugin(spec: SystemCollector.spec) { try SystemCollector(options: $0, host: $1) },
    ]

    /// The input of that name.
    public static func plugin(_ name: String) -> InputPlugin? { all.first { $0.spec.name == name } }
}
