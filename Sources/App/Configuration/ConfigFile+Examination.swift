import Actors
import Glibc
import Pipeline

extension ConfigFile {
    /// `report` with what only a look at this machine, or at several options together, can tell: secret files that
    /// would be refused when they are used, and connections that nobody checks.
    static func examined(_ report: ConfigReport) -> ConfigReport {
        guard let config = report.config else { return report }
        var report = report
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
        for tunnel in config.tunnels { examine(tunnel, &report) }
        if let relay = config.relay { examine(relay, &report) }
        report.issues.sort()
        if report.issues.hasErrors { report.config = nil }
        return report
    }

    /// Keys that would be refused, and places to listen that this machine does not have.
    private static func examine(_ tunnel: TunnelConfig, _ report: inout ConfigReport) {
        let origin = report.origins["tunnels.\(tunnel.id)"] ?? ConfigOrigin(file: "", line: 0)
        func complain(_ key: String, _ message: String) {
            report.issues.append(ConfigIssue(.error, origin, key, message))
        }
        for path in tunnel.spec.identityFiles {
            if let complaint = TunnelFiles.complaint(aboutKey: path) { complain("tunnels.identity_file", complaint) }
        }
        for (name, path) in [
            ("password_file", tunnel.spec.passwordFile), ("passphrase_file", tunnel.spec.passphraseFile),
        ] {
            if let complaint = complaint(aboutSecretFile: path) { complain("tunnels.\(name)", complaint) }
        }
        if !tunnel.roads.isEmpty, !TunnelRoad.fits(directory: Paths.roadDirectory(report.config)) {
            complain(
                "agent.state_directory",
                "\(Paths.roadDirectory(report.config)) is too long for the sockets of routes through a tunnel")
        }
        for forward in tunnel.forwards where forward.kind == .local {
            if let complaint = TunnelFiles.complaint(aboutListeningAt: forward.bind) {
                complain("forwards.bind", "\(forward.bind): \(complaint)")
            }
        }
    }

    /// Secret files that would be refused, a guest table with mistakes, and addresses that this machine does not have
    /// now: those may come later, so they are no error.
    private static func examine(_ relay: RelayConfig, _ report: inout ConfigReport) {
        let name = "metadata_relay"
        let origin = report.origins[name] ?? ConfigOrigin(file: "", line: 0)
        for option in ["password_file", "token_file"] {
            guard let complaint = complaint(aboutSecretFile: relay.values.string(option)) else { continue }
            report.issues.append(ConfigIssue(.error, origin, "\(name).\(option)", complaint))
        }
        for complaint in RelayFiles.complaints(about: relay) {
            report.issues.append(ConfigIssue(.warning, origin, "\(name).\(complaint.option)", complaint.text))
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
