import Pipeline

/// The relay's way to the database: one pool of connections for all guests, and a breaker so that a database that is
/// away costs a guest nothing but the answer.
///
/// Owns: the transport, the breaker, the last answer to a ping. Receives: `write`, `ping`. It has no task of its own;
/// those who wait are bounded by the limiter.
actor RelayUpstream {
    /// How long an answer to `/ping` serves everybody who asks.
    private static let pingAge = Duration.seconds(2)

    private let transport: InfluxDBTransport
    private let clock: any Clock
    private let destinations: [String]
    private let timeout: Duration
    private var breaker: RouteBreaker
    private var random = JitterSource()
    private var lastPing: (at: Instant, outcome: ProbeOutcome)?
    /// Those who wait for the ping that is under way; nil while none is.
    private var pingWaiters: [CheckedContinuation<ProbeOutcome, Never>]?
    private var underWay = 0
    private var outcomes: [DeliveryOutcome.Class: UInt64] = [:]
    private var lastError: String?
    private var lastDelivery: Instant?

    init(settings: InfluxDBSettings, client: any HTTPClient, clock: any Clock) {
        transport = InfluxDBTransport(settings: settings, client: client, clock: clock)
        destinations = settings.server.urls.map { Secret.redacted(url: $0) }
        timeout = settings.server.timeout ?? .seconds(10)
        self.clock = clock
        breaker = RouteBreaker(now: clock.now, isAlone: true)
    }

    // MARK: Writes

    func write(_ lines: LineWrite) async -> DeliveryOutcome {
        switch await permission() {
        case .send: break
        case .wait(let until):
            let wait = max(.milliseconds(250), until - clock.now)
            return .throttled(retryAfter: min(wait, .seconds(10)), reason: "the database is away")
        case .probe: return .throttled(retryAfter: .seconds(1), reason: "the database is away")
        }
        underWay += 1
        let outcome = await transport.write(lines, deadline: clock.now + timeout)
        underWay -= 1
        judge(outcome, isGuestsChoice: !lines.retentionPolicy.isEmpty || !lines.consistency.isEmpty)
        return outcome
    }

    /// Asks the breaker, and the database by a ping where the breaker wants that.
    private func permission() async -> RouteBreaker.Permission {
        let first = breaker.permission(now: clock.now)
        guard first == .probe else { return first }
        let outcome = await askPing()
        breaker.probed(good: outcome.isGood, now: clock.now, using: &random)
        if case .bad(let reason) = outcome { lastError = reason }
        return outcome.isGood ? .send : .wait(until: breaker.opensUntil ?? clock.now + .seconds(1))
    }

    /// `isGuestsChoice`: a parameter of the guest's may be what the server does not like; that says nothing about the
    /// server, and must not close it to others.
    private func judge(_ outcome: DeliveryOutcome, isGuestsChoice: Bool) {
        let now = clock.now
        outcomes[outcome.outcomeClass, default: 0] &+= 1
        if !outcome.reason.isEmpty { lastError = outcome.reason }
        switch outcome {
        case .delivered, .partial, .data, .tooBig:
            breaker.succeeded(now: now)
            if outcome.isFinal { lastDelivery = now }
            if outcome == .delivered { lastError = nil }
        case .server where isGuestsChoice, .configuration where isGuestsChoice: breaker.gaveUp()
        case .throttled: breaker.failed(.throttled, now: now, using: &random)
        case .server, .ambiguous: breaker.failed(.soft, now: now, using: &random)
        case .unavailable: breaker.failed(.hard, now: now, using: &random)
        case .createDatabase, .configuration: breaker.failed(.soft, now: now, using: &random)
        }
    }

    // MARK: Pings

    /// Whether the database answers now, or did a moment ago.
    func ping() async -> ProbeOutcome {
        if let lastPing, clock.now - lastPing.at < Self.pingAge { return lastPing.outcome }
        return await askPing()
    }

    /// One request for all who ask while it is under way.
    private func askPing() async -> ProbeOutcome {
        if pingWaiters != nil {
            return await withCheckedContinuation { pingWaiters?.append($0) }
        }
        pingWaiters = []
        let outcome = await transport.probe(deadline: clock.now + .seconds(3))
        lastPing = (clock.now, outcome)
        if case .bad(let reason) = outcome { lastError = reason }
        let waiters = pingWaiters ?? []
        pingWaiters = nil
        for waiter in waiters { waiter.resume(returning: outcome) }
        return outcome
    }

    // MARK: Status

    func status() -> RelayStatus.Upstream {
        var status = RelayStatus.Upstream()
        let now = clock.now
        status.destinations = destinations
        status.state = breaker.state
        status.since = max(.zero, now - breaker.since)
        status.lastError = lastError
        status.nextTry = breaker.opensUntil.map { max(.zero, $0 - now) }
        status.lastDelivery = lastDelivery.map { max(.zero, now - $0) }
        status.underWay = underWay
        for (outcome, count) in outcomes { status.outcomes[outcome.rawValue] = count }
        return status
    }
}

extension InfluxDBSettings {
    /// The database of `[metadata_relay]`.
    init(relay config: RelayConfig, version: String) {
        let options = config.values
        func optional(_ name: String) -> String? {
            let value = options.string(name)
            return value.isEmpty ? nil : value
        }
        func secret(_ name: String) -> SecretSource {
            let path = options.string(name + "_file")
            let literal = options.secret(name)
            return path.isEmpty ? (literal.isEmpty ? .none : .literal(literal)) : .file(path: path)
        }
        self.init(urls: options.strings("urls"), database: options.string("database"))
        retentionPolicy = options.string("retention_policy")
        skipDatabaseCreation = options.bool("skip_database_creation")
        server.username = options.string("username")
        server.password = secret("password")
        server.token = secret("token")
        server.timeout = options.duration("timeout")
        server.headers = options.table("http_headers")
        server.connection.userAgent = optional("user_agent") ?? "godwit/\(version)"
        server.connection.proxy = options.string("http_proxy")
        server.connection.tlsAuthorities = optional("tls_ca")
        server.connection.tlsCertificate = optional("tls_cert")
        server.connection.tlsKey = optional("tls_key")
        server.connection.tlsServerName = optional("tls_server_name")
        server.connection.skipsVerification = options.bool("insecure_skip_verify")
        server.probesStrictly = true
    }
}
