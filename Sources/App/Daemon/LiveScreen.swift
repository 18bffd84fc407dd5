import Glibc

/// The terminal of a live page: the alternate screen, so that what was there before comes back.
enum LiveScreen {
    static let enter = "\u{1B}[?1049h\u{1B}[?25l"
    static let leave = "\u{1B}[?25h\u{1B}[?1049l"
    static let home = "\u{1B}[H"
    static let clearRest = "\u{1B}[J"

    /// Columns and rows of the terminal on standard output; 80 × 24 when it does not tell.
    static var size: (width: Int, height: Int) {
        var window = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else { return (80, 24) }
        return (Int(window.ws_col), Int(window.ws_row))
    }
}
