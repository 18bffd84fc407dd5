extension ConfigDecodingRun {
    /// `[metadata_relay]`; nil without it or with mistakes.
    mutating func relay(_ root: ConfigNode) -> RelayConfig? {
        let name = "metadata_relay"
        guard let node = root[name] else { return nil }
        guard case .table(let entries) = node.kind else {
            issues.append(
                ConfigIssue(.error, node.origin, name, "expected a section [\(name)], found \(node.kindName)"))
            return nil
        }
        origins[name] = node.origin
        let before = issues.count { $0.severity == .error }
        let reader = OptionReader(
            path: name, specs: RelaySpecs.section, filesReadableByOthers: decoder.filesReadableByOthers)
        let settings = reader.read(entries, &issues)
        if let place = settings.origins["listen"] { origins["\(name)/listen"] = place }
        let options = OptionValues(RelaySpecs.section, set: settings.values)
        let listeners = listeners(options.strings("listen"), settings.origins["listen"] ?? node.origin)
        for tag in options.strings("enforced_tags") where tag.isEmpty || tag.utf8.contains(where: { $0 < 0x20 }) {
            complain(name, "enforced_tags", settings.origins, node, "a tag has a name")
        }
        if options.string("guests_file").isEmpty {
            complain(name, "guests_file", settings.origins, node, "without a guest table nobody could report")
        }
        if options.size("max_memory") < options.size("max_body_size") {
            complain(name, "max_memory", settings.origins, node, "it must hold one body (max_body_size) at least")
        }
        for mistake in ServerTLSSettings.mistakes(in: options, prefix: RelaySpecs.listenerPrefix) {
            complain(name, mistake.name, settings.origins, node, mistake.text)
        }
        let instance = Instance(group: name, plugin: "", origin: node.origin, entries: entries)
        checkServer(instance, options, settings.origins)
        guard issues.count(where: { $0.severity == .error }) == before else { return nil }
        return RelayConfig(options, listeners: listeners)
    }

    private mutating func complain(
        _ section: String, _ name: String, _ origins: [String: ConfigOrigin], _ node: ConfigNode, _ message: String
    ) {
        issues.append(ConfigIssue(.error, origins[name] ?? node.origin, "\(section).\(name)", message))
    }

    private mutating func listeners(_ texts: [String], _ origin: ConfigOrigin) -> [RelayPlace] {
        let key = "metadata_relay.listen"
        var places: [RelayPlace] = []
        if texts.isEmpty { issues.append(ConfigIssue(.error, origin, key, "at least one address is needed")) }
        for text in texts {
            guard let place = RelayPlace(text) else {
                let message =
                    "\"\(text)\" is no address; expected 127.0.0.1:8187, [::1]:8187 or 169.254.169.254:80@NAME"
                issues.append(ConfigIssue(.error, origin, key, message))
                continue
            }
            if places.contains(where: { $0.description == place.description }) {
                issues.append(ConfigIssue(.error, origin, key, "\"\(text)\" stands here twice"))
            } else {
                places.append(place)
            }
        }
        return places
    }
}
