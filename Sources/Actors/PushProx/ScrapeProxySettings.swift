import Pipeline

/// A listener of the scrape proxy: where it listens, whom it serves, and who may come.
public struct ScrapeListenerSettings: Sendable, Hashable {
    public var listen: ListenAddress
    public var roles: Set<ScrapeRole>
    public var tls: ServerTLSSettings?
    /// A client may only use names that its certificate carries.
    public var bindsNames = false
    /// Empty: everybody.
    public var allowed: [AddressRange] = []
    public var username = ""
    public var password = SecretSource.none
    public var token = SecretSource.none
    public var connections = 20_000

    public init(listen: ListenAddress, roles: Set<ScrapeRole>) {
        self.listen = listen
        self.roles = roles
    }
}

/// What `[pushprox.proxy]` says.
public struct ScrapeProxySettings: Sendable, Hashable {
    public var listeners: [ScrapeListenerSettings] = []
    public var table = ScrapeTable.Limits()
    /// Which names there are, and whose; empty: any.
    public var names = NameRules()
    public var defaultTimeout = Duration.seconds(15)
    public var timeoutLimit = Duration.seconds(300)
    /// How long a scrape of a name that nobody polls under waits for it.
    public var unknownGrace = Duration.seconds(1)
    public var bodyLimit = 64 << 20
    /// Every failure is a 500, as the real proxy has it.
    public var always500 = false
    /// How long scrapes under way may go on when the proxy stops.
    public var drainTime = Duration.seconds(3)

    public init() {}
}
