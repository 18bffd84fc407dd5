/// Notices that the wall clock was set, by comparing it with the monotonic clock.
public struct ClockWatch: Sendable, Hashable {
    /// Smaller movements are drift, or the time between two readings.
    public static let tolerance = Duration.seconds(2)

    private var now: Instant
    private var wall: Timestamp

    /// Begins at a moment on both clocks.
    public init(now: Instant, wall: Timestamp) {
        self.now = now
        self.wall = wall
    }

    /// How far the wall clock was set since the last call; nil when it was not.
    public mutating func jump(now: Instant, wall: Timestamp) -> Duration? {
        let jump = (wall - self.wall) - (now - self.now)
        (self.now, self.wall) = (now, wall)
        return jump > ClockWatch.tolerance || jump < .zero - ClockWatch.tolerance ? jump : nil
    }
}
