import Actors
import ArgumentParser
import CLinux
import Glibc
import Pipeline
import Synchronization

/// `godwit once`: one gather of every input, as line protocol on standard output.
///
/// Inputs are read twice, half a second apart, so that rates are there; the second reading is printed. Nothing is sent
/// and nothing is stored. Errors: 78 configuration; 1 when an input reported an error.
struct Once: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gather every input once and print line protocol.",
        discussion: "Reads twice, half a second apart, so that rates are shown. Sends and stores nothing.")

    @OptionGroup var options: ConfigOptions

    func run() throws {
        let report = options.load(allowsNoOutputs: true)
        for issue in report.issues { complain("\(issue)") }
        guard let config = report.config else { throw ExitStatus.configuration }
        let failures = Failures()
        let options = options
        MainLoop.run { loop in
            do { try await Once.gather(config, loop, failures) } catch {
                for line in options.explain(error) { complain(line) }
                failures.add()
            }
        }
        if failures.count > 0 { throw ExitCode.failure }
    }

    private static func gather(_ config: Config, _ loop: MainLoop, _ failures: Failures) async throws {
        let io = WorkLoop(name: "godwit-io")
        let environment = InputEnvironment(
            host: LinuxHost(environment: ConfigFile.environment, clock: loop),
            agent: NoAgentCounters(version: Version.current), clock: loop, http: CurlMulti(loop: io), io: io,
            names: NameLookup(), eventLoop: loop.eventLoop, stateDirectory: "")
        let globalTags = config.globalTags(nodeName: NodeName.current)
        var encoder = StreamEncoder(limits: BatchLimits(points: .max, bytes: .max))
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: PointChain.source)
        var collectors: [(input: InputConfig, collector: any Collector)] = []
        for input in config.inputs {
            guard let plugin = InputRegistry.plugin(input.plugin) else { continue }
            collectors.append((input, try plugin.make(input.options, in: environment)))
            let transform = MetricTransform(input.metric, globalTags: globalTags, stage: .input)
            encoder.setRules(InputRules(transforms: [transform], precision: input.schedule.precision), for: input.id)
        }
        for (input, collector) in collectors { _ = await read(input, collector, loop) }
        try await loop.sleep(for: .milliseconds(500))
        // Its windows begin now: made earlier, the second gather could fall behind their end.
        var chain = ChainPlan(config, nodeName: NodeName.current).map { PointChain($0, wall: loop.wall, now: loop.now) }
        for (input, collector) in collectors {
            let gather = await read(input, collector, loop)
            for error in gather.errors {
                complain("\(input.id): \(error)")
                failures.add()
            }
            if let set = chain?.add(gather.samples, from: input.id, wall: loop.wall) {
                _ = encoder.add(set, from: PointChain.source)
            } else {
                _ = encoder.add(gather.samples, from: input.id)
            }
        }
        if let set = chain?.drain(wall: loop.wall) { _ = encoder.add(set, from: PointChain.source) }
        _ = encoder.seal { lines, _, _ in emit(String(decoding: lines, as: UTF8.self)) }
    }

    private static func read(_ input: InputConfig, _ collector: any Collector, _ loop: MainLoop) async -> Gather {
        let now = loop.now
        return await collector.gather(at: loop.wall, now: now, deadline: now + input.schedule.interval)
    }
}

/// Counts what went wrong, for the exit status.
private final class Failures: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock { $0 } }
    func add() { value.withLock { $0 += 1 } }
}
