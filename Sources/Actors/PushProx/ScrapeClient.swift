import Logging
import Pipeline

/// The scrape client: asks proxies for scrapes, makes those that its rules allow, and pushes what came of them.
///
/// Owns: one poll per name and proxy, and the scrapes under way. Started by: the supervisor. Stops: on cancellation;
/// what is on its way may take as long as the requests' grace.
/// Promises: what a target did not send to its end is pushed as a failure, never as a page; nothing but its targets is
/// asked, and no redirect is followed. Bounds: scrapes at a time, bytes of a page, bytes that all of them hold.
public actor ScrapeClient {
    /// The pages of the agent itself, by where a rule leads; nil for one that is not there.
    public typealias Pages = @Sendable (TargetRule.Destination) async -> [UInt8]?

    /// A real proxy does not answer before there is a scrape. A poll that has hung for so long is begun anew, so that a
    /// middlebox that forgot it does no harm for ever.
    private static let longestPoll = Duration.seconds(900)
    private static let shortestPoll = Duration.seconds(1)

    private let settings: ScrapeClientSettings
    private let http: any HTTPClient
    private let clock: any Clock
    private let pages: Pages
    private let log: Logger
    /// Which of the clients of one name this is, for proxies that share names among them.
    private let instance: String
    private let budget: BodyBudget
    private var polls: [String: ScrapePollFigures] = [:]
    private var figuresNow = ScrapeClientFigures()
    /// Scrapes whose answer is not pushed yet, refused ones too.
    private var unanswered = 0

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
        budget = BodyBudget(bytes: settings.heldLimit)
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
                var streams = false
                switch result {
                case .success(let reply):
                    streams = reply.headers[PollVerdict.streamsHeader] != nil
                    if streams { isOurs = true }
                    verdict = PollVerdict.judge(status: reply.status, body: reply.body)
                case .failure(let failure) where failure.kind == .timeout && clock.now - began > settings.pollTime:
                    verdict = .again
                case .failure(let failure): verdict = .notNow("\(failure)")
                }
                switch verdict {
                case .scrape(let head, _):
                    went(well: true, key)
                    backoff.reset()
                    let arrived = clock.now
                    scrapes.addTask { [streams] in
                        await self.answer(head, place, name, arrived: arrived, proxyStreams: streams)
                    }
                    continue
                case .again:
                    isOurs = true
                    went(well: true, key)
                    // An empty answer is worth a wait: one that comes at once, again and again, must not be a loop.
                    if clock.now - began >= Self.shortestPoll {
                        backoff.reset()
                        continue
                    }
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
        headers.append("\(PollVerdict.instanceHeader): \(instance)")
        if !settings.labels.isEmpty { headers.append("\(DiscoveryList.labelsHeader): \(settings.labels)") }
        return await place.send(
            .post(body: Array(name.utf8)), to: "/poll", name: name, headers, through: http, timeout: timeout,
            grace: .zero)
    }

    // MARK: Scrapes

    private func answer(
        _ head: InnerHead, _ place: ScrapeProxyPlace, _ name: String, arrived: Instant, proxyStreams: Bool
    ) async {
        // A proxy that gives scrapes faster than it takes answers goes without those that are too many.
        guard unanswered < settings.scrapesLimit.multipliedSaturated(by: 4) else {
            figuresNow.scrapes["dropped", default: 0] += 1
            return
        }
        unanswered += 1
        defer { unanswered -= 1 }
        let granted = ScrapeTimeout.parse(
            head.fields.first("x-prometheus-scrape-timeout-seconds"), fallback: .seconds(10),
            limit: settings.timeoutLimit)
        // Of two ids the last one: a real proxy adds its own behind one of the scraper's.
        let run = ScrapeRun(
            settings: settings, http: http, clock: clock, pages: pages, budget: budget, log: log, place: place,
            name: name, proxyStreams: proxyStreams, id: head.fields.last("id") ?? "",
            deadline: arrived + (granted ?? .seconds(1)))
        let outcome: ScrapeRun.Outcome
        if granted == nil {
            outcome = await run.push(.failure(400, "the scrape leaves no time"), "refused")
        } else if figuresNow.running >= settings.scrapesLimit {
            outcome = await run.push(.failure(503, "\(settings.scrapesLimit) scrapes run already"), "busy")
        } else {
            figuresNow.running += 1
            outcome = await run.run(head)
            figuresNow.running -= 1
        }
        figuresNow.scrapes[outcome.label, default: 0] += 1
        guard let failure = outcome.pushFailure, !Task.isCancelled else { return }
        figuresNow.pushErrors += 1
        log.warning("push failed: \(failure)", metadata: ["proxy": "\(place.url.authority)"])
    }
}
