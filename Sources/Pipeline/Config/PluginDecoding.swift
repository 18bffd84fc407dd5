extension ConfigDecodingRun {
    mutating func add(input instance: Instance, _ agent: AgentConfig, _ inputs: inout [InputConfig]) {
        guard let spec = plugin(instance, decoder.inputs, kind: "input") else { return }
        let (common, own) = read(
            instance, SectionSpecs.commonInput, spec.options, others: Set(spec.subtables.map(\.name)))
        let values = OptionValues(SectionSpecs.commonInput, set: common.values)
        var options = OptionValues(spec.options, set: own.values)
        options.tables = subtables(instance, spec).map { OptionValues.Table(name: $0.name, options: $0.options) }
        let interval = firstPositive(values.duration("interval"), agent.interval)
        checkInterval("interval", values, common, instance)
        let source = InputSchedule.TimeSource(rawValue: values.string("time_source")) ?? .metric
        let precision = firstPositive(values.duration("precision"), agent.precision)
        let schedule = InputSchedule(
            interval: interval, roundsInterval: agent.roundsInterval,
            // An explicit "0s" switches the agent's jitter off.
            jitter: common.values["collection_jitter"] == nil
                ? agent.collectionJitter : values.duration("collection_jitter"),
            offset: firstPositive(values.duration("collection_offset"), agent.collectionOffset),
            precision: source == .metric ? TickSchedule.precision(configured: precision, interval: interval) : .zero,
            timeSource: source, arrivalPrecision: spec.isService ? values.duration("precision") : nil)
        warnAboutNumbers(instance)
        if options.has("tls_allowed_cacerts") { checkServerTLS(instance, options, own.origins) }
        let id = identify(instance, values, group: "inputs")
        keepPlaces("inputs.\(id)", own.origins)
        inputs.append(
            InputConfig(
                id: id, plugin: spec.name,
                alias: values.string("alias"), schedule: schedule,
                metric: metricOptions(values, common.origins, instance, agent),
                logLevel: ConfigLogLevel(rawValue: values.string("log_level")), options: options))
    }

    mutating func add(output instance: Instance, _ agent: AgentConfig, _ outputs: inout [OutputConfig]) {
        guard let spec = plugin(instance, decoder.outputs, kind: "output") else { return }
        let hasServer = spec.options.contains { $0.name == "urls" }
        let (common, own) = read(instance, SectionSpecs.commonOutput, spec.options, others: hasServer ? ["routes"] : [])
        let values = OptionValues(SectionSpecs.commonOutput, set: common.values)
        let options = OptionValues(spec.options, set: own.values)
        checkInterval("flush_interval", values, common, instance)
        let batchSize = values.integer("metric_batch_size")
        let flush = FlushConfig(
            interval: firstPositive(values.duration("flush_interval"), agent.flushInterval),
            jitter: firstPositive(values.duration("flush_jitter"), agent.flushJitter),
            batchSize: batchSize > 0 ? Int(clamping: batchSize) : agent.batchSize)
        let bufferLimit = values.integer("metric_buffer_limit")
        bufferLimits.append(bufferLimit > 0 ? bufferLimit : agent.values.integer("metric_buffer_limit"))
        warnAboutNumbers(instance)
        let routes = hasServer ? routes(instance, options, own.origins) : []
        if hasServer { checkServer(instance, options, own.origins) }
        if options.has("listen") { checkListener(instance, options, own.origins) }
        if options.has("tls_allowed_cacerts") { checkServerTLS(instance, options, own.origins) }
        let id = identify(instance, values, group: "outputs")
        keepPlaces("outputs.\(id)", own.origins)
        outputs.append(
            OutputConfig(
                id: id, plugin: spec.name,
                alias: values.string("alias"), flush: flush,
                metric: metricOptions(values, common.origins, instance, agent), routes: routes,
                logLevel: ConfigLogLevel(rawValue: values.string("log_level")), options: options))
    }

    /// Where each option of a plugin stands, for who judges it later.
    private mutating func keepPlaces(_ section: String, _ places: [String: ConfigOrigin]) {
        for (option, origin) in places { origins["\(section)/\(option)"] = origin }
    }

    private func firstPositive(_ own: Duration, _ inherited: Duration) -> Duration { own > .zero ? own : inherited }

    /// An interval of a plugin is that of the agent (0) or at least a millisecond, as the agent's.
    mutating func checkInterval(
        _ name: String, _ values: OptionValues, _ common: OptionSettings, _ instance: Instance
    ) {
        let interval = values.duration(name)
        guard interval > .zero, interval < .milliseconds(1) else { return }
        issues.append(
            ConfigIssue(
                .error, common.origins[name] ?? instance.origin, "\(instance.path).\(name)",
                "must be 0s or at least 1ms"))
    }

    /// The declaration of the instance's plugin; nil, with an issue, when there is none.
    mutating func plugin(_ instance: Instance, _ known: [PluginSpec], kind: String) -> PluginSpec? {
        if let spec = known.first(where: { $0.name == instance.plugin }) { return spec }
        let names = known.map(\.name).sorted().joined(separator: ", ")
        let isTelegrafs = TelegrafPlugins.names.contains(instance.plugin)
        refuse(
            instance.path, instance.origin,
            isTelegrafs
                ? "Telegraf's \(kind) \"\(instance.plugin)\" is not available in this version; available: \(names)"
                : "unknown \(kind); available: \(names)",
            nearest: isTelegrafs ? nil : NearestName.find(instance.plugin, among: known.map(\.name)))
        return nil
    }

    /// Reads the instance's table: what all plugins share, and what is the plugin's own.
    mutating func read(
        _ instance: Instance, _ common: [OptionSpec], _ own: [OptionSpec], others: Set<String> = []
    ) -> (common: OptionSettings, own: OptionSettings) {
        let ownNames = Set(own.map(\.name))
        // An option of the plugin hides a common one of the same name.
        let shared = common.filter { !ownNames.contains($0.name) }
        let reader = OptionReader(
            path: instance.path, specs: shared + own, oldNames: SectionSpecs.oldNames, others: others,
            filesReadableByOthers: decoder.filesReadableByOthers)
        var settings = reader.read(instance.entries, &issues)
        let commonNames = Set(shared.map(\.name))
        let commonSettings = OptionSettings(
            values: settings.values.filter { commonNames.contains($0.key) }, origins: settings.origins)
        settings.values = settings.values.filter { ownNames.contains($0.key) }
        return (commonSettings, settings)
    }

    /// An id that no earlier instance has.
    mutating func identify(_ instance: Instance, _ values: OptionValues, group: String) -> String {
        let alias = values.string("alias")
        if alias.utf8.count > 64 {
            issues.append(
                ConfigIssue(.error, instance.origin, "\(instance.path).alias", "an alias has at most 64 bytes"))
        }
        let base = alias.isEmpty ? instance.plugin : "\(instance.plugin)::\(alias)"
        var id = base
        // Goes on where the last one of this name ended: thousands of instances must not cost millions of look-ups.
        var number = numbers["\(group).\(base)"] ?? 2
        while !ids.insert("\(group).\(id)").inserted {
            id = "\(base)#\(number)"
            number += 1
        }
        numbers["\(group).\(base)"] = number
        origins["\(group).\(id)"] = instance.origin
        return id
    }

    /// Telegraf ignores a bare number here in silence; somebody who moves to us should know that it counts now.
    private mutating func warnAboutNumbers(_ instance: Instance) {
        let names: Set<[UInt8]> = Set(
            ["interval", "precision", "collection_jitter", "collection_offset", "flush_interval", "flush_jitter"]
                .map(NearestName.normalized))
        for entry in instance.entries where names.contains(NearestName.normalized(entry.key)) {
            switch entry.value.kind {
            case .integer, .float:
                let message = "a number counts as seconds here; Telegraf would ignore it"
                issues.append(ConfigIssue(.warning, entry.origin, "\(instance.path).\(entry.key)", message))
            default: break
            }
        }
    }

    // MARK: Names and filters

    mutating func metricOptions(
        _ values: OptionValues, _ places: [String: ConfigOrigin], _ instance: Instance, _ agent: AgentConfig
    ) -> MetricOptions {
        var compiler = FilterCompiler(values: values, path: instance.path, origins: places, fallback: instance.origin)
        var options = compiler.options(hasTags: instance.group != "outputs" && instance.group != "processors")
        options.keepsLocalTags = agent.keepsLocalTags
        options.keepsGlobalTags = agent.keepsGlobalTags
        issues += compiler.issues
        return options
    }
}

extension MetricOptions {
    /// The names, tags and filters that an input's table sets, for those who have no whole configuration: fixtures.
    /// Other keys of the table are left alone.
    public static func decode(_ entries: [ConfigEntry]) -> (options: MetricOptions, issues: [ConfigIssue]) {
        let specs = SectionSpecs.naming + SectionSpecs.filters + [OptionSpec("tags", .table([:]), "")]
        let known = Set((specs.map(\.name) + SectionSpecs.oldNames.keys).map(NearestName.normalized))
        var issues: [ConfigIssue] = []
        let reader = OptionReader(path: "", specs: specs, oldNames: SectionSpecs.oldNames)
        let settings = reader.read(entries.filter { known.contains(NearestName.normalized($0.key)) }, &issues)
        let place = entries.first?.origin ?? ConfigOrigin(file: "", line: 0)
        var compiler = FilterCompiler(
            values: OptionValues(specs, set: settings.values), path: "", origins: settings.origins, fallback: place)
        let options = compiler.options(hasTags: true)
        return (options, issues + compiler.issues)
    }
}

/// Compiles the patterns of one plugin's filters; what cannot be compiled becomes an issue.
private struct FilterCompiler {
    let values: OptionValues
    let path: String
    let origins: [String: ConfigOrigin]
    let fallback: ConfigOrigin
    var issues: [ConfigIssue] = []

    mutating func options(hasTags: Bool) -> MetricOptions {
        var options = MetricOptions()
        options.nameOverride = values.string("name_override")
        options.namePrefix = values.string("name_prefix")
        options.nameSuffix = values.string("name_suffix")
        if hasTags { options.tags = Series.normalized(values.table("tags").map { Tag($0.key, $0.value) }) }
        options.filter.namePass = list("namepass", values.strings("namepass"), values.string("namepass_separator"))
        options.filter.nameDrop = list("namedrop", values.strings("namedrop"), values.string("namedrop_separator"))
        options.filter.tagPass = tagPatterns("tagpass")
        options.filter.tagDrop = tagPatterns("tagdrop")
        options.filter.fieldInclude = list("fieldinclude", values.strings("fieldinclude"))
        options.filter.fieldExclude = list("fieldexclude", values.strings("fieldexclude"))
        options.filter.tagInclude = list("taginclude", values.strings("taginclude"))
        options.filter.tagExclude = list("tagexclude", values.strings("tagexclude"))
        return options
    }

    private mutating func tagPatterns(_ name: String) -> [MetricFilter.TagPatterns] {
        let table = values.listTable(name).sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        var out: [MetricFilter.TagPatterns] = []
        for (key, patterns) in table {
            out.append(MetricFilter.TagPatterns(key: key, values: list(name, patterns, suffix: ".\(key)")))
        }
        return out
    }

    private mutating func list(
        _ name: String, _ patterns: [String], _ separators: String = "", suffix: String = ""
    ) -> PatternList {
        do throws(Glob.PatternError) {
            return try PatternList(patterns, separators: separators)
        } catch {
            let key = (path.isEmpty ? name : "\(path).\(name)") + suffix
            issues.append(ConfigIssue(.error, origins[name] ?? fallback, key, error.description))
            return .none
        }
    }
}
