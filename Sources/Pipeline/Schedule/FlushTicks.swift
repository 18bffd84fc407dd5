/// The flush ticks of streams that are sealed at different intervals.
public struct FlushTicks: Sendable {
    /// As they were given: what a tick names.
    public let schedules: [TickSchedule]
    private var running: [TickSchedule]
    private var ticks: [TickSchedule.Tick]

    /// `schedules` are distinct, at least one.
    public init(_ schedules: [TickSchedule], wall: Timestamp, using random: inout some RandomNumberGenerator) {
        self.schedules = schedules
        var running = schedules
        var ticks: [TickSchedule.Tick] = []
        for index in running.indices { ticks.append(running[index].first(from: wall, using: &random)) }
        self.running = running
        self.ticks = ticks
    }

    /// When the next tick is, nil without schedules.
    public var next: Timestamp? { ticks.map(\.fire).min() }

    /// Which schedules have a tick at `moment` or before. Those go on to the tick after `wall`.
    public mutating func advance(
        past moment: Timestamp, wall: Timestamp, using random: inout some RandomNumberGenerator
    ) -> [TickSchedule] {
        let due = ticks.indices.filter { ticks[$0].fire <= moment }
        for index in due { ticks[index] = running[index].next(after: wall, using: &random) }
        return due.map { schedules[$0] }
    }

    /// The wall clock was set by `distance` and now reads `wall`.
    public mutating func clockJumped(
        by distance: Duration, to wall: Timestamp, using random: inout some RandomNumberGenerator
    ) {
        for index in running.indices {
            running[index].clockJumped(by: distance, to: wall)
            ticks[index] = running[index].next(after: wall, using: &random)
        }
    }
}
