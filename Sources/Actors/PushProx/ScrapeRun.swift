import Logging
import Pipeline

/// One scrape of a client: what an instruction asks for is fetched, and pushed while it comes.
///
/// Promise: what a target did not send to its end never looks whole to the scraper. What breaks off while nothing has
/// gone out is pushed as a failure; later the push breaks off too. Towards a proxy that would pass on half a push as a
/// whole page, a page of unknown length is held until its end.
/// Bounds: 64 KiB of a page in a stream, `bodyLimit` of one that is held; all scrapes together `heldLimit`.
struct ScrapeRun: Sendable {
    /// How the scrape ended, for the counters.
    struct Outcome: Sendable {
        var label: String
        /// Why the answer did not reach the proxy.
        var pushFailure: String?
    }

    static let grace = Duration.seconds(2)

    let settings: ScrapeClientSettings
    let http: any HTTPClient
    let clock: any Clock
    let pages: ScrapeClient.Pages
    let budget: BodyBudget
    let log: Logger
    let place: ScrapeProxyPlace
    /// That was polled under.
    let name: String
    /// Whether the proxy never makes a whole page of a push that broke off.
    let proxyStreams: Bool
    let id: String
    let deadline: Instant

    /// A target's failure, in words.
    private struct Trouble {
        var label: String
        var status: Int
        var text: String

        var answer: ScrapeAnswer { .failure(status, text) }
    }

    // MARK: What is asked for

    func run(_ head: InnerHead) async -> Outcome {
        guard case .request(let method, let url) = head.start, let target = ProxiedTarget(absolute: url) else {
            return await push(.failure(400, "the target is not http://name:port/path"), "refused")
        }
        let rule: TargetRule
        do throws(TargetRules.Refusal) {
            rule = try TargetRules(settings.targets.map(\.rule)).rule(for: target, method: method)
        } catch {
            log.warning("scrape refused: \(error.text)", metadata: ["target": "\(target.name)"])
            return await push(.failure(403, "\(url): \(error.text)"), "refused")
        }
        switch rule.destination {
        case .agent, .output:
            guard let page = await pages(rule.destination) else {
                return await push(.failure(503, "\(url): the agent has no such page now"), "target")
            }
            return await pushOwn(page, isHead: method == "HEAD", url)
        case .asAsked, .url, .unix:
            let place = settings.targets.first { $0.rule == rule } ?? ScrapeTargetSettings(rule: rule)
            return await fetch(target, method, head.fields, place)
        }
    }

    /// A page of the agent itself.
    private func pushOwn(_ page: [UInt8], isHead: Bool, _ url: String) async -> Outcome {
        let head = PageBuffer.Head(
            status: 200, fields: [HTTPField("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        guard page.count <= settings.bodyLimit else {
            let trouble = explain(.tooLarge, url)
            return await push(trouble.answer, trouble.label)
        }
        if isHead || page.count <= BodyPipe.heldLimit {
            let answer = ScrapeAnswer(status: head.status, fields: head.fields, body: isHead ? [] : page)
            return await push(answer, "ok", length: page.count)
        }
        guard let pipe = BodyPipe(PageBuffer(whole: page, head), budget: budget) else {
            let trouble = explain(.noRoom, url)
            return await push(trouble.answer, trouble.label)
        }
        return Outcome(label: "ok", pushFailure: await push(pipe, head, length: page.count))
    }

    private func fetch(
        _ target: ProxiedTarget, _ method: String, _ fields: [HTTPField], _ place: ScrapeTargetSettings
    ) async -> Outcome {
        let shown = target.absolute(host: target.name.description)
        let remaining = deadline - clock.now
        let time = remaining - ScrapeTimeout.reserve(of: remaining)
        guard time > .zero else { return await push(.failure(504, "\(shown): no time is left"), "timeout") }
        var request = TargetRequest.make(target, method, fields, place, time)
        do {
            let own = try ScrapeProxyPlace.credentials(place.username, place.password, place.token)
            if own != .none {
                request.headers.removeAll { $0.lowercased().hasPrefix("authorization:") }
                request.credentials = own
            }
        } catch {
            return await push(.failure(502, "\(shown): the credentials of the target cannot be read"), "target")
        }
        let buffer = PageBuffer(
            heldLimit: BodyPipe.heldLimit, pageLimit: settings.bodyLimit, streamsUnknownLength: proxyStreams,
            isHead: method == "HEAD")
        guard let pipe = BodyPipe(buffer, budget: budget) else {
            let trouble = explain(.noRoom, shown)
            return await push(trouble.answer, trouble.label)
        }
        request.sink = pipe
        request.cancelGrace = ScrapeRun.grace
        return await pass(request, pipe, isHead: method == "HEAD", shown)
    }

    // MARK: The page on its way

    private func pass(_ request: HTTPRequest, _ pipe: BodyPipe, isHead: Bool, _ shown: String) async -> Outcome {
        async let loading = load(request, pipe)
        switch await pipe.opening() {
        case .whole(let head, let bytes) where bytes <= BodyPipe.heldLimit:
            let length = isHead ? head.fields.first("content-length").flatMap { Int($0) } : nil
            let answer = ScrapeAnswer(status: head.status, fields: head.fields, body: pipe.drain())
            return await push(answer, "ok", length: length)
        case .whole(let head, let bytes):
            return Outcome(label: "ok", pushFailure: await push(pipe, head, length: bytes))
        case .stream(let head, let length):
            let failure = await push(pipe, head, length: length)
            // Where the push has ended before the page, nobody wants the rest.
            if let failure, pipe.abandon() { return Outcome(label: "push", pushFailure: failure) }
            guard let trouble = trouble(await loading, pipe, shown) else { return Outcome(label: "ok") }
            log.warning("scrape broken off: \(trouble.text)", metadata: ["proxy": "\(place.url.authority)"])
            return Outcome(label: trouble.label)
        case .broken:
            let trouble =
                trouble(await loading, pipe, shown)
                ?? Trouble(label: "target", status: 502, text: "\(shown): the page is shorter than its Content-Length")
            return await push(trouble.answer, trouble.label)
        }
    }

    private func load(_ request: HTTPRequest, _ pipe: BodyPipe) async -> Result<HTTPReply, TransferFailure> {
        let result = await http.perform(request)
        if case .success(let reply) = result, reply.bodyFailure == nil {
            pipe.finish(isWhole: true)
        } else {
            pipe.finish(isWhole: false)
        }
        return result
    }

    /// What the target, or a limit, did to the page; nil for nothing.
    private func trouble(
        _ result: Result<HTTPReply, TransferFailure>, _ pipe: BodyPipe, _ shown: String
    ) -> Trouble? {
        if let stop = pipe.stop { return explain(stop, shown) }
        switch result {
        case .failure(let failure):
            switch failure.kind {
            case .timeout: return Trouble(label: "timeout", status: 504, text: "\(shown): \(failure)")
            case .forbidden: return Trouble(label: "refused", status: 403, text: "\(shown): \(failure)")
            default: return Trouble(label: "target", status: 502, text: "\(shown): \(failure)")
            }
        case .success(let reply):
            guard let failure = reply.bodyFailure else { return nil }
            let isLate = failure.kind == .timeout
            return Trouble(
                label: isLate ? "timeout" : "target", status: isLate ? 504 : 502,
                text: "\(shown): the page broke off after \(pipe.received) bytes: \(failure)")
        }
    }

    private func explain(_ stop: PageBuffer.Stop, _ shown: String) -> Trouble {
        switch stop {
        case .tooLarge:
            Trouble(
                label: "target", status: 502,
                text: "\(shown): the page has more than \(settings.bodyLimit) bytes (max_body_size)")
        case .headTooLarge:
            Trouble(label: "target", status: 502, text: "\(shown): the head of the response is too large")
        case .noRoom:
            Trouble(
                label: "busy", status: 503,
                text: "\(shown): the pages under way hold \(settings.heldLimit) bytes already (max_held_size)")
        }
    }

    // MARK: Pushes

    private var remaining: Duration { max(.milliseconds(1), deadline - clock.now) }

    /// A small answer; `length` is what HEAD tells.
    func push(_ answer: ScrapeAnswer, _ label: String, length: Int? = nil) async -> Outcome {
        let left = remaining
        let body = answer.encoded(id: id, remaining: left, length: length)
        let failure = await push(.post(body: body), left)
        return Outcome(label: label, pushFailure: failure)
    }

    /// A page that comes through a pipe, in chunks where its length is not known.
    private func push(_ pipe: BodyPipe, _ head: PageBuffer.Head, length: Int?) async -> String? {
        let left = remaining
        let prefix = ScrapeAnswer.encoded(head, id: id, remaining: left, length: length)
        pipe.begin(prefix, isChunked: length == nil)
        return await push(.upload(pipe, length: length.map { $0.addingSaturated(prefix.count) }), left)
    }

    private func push(_ method: HTTPRequest.Method, _ left: Duration) async -> String? {
        switch await place.send(
            method, to: "/push", name: name, through: http, timeout: max(.seconds(1), left), grace: ScrapeRun.grace)
        {
        case .success(let reply): 200..<300 ~= reply.status ? nil : "status \(reply.status)"
        case .failure(let failure): "\(failure)"
        }
    }
}

extension ScrapeProxyPlace {
    /// A request to the proxy, and what it answers.
    func send(
        _ method: HTTPRequest.Method, to path: String, name: String, _ headers: [String] = [],
        through http: any HTTPClient, timeout: Duration, grace: Duration
    ) async -> Result<HTTPReply, TransferFailure> {
        var request = HTTPRequest(
            method, url: url.appending(path: path, items: []),
            headers: ["\(PollVerdict.nameHeader): \(name)"] + headers,
            connection: connection, timeout: timeout, cancelGrace: grace)
        request.wantedHeaders = [PollVerdict.streamsHeader]
        do {
            request.credentials = try ScrapeProxyPlace.credentials(username, password, token)
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

    static func credentials(
        _ username: String, _ password: SecretSource, _ token: SecretSource
    ) throws(SecretError) -> HTTPRequest.Credentials {
        var reader = SecretReader(token)
        let token = try reader.current()
        if !token.isEmpty { return .bearer(token) }
        guard !username.isEmpty else { return .none }
        reader = SecretReader(password)
        return .basic(user: username, password: try reader.current())
    }
}
