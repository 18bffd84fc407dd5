import Glibc
import Pipeline

/// What a check of the configuration can tell of the relay without starting it.
public enum RelayFiles {
    /// What will not work as things are, by option. Nothing of it forbids a start: a guest table and addresses come and
    /// go while the relay runs.
    public static func complaints(about config: RelayConfig) -> [(option: String, text: String)] {
        var complaints: [(option: String, text: String)] = []
        var status = stat()
        if stat(config.guestsFile, &status) == 0, access(config.guestsFile, R_OK) == 0 {
            var file = GuestFile(path: config.guestsFile)
            _ = file.look(now: .zero)
            if let trouble = file.trouble { complaints.append(("guests_file", trouble)) }
        }
        for place in config.listeners where place.namespace.isEmpty {
            guard let host = place.address.host,
                let complaint = TunnelFiles.complaint(aboutListeningAt: .tcp(NetworkPlace(host.description, 0)))
            else { continue }
            complaints.append(("listen", "\(place): \(complaint)"))
        }
        return complaints
    }
}
