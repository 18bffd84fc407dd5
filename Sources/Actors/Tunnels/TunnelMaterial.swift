import CLinux
import Glibc
import Pipeline

/// What a session needs from files and name servers, read anew for every session so that a changed key or address
/// counts. Reading it may block: it happens on a thread of its own.
struct TunnelMaterial: Sendable {
    /// Empty for a session through a jump host, which looks the name up itself.
    var addresses: [KernelAddress] = []
    var credentials: [SSHCredential] = []
    var knownHosts = KnownHosts()

    /// Errors: `TunnelFailure` with `key-unusable`, `dial-failed` or `hostkey-unknown`.
    static func gather(_ spec: TunnelSpec, resolves: Bool) throws(TunnelFailure) -> TunnelMaterial {
        var material = TunnelMaterial()
        if !spec.knownHostsFile.isEmpty { material.knownHosts = try knownHosts(spec) }
        var complaints: [String] = []
        let passphrase = try secret(spec.passphrase, file: spec.passphraseFile)
        for path in spec.identityFiles {
            do {
                let key = try SigningKey(file: PrivateFile.read(path), passphrase: passphrase)
                material.credentials += key.methods.map { .key(key, $0) }
            } catch {
                complaints.append("\(path): \(error)")
            }
        }
        if !spec.agentSocket.isEmpty { material.credentials += agentKeys(spec.agentSocket) }
        let password = try secret(spec.password, file: spec.passwordFile)
        if !password.isEmpty { material.credentials += [.password(password), .keyboard(password)] }
        guard !material.credentials.isEmpty else {
            let why =
                complaints.isEmpty ? "no key, agent or password is configured" : complaints.joined(separator: "; ")
            throw TunnelFailure(.keyUnusable, why)
        }
        if resolves {
            material.addresses = KernelAddress.resolve(spec.server, isNumeric: true)
            if material.addresses.isEmpty {
                material.addresses = KernelAddress.resolve(spec.server, isNumeric: false)
            }
            guard !material.addresses.isEmpty else {
                throw TunnelFailure(.dialFailed, "the name \(spec.server.host) has no address")
            }
        }
        return material
    }

    private static func knownHosts(_ spec: TunnelSpec) throws(TunnelFailure) -> KnownHosts {
        let path = spec.knownHostsFile
        do {
            return try KnownHosts(PrivateFile.read(path, mayBeReadByOthers: true, limit: KnownHosts.sizeLimit))
        } catch let error as FileComplaint where error.isMissing {
            // With accept-new it is made by the first key; pins need no file.
            guard spec.hostKeyPolicy == .strict, spec.fingerprints.isEmpty else { return KnownHosts() }
            throw TunnelFailure(.hostkeyUnknown, "\(error)")
        } catch {
            throw TunnelFailure(.hostkeyUnknown, "\(error)")
        }
    }

    private static func secret(_ literal: Secret, file: String) throws(TunnelFailure) -> Secret {
        guard !file.isEmpty else { return literal }
        var reader = SecretReader(.file(path: file))
        do throws(SecretError) {
            return try reader.current()
        } catch {
            throw TunnelFailure(.keyUnusable, error.description)
        }
    }

    /// The keys an agent holds; none when it does not answer within 2 s.
    private static func agentKeys(_ path: String) -> [SSHCredential] {
        guard let descriptor = KernelAddress.unix(path)?.connectedSocket(), descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        let question: [UInt8] = [0, 0, 0, 1, 11]
        guard send(descriptor, question, question.count, Int32(MSG_NOSIGNAL)) == question.count else { return [] }
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while received.count < 256 * 1024 {
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, 2_000) == 1 else { return [] }
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return [] }
            received += buffer[..<count]
            guard let body = SSHAgentReply.body(received) else { continue }
            return (SSHAgentReply.keys(body) ?? []).flatMap(credentials)
        }
        return []
    }

    private static func credentials(of key: [UInt8]) -> [SSHCredential] {
        switch SSHAgentReply.type(of: key) {
        case "ssh-rsa"?: ["rsa-sha2-512", "rsa-sha2-256"].map { .agent(algorithm: $0, key: key) }
        case "ssh-ed25519"?: [.agent(algorithm: "ssh-ed25519", key: key)]
        case let type? where type.hasPrefix("ecdsa-sha2-"): [.agent(algorithm: type, key: key)]
        default: []
        }
    }
}

/// Why a file cannot be used.
struct FileComplaint: Error, CustomStringConvertible {
    var description: String
    var isMissing = false
}

/// Files that must be ours alone.
enum PrivateFile {
    /// The whole file. Errors: missing, no regular file, of a stranger, too open, too long.
    static func read(
        _ path: String, mayBeReadByOthers: Bool = false, mayBeAnothers: Bool = false, limit: Int = 64 * 1024
    ) throws(FileComplaint)
        -> [UInt8]
    {
        // O_NONBLOCK: a planted FIFO must not hang us.
        let descriptor = godwit_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else {
            let code = errno
            throw FileComplaint(
                description: "cannot open \(path): \(String(cString: strerror(code)))", isMissing: code == ENOENT)
        }
        defer { close(descriptor) }
        return try read(
            from: descriptor, path, mayBeReadByOthers: mayBeReadByOthers, mayBeAnothers: mayBeAnothers, limit: limit)
    }

    /// The rest of an open file that stands at `path`, after the same checks.
    static func read(
        from descriptor: Int32, _ path: String, mayBeReadByOthers: Bool, mayBeAnothers: Bool = false, limit: Int
    ) throws(FileComplaint) -> [UInt8] {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw FileComplaint(description: "\(path) is no regular file")
        }
        guard mayBeAnothers || status.st_uid == geteuid() || status.st_uid == 0 else {
            throw FileComplaint(description: "\(path) belongs to user \(status.st_uid), not to us or root")
        }
        let forbidden: mode_t = mayBeReadByOthers ? 0o022 : 0o077
        guard status.st_mode & forbidden == 0 else {
            let fault = mayBeReadByOthers ? "written by others" : "read by group or others; give it mode 0600"
            throw FileComplaint(description: "\(path) can be \(fault)")
        }
        guard status.st_size <= limit else { throw FileComplaint(description: "\(path) is longer than \(limit) bytes") }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress?.advanced(by: length), $0.count - length)
            }
            guard count > 0 else { break }
            length += count
        }
        return Array(bytes[..<min(length, limit)])
    }

    /// The new file takes the place of the old one in one step, mode 0600. Errors: what the system says.
    static func replace(_ path: String, with content: [UInt8]) throws(FileComplaint) {
        let temporary = path + ".new"
        unlink(temporary)
        try create(temporary, with: content)
        guard rename(temporary, path) == 0 else {
            let complaint = complaint("write", path)
            unlink(temporary)
            throw complaint
        }
    }

    /// A file that was not there, mode 0600. Errors: what the system says; then there is none.
    static func create(_ path: String, with content: [UInt8]) throws(FileComplaint) {
        let descriptor = godwit_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw complaint("create", path) }
        let isWritten = write(descriptor, content, content.count) == content.count && fsync(descriptor) == 0
        let complaint = isWritten ? nil : complaint("write", path)
        close(descriptor)
        guard let complaint else { return }
        unlink(path)
        throw complaint
    }

    static func complaint(_ verb: String, _ path: String) -> FileComplaint {
        FileComplaint(description: "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
