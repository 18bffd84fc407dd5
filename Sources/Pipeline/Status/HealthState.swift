/// How the agent is, in one word. Raw values are public names.
public enum HealthState: String, Sendable, Hashable, Comparable, CaseIterable {
    case ok
    /// It works, but not as it should: a person may want to look.
    case degraded
    /// Points are being lost or go nowhere.
    case failing

    public static func < (a: HealthState, b: HealthState) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .ok: 0
        case .degraded: 1
        case .failing: 2
        }
    }
}

/// The health and every reason for it, the worst first.
public struct Health: Sendable, Hashable {
    public struct Reason: Sendable, Hashable {
        public var state: HealthState
        public var text: String

        public init(_ state: HealthState, _ text: String) {
            self.state = state
            self.text = text
        }
    }

    public private(set) var reasons: [Reason] = []

    public init() {}

    /// The worst of the reasons; `ok` without any.
    public var state: HealthState { reasons.map(\.state).max() ?? .ok }

    public mutating func add(_ state: HealthState, _ text: String) {
        guard state > .ok else { return }
        let index = reasons.firstIndex { $0.state < state } ?? reasons.endIndex
        reasons.insert(Reason(state, text), at: index)
    }
}

extension StatusReport {
    /// Judges the report by its own content and sets `health`. `notes` are reasons that the report cannot show.
    ///
    /// Rules: `degraded`: a child parked or backing off, a route that is not the preferred one, a spill that is not on
    /// disk though it should be, a rejected reload. `failing`: an output with points pending and nothing delivered for
    /// three of its intervals, points dropped within the last ten minutes.
    public mutating func assessHealth(notes: [Health.Reason] = []) {
        var health = Health()
        for note in notes { health.add(note.state, note.text) }
        for (path, child) in tree.flattened() where child.state == .parked || child.state == .backingOff {
            let state = child.state.rawValue.replacing("_", with: " ")
            health.add(.degraded, "\(path) is \(state)\(child.lastError.map { ": " + $0 } ?? "")")
        }
        for stream in streams where stream.state == .memory || stream.state == .unsupported {
            let cause = stream.lastError.map { ": " + $0 } ?? ""
            health.add(.degraded, "spill \(stream.name) is not on disk (\(stream.state.rawValue))\(cause)")
        }
        for output in outputs {
            if output.droppedRecently > 0 {
                health.add(.failing, "output \(output.id) dropped \(output.droppedRecently) points in 10 min")
            }
            let silence = output.lastDelivery ?? uptime
            if output.balance.pending > 0, silence > output.failingAfter {
                let cause = output.routes.compactMap(\.lastError).first.map { ": " + $0 } ?? ""
                health.add(.failing, "output \(output.id) delivered nothing for \(Readable.duration(silence))\(cause)")
            } else if let active = output.activeRoute, let first = output.routes.first, active != first.name {
                health.add(.degraded, "output \(output.id) uses route \(active), not \(first.name)")
            }
        }
        for reason in tunnelReasons() + (relay?.reasons ?? []) + pushprox.reasons {
            health.add(reason.state, reason.text)
        }
        if let reload = config.lastReload, !reload.isAccepted {
            let count = reload.errors.count
            health.add(.degraded, "the last reload was refused with \(count) error\(count == 1 ? "" : "s")")
        }
        self.health = health
    }
}
