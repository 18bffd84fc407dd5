import Pipeline

/// A proxy that a scrape client polls.
public struct ScrapeProxyPlace: Sendable, Hashable {
    /// With the prefix of its paths, without user information.
    public var url: HTTPURL
    public var connection = HTTPConnectionOptions()
    public var username = ""
    public var password = SecretSource.none
    public var token = SecretSource.none

    public init(url: HTTPURL) { self.url = url }
}

/// A target that a scrape client may ask, and how.
public struct ScrapeTargetSettings: Sendable, Hashable {
    public var rule: TargetRule
    public var connection = HTTPConnectionOptions()
    public var username = ""
    public var password = SecretSource.none
    public var token = SecretSource.none
    /// Networks that its name may lead to; empty: this machine, or where `url` leads.
    public var addresses: [AddressRange] = []

    public init(rule: TargetRule) { self.rule = rule }

    /// What its name may lead to.
    var addressRule: AddressRule {
        switch rule.destination {
        case .url(let text):
            let literal = HTTPURL(text).flatMap { IPAddress($0.host) }
            return AddressRule(addresses.isEmpty ? .any : .listed(addresses), literal: literal)
        case .asAsked, .unix, .agent, .output:
            return AddressRule(addresses.isEmpty ? .own : .listed(addresses))
        }
    }
}

/// What `[pushprox.client]` says.
public struct ScrapeClientSettings: Sendable, Hashable {
    /// Each is polled for at each proxy, spelt like this.
    public var names: [String] = []
    public var proxies: [ScrapeProxyPlace] = []
    public var targets: [ScrapeTargetSettings] = []
    /// `name=value`, separated by commas.
    public var labels = ""
    public var bodyLimit = 32 << 20
    /// Bytes that all pages under way may hold together.
    public var heldLimit = 32 << 20
    /// Scrapes at the same time; more are answered with 503.
    public var scrapesLimit = 16
    public var timeoutLimit = Duration.seconds(300)
    public var retryBase = Duration.seconds(1)
    public var retryCap = Duration.seconds(30)
    /// After how long without a scrape a proxy of ours answers a poll.
    public var pollTime = Duration.seconds(50)

    public init() {}
}
