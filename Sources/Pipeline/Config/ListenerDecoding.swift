extension ConfigDecodingRun {
    /// What the options of a server's TLS need of each other.
    mutating func checkServerTLS(_ instance: Instance, _ options: OptionValues, _ places: [String: ConfigOrigin]) {
        for mistake in ServerTLSSettings.mistakes(in: options) {
            issues.append(
                ConfigIssue(
                    .error, places[mistake.name] ?? instance.origin, "\(instance.path).\(mistake.name)", mistake.text))
        }
    }

    /// What the table of a server of ours says beyond the kinds of its options: address, networks, names and passwords.
    mutating func checkListener(_ instance: Instance, _ options: OptionValues, _ places: [String: ConfigOrigin]) {
        func complain(_ name: String, _ message: String, _ severity: ConfigIssue.Severity = .error) {
            issues.append(
                ConfigIssue(severity, places[name] ?? instance.origin, "\(instance.path).\(name)", message))
        }
        let listen = options.string("listen")
        if ListenAddress(listen) == nil {
            complain("listen", "\"\(listen)\" is no address; expected 127.0.0.1:9273, [::1]:9273 or :9273")
        }
        let path = options.string("path")
        if !path.hasPrefix("/") || path.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || "?#%".utf8.contains($0) }) {
            complain("path", "a path begins with / and has no blank, ?, # and %")
        }
        for range in options.strings("ip_range") where AddressRange(range) == nil {
            complain("ip_range", "\"\(range)\" is no network; expected 192.0.2.0/24 or 2001:db8::/32")
        }
        let hasPassword = !options.secret("basic_password").isEmpty || !options.string("basic_password_file").isEmpty
        if hasPassword == options.string("basic_username").isEmpty {
            complain("basic_username", "basic_username and a password need each other")
        }
        if !options.secret("basic_password").isEmpty, !options.string("basic_password_file").isEmpty {
            complain("basic_password_file", "basic_password and basic_password_file exclude each other")
        }
        if !options.secret("bearer_token").isEmpty, !options.string("bearer_token_file").isEmpty {
            complain("bearer_token_file", "bearer_token and bearer_token_file exclude each other")
        }
        if options.string("basic_username").contains(":") { complain("basic_username", "a user has no colon") }
        if hasBrokenHeaders(options) {
            complain("http_headers", "a header has no line breaks, and its name no blank and no colon")
        }
        for (name, patterns) in options.listTable("prometheus_metric_types") {
            if name != "counter", name != "gauge" {
                complain("prometheus_metric_types", "\"\(name)\" is not allowed; allowed: \"counter\", \"gauge\"")
            }
            do throws(Glob.PatternError) { _ = try PatternList(patterns) } catch {
                complain("prometheus_metric_types", error.description)
            }
        }
    }
}
