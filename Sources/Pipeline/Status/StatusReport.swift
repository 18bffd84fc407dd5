/// Everything that the agent tells about itself, at one moment: the one source of `/status`, `/metrics`, `/healthz`,
/// `/readyz`, `godwit status` and `godwit top`.
///
/// Plain values; whoever owns a part fills it in. Ages instead of moments, so a reader needs no clock of ours.
public struct StatusReport: Sendable, Hashable {
    public var version = ""
    public var pid = 0
    public var hostname = ""
    public var started = Timestamp.zero
    public var uptime = Duration.zero
    public var health = Health()
    /// Why the agent does not collect and store yet; nil when it does.
    public var notReady: String?
    public var config = Config()
    public var tree = ChildStatus(id: "root", kind: .supervisor, state: .stopped, age: .zero)
    public var inputs: [Input] = []
    public var batcher = Batcher()
    /// In the order in which they run; empty without any.
    public var processors: [StageCounters] = []
    public var aggregators: [StageCounters] = []
    public var streams: [SpillStatus] = []
    public var outputs: [Output] = []
    public var tunnels: [TunnelStatus] = []
    /// nil without the role.
    public var relay: RelayStatus?
    public var pushprox = PushProxStatus()
    public var process = Process()
    /// The latest values of a few metrics, for the live page.
    public var headlines: [Headline] = []

    public init() {}

    public struct Config: Sendable, Hashable {
        public var paths: [String] = []
        /// Of the configuration in force; equal on hosts that run the same.
        public var hash = ""
        /// Plugins and sections of the files that this version does not have and was told to skip.
        public var skipped: [String] = []
        public var lastReload: ReloadVerdict?

        public init() {}
    }

    /// One input.
    public struct Input: Sendable, Hashable {
        public var id: String
        public var interval: Duration
        /// How long ago the last gather ended.
        public var lastGather: Duration?
        /// How long it took.
        public var lastDuration: Duration?
        public var points: UInt64 = 0
        public var errors: UInt64 = 0
        public var skippedTicks: UInt64 = 0
        public var lastError: String?

        public init(id: String, interval: Duration) {
            self.id = id
            self.interval = interval
        }
    }

    public struct Batcher: Sendable, Hashable {
        public var receivedPoints: UInt64 = 0
        public var openPoints = 0
        public var sealedPoints: UInt64 = 0
        public var sealedBatches: UInt64 = 0
        /// Bytes sealed, before and after compression.
        public var encodedBytes: UInt64 = 0
        public var sealedBytes: UInt64 = 0
        /// Points that never entered a batch, by reason: `filtered`, `unencodable`, `channel_full`.
        public var dropped: [String: UInt64] = [:]

        public init() {}
    }

    /// One output.
    public struct Output: Sendable, Hashable {
        public var id: String
        public var kind: String
        public var stream: String
        /// Points: sealed = delivered + rejected + dropped + pending.
        public var balance = Balance(sealed: 0, delivered: 0, rejected: 0, dropped: [:], pending: 0)
        /// What waits below the frontier (replay lane).
        public var backlogBatches: UInt64 = 0
        public var backlogPoints: UInt64 = 0
        public var backlogBytes: UInt64 = 0
        /// What waits beyond the frontier (live lane).
        public var liveBatches: UInt64 = 0
        public var activeRoute: String?
        public var activeSince: Duration?
        public var lastSwitch: Switch?
        /// Changes of the route in use, the first delivery not counted.
        public var switches: UInt64 = 0
        /// In order of preference.
        public var routes: [Route] = []
        /// Requests by outcome class.
        public var requests: [String: UInt64] = [:]
        public var retries: UInt64 = 0
        public var sentBytes: UInt64 = 0
        /// How long ago the last delivered or rejected point was.
        public var lastDelivery: Duration?
        /// Points dropped in the last ten minutes, for health.
        public var droppedRecently: UInt64 = 0
        /// Silence with points pending beyond this is failure: three of its intervals.
        public var failingAfter = Duration.seconds(60)

        public init(id: String, kind: String, stream: String) {
            self.id = id
            self.kind = kind
            self.stream = stream
        }
    }

    /// A change of the route in use.
    public struct Switch: Sendable, Hashable {
        /// nil for the first delivery.
        public var from: String?
        public var to: String
        public var age: Duration
        public var cause: String

        public init(from: String?, to: String, age: Duration, cause: String) {
            self.from = from
            self.to = to
            self.age = age
            self.cause = cause
        }
    }

    /// One way to an output's destination.
    public struct Route: Sendable, Hashable {
        public var name: String
        public var breaker: RouteBreaker.State
        public var lastError: String?
        /// How long the breaker has been in its state.
        public var since: Duration?
        /// When an open breaker lets a probe through.
        public var nextTry: Duration?
        /// The URLs it leads to, without user information and query; empty where there is no server.
        public var destinations: [String] = []
        /// The tunnel of ours that carries it, and the address behind it.
        public var road: TunnelRoad?

        public init(name: String, breaker: RouteBreaker.State, lastError: String? = nil) {
            self.name = name
            self.breaker = breaker
            self.lastError = lastError
        }
    }

    /// What the agent costs its host.
    public struct Process: Sendable, Hashable {
        public var residentBytes: UInt64 = 0
        public var anonymousBytes: UInt64 = 0
        public var cpuSeconds = 0.0
        public var threads = 0
        public var openDescriptors = 0
        public var voluntarySwitches: UInt64 = 0
        public var involuntarySwitches: UInt64 = 0

        public init() {}
    }

    /// The latest values of one series, for the live page.
    public struct Headline: Sendable, Hashable {
        public struct Field: Sendable, Hashable {
            public var name: String
            /// The value for people, with its unit.
            public var text: String

            public init(_ name: String, _ text: String) {
                self.name = name
                self.text = text
            }
        }

        public var name: String
        /// The value of the tag that tells the series of this name apart; empty when there is only one.
        public var series: String
        /// In the order in which they are shown; the same names for all series of a name.
        public var fields: [Field]

        public init(name: String, series: String, fields: [Field]) {
            self.name = name
            self.series = series
            self.fields = fields
        }
    }
}

/// What came of a reload.
public struct ReloadVerdict: Sendable, Hashable {
    public var time: Timestamp
    public var isAccepted: Bool
    /// What changed, one line each; empty when nothing did or it was refused.
    public var changes: [String]
    /// Every error at once, each with file, line and key.
    public var errors: [String]

    public init(time: Timestamp, isAccepted: Bool, changes: [String] = [], errors: [String] = []) {
        self.time = time
        self.isAccepted = isAccepted
        self.changes = changes
        self.errors = errors
    }

    /// For people, one line a thing, each with its LF.
    public var text: String {
        guard isAccepted else {
            return "refused; the running configuration stays in force\n" + errors.map { "  \($0)\n" }.joined()
        }
        return (changes.isEmpty ? "accepted; nothing changed\n" : "accepted\n") + changes.map { "  \($0)\n" }.joined()
    }
}
