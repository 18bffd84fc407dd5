import Pipeline
import Synchronization

/// The file that keeps, over a restart of the agent, which processes at servers may still hold ports of ours.
///
/// Used by all tunnels. A change is written by a thread that may block, the newest state once for any number of changes
/// meanwhile; whoever changes it waits for nothing. Errors: a file that cannot be read or is not ours alone counts as
/// empty, one that cannot be written is told to `complain`, once until it can be again.
public final class HolderFile: Sendable {
    private struct State {
        var book: HolderBook
        var isWriting = false
        var isChanged = false
        var hasComplained = false
    }

    private let path: String
    private let threads: BlockingThreads
    private let complain: @Sendable (String) -> Void
    private let state: Mutex<State>

    /// Reads the file: at the start only, since it blocks.
    public init(path: String, threads: BlockingThreads, complain: @escaping @Sendable (String) -> Void) {
        self.path = path
        self.threads = threads
        self.complain = complain
        let bytes = (try? PrivateFile.read(path, limit: HolderBook.bytesLimit)) ?? []
        state = Mutex(State(book: HolderBook(bytes)))
    }

    subscript(owner: HolderBook.Owner) -> [RemoteHolder] { state.withLock { $0.book[owner] } }

    func set(_ holders: [RemoteHolder], of owner: HolderBook.Owner) {
        change { $0[owner] = holders }
    }

    /// Forgets tunnels that are not configured any more.
    public func keep(_ specs: [TunnelSpec]) {
        let owners = Set(specs.map(HolderBook.Owner.init))
        change { $0.keep(owners) }
    }

    private func change(_ body: (inout HolderBook) -> Void) {
        let mustWrite = state.withLock { state in
            let before = state.book
            body(&state.book)
            guard state.book != before else { return false }
            state.isChanged = true
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if mustWrite { threads.post { [self] in write() } }
    }

    private func write() {
        while true {
            let book = state.withLock { state -> HolderBook? in
                state.isWriting = state.isChanged
                state.isChanged = false
                return state.isWriting ? state.book : nil
            }
            guard let book else { return }
            do throws(FileComplaint) {
                try PrivateFile.replace(path, with: book.encoded)
                state.withLock { $0.hasComplained = false }
            } catch {
                let isFirst = state.withLock { state in
                    defer { state.hasComplained = true }
                    return !state.hasComplained
                }
                if isFirst { complain("\(error)") }
            }
        }
    }
}
