import Glibc
import Pipeline

/// What a check of the configuration can tell of a tunnel without starting it.
public enum TunnelFiles {
    /// What is wrong with a file.
    public struct Finding: Sendable, Hashable {
        public var text: String
        /// False when another user than the one who checks may well be able to use it.
        public var isCertain = true
    }

    /// Why a private key cannot be used; nil when it can. A passphrase is not tried.
    public static func finding(aboutKey path: String) -> Finding? {
        if isHidden(path) { return Finding(text: "\(path) cannot be read by who checks", isCertain: false) }
        do {
            let file = try PrivateFile.read(path, mayBeAnothers: geteuid() == 0)
            _ = try SigningKey(file: file, passphrase: .none)
        } catch let error as SSHKeyError {
            let isLocked = error.code == .needsPassphrase || error.code == .wrongPassphrase
            if !isLocked { return Finding(text: "\(path) holds no private key that can be used: \(error)") }
        } catch {
            return Finding(text: "\(error)")
        }
        return foreigner(path)
    }

    /// Why a file of known hosts cannot be used; nil when it can, and when it is not there: it may come later.
    public static func finding(aboutKnownHosts path: String) -> Finding? {
        if isHidden(path) { return Finding(text: "\(path) cannot be read by who checks", isCertain: false) }
        do {
            let file = try PrivateFile.read(
                path, mayBeReadByOthers: true, mayBeAnothers: geteuid() == 0, limit: KnownHosts.sizeLimit)
            _ = try KnownHosts(file)
        } catch let error as FileComplaint where error.isMissing {
            return nil
        } catch {
            return Finding(text: "\(path): \(error)")
        }
        return foreigner(path)
    }

    private static func isHidden(_ path: String) -> Bool { access(path, R_OK) != 0 && errno == EACCES }

    /// Root may check for a daemon that runs as somebody else.
    private static func foreigner(_ path: String) -> Finding? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_uid != 0, status.st_uid != geteuid() else { return nil }
        let text = "\(path) belongs to user \(status.st_uid): only a daemon that runs as that user takes it"
        return Finding(text: text, isCertain: false)
    }

    /// Why nobody on this machine can listen there; nil when somebody can, if the port is free.
    public static func complaint(aboutListeningAt place: SocketPlace) -> String? {
        guard case .tcp(let address) = place else { return nil }
        let host = address.host == "localhost" ? "127.0.0.1" : address.host
        // Port 0: only whether the address is ours.
        guard let found = KernelAddress.resolve(NetworkPlace(host, 0), isNumeric: true).first else {
            return "a local forward listens at an address of this machine, written as a number"
        }
        let descriptor = found.listeningSocket(backlog: 1)
        guard descriptor < 0 else {
            close(descriptor)
            return nil
        }
        return errno == EADDRNOTAVAIL ? "this machine has no such address" : nil
    }

    /// Why these bytes are no private key that can be used; nil when they are one. A passphrase is not tried.
    public static func complaint(aboutKeyContent bytes: [UInt8]) -> String? {
        do throws(SSHKeyError) {
            _ = try SigningKey(file: bytes, passphrase: .none)
        } catch {
            if error.code != .needsPassphrase, error.code != .wrongPassphrase { return "\(error)" }
        }
        return nil
    }

    /// Writes a private key, mode 0600. Never writes over anything: a file with the same content is left as it is.
    /// Returns why not; nil when it stands there.
    public static func keepKey(_ bytes: [UInt8], at path: String) -> String? {
        do throws(FileComplaint) {
            try PrivateFile.create(path, with: bytes)
            return nil
        } catch {
            guard let present = try? PrivateFile.read(path), present == bytes else { return "\(error)" }
            return nil
        }
    }
}
