import Actors
import Glibc
import Pipeline

extension ConfigFile {
    /// `report` with what only a look at this machine, or at several options together, can tell: secret files that
    /// would be refused when they are used, and connections that nobody checks.
    ///
    /// - Parameter isCheck: somebody asks what is wrong. Then the config may be one with errors, and inputs and servers
    ///   are asked too. Else what one tunnel or listener lacks is a warning: at run time that is a state of that tunnel,
    ///   and no reason to keep all others down; and inputs are made only once.
    static func examined(_ report: ConfigReport, isCheck: Bool) -> ConfigReport {
        guard let config = report.config else { return report }
        var report = report
        if isCheck { report.issues += issues(ofInputs: report) }
        if !report.issues.hasErrors { examine(config, isCheck: isCheck, &report) }
        report.issues.sort()
        if report.issues.hasErrors { report.config = nil }
        return report
    }

    private static func examine(_ config: Config, isCheck: Bool, _ report: inout ConfigReport) {
        if isCheck { report.issues += issues(ofServers: report) }
        for output in config.outputs {
            let origin = report.origins["outputs.\(output.id)"] ?? ConfigOrigin(file: "", line: 0)
            let key = "outputs.\(output.plugin)"
            for name in ["password_file", "token_file", "basic_password_file"] where output.options.has(name) {
                guard let complaint = complaint(aboutSecretFile: output.options.string(name)) else { continue }
                report.issues.append(ConfigIssue(.error, origin, "\(key).\(name)", complaint))
            }
            if output.skipsVerification {
                let text = "the server's certificate is not verified: anybody on the way can read and forge"
                report.issues.append(ConfigIssue(.warning, origin, "\(key).insecure_skip_verify", text))
            }
        }
        for tunnel in config.tunnels { examine(tunnel, isCheck ? .error : .warning, &report) }
        if let relay = config.relay { examine(relay, isCheck: isCheck, &report) }
    }

    /// Keys that would be refused, and places to listen that this machine does not have.
    private static func examine(
        _ tunnel: TunnelConfig, _ severity: ConfigIssue.Severity, _ report: inout ConfigReport
    ) {
        let section = report.origins["tunnels.\(tunnel.id)"] ?? ConfigOrigin(file: "", line: 0)
        func place(_ option: String) -> ConfigOrigin { report.origins["tunnels.\(tunnel.id)/\(option)"] ?? section }
        func complain(_ option: String, _ message: String, _ severity: ConfigIssue.Severity) {
            report.issues.append(ConfigIssue(severity, place(option), "tunnels.\(option)", message))
        }
        for path in tunnel.spec.identityFiles {
            guard let finding = TunnelFiles.finding(aboutKey: path) else { continue }
            complain("identity_file", finding.text, finding.isCertain ? severity : .warning)
        }
        if !tunnel.spec.knownHostsFile.isEmpty,
            let finding = TunnelFiles.finding(aboutKnownHosts: tunnel.spec.knownHostsFile)
        {
            complain("known_hosts_file", finding.text, finding.isCertain ? severity : .warning)
        }
        for (name, path) in [
            ("password_file", tunnel.spec.passwordFile), ("passphrase_file", tunnel.spec.passphraseFile),
        ] {
            if let complaint = complaint(aboutSecretFile: path) { complain(name, complaint, severity) }
        }
        if !tunnel.roads.isEmpty, !TunnelRoad.fits(directory: Paths.roadDirectory(report.config)) {
            let text = "\(Paths.roadDirectory(report.config)) is too long for the sockets of routes through a tunnel"
            report.issues.append(ConfigIssue(.error, section, "agent.state_directory", text))
        }
        for forward in tunnel.forwards where forward.kind == .local {
            if let complaint = TunnelFiles.complaint(aboutListeningAt: forward.bind) {
                let origin = report.origins["forwards.\(tunnel.id)/\(forward.id)"] ?? section
                report.issues.append(ConfigIssue(severity, origin, "forwards.bind", "\(forward.bind): \(complaint)"))
            }
        }
    }

    /// Secret files that would be refused, a guest table with mistakes, and addresses that this machine does not have:
    /// a check refuses those unless the configuration says that they are awaited. A start never does: a virtual address
    /// may be at another machine just then, and the listener takes it as soon as it comes.
    private static func examine(_ relay: RelayConfig, isCheck: Bool, _ report: inout ConfigReport) {
        let name = "metadata_relay"
        let origin = report.origins[name] ?? ConfigOrigin(file: "", line: 0)
        for option in ["password_file", "token_file"] {
            guard let complaint = complaint(aboutSecretFile: relay.values.string(option)) else { continue }
            report.issues.append(ConfigIssue(.error, origin, "\(name).\(option)", complaint))
        }
        if let complaint = RelayFiles.complaint(aboutGuestsOf: relay) {
            report.issues.append(ConfigIssue(.warning, origin, "\(name).guests_file", complaint))
        }
        for complaint in RelayFiles.complaints(aboutListenersOf: relay) {
            let place = report.origins["\(name)/listen"] ?? origin
            report.issues.append(ConfigIssue(isCheck ? .error : .warning, place, "\(name).listen", complaint))
        }
        if relay.skipsVerification {
            let text = "the database's certificate is not verified: anybody on the way can read and forge"
            report.issues.append(ConfigIssue(.warning, origin, "\(name).insecure_skip_verify", text))
        }
    }

    /// nil for a file that will do, and for one that is not there or not for us to see: it may come later, and whoever
    /// checks need not be who runs.
    private static func complaint(aboutSecretFile path: String) -> String? {
        var status = stat()
        guard !path.isEmpty, stat(path, &status) == 0, access(path, R_OK) == 0 else { return nil }
        var reader = SecretReader(.file(path: path))
        do throws(SecretError) { _ = try reader.current() } catch { return error.description }
        return nil
    }
}
