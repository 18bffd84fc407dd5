import Actors
import Pipeline

/// What the batcher needs of a configuration.
extension Wiring {
    /// A stream with its rules: each input's, or, behind processors, those of the stream alone.
    func plan(_ stream: StreamLayout.Stream, _ spill: SpillLog, _ config: Config) -> StreamPlan {
        let globalTags = config.globalTags(nodeName: NodeName.current)
        let shared = MetricTransform(stream.encoding.metric, globalTags: [], stage: .output)
        var rules: [String: InputRules] = [:]
        if config.hasChain {
            let transforms = stream.encoding.metric == MetricOptions() ? [] : [shared]
            rules[PointChain.source] = InputRules(transforms: transforms, precision: .zero)
        }
        for input in config.inputs where !config.hasChain {
            let own = MetricTransform(input.metric, globalTags: globalTags, stage: .input)
            let transforms = stream.encoding.metric == MetricOptions() ? [own] : [own, shared]
            rules[input.id] = InputRules(
                transforms: transforms, precision: input.schedule.arrivalPrecision,
                seriesLimit: input.plugin == "prometheus" ? InputRules.manySeries : 10_000)
        }
        return StreamPlan(
            name: stream.name, sink: spill, codec: stream.codec,
            options: LineProtocol.Options(
                uintSupport: stream.encoding.writesUnsigned, omitTimestamp: stream.encoding.omitsTimestamp,
                writesSpecials: stream.encoding.writesSpecials),
            limits: BatchLimits(points: stream.encoding.flush.batchSize), rules: rules,
            flush: flushSchedule(stream.encoding.flush, config))
    }

    /// The processors and aggregators; nil when there are none.
    func chain(_ config: Config) -> ChainPlan? { ChainPlan(config, nodeName: NodeName.current) }

    /// A page for Prometheus, which those within the process can ask for by the output's id.
    func expositionTransport(_ output: OutputConfig) -> ExpositionTransport {
        let transport = ExpositionTransport(
            settings: ExpositionSettings(output.options), worker: loops.disk, loop: loops.main,
            certificates: certificates, notes: notes, log: log.logger("output", level: output.logLevel))
        expositions.add(transport, for: output.id)
        return transport
    }
}
