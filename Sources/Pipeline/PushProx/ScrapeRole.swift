/// Whom a listener of the scrape proxy serves.
public enum ScrapeRole: String, Sendable, Hashable, CaseIterable {
    /// `/poll` and `/push`.
    case clients
    /// Requests in absolute form.
    case scrapers
    /// `/clients` and `/metrics`.
    case admin
}
