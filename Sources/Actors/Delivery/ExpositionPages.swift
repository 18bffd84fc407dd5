import Synchronization

/// The pages of all outputs `prometheus_client`, by the outputs' ids, for those who ask within the process.
public final class ExpositionPages: Sendable {
    private struct Entry {
        weak var page: ExpositionTransport?
    }

    private let pages = Mutex<[String: Entry]>([:])

    public init() {}

    public func add(_ transport: ExpositionTransport, for output: String) {
        pages.withLock { $0[output] = Entry(page: transport) }
    }

    /// The page as a scraper would get it; nil when there is no such output.
    public func page(of output: String) async -> [UInt8]? {
        await pages.withLock { $0[output]?.page }?.text().bytes
    }
}
