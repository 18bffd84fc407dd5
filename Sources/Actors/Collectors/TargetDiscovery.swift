import Pipeline

/// Which targets there are: those of the configuration, of files, and of servers that are asked for them.
///
/// What cannot be read leaves the targets that were known from there, and is an error.
struct TargetDiscovery {
    private let fixed: [ScrapeTarget]
    private let filePatterns: [String]
    /// Servers that name targets.
    let servers: [ScrapeTarget]
    private let refreshInterval: Duration
    private let urlTag: String
    private let scheme: String
    private let path: String
    private let rules: [RelabelRule]
    private let limit: Int
    private var files: [String: (bytes: [UInt8], targets: [ScrapeTarget])] = [:]
    private var served: [String: [ScrapeTarget]] = [:]
    private var asked: [String: Instant] = [:]

    /// Errors: an address or a rule that makes no sense.
    init(_ options: OptionValues) throws(CollectorError) {
        func complain(_ text: String) -> CollectorError { CollectorError("prometheus: " + text) }
        let urlTag = options.string("url_tag")
        func targets(_ name: String, unix: Bool) throws(CollectorError) -> [ScrapeTarget] {
            var found: [ScrapeTarget] = []
            for url in options.strings(name) {
                guard let target = ScrapeTarget(url: url, urlTag: urlTag), unix || target.socketPath == nil else {
                    let forms = unix ? "http, https or unix:///path" : "http or https"
                    throw complain("\(name): \"\(Secret.redacted(url: url))\" is no \(forms) address")
                }
                found.append(target)
            }
            return found
        }
        fixed = try targets("urls", unix: true)
        servers = try targets("http_sd_urls", unix: false)
        filePatterns = options.strings("file_sd_files")
        for pattern in filePatterns {
            if !pattern.hasPrefix("/") { throw complain("file_sd_files: \"\(pattern)\" is no absolute path") }
            if pattern.hasSuffix(".yml") || pattern.hasSuffix(".yaml") {
                throw complain("file_sd_files: \"\(pattern)\": targets are read from JSON alone")
            }
        }
        self.urlTag = urlTag
        scheme = options.string("sd_scheme")
        path = options.string("sd_metrics_path")
        refreshInterval = options.duration("sd_refresh_interval")
        limit = Int(clamping: options.integer("target_limit"))
        rules = try TargetDiscovery.rules(options, "relabel_configs")
    }

    /// The rules of one of the plugin's tables.
    static func rules(_ options: OptionValues, _ name: String) throws(CollectorError) -> [RelabelRule] {
        var rules: [RelabelRule] = []
        for table in options.tables where table.name == name {
            do throws(RelabelRule.Failure) { rules.append(try RelabelRule(table.options)) } catch {
                throw CollectorError("prometheus: \(name): \(error)")
            }
        }
        return rules
    }

    // MARK: What there is

    /// All targets that are known, each once, in order; reads the files.
    mutating func targets(_ host: any Host) -> (targets: [ScrapeTarget], errors: [String]) {
        var errors: [String] = []
        readFiles(host, &errors)
        var seen: Set<ScrapeTarget> = []
        var all: [ScrapeTarget] = []
        let found = files.sorted { $0.key < $1.key }.flatMap(\.value.targets)
        for target in fixed + found + servers.flatMap({ served[$0.url] ?? [] }) where seen.insert(target).inserted {
            all.append(target)
        }
        if all.count > limit {
            errors.append("\(all.count) targets are more than target_limit (\(limit)); the last ones are left out")
        }
        return (Array(all.prefix(limit)), errors)
    }

    private mutating func readFiles(_ host: any Host, _ errors: inout [String]) {
        var present: Set<String> = []
        for pattern in filePatterns {
            let isPattern = pattern.contains { "*?[".contains($0) }
            for path in isPattern ? host.paths(matching: pattern) : [pattern] where present.insert(path).inserted {
                var bytes: [UInt8] = []
                do throws(HostError) {
                    try host.read(HostFile(.absolute, String(path.drop { $0 == "/" }), isKept: false), into: &bytes)
                } catch {
                    errors.append("\(path): \(error)")
                    continue
                }
                if let known = files[path], known.bytes == bytes { continue }
                do throws(TargetGroup.Failure) {
                    let targets = try made(of: bytes, from: "__meta_filepath", path)
                    files[path] = (bytes, targets)
                } catch {
                    errors.append("\(path): \(error)")
                }
            }
        }
        // A file that went away takes its targets along; one that cannot be read does not.
        files = files.filter { present.contains($0.key) }
    }

    private func made(
        of bytes: [UInt8], from label: String, _ place: String
    ) throws(TargetGroup.Failure) -> [ScrapeTarget] {
        DiscoveredTarget.all(
            of: try TargetGroup.read(bytes), extra: [label: place], rules: rules, scheme: scheme, path: path
        ).compactMap { ScrapeTarget($0, urlTag: urlTag) }
    }

    // MARK: Servers

    /// Servers whose time has come; they count as asked.
    mutating func due(_ now: Instant) -> [ScrapeTarget] {
        let due = servers.filter { server in asked[server.url].map { now - $0 >= refreshInterval } ?? true }
        for server in due { asked[server.url] = now }
        return due
    }

    /// Takes a server's answer. Returns what is wrong with it.
    mutating func take(_ body: [UInt8], from server: ScrapeTarget) -> String? {
        do throws(TargetGroup.Failure) {
            served[server.url] = try made(of: body, from: "__meta_url", server.name)
            return nil
        } catch { return "\(server.shown): \(error)" }
    }
}
