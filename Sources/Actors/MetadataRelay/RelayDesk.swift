import Pipeline
import Synchronization

/// What the relay's listeners and its worker both need at once: the guest table, the limits and the counters.
///
/// A lock, because the judgement on a request's head must not wait for a worker that is inflating somebody's body. What
/// is done under it is look-ups and sums.
final class RelayDesk: Sendable {
    private struct State {
        var table = GuestTable()
        var limiter: GuestLimiter
        var ledger = RelayLedger()
        var servesMetadata: Bool
    }

    private let state: Mutex<State>

    init(_ config: RelayConfig) {
        state = Mutex(
            State(limiter: GuestLimiter(limits: config.limits), servesMetadata: config.values.bool("metadata")))
    }

    func configure(_ config: RelayConfig) {
        state.withLock { state in
            state.limiter.configure(config.limits)
            state.servesMetadata = config.values.bool("metadata")
        }
    }

    /// Puts another table in force.
    func replace(_ table: GuestTable) {
        state.withLock { state in
            state.table = table
            state.limiter.keep(table.contains)
            state.ledger.keep(table.contains)
        }
    }

    /// What is decided about a request when its head is there.
    enum Verdict {
        case admitted(Guest)
        case refused(RelayLedger.Refusal)
        case wrongTarget(RelayTarget.Refusal)
        case busy(RelayLedger.Refusal, retryAfter: Duration)
        case stranger
    }

    /// Judges a request by its target, its source and the limits. An admitted one is released by `release`.
    func admit(_ target: RelayTarget, from place: Guest.Place?, now: Instant) -> Verdict {
        state.withLock { state in
            let guest = place.flatMap { state.table.guest(at: $0) }
            if let refusal = RelayDesk.refusal(of: target, servesMetadata: state.servesMetadata) {
                state.ledger.refused(refusal.counter, guest: guest?.id)
                return .wrongTarget(refusal.refusal)
            }
            guard let guest else {
                state.ledger.refused(.unknownGuest, guest: nil)
                if let place { state.ledger.stranger(place) }
                return .stranger
            }
            switch state.limiter.admit(guest.id, now: now) {
            case .admitted:
                state.ledger.began(target.kind, guest: guest.id, now: now)
                return .admitted(guest)
            case .busy(let reason, let wait):
                state.ledger.refused(RelayLedger.Refusal(reason), guest: guest.id)
                return .busy(RelayLedger.Refusal(reason), retryAfter: wait)
            }
        }
    }

    private static func refusal(
        of target: RelayTarget, servesMetadata: Bool
    ) -> (counter: RelayLedger.Refusal, refusal: RelayTarget.Refusal)? {
        switch target {
        case .refused(.path): (.path, .path)
        case .refused(.method(let allowed)): (.method, .method(allowed: allowed))
        case .refused(.parameter(let text)): (.parameter, .parameter(text))
        case .metadata where !servesMetadata: (.path, .path)
        default: nil
        }
    }

    /// Takes one of the places at the database for a guest's request; `finish` gives it back.
    func begin(_ guest: String) -> Bool {
        state.withLock { state in
            if state.limiter.begin() { return true }
            state.ledger.refused(.overload, guest: guest)
            return false
        }
    }

    func finish() { state.withLock { $0.limiter.finish() } }

    func release(_ guest: String) { state.withLock { $0.limiter.release(guest) } }

    func charge(_ guest: String, bytes: Int, now: Instant) {
        state.withLock { $0.limiter.charge(guest, bytes: bytes, now: now) }
    }

    /// Who asks from there now: the table may have changed while a body came.
    func guest(at place: Guest.Place) -> Guest? { state.withLock { $0.table.guest(at: place) } }

    /// Whether any guest has that address there.
    func knows(_ address: IPAddress, namespace: String) -> Bool {
        guest(at: Guest.Place(address, namespace: namespace)) != nil
    }

    func refused(_ reason: RelayLedger.Refusal, guest: String?) {
        state.withLock { $0.ledger.refused(reason, guest: guest) }
    }

    func wrote(_ write: RelayLedger.Write, guest: String) {
        state.withLock { $0.ledger.wrote(write, guest: guest) }
    }

    func fill(_ status: inout RelayStatus, now: Instant) {
        let (ledger, known) = state.withLock { ($0.ledger, $0.table.guests.count) }
        status.fill(ledger, now: now)
        status.guests.known = known
    }
}

extension RelayTarget {
    /// As the counters name it.
    var kind: RelayLedger.Kind {
        switch self {
        case .write: .write
        case .ping: .ping
        case .query: .query
        case .metadata, .refused: .metadata
        }
    }
}
