import Actors
import ArgumentParser
import Glibc
import Pipeline

/// `godwit relay`: what a relay's operator needs beside the daemon.
struct RelayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay", abstract: "Help with tunnels and forwards.", subcommands: [RelayImport.self])
}

/// `godwit relay import`: the platform's proxy endpoints and forwards as sections of a configuration file.
///
/// Shape: sections on standard output, problems on standard error as `file:line: key: message`.
/// Errors: exit code 65 when a record cannot be used (then nothing is written, unless `--skip`), 66 when a file cannot be
/// read, 73 when a key cannot be written.
struct RelayImport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Turn the platform's proxy endpoints and forwards into [[tunnels]] and [[forwards]].",
        discussion: """
            Reads JSON as the platform's API and command line print it: proxy_endpoints, forwards and, for the addresses \
            of local forwards, proxy_agents, in one file or several. Prints sections for a configuration file; private \
            keys are never printed. Exit code 65: a record cannot be used; then nothing is written, unless --skip.
            """)

    @Argument(help: "Files to read; - is standard input.")
    var files: [String]

    @Option(help: "Folder of the private keys, for identity_file.")
    var keys = PlatformImport.Settings().keyDirectory

    @Flag(help: "Write the private keys of the records there, mode 0600, never over another file.")
    var writeKeys = false

    @Option(help: "File with the keys of servers, for known_hosts_file.")
    var knownHosts = PlatformImport.Settings().knownHostsFile

    @Option(help: "Address at which local forwards listen, instead of what the records say.")
    var bind: String?

    @Flag(help: "Leave out records that cannot be used.")
    var skip = false

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if let bind, IPAddress(bind) == nil { throw ValidationError("--bind: \(bind) is no address") }
        if !keys.hasPrefix("/") { throw ValidationError("--keys: expected an absolute path") }
        if !knownHosts.hasPrefix("/") { throw ValidationError("--known-hosts: expected an absolute path") }
        if files.count(where: { $0 == "-" }) > 1 { throw ValidationError("standard input can be read once") }
    }

    func run() throws {
        var records: [PlatformRecords.Record] = []
        var broken: [ConfigIssue] = []
        for file in files {
            guard let bytes = RelayImport.read(file) else {
                complain("cannot read \(file): \(String(cString: strerror(errno)))")
                throw ExitCode(66)
            }
            do throws(ConfigIssue) {
                records += try PlatformRecords(bytes, file: file == "-" ? "stdin" : file).records
            } catch {
                broken.append(error)
            }
        }
        var settings = PlatformImport.Settings()
        settings.localAddress = bind ?? ""
        settings.keyDirectory = keys
        settings.knownHostsFile = knownHosts
        let result = PlatformImport(records, settings)
        let issues = broken + result.issues + RelayImport.examine(result)
        for issue in issues { complain("\(issue)") }
        guard broken.isEmpty, skip || !issues.hasErrors else { throw ExitCode(65) }
        try RelayImport.prove(result)
        if writeKeys { try store(result) }
        emit(json ? String(decoding: result.json.encoded(indent: true), as: UTF8.self) + "\n" : result.toml)
        if !writeKeys, result.tunnels.contains(where: { !$0.key.isEmpty }) {
            complain("private keys were not written; --write-keys puts them into \(keys)")
        }
    }

    /// At most 16 MiB; nil with `errno`.
    private static func read(_ file: String) -> [UInt8]? {
        let descriptor = file == "-" ? dup(0) : open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        // One byte more than the parser takes.
        while bytes.count <= 16 << 20 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes
    }

    /// What only this machine can tell: keys that are none, addresses that are not here.
    private static func examine(_ result: PlatformImport) -> [ConfigIssue] {
        var issues: [ConfigIssue] = []
        for tunnel in result.tunnels {
            if tunnel.key.isEmpty {
                let text = "it is not in the record: put the key at \(tunnel.identityFile), mode 0600"
                issues.append(ConfigIssue(.warning, tunnel.origin, "proxy_endpoint.private_key", text))
            } else if let complaint = TunnelFiles.complaint(aboutKeyContent: content(tunnel)) {
                issues.append(ConfigIssue(.error, tunnel.origin, "proxy_endpoint.private_key", complaint))
            }
        }
        for forward in result.forwards where forward.kind == .local {
            guard let complaint = TunnelFiles.complaint(aboutListeningAt: .tcp(forward.bind)) else { continue }
            issues.append(
                ConfigIssue(
                    .warning, forward.origin, "forward.bind_addr",
                    "\(forward.bind): \(complaint); godwit check refuses it here, --bind names another"))
        }
        return issues
    }

    /// What is written must read back as it was meant: names are other people's text.
    /// Errors: exit code 70, which would be a mistake of ours.
    private static func prove(_ result: PlatformImport) throws {
        guard !result.tunnels.isEmpty else { return }
        let decoder = ConfigDecoder(inputs: KnownPlugins.inputs, outputs: KnownPlugins.outputs)
        let report = ConfigFile.load(text: result.toml, name: "output", decoder: decoder)
        let tunnels = report.config?.tunnels ?? []
        let isSame =
            Set(tunnels.map(\.id)) == Set(result.tunnels.map(\.name))
            && tunnels.reduce(0) { $0 + $1.forwards.count } == result.forwards.count
        guard isSame else {
            for issue in report.issues { complain("\(issue)") }
            complain("what would be written does not read back; nothing was written")
            throw ExitStatus.software
        }
    }

    private static func content(_ tunnel: PlatformImport.ImportedTunnel) -> [UInt8] {
        let text = tunnel.key.revealed.replacing("\r\n", with: "\n")
        return Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
    }

    private func store(_ result: PlatformImport) throws {
        guard Paths.makeDirectory(keys) else {
            complain("cannot write to \(keys): \(String(cString: strerror(errno)))")
            throw ExitStatus.cannotCreate
        }
        for tunnel in result.tunnels where !tunnel.key.isEmpty {
            if let complaint = TunnelFiles.keepKey(RelayImport.content(tunnel), at: tunnel.identityFile) {
                complain("\(tunnel.origin): \(complaint)")
                throw ExitStatus.cannotCreate
            }
        }
    }
}
