import Pipeline

/// All inputs that this program has. A new one is a parser, a collector and a line here.
public enum InputRegistry {
    public static let all: [InputPlugin] = [
        InputPlugin(spec: CPUCollector.spec) { CPUCollector(options: $0, host: $1) },
        InputPlugin(spec: ChronyCollector.spec) { try ChronyCollector(options: $0, host: $1) },
        InputPlugin(spec: ConntrackCollector.spec) { ConntrackCollector(options: $0, host: $1) },
        InputPlugin(spec: DiskCollector.spec) { DiskCollector(options: $0, host: $1) },
        InputPlugin(spec: DiskIOCollector.spec) { try DiskIOCollector(options: $0, host: $1) },
        InputPlugin(spec: ExecCollector.spec) { try ExecCollector(options: $0, host: $1) },
        InputPlugin(spec: ExecdInput.spec, makeIn: { try ExecdInput(options: $0, environment: $1) }),
        InputPlugin(
            spec: InfluxDBListener.spec, makeIn: { try InfluxDBListener(options: $0, environment: $1) }),
        InputPlugin(
            spec: HTTPResponseCollector.spec, makeIn: { try HTTPResponseCollector(options: $0, environment: $1) }),
        InputPlugin(
            spec: InternalCollector.spec,
            makeIn: { options, environment in
                InternalCollector(options: options, agent: environment.agent)
            }),
        InputPlugin(spec: InterruptsCollector.spec) { InterruptsCollector(options: $0, host: $1) },
        InputPlugin(spec: KernelCollector.spec) { try KernelCollector(options: $0, host: $1) },
        InputPlugin(spec: KernelVmstatCollector.spec) { KernelVmstatCollector(host: $1) },
        InputPlugin(spec: SysctlFSCollector.spec) { SysctlFSCollector(host: $1) },
        InputPlugin(spec: MemoryCollector.spec) { MemoryCollector(options: $0, host: $1) },
        InputPlugin(
            spec: NetResponseCollector.spec, makeIn: { try NetResponseCollector(options: $0, environment: $1) }),
        InputPlugin(spec: NetworkCollector.spec) { try NetworkCollector(options: $0, host: $1) },
        InputPlugin(spec: NetstatCollector.spec) { NetstatCollector(options: $0, host: $1) },
        InputPlugin(spec: NodeCollector.spec) { try NodeCollector(options: $0, host: $1) },
        InputPlugin(spec: NstatCollector.spec) { NstatCollector(options: $0, host: $1) },
        InputPlugin(spec: NtpqCollector.spec) { try NtpqCollector(options: $0, host: $1) },
        InputPlugin(spec: PressureCollector.spec) { try PressureCollector(host: $1) },
        InputPlugin(spec: NvidiaCollector.spec) { NvidiaCollector(options: $0, host: $1) },
        InputPlugin(spec: PingCollector.spec, makeIn: { try PingCollector(options: $0, environment: $1) }),
        InputPlugin(spec: ProcessesCollector.spec) { ProcessesCollector(host: $1) },
        InputPlugin(spec: PrometheusInput.spec, makeIn: { try PrometheusInput(options: $0, environment: $1) }),
        InputPlugin(spec: ProcstatCollector.spec) { try ProcstatCollector(options: $0, host: $1) },
        InputPlugin(spec: SensorsCollector.spec) { SensorsCollector(options: $0, host: $1) },
        InputPlugin(spec: StatsdListener.spec, makeIn: { try StatsdListener(options: $0, environment: $1) }),
        InputPlugin(spec: SmartCollector.spec) { try SmartCollector(options: $0, host: $1) },
        InputPlugin(spec: SwapCollector.spec) { SwapCollector(options: $0, host: $1) },
        InputPlugin(spec: SystemCollector.spec) { try SystemCollector(options: $0, host: $1) },
        InputPlugin(spec: SystemdUnitsCollector.spec) { SystemdUnitsCollector(options: $0, host: $1) },
        InputPlugin(spec: TailInput.spec, makeIn: { try TailInput(options: $0, environment: $1) }),
        InputPlugin(spec: TemperatureCollector.spec) { TemperatureCollector(options: $0, host: $1) },
    ]

    private static let byName = Dictionary(all.map { ($0.spec.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// The input of that name.
    public static func plugin(_ name: String) -> InputPlugin? { byName[name] }
}
