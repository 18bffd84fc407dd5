import Logging
import Pipeline
import Synchronization

/// All certificates that listeners of this process show, so that one signal renews them.
public final class ServerCertificates: Sendable {
    private struct Entry {
        weak var tls: ServerTLS?
    }

    private let open = Mutex<[Entry]>([])

    public init() {}

    /// Reads the files of a listener. Errors: those of `ServerTLS`.
    public func load(_ settings: ServerTLSSettings, log: Logger) throws(ServerTLSError) -> ServerTLS {
        let tls = try ServerTLS(settings, log: log)
        open.withLock { entries in
            entries.removeAll { $0.tls == nil }
            entries.append(Entry(tls: tls))
        }
        return tls
    }

    /// Reads all of them again; what cannot be read stays as it was, and is named.
    public func reload() -> [String] {
        open.withLock { entries in entries.compactMap(\.tls) }.compactMap { tls in
            do throws(ServerTLSError) { try tls.reload() } catch { return error.description }
            return nil
        }
    }
}
