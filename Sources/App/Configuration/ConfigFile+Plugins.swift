import Actors
import Glibc
import Logging
import Pipeline

/// What only a plugin itself can judge of its options.
extension ConfigFile {
    /// Makes every input as a start would, and throws it away: nothing is opened, started or sent. Plugins that have
    /// errors already are left out, since what they lack has been said.
    ///
    /// - Parameter report: with a config, be it one with errors.
    static func issues(ofInputs report: ConfigReport) -> [ConfigIssue] {
        guard let config = report.config else { return [] }
        // Never started: what is made needs a clock.
        let loop = WorkLoop(name: "godwit-check")
        let environment = InputEnvironment(alone: LinuxHost(environment: ConfigFile.environment, clock: loop))
        let faulty = report.issues.filter { $0.severity == .error }.map { $0.key + "." }
        var issues: [ConfigIssue] = []
        for input in config.inputs {
            let section = "inputs.\(input.plugin)"
            guard let plugin = InputRegistry.plugin(input.plugin),
                !faulty.contains(where: { $0.hasPrefix(section + ".") })
            else { continue }
            do { _ = try plugin.make(input.options, in: environment) } catch {
                let option = (error as? CollectorError)?.option ?? (error is ServerTLSError ? "tls_cert" : "")
                let place = ["inputs.\(input.id)/\(option)", "inputs.\(input.id)"].lazy.compactMap {
                    report.origins[$0]
                }
                let prefix = input.plugin + ": "
                let text = "\(error)"
                issues.append(
                    ConfigIssue(
                        namesHiddenFile(input.options) ? .warning : .error,
                        place.first ?? ConfigOrigin(file: "", line: 0),
                        option.isEmpty ? section : "\(section).\(option)",
                        text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text))
            }
        }
        return issues
    }

    /// Certificates that a server of ours could not use, and addresses that this machine does not have.
    static func issues(ofServers report: ConfigReport) -> [ConfigIssue] {
        guard let config = report.config else { return [] }
        var servers: [(key: String, section: String, address: String, options: OptionValues)] = []
        for input in config.inputs where input.options.has("service_address") {
            servers.append(("inputs.\(input.plugin)", "inputs.\(input.id)", "service_address", input.options))
        }
        for output in config.outputs where output.options.has("listen") {
            servers.append(("outputs.\(output.plugin)", "outputs.\(output.id)", "listen", output.options))
        }
        for listener in config.pushprox.proxy?.tables["listeners"] ?? [] {
            servers.append(("pushprox.proxy.listeners", "pushprox.proxy", "listen", listener))
        }
        var issues: [ConfigIssue] = []
        for server in servers {
            func complain(_ option: String, _ message: String, _ severity: ConfigIssue.Severity) {
                let place = ["\(server.section)/\(option)", server.section].lazy.compactMap { report.origins[$0] }
                issues.append(
                    ConfigIssue(
                        severity, place.first ?? ConfigOrigin(file: "", line: 0), "\(server.key).\(option)", message))
            }
            let text = server.options.string(server.address)
            if let host = ListenAddress(text)?.host,
                let complaint = TunnelFiles.complaint(aboutListeningAt: .tcp(NetworkPlace(host.description, 0)))
            {
                complain(server.address, "\(text): \(complaint)", .warning)
            }
            // Those of inputs were read when the inputs were made.
            guard !server.key.hasPrefix("inputs."), let settings = ServerTLSSettings(server.options) else { continue }
            if let error = failure(of: settings) {
                complain("tls_cert", error, namesHiddenFile(server.options) ? .warning : .error)
            }
        }
        if let relay = config.relay, let settings = relay.listenerTLS, let error = failure(of: settings) {
            let origin = report.origins["metadata_relay"] ?? ConfigOrigin(file: "", line: 0)
            let files = [settings.certificate, settings.key, settings.revocationLists] + settings.clientAuthorities
            let isHidden = files.contains(where: { (file: String) in access(file, R_OK) != 0 && errno == EACCES })
            issues.append(
                ConfigIssue(isHidden ? .warning : .error, origin, "metadata_relay.listen_tls_cert", error))
        }
        return issues
    }

    /// Why files of a server's TLS cannot be used; nil when they can.
    private static func failure(of settings: ServerTLSSettings) -> String? {
        do throws(ServerTLSError) {
            _ = try ServerTLS(settings, log: Logger(label: "check", factory: { _ in SwiftLogNoOpLogHandler() }))
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Whether one of the options is a file that this user may not read: whoever checks need not be who runs.
    private static func namesHiddenFile(_ options: OptionValues) -> Bool {
        let single = ["tls_cert", "tls_key", "basic_password_file", "token_file"].filter { options.has($0) }
        let files =
            single.map { options.string($0) }
            + (options.has("tls_allowed_cacerts") ? options.strings("tls_allowed_cacerts") : [])
        return files.contains { !$0.isEmpty && access($0, R_OK) != 0 && errno == EACCES }
    }
}
