import NIOCore
import Pipeline

/// The deadlines of many connections of one event loop, with one task of the loop for the next of them.
///
/// Why not a task each: to cancel one the loop walks all it has, which with 10,000 connections is most of what a request
/// costs. Here setting, moving and cancelling cost the logarithm of their number. Lives on the event loop.
final class LoopTimers {
    private let loop: any EventLoop
    /// A binary heap: each is due no later than the two behind it.
    private var heap: [LoopTimer] = []
    private var alarm: Scheduled<Void>?
    private var alarmTime = NIODeadline.distantFuture

    init(_ loop: any EventLoop) { self.loop = loop }

    deinit { alarm?.cancel() }

    var count: Int { heap.count }

    fileprivate func set(_ timer: LoopTimer, _ time: Duration) {
        timer.due = loop.now + .nanoseconds(time.wholeNanoseconds)
        if timer.slot < 0 {
            timer.slot = heap.count
            heap.append(timer)
        }
        settle(timer.slot)
        arm()
    }

    /// The alarm stays: it may find nothing to do, once.
    fileprivate func remove(_ timer: LoopTimer) {
        guard timer.slot >= 0 else { return }
        let slot = timer.slot
        timer.slot = -1
        let last = heap.removeLast()
        guard last !== timer else { return }
        put(last, slot)
        settle(slot)
    }

    private func put(_ timer: LoopTimer, _ slot: Int) {
        heap[slot] = timer
        timer.slot = slot
    }

    /// Moves what stands at `start` to where it belongs.
    private func settle(_ start: Int) {
        let timer = heap[start]
        var slot = start
        while slot > 0, timer.due < heap[(slot - 1) / 2].due {
            put(heap[(slot - 1) / 2], slot)
            slot = (slot - 1) / 2
        }
        while 2 * slot + 1 < heap.count {
            var child = 2 * slot + 1
            if child + 1 < heap.count, heap[child + 1].due < heap[child].due { child += 1 }
            guard heap[child].due < timer.due else { break }
            put(heap[child], slot)
            slot = child
        }
        put(timer, slot)
    }

    private func arm() {
        guard let first = heap.first, first.due < alarmTime else { return }
        alarm?.cancel()
        alarmTime = first.due
        alarm = loop.assumeIsolated().scheduleTask(deadline: first.due) { [weak self] in self?.ring() }
    }

    private func ring() {
        alarmTime = .distantFuture
        let now = loop.now
        while let first = heap.first, first.due <= now {
            remove(first)
            first.ring()
        }
        arm()
    }
}

/// One deadline of a connection, used again and again.
final class LoopTimer {
    fileprivate(set) var due = NIODeadline.distantFuture
    fileprivate var slot = -1
    private var action: (() -> Void)?
    private let timers: LoopTimers

    init(_ timers: LoopTimers) { self.timers = timers }

    var isSet: Bool { slot >= 0 }

    /// `action` is called after `time`, instead of what was set before.
    func set(_ time: Duration, _ action: @escaping () -> Void) {
        self.action = action
        timers.set(self, time)
    }

    func cancel() {
        timers.remove(self)
        action = nil
    }

    fileprivate func ring() {
        let action = action
        self.action = nil
        action?()
    }
}
