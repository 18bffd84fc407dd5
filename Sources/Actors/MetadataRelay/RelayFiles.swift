import Glibc
import Pipeline

/// What a check of the configuration can tell of the relay without starting it.
public enum RelayFiles {
    /// What is wrong with the guest table as it is now; nil for one that is not there or not for us to see. It is read
    /// again when it changes, so a mistake in it forbids nothing.
    public static func complaint(aboutGuestsOf config: RelayConfig) -> String? {
        var status = stat()
        guard stat(config.guestsFile, &status) == 0, access(config.guestsFile, R_OK) == 0 else { return nil }
        var file = GuestFile(path: config.guestsFile)
        _ = file.look(now: .zero)
        return file.trouble
    }

    /// Where this machine cannot listen, unless such addresses are awaited. Namespaces of others are not looked into.
    public static func complaints(aboutListenersOf config: RelayConfig) -> [String] {
        guard !config.awaitsAddresses else { return [] }
        return config.listeners.compactMap { place in
            guard place.namespace.isEmpty, let host = place.address.host,
                let complaint = TunnelFiles.complaint(aboutListeningAt: .tcp(NetworkPlace(host.description, 0)))
            else { return nil }
            return "\(place): \(complaint) (await_addresses = true if it comes later)"
        }
    }
}
