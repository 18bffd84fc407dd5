import Testing

@testable import Pipeline

@Suite("Stream layout")
struct StreamLayoutTests {
    private func output(_ id: String, _ plugin: String, _ edit: (inout OutputConfig) -> Void = { _ in }) -> OutputConfig
    {
        let specs = OutputSpecs.all.first { $0.name == plugin }?.options ?? []
        var output = OutputConfig(
            id: id, plugin: plugin, flush: FlushConfig(AgentConfig()), options: OptionValues(specs))
        edit(&output)
        return output
    }

    private func layout(_ outputs: OutputConfig...) -> StreamLayout { StreamLayout(Config(outputs: outputs)) }

    @Test("outputs that change nothing share one stream")
    func shared() {
        let layout = layout(output("influxdb", "influxdb"), output("influxdb#2", "influxdb"), output("file", "file"))
        #expect(layout.streams.map(\.name) == ["default"])
        #expect(layout.streams.first?.outputs == ["influxdb", "influxdb#2", "file"])
        #expect(layout.streams.first?.codec == .gzip)
    }

    @Test("outputs of Prometheus share a stream with what databases do not take")
    func exact() {
        let layout = layout(
            output("prometheus_client", "prometheus_client"), output("influxdb", "influxdb"),
            output("prometheus_remote_write", "prometheus_remote_write"))
        #expect(layout.streams.map(\.name) == ["default", "exact"])
        #expect(layout.streams.map(\.encoding.writesSpecials) == [false, true])
        #expect(layout.streams.last?.outputs == ["prometheus_client", "prometheus_remote_write"])
    }

    @Test("an output with names, filters or a flush interval of its own has a stream of its own")
    func own() {
        let layout = layout(
            output("influxdb", "influxdb"),
            output("influxdb::x", "influxdb") { $0.metric.namePrefix = "p_" },
            output("influxdb::y", "influxdb") { $0.flush.interval = .seconds(1) })
        #expect(layout.streams.map(\.name) == ["default", "influxdb::x", "influxdb::y"])
        #expect(layout.stream(of: "influxdb::x")?.encoding.metric.namePrefix == "p_")
    }

    @Test("a plain output does not make a compressed one send plain bytes, nor the other way round")
    func codecs() {
        let specs = OutputSpecs.influxdb.options
        let plain = output("influxdb#2", "influxdb") {
            $0.options = OptionValues(specs, set: ["content_encoding": .string("identity")])
        }
        let both = layout(output("influxdb", "influxdb"), plain)
        #expect(both.streams.map(\.codec) == [.gzip, .identity])
        #expect(layout(plain).streams.map(\.codec) == [.identity])
        #expect(layout(output("file", "file")).streams.map(\.codec) == [.identity])
    }
}
