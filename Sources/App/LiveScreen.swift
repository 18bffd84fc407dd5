import Glibc
import Synchronization

/// Set by signals that ask for the end, so that the terminal is restored first.
private let isAskedToEnd = Atomic<Bool>(false)

/// The terminal as a page: alternate screen, no cursor, keys without return.
final class LiveScreen {
    private var former = termios()
    private let hasKeys: Bool

    /// `takesKeys`: reads single keys and ends on signals, as `godwit top` does; the daemon has signals of its own.
    init(takesKeys: Bool) {
        hasKeys = takesKeys && tcgetattr(0, &former) == 0
        defer { emit("\u{1B}[?1049h\u{1B}[?25l") }
        guard takesKeys else { return }
        if hasKeys {
            var raw = former
            raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
            tcsetattr(0, TCSANOW, &raw)
        }
        for number in [SIGTERM, SIGINT, SIGHUP] {
            signal(number) { _ in isAskedToEnd.store(true, ordering: .relaxed) }
        }
        // A changed size interrupts the wait, and the next page has it.
        signal(SIGWINCH) { _ in }
    }

    /// Width and height of the terminal; 80 by 24 when there is none.
    static var size: (width: Int, height: Int) {
        var size = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    func show(_ page: String) {
        // The last line has no line end: it would scroll the first one away.
        let lines = page.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        emit("\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\n") + "\u{1B}[J")
    }

    /// Waits for the next page; false when the user wants to leave.
    func wait(seconds: Double) -> Bool {
        if isAskedToEnd.load(ordering: .relaxed) { return false }
        var key = pollfd(fd: hasKeys ? 0 : -1, events: Int16(POLLIN), revents: 0)
        guard poll(&key, 1, Int32(seconds * 1_000)) > 0 else { return !isAskedToEnd.load(ordering: .relaxed) }
        var byte: UInt8 = 0
        guard read(0, &byte, 1) == 1 else { return false }
        // q, Q, Ctrl-C, Ctrl-D
        return ![0x71, 0x51, 0x03, 0x04].contains(byte)
    }

    func restore() {
        emit("\u{1B}[?25h\u{1B}[?1049l")
        if hasKeys { tcsetattr(0, TCSANOW, &former) }
    }
}
