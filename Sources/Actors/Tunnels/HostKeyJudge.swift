import CSSH2
import Pipeline

/// Decides whether a server is the one it should be, and asks it for a key of a kind that is known.
final class HostKeyJudge {
    private let spec: TunnelSpec
    private let knownHosts: KnownHosts
    /// The key to be kept, after a new one was accepted.
    private(set) var newKey: [UInt8]?

    init(spec: TunnelSpec, knownHosts: KnownHosts) {
        self.spec = spec
        self.knownHosts = knownHosts
    }

    /// Asks the server for a key of this kind, else of the kinds that are known. Without it libssh2 might get a key of
    /// another kind than the known one, and none would match.
    func prefer(_ kind: String?, on session: OpaquePointer) {
        let kinds = kind.map { [$0] } ?? knownHosts.types(for: spec.server, .system)
        guard !kinds.isEmpty else { return }
        _ = libssh2_session_method_pref(session, LIBSSH2_METHOD_HOSTKEY, kinds.joined(separator: ","))
    }

    /// What is wrong with the key of the server; nil when nothing is.
    func complaint(_ key: [UInt8]) -> TunnelFailure? {
        let fingerprint = SSHDigests.system.fingerprint(of: key)
        let verdict = knownHosts.verdict(for: spec.server, key: key, .system)
        let file = spec.knownHostsFile
        if case .revoked(let line) = verdict {
            return TunnelFailure(.hostkeyRevoked, "\(fingerprint) is revoked by line \(line) of \(file)")
        }
        if spec.fingerprints.contains(fingerprint) { return nil }
        switch verdict {
        case .known: return nil
        case .changed(let lines):
            let places = lines.prefix(5).map(String.init).joined(separator: ", ")
            return TunnelFailure(
                .hostkeyChanged, "the server shows \(fingerprint), but line \(places) of \(file) has another key")
        case .authorityOnly(let line):
            return TunnelFailure(
                .hostkeyUnknown,
                "line \(line) of \(file) trusts a certificate authority, which is not supported; add \(fingerprint)")
        case .unknown, .revoked:
            if !spec.fingerprints.isEmpty {
                return TunnelFailure(.hostkeyChanged, "the server shows \(fingerprint), which is not the pinned key")
            }
            guard spec.hostKeyPolicy == .acceptNew, KnownHosts.line(for: spec.server, key: key) != nil else {
                return TunnelFailure(
                    .hostkeyUnknown, "nothing vouches for \(fingerprint); pin it or add it to known_hosts")
            }
            newKey = key
            return nil
        }
    }
}
