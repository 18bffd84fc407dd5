import CLinux
import Glibc
import Pipeline

/// The signals the daemon lives by, as a stream of events without a thread of its own.
///
/// Owns: a signalfd. Sends: each signal, in order, to one consumer. Lives on: the I/O loop.
/// Why not sigaction: a handler may do next to nothing; a descriptor fits the loop.
public actor Signals {
    public enum Event: Int32, Sendable, CaseIterable {
        case hangup = 1
        case interrupt = 2
        case terminate = 15
        /// Flush now.
        case user1 = 10
    }

    private let loop: WorkLoop
    private let descriptor: Int32
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// Blocks the signals for the calling thread and all it will start. Call first thing in `main`, before any thread.
    public static func blockAll() {
        var set = signalSet()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    public init(loop: WorkLoop) {
        self.loop = loop
        var set = Signals.signalSet()
        descriptor = signalfd(-1, &set, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
    }

    /// The signals from now on; one consumer. Repeated signals that wait collapse, as the kernel's do.
    public func events() -> AsyncStream<Event> {
        let (stream, continuation) = AsyncStream<Event>.makeStream(bufferingPolicy: .bufferingNewest(16))
        let descriptor = descriptor
        loop.watch(descriptor, for: EPOLLIN.rawValue) { _ in
            var received = signalfd_siginfo()
            while read(descriptor, &received, MemoryLayout<signalfd_siginfo>.size)
                == MemoryLayout<signalfd_siginfo>.size
            {
                if let event = Event(rawValue: Int32(bitPattern: received.ssi_signo)) { continuation.yield(event) }
            }
        }
        return stream
    }

    private static func signalSet() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for event in Event.allCases { sigaddset(&set, event.rawValue) }
        return set
    }
}
