extension ConfigDecodingRun {
    /// Adds the processors and aggregators of the files.
    mutating func addProcessing(_ root: ConfigNode, _ agent: AgentConfig, _ config: inout Config) {
        if !agent.processesOriginals, !agent.processesAggregates {
            let place = root["agent"]?["skip_processors_after_aggregators"]?.origin ?? root.origin
            issues.append(
                ConfigIssue(
                    .error, place, "agent.skip_processors_after_aggregators",
                    "skip_processors_before_aggregators is true too: processors would have nothing to do"))
        }
        for instance in inFileOrder(instances("processors", root)) { add(processor: instance, agent, &config) }
        for instance in inFileOrder(instances("aggregators", root)) { add(aggregator: instance, agent, &config) }
    }

    /// The tables as they stand in the files, whatever plugin they are of.
    private func inFileOrder(_ instances: [Instance]) -> [Instance] {
        let places = Dictionary(decoder.files.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        func place(_ instance: Instance) -> (Int, Int) { (places[instance.origin.file] ?? 0, instance.origin.line) }
        return instances.enumerated()
            .sorted {
                (place($0.element).0, place($0.element).1, $0.offset) < (
                    place($1.element).0, place($1.element).1, $1.offset
                )
            }
            .map(\.element)
    }

    private mutating func add(processor instance: Instance, _ agent: AgentConfig, _ config: inout Config) {
        guard let spec = plugin(instance, decoder.processors, kind: "processor") else { return }
        let (common, own) = read(
            instance, ProcessorSpecs.common, spec.options, others: Set(spec.subtables.map(\.name)))
        let values = OptionValues(ProcessorSpecs.common + SectionSpecs.naming, set: common.values)
        var compiler = ProcessorCompiler(
            instance, OptionValues(spec.options, set: own.values), own.origins, subtables(instance, spec))
        let rule = compiler.rule()
        issues += compiler.issues
        let metric = metricOptions(values, common.origins, instance, agent)
        let id = identify(instance, values, group: "processors")
        guard let rule else { return }
        let lines = ["[processors.\(id)]", "\(values.integer("order"))", "\(metric.filter)"] + compiler.lines
        config.processors.append(
            ProcessorConfig(
                id: id, plugin: spec.name, order: Int(clamping: values.integer("order")), filter: metric.filter,
                rule: rule, lines: lines))
    }

    private mutating func add(aggregator instance: Instance, _ agent: AgentConfig, _ config: inout Config) {
        guard let spec = plugin(instance, decoder.aggregators, kind: "aggregator") else { return }
        let (common, own) = read(instance, AggregatorSpecs.common, spec.options)
        let values = OptionValues(AggregatorSpecs.common, set: common.values)
        let options = OptionValues(spec.options, set: own.values)
        checkInterval("period", values, common, instance)
        let metric = metricOptions(values, common.origins, instance, agent)
        let id = identify(instance, values, group: "aggregators")
        guard let rule = ConfigDecodingRun.rule(spec.name, options) else { return }
        config.aggregators.append(
            AggregatorConfig(
                id: id, plugin: spec.name, period: values.duration("period"), delay: values.duration("delay"),
                grace: values.duration("grace"), dropsOriginal: values.bool("drop_original"),
                seriesLimit: Int(clamping: values.integer("series_limit")), metric: metric, rule: rule,
                lines: ["[aggregators.\(id)]", "\(metric)"] + values.lines + options.lines))
    }

    private static func rule(_ plugin: String, _ options: OptionValues) -> AggregatorRule? {
        switch plugin {
        case "basicstats":
            .basicStats(Set(options.strings("stats").compactMap { BasicStat(rawValue: $0 == "variance" ? "s2" : $0) }))
        case "minmax": .minMax
        case "final":
            .final(
                silence: options.string("output_strategy") == "timeout" ? options.duration("series_timeout") : nil,
                keepsNames: options.bool("keep_original_field_names"))
        case "merge": .merge(precision: options.duration("round_timestamp_to"))
        default: nil
        }
    }

    // MARK: Tables inside of a plugin's table

    /// The inner tables of an instance that its plugin declares, checked, in the order of the file.
    mutating func subtables(_ instance: Instance, _ spec: PluginSpec) -> [Subtable] {
        var found: [Subtable] = []
        for entry in instance.entries {
            guard let subtable = spec.subtables.first(where: { $0.name == entry.key }) else { continue }
            let path = "\(instance.path).\(entry.key)"
            let nodes: [ConfigNode]
            if case .array(let elements) = entry.value.kind { nodes = elements } else { nodes = [entry.value] }
            if subtable.form != .list, nodes.count != 1 || nodes[0].entries.count != entry.value.entries.count {
                issues.append(ConfigIssue(.error, entry.origin, path, "expected one table [\(path)]"))
                continue
            }
            for node in nodes {
                guard case .table(let entries) = node.kind else {
                    let wanted = subtable.form == .list ? "[[\(path)]]" : "[\(path)]"
                    issues.append(ConfigIssue(.error, node.origin, path, "expected \(wanted), found \(node.kindName)"))
                    continue
                }
                var table = Subtable(name: subtable.name, path: path, origin: node.origin)
                if subtable.form == .values {
                    table.fields = fields(entries, path)
                    for entry in entries { table.origins[entry.key] = entry.origin }
                } else {
                    let settings = OptionReader(path: path, specs: subtable.options).read(entries, &issues)
                    table.options = OptionValues(subtable.options, set: settings.values)
                    table.origins = settings.origins
                }
                found.append(table)
            }
        }
        return found
    }

    /// A table of the user's keys with values of any kind that a field can have.
    private mutating func fields(_ entries: [ConfigEntry], _ path: String) -> [String: FieldValue] {
        var out: [String: FieldValue] = [:]
        for entry in entries {
            switch entry.value.kind {
            case .string(let value): out[entry.key] = .string(value)
            case .integer(let value): out[entry.key] = .int(value)
            case .float(let value) where value.isFinite: out[entry.key] = .float(value)
            case .bool(let value): out[entry.key] = .bool(value)
            default:
                let message = "expected text, a number, true or false, found \(entry.value.kindName)"
                issues.append(ConfigIssue(.error, entry.origin, "\(path).\(entry.key)", message))
            }
        }
        return out
    }
}

/// One table inside of a plugin's table.
struct Subtable {
    var name: String
    var path: String
    var origin: ConfigOrigin
    var options = OptionValues([])
    var origins: [String: ConfigOrigin] = [:]
    /// For a table with keys of the user's.
    var fields: [String: FieldValue] = [:]

    /// The options, or keys and values, one a line; the same text in every process.
    var lines: [String] { ["[\(name)]"] + options.lines + fields.map { "\($0.key) = \($0.value)" }.sorted() }
}
