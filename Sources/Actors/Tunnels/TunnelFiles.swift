import Glibc
import Pipeline

/// What a check of the configuration can tell of a tunnel without starting it.
public enum TunnelFiles {
    /// Why a private key cannot be used; nil when it can, or when whoever asks may not see it. A passphrase is not tried.
    public static func complaint(aboutKey path: String) -> String? {
        if access(path, R_OK) != 0, errno == EACCES { return nil }
        do {
            let file = try PrivateFile.read(path)
            guard SSHKeyContainer.isOne(file) else { return nil }
            _ = try SSHKeyContainer(file)
            return nil
        } catch let error as FileComplaint {
            return error.description
        } catch {
            return "\(path): \(error)"
        }
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
}
