import CLinux
import Glibc
import Pipeline
import Synchronization

/// A thread of its own with an epoll loop: jobs, file descriptors and timers, for C handles that bring descriptors along
/// and for calls that may block. `ARCHITECTURE.md` lists those that exist. An actor lives here by returning
/// `asUnownedSerialExecutor()` as its `unownedExecutor`.
///
/// The thread starts with the first job, its stack is 256 KiB, and it lives as long as the process.
///
/// It is a task executor too: a task that waits for an actor of this loop should prefer the loop, because a continuation
/// resumes on its *task's* executor first, and hops to the actor from there. It is a clock whose timers cost no hop.
public final class WorkLoop: SerialExecutor, TaskExecutor {
    /// What the loop's thread shall do next.
    private enum Work {
        case job(UnownedJob)
        case call(@Sendable () -> Void)
    }

    private struct State {
        var jobs: [Work] = []
        var asleep = false
        var started = false
    }

    /// Called on the loop's thread with the ready events of a watched descriptor.
    public typealias ReadyHandler = (_ events: UInt32) -> Void

    public let name: String
    private let state = Mutex(State())
    private let wakeDescriptor: Int32
    private let epoll: Int32
    private let thread = Mutex<pthread_t?>(nil)
    // Touched on the loop's thread only (checked by `preconditionIsolated`), hence without a lock.
    private nonisolated(unsafe) var handlers: [Int32: ReadyHandler] = [:]
    private nonisolated(unsafe) var timers: [(id: UInt64, at: Instant, fire: () -> Void)] = []
    private nonisolated(unsafe) var nextTimer: UInt64 = 0
    /// How often the loop has gone round: what happens under the same number happens before anybody else's turn.
    nonisolated(unsafe) private(set) var round: UInt64 = 0

    public init(name: String) {
        self.name = name
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(epoll >= 0 && wakeDescriptor >= 0, "no descriptor left for the \(name) loop")
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: wakeDescriptor))
        epoll_ctl(epoll, EPOLL_CTL_ADD, wakeDescriptor, &event)
    }

    /// Only a loop that was never used: a running thread holds its loop.
    deinit {
        SystemError.close(epoll)
        SystemError.close(wakeDescriptor)
    }

    // MARK: Executor

    public func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }

    /// Calls `body` on the loop's thread, after all that came before. Any thread.
    public func post(_ body: @escaping @Sendable () -> Void) { add(.call(body)) }

    private func add(_ work: Work) {
        let (mustStart, mustWake) = state.withLock { state in
            state.jobs.append(work)
            defer {
                state.asleep = false
                state.started = true
            }
            return (!state.started, state.asleep)
        }
        if mustStart { start() }
        if mustWake { wake() }
    }

    public func checkIsolated() { precondition(isOnThread, "not on the \(name) loop") }
    public func isIsolatingCurrentContext() -> Bool? { isOnThread }

    var isOnThread: Bool { thread.withLock { $0.map { pthread_equal($0, pthread_self()) != 0 } ?? false } }

    private func wake() {
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }

    private func start() {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 256 * 1024)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var created = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let failure = pthread_create(
            &created, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<WorkLoop>.fromOpaque(context).takeRetainedValue().loop()
                return nil
            }, context)
        pthread_attr_destroy(&attributes)
        precondition(failure == 0, "cannot start the \(name) thread: \(failure)")
    }

    // MARK: Descriptors and timers, for actors on this loop

    /// Watches `descriptor` for `events` (level-triggered); replaces an earlier watch. Only on the loop's thread.
    public func watch(_ descriptor: Int32, for events: UInt32, _ handler: @escaping ReadyHandler) {
        preconditionIsolated()
        var event = epoll_event(events: events, data: epoll_data_t(fd: descriptor))
        let known = handlers.updateValue(handler, forKey: descriptor) != nil
        if epoll_ctl(epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, &event) != 0 {
            // The number was closed and reused behind our back, or was never added: the other verb is the right one.
            epoll_ctl(epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event)
        }
    }

    /// Ends the watch of `descriptor`. Only on the loop's thread; harmless when there is none.
    public func unwatch(_ descriptor: Int32) {
        preconditionIsolated()
        guard handlers.removeValue(forKey: descriptor) != nil else { return }
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
    }

    /// Calls `fire` once at `deadline` on the loop's thread. Only on the loop's thread. Returns the timer's number.
    @discardableResult
    public func schedule(at deadline: Instant, _ fire: @escaping () -> Void) -> UInt64 {
        preconditionIsolated()
        nextTimer &+= 1
        let index = timers.firstIndex { $0.at > deadline } ?? timers.endIndex
        timers.insert((nextTimer, deadline, fire), at: index)
        return nextTimer
    }

    /// Ends a timer; harmless when it has fired. Only on the loop's thread.
    public func cancelTimer(_ id: UInt64) {
        preconditionIsolated()
        timers.removeAll { $0.id == id }
    }

    // MARK: The loop

    private func loop() {
        thread.withLock { $0 = pthread_self() }
        pthread_setname_np(pthread_self(), name)
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while true {
            round &+= 1
            runJobs()
            fireTimers()
            let count = epoll_wait(epoll, &events, Int32(events.count), sleepMilliseconds())
            state.withLock { $0.asleep = false }
            guard count > 0 else { continue }
            for event in events.prefix(Int(count)) {
                let descriptor = event.data.fd
                if descriptor == wakeDescriptor {
                    var counter: UInt64 = 0
                    _ = read(wakeDescriptor, &counter, 8)
                } else {
                    handlers[descriptor]?(event.events)
                }
            }
        }
    }

    private func runJobs() {
        while true {
            let batch = state.withLock { state in
                defer { state.jobs.removeAll() }
                return state.jobs
            }
            if batch.isEmpty { return }
            for work in batch {
                switch work {
                case .job(let job):
                    job.runSynchronously(
                        isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
                case .call(let body): body()
                }
            }
        }
    }

    private func fireTimers() {
        let now = KernelClock.monotonic()
        while let first = timers.first, first.at <= now {
            timers.removeFirst()
            first.fire()
        }
    }

    /// How long epoll may sleep: 0 with jobs waiting, else until the first timer; marks the loop asleep.
    private func sleepMilliseconds() -> Int32 {
        let idle = state.withLock { state in
            state.asleep = state.jobs.isEmpty
            return state.asleep
        }
        guard idle else { return 0 }
        guard let first = timers.first else { return -1 }
        let wait = (first.at - KernelClock.monotonic()).wholeNanoseconds
        return wait <= 0 ? 0 : Int32(clamping: wait / 1_000_000 + 1)
    }
}
