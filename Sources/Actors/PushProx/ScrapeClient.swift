import Logging
import Pipeline

/// The scrape client: asks proxies for scrapes, makes those that its rules allow, and pushes what came of them.
///
/// Owns: one poll per name and proxy, and the scrapes under way. Started by: the supervisor. Stops: on cancellation;
/// what is on its way may take as long as the requests' grace.
/// Promises: what a target did not send to its end is pushed as a failure, never as a page; nothing but its targets is
/// asked, and no redirect is followed. Bounds: scrapes at a time, bytes of a page.
public actor ScrapeClient {
    /// The pages of the agent itself, by where a rule leads; nil for one that is not there.
    public typealias Pages = @Sendable (TargetRule.Destination) async -> [UInt8]?

    private static let grace = Duration.seconds(2)
    /// A real proxy does not answer before there is a scrape. A poll that has hung for so long is begun anew, so that a
    /// middlebox that forgot it does no harm for ever.
    private static let longestPoll = Duration.seconds(900)

    private let settings: ScrapeClientSettings
    private let http: any HTTPClient
    private let clock: any Clock
    private let pages: Pages
    private let log: Logger
    /// Which of the clients of one name this is, for proxies that share names among them.
    private let instance: String
    private var polls: [String: ScrapePollFigures] = [:]
    private var figuresNow = ScrapeClientFigures()

    public init(
        settings: ScrapeClientSettings, http: any HTTPClient, clock: any Clock, pages: @escaping Pages, log: Logger
    ) {
        self.settings = settings
        self.http = http
        self.clock = clock
        self.pages = pages
        self.log = log
        var system = SystemRandomNumberGenerator()
        instance = String(UInt64.random(in: 1...UInt64.max, using: &system), radix: 16)
    }

    /// Polls until cancelled.
    public func run() async {
        await withDiscardingTaskGroup { group in
            for place in settings.proxies {
                for name in settings.names { group.addTask { await self.poll(place, name) } }
            }
        }
    }

    public func figures() -> ScrapeClientFigures {
        var figures = figuresNow
        figures.polls = polls.values.sorted { ($0.proxy, $0.name) < ($1.proxy, $1.name) }
        return figures
    }

    // MARK: Polls

    private func poll(_ place: ScrapeProxyPlace, _ name: String) async {
        var backoff = Backoff(base: settings.retryBase, cap: settings.retryCap, floor: .milliseconds(100))
        var random = JitterSource()
        var isOurs = false
        let key = "\(place.url.authority)\(place.url.path) \(name)"
        polls[key] = ScrapePollFigures(proxy: "\(place.url.authority)\(place.url.path)", name: name)
        await withDiscardingTaskGroup { scrapes in
            while !Task.isCancelled {
                let began = clock.now
                let result = await ask(
                    place, name, timeout: isOurs ? settings.pollTime + .seconds(15) : Self.longestPoll)
                guard !Task.isCancelled else { break }
                polls[key]?.polls += 1
                let verdict: PollVerdict
                switch result {
                case .success(let reply): verdict = PollVerdict.judge(status: reply.status, body: reply.body)
                case .failure(let failure) where failure.kind == .timeout && clock.now - began > settings.pollTime:
                    verdict = .again
                case .failure(let failure): verdict = .notNow("\(failure)")
                }
                switch verdict {
                case .scrape(let head, let body):
                    went(well: true, key)
                    backoff.reset()
                    let arrived = clock.now
                    scrapes.addTask { await self.answer(head, body, place, arrived) }
                    continue
                case .again:
                    isOurs = true
                    went(well: true, key)
                    backoff.reset()
                    continue
                case .nameTaken:
                    figuresNow.evictions += 1
                    went(well: false, key, "another client polls under this name")
                case .notNow(let reason), .misconfigured(let reason): went(well: false, key, reason)
                }
                try? await clock.sleep(for: backoff.next(using: &random))
            }
        }
    }

    private func went(well: Bool, _ key: String, _ reason: String = "") {
        guard let before = polls[key] else { return }
        polls[key]?.isUp = well
        polls[key]?.lastError = reason
        if !well { polls[key]?.errors += 1 }
        guard before.isUp != well || before.lastError != reason else { return }
        let metadata: Logger.Metadata = ["proxy": "\(before.proxy)", "name": "\(before.name)"]
        if well {
            log.notice("scrapes come", metadata: metadata)
        } else {
            log.warning("poll failed: \(reason)", metadata: metadata)
        }
    }

    private func ask(
        _ place: ScrapeProxyPlace, _ name: String, timeout: Duration
    ) async -> Result<HTTPReply, TransferFailure> {
        var headers = ["\(PollVerdict.waitHeader): \(settings.pollTime.components.seconds)"]
        // For load balancers, which see headers and not bodies.
        headers.append("X-PushProx-Fqdn: \(name)")
        headers.append("\(PollVerdict.instanceHeader): \(instance)")
        if !settings.labels.isEmpty { headers.append("\(DiscoveryList.labelsHeader): \(settings.labels)") }
        return await send(Array(name.utf8), to: "/poll", place, headers, timeout: timeout, grace: .zero)
    }

    /// A request to a proxy.
    private func send(
        _ body: [UInt8], to path: String, _ place: ScrapeProxyPlace, _ headers: [String], timeout: Duration,
        grace: Duration
    ) async -> Result<HTTPReply, TransferFailure> {
        var request = HTTPRequest(
            .post(body: body), url: place.url.appending(path: path, items: []), headers: headers,
            connection: place.connection, timeout: timeout, cancelGrace: grace)
        request.connection.keepAliveSeconds = 15
        do {
            request.credentials = try Self.credentials(place.username, place.password, place.token)
        } catch {
            return .failure(TransferFailure(.invalid, "\(error)"))
        }
        var probe = HTTPProbe()
        probe.verb = "POST"
        probe.isFresh = false
        probe.keepsBody = true
        probe.bodyLimit = 128 * 1_024
        request.probe = probe
        return await http.perform(request)
    }

    private static func credentials(
        _ username: String, _ password: SecretSource, _ token: SecretSource
    ) throws(SecretError) -> HTTPRequest.Credentials {
        var reader = SecretReader(token)
        let token = try reader.current()
        if !token.isEmpty { return .bearer(token) }
        guard !username.isEmpty else { return .none }
        reader = SecretReader(password)
        return .basic(user: username, password: try reader.current())
    }

    // MARK: Scrapes

    private func answer(_ head: InnerHead, _ body: [UInt8], _ place: ScrapeProxyPlace, _ arrived: Instant) async {
        // A real proxy adds its own behind one of the scraper's.
        let id = head.fields.last("id") ?? ""
        let granted = ScrapeTimeout.parse(
            head.fields.first("x-prometheus-scrape-timeout-seconds"), fallback: .seconds(10),
            limit: settings.timeoutLimit)
        let deadline = arrived + (granted ?? .seconds(1))
        var answer: ScrapeAnswer
        var length: Int?
        if granted == nil {
            answer = count("refused", .failure(400, "the scrape leaves no time"))
        } else if figuresNow.running >= settings.scrapesLimit {
            answer = count("busy", .failure(503, "\(settings.scrapesLimit) scrapes run already"))
        } else {
            figuresNow.running += 1
            (answer, length) = await scrape(head, until: deadline)
            figuresNow.running -= 1
        }
        let remaining = max(.milliseconds(1), deadline - clock.now)
        let bytes = answer.encoded(id: id, remaining: remaining, length: length)
        answer.body = []
        let result = await send(
            bytes, to: "/push", place, [], timeout: max(.seconds(1), remaining), grace: Self.grace)
        let failure: String? =
            switch result {
            case .success(let reply): 200..<300 ~= reply.status ? nil : "status \(reply.status)"
            case .failure(let failure): "\(failure)"
            }
        guard let failure, !Task.isCancelled else { return }
        figuresNow.pushErrors += 1
        log.warning("push failed: \(failure)", metadata: ["proxy": "\(place.url.authority)"])
    }

    private func count(_ outcome: String, _ answer: ScrapeAnswer) -> ScrapeAnswer {
        figuresNow.scrapes[outcome, default: 0] += 1
        return answer
    }

    /// The response to push; the length is that which HEAD tells.
    private func scrape(_ head: InnerHead, until deadline: Instant) async -> (ScrapeAnswer, Int?) {
        guard case .request(let method, let url) = head.start, let target = ProxiedTarget(absolute: url) else {
            return (count("refused", .failure(400, "the target is not http://name:port/path")), nil)
        }
        let rule: TargetRule
        do throws(TargetRules.Refusal) {
            rule = try TargetRules(settings.targets.map(\.rule)).rule(for: target, method: method)
        } catch {
            log.warning("scrape refused: \(error.text)", metadata: ["target": "\(target.name)"])
            return (count("refused", .failure(403, "\(url): \(error.text)")), nil)
        }
        switch rule.destination {
        case .agent, .output:
            guard let page = await pages(rule.destination) else {
                return (count("target", .failure(503, "\(url): the agent has no such page now")), nil)
            }
            let kind = HTTPField("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            let isHead = method == "HEAD"
            let answer = ScrapeAnswer(status: 200, fields: [kind], body: isHead ? [] : page)
            return (count("ok", answer), isHead ? page.count : nil)
        case .asAsked, .url, .unix:
            let place = settings.targets.first { $0.rule == rule }
            return await fetch(target, method, head.fields, place ?? ScrapeTargetSettings(rule: rule), deadline)
        }
    }

    private func fetch(
        _ target: ProxiedTarget, _ method: String, _ fields: [HTTPField], _ place: ScrapeTargetSettings,
        _ deadline: Instant
    ) async -> (ScrapeAnswer, Int?) {
        let shown = target.absolute(host: target.name.description)
        let remaining = deadline - clock.now
        let time = remaining - ScrapeTimeout.reserve(of: remaining)
        guard time > .zero else { return (count("timeout", .failure(504, "\(shown): no time is left")), nil) }
        var request = TargetRequest.make(target, method, fields, place, time)
        do {
            let own = try Self.credentials(place.username, place.password, place.token)
            if own != .none {
                request.headers.removeAll { $0.lowercased().hasPrefix("authorization:") }
                request.credentials = own
            }
        } catch {
            return (count("target", .failure(502, "\(shown): the credentials of the target cannot be read")), nil)
        }
        request.probe?.bodyLimit = settings.bodyLimit
        request.cancelGrace = Self.grace
        switch await http.perform(request) {
        case .failure(let failure):
            let isLate = failure.kind == .timeout
            let answer = ScrapeAnswer.failure(isLate ? 504 : 502, "\(shown): \(failure)")
            return (count(isLate ? "timeout" : "target", answer), nil)
        case .success(let reply):
            if reply.isTruncated {
                let text = "\(shown): the page has more than \(settings.bodyLimit) bytes (max_body_size)"
                return (count("target", .failure(502, text)), nil)
            }
            if let failure = reply.bodyFailure {
                let isLate = failure.kind == .timeout
                let text = "\(shown): the page broke off after \(reply.bodyBytes) bytes: \(failure)"
                return (count(isLate ? "timeout" : "target", .failure(isLate ? 504 : 502, text)), nil)
            }
            let length = method == "HEAD" ? reply.fields.first("content-length").flatMap { Int($0) } : nil
            return (count("ok", ScrapeAnswer(status: reply.status, fields: reply.fields, body: reply.body)), length)
        }
    }
}
