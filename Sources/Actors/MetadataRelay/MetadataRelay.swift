import NIOCore
import Pipeline

/// The hypervisor's end of the road "metadata": guests report through it to the database, each under its own name.
///
/// Owns: the file of the guest table, the way to the database, the compressor. Receives: requests of its listeners,
/// `look`, `configure`, `status`. Sends: writes to the database. Lives on a thread of its own, since inflating and
/// rewriting the bodies of guests must not delay anybody's tick.
/// What it promises: a write is answered with 204 when the database has all of its lines, never before; every line that
/// goes there carries the labels of the guest whose address asked (`LabelEnforcement`); of a request nothing goes on
/// but those lines and four checked parameters: no header, no credential, no other path.
/// What it refuses: everything that `RelayTarget` does not know, strangers, and whoever asks too much
/// (`GuestLimiter`): those get 503 with `Retry-After`, upon which every agent keeps its data.
public actor MetadataRelay {
    private nonisolated let worker: WorkLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    /// Lines for one request to the database; a larger body goes in several.
    private static let pieceBytes = 4 << 20

    private nonisolated let desk: RelayDesk
    private let clock: any Clock
    private let client: any HTTPClient
    private let version: String
    private var config: RelayConfig
    private var file: GuestFile
    private var upstream: RelayUpstream
    private var compressor: GzipCompressor?

    public init(config: RelayConfig, client: any HTTPClient, worker: WorkLoop, clock: any Clock, version: String) {
        self.worker = worker
        self.config = config
        self.client = client
        self.clock = clock
        self.version = version
        desk = RelayDesk(config)
        file = GuestFile(path: config.guestsFile)
        upstream = RelayUpstream(
            settings: InfluxDBSettings(relay: config, version: version), client: client, clock: clock)
    }

    /// Takes another configuration. What is under way ends as it began.
    public func configure(_ new: RelayConfig) {
        let old = config
        config = new
        desk.configure(new)
        if new.guestsFile != old.guestsFile {
            file = GuestFile(path: new.guestsFile)
            look()
        }
        if !new.isEqual(to: old, in: RelayConfig.upstreamOptions) {
            upstream = RelayUpstream(
                settings: InfluxDBSettings(relay: new, version: version), client: client, clock: clock)
        }
    }

    /// Puts the guest table in force if its file has changed.
    public func look() {
        if let table = file.look(now: clock.now) { desk.replace(table) }
    }

    /// Looks at the file again and again, until cancelled.
    public func watch() async throws {
        while true {
            look()
            try await clock.sleep(for: .seconds(1))
        }
    }

    /// What `/status` shows, but for the listeners.
    public func status() async -> RelayStatus {
        look()
        var status = RelayStatus()
        desk.fill(&status, now: clock.now)
        status.guests.file = file.path
        status.guests.age = file.read.map { max(.zero, clock.now - $0) }
        status.guests.trouble = file.trouble
        status.upstream = await upstream.status()
        return status
    }

    // MARK: Requests

    /// Whether an address belongs to a guest that asks in `namespace`.
    nonisolated func knows(_ address: IPAddress, namespace: String) -> Bool {
        desk.knows(address, namespace: namespace)
    }

    /// A connection was refused with this status before anybody saw a request of it.
    nonisolated func refusedUnseen(_ status: String) {
        let reason: RelayLedger.Refusal =
            switch status.prefix(3) {
            case "413": .bodyTooLarge
            case "408": .slow
            case "503": .overload
            default: .malformed
            }
        desk.refused(reason, guest: nil)
    }

    /// What a listener in `namespace` serves.
    nonisolated func router(namespace: String, bodyLimit: Int, budget: BodyBudget) -> HTTPRouter {
        var router = HTTPRouter()
        router.admission = { self.admit($0, namespace, bodyLimit) }
        router.catchAll = { await self.reply(to: $0, namespace, bodyLimit, budget) }
        return router
    }

    /// Judges a request by its head, where it is read: before its body is, and without a hop.
    private nonisolated func admit(
        _ head: ServedRequest, _ namespace: String, _ bodyLimit: Int
    ) -> HTTPRouter.Admission {
        let target = RelayTarget(method: head.method, target: head.target)
        let place = head.address.map { Guest.Place($0, namespace: namespace) }
        switch desk.admit(target, from: place, now: clock.now) {
        case .wrongTarget(let refusal): return .refused(RelayReplies.wrong(refusal))
        case .refused(let reason): return .refused(RelayReplies.refused(reason))
        case .busy(let reason, let wait): return .refused(RelayReplies.busy(reason, wait))
        case .stranger: return .refused(RelayReplies.stranger)
        case .admitted(let guest):
            let desk = desk
            if let length = head.header("content-length").flatMap({ Int($0) }), length > bodyLimit {
                desk.refused(.bodyTooLarge, guest: guest.id)
                desk.release(guest.id)
                return .refused(RelayReplies.tooLarge(bodyLimit))
            }
            return .admitted { desk.release(guest.id) }
        }
    }

    private func reply(
        to request: ServedRequest, _ namespace: String, _ bodyLimit: Int, _ budget: BodyBudget
    ) async -> ServedReply {
        guard let address = request.address,
            let guest = desk.guest(at: Guest.Place(address, namespace: namespace))
        else { return RelayReplies.stranger }
        let target = RelayTarget(method: request.method, target: request.target)
        guard desk.begin(guest.id) else { return RelayReplies.busy(.overload, .seconds(1)) }
        defer { desk.finish() }
        switch target {
        case .write(let write):
            return await self.write(write, request, guest, bodyLimit, budget)
        case .ping:
            let outcome = await upstream.ping()
            guard outcome.isGood else {
                desk.refused(.upstream, guest: guest.id)
                return RelayReplies.away
            }
            return InfluxDBReplies.empty
        case .query(let statement):
            let text = statement ?? FormFields(request.body.prefix(8_192))["q"] ?? ""
            guard DatabaseStatement.creates(config.values.string("database"), text) else {
                desk.refused(.statement, guest: guest.id)
                return RelayReplies.refused(.statement)
            }
            return .json(Array("{\"results\":[{\"statement_id\":0}]}\n".utf8))
        case .metadata(let parts):
            guard let page = MetadataTree.page(parts, for: guest) else { return .text("", status: 404) }
            return .text(page)
        case .refused(let refusal): return RelayReplies.wrong(refusal)
        }
    }

    // MARK: Writes

    private func write(
        _ write: RelayWrite, _ request: ServedRequest, _ guest: Guest, _ bodyLimit: Int, _ budget: BodyBudget
    ) async -> ServedReply {
        desk.charge(guest.id, bytes: request.body.count, now: clock.now)
        var body = request.body
        var charged = 0
        defer { budget.release(charged) }
        switch request.header("content-encoding")?.lowercased() {
        case nil, "", "identity": break
        case "gzip", "x-gzip":
            do throws(Gzip.Failure) {
                // Charged as it grows: what was sent is charged by the connection.
                body = try Gzip.inflate(request.body, limit: bodyLimit) { count in
                    guard budget.charge(count) else { return false }
                    charged += count
                    return true
                }
            } catch {
                return refuse(
                    error == .damaged ? .gzip : error == .tooLarge ? .bodyTooLarge : .overload, guest, bodyLimit)
            }
        default: return refuse(.encoding, guest, bodyLimit)
        }
        return await forward(body, write, guest, received: request.body.count)
    }

    private func refuse(_ reason: RelayLedger.Refusal, _ guest: Guest, _ bodyLimit: Int) -> ServedReply {
        desk.refused(reason, guest: guest.id)
        switch reason {
        case .bodyTooLarge: return RelayReplies.tooLarge(bodyLimit)
        case .overload: return RelayReplies.busy(.overload, .seconds(1))
        default: return RelayReplies.refused(reason)
        }
    }

    /// Rewrites and sends piece by piece: short lines grow by labels that are many times longer, and a piece bounds what
    /// that costs.
    private func forward(
        _ body: [UInt8], _ write: RelayWrite, _ guest: Guest, received: Int
    ) async -> ServedReply {
        let enforcement = LabelEnforcement(
            labels: guest.labels, guarded: config.values.strings("enforced_tags"),
            foreign: LabelEnforcement.ForeignRule(rawValue: config.values.string("foreign_vm_id")) ?? .rewrite)
        let upstream = upstream
        var position = LineProtocolParser.Position()
        var issues = LineIssues()
        var done = RelayLedger.Write()
        done.bytes = received
        var complaint: String?
        var isMore = true
        defer {
            done.rejected = done.rejected.addingSaturated(issues.count)
            desk.wrote(done, guest: guest.id)
        }
        while isMore {
            var tally = LabelEnforcement.Tally()
            let lines = piece(body, enforcement, write, &position, &isMore, &tally, &issues)
            done.foreign = done.foreign.addingSaturated(tally.foreign)
            guard tally.lines > 0, let lines else { continue }
            done.sentBytes = done.sentBytes.addingSaturated(lines.bytes.count)
            let outcome = await upstream.write(lines)
            switch outcome {
            case .delivered: done.lines += tally.lines
            case .partial(let rejected, let reason):
                done.lines += max(0, tally.lines - rejected)
                done.rejected += min(rejected, tally.lines)
                complaint = complaint ?? reason
            case .data(let reason, true):
                done.rejected += tally.lines
                complaint = complaint ?? reason
            default:
                // The pieces before are there; sent again they change nothing.
                desk.refused(.upstream, guest: guest.id)
                return RelayReplies.failed(outcome)
            }
        }
        guard issues.count > 0 || complaint != nil else { return InfluxDBReplies.empty }
        desk.refused(.data, guest: guest.id)
        return RelayReplies.data(
            issues, complaint, taken: done.lines, rejected: done.rejected.addingSaturated(issues.count))
    }

    /// The next lines, ready for the database; nil when there were none. Without an await, so that the compressor is
    /// one write's.
    private func piece(
        _ body: [UInt8], _ enforcement: LabelEnforcement, _ write: RelayWrite,
        _ position: inout LineProtocolParser.Position, _ isMore: inout Bool, _ tally: inout LabelEnforcement.Tally,
        _ issues: inout LineIssues
    ) -> LineWrite? {
        var out = ByteWriter(capacity: min(body.count, Self.pieceBytes) + 4_096)
        isMore = body.withUnsafeBufferPointer { bytes in
            enforcement.rewrite(
                bytes, from: &position, precision: write.precision, pieceBytes: Self.pieceBytes, into: &out, &tally,
                &issues)
        }
        guard out.count > 0 else { return nil }
        var compressed: [UInt8]?
        if config.values.string("content_encoding") == "gzip" {
            let compressor = compressor ?? GzipCompressor()
            self.compressor = compressor
            compressed = out.withBytes { compressor.compress(UnsafeRawBufferPointer($0)) }
        }
        var lines = LineWrite(
            bytes: compressed ?? out.bytes, isCompressed: compressed != nil, points: tally.lines)
        lines.precision = write.precisionText
        lines.retentionPolicy = write.retentionPolicy
        lines.consistency = write.consistency
        return lines
    }
}
