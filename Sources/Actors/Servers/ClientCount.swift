import Pipeline
import Synchronization

/// How many connections are open, altogether and from each address.
///
/// Bounds: an entry for each address with an open connection, so never more than `limit`.
public final class ClientCount: Sendable {
    /// Who is no stranger, and how many strangers there may be.
    public struct Acquaintance: Sendable {
        public var strangersLimit: Int
        public var knows: @Sendable (IPAddress) -> Bool

        public init(strangersLimit: Int, knows: @escaping @Sendable (IPAddress) -> Bool) {
            self.strangersLimit = strangersLimit
            self.knows = knows
        }
    }

    /// What was counted, to be given back.
    struct Entry: Sendable {
        var address: IPAddress?
        var isStranger = false
    }

    private struct State {
        var open = 0
        var strangers = 0
        var byAddress: [IPAddress: Int] = [:]
    }

    private let limit: Int
    private let perAddress: Int?
    private let acquaintance: Acquaintance?
    private let state = Mutex(State())

    /// `perAddress` is the limit for each address; nil = none. Without an acquaintance nobody is a stranger.
    public init(limit: Int, perAddress: Int? = nil, acquaintance: Acquaintance? = nil) {
        self.limit = limit
        self.perAddress = perAddress
        self.acquaintance = acquaintance
    }

    /// Connections that are open now.
    public var open: Int { state.withLock { $0.open } }

    /// Counts a connection; nil, and not counted, when it is one too many.
    func enter(_ address: IPAddress? = nil) -> Entry? {
        var entry = Entry(address: perAddress == nil ? nil : address)
        if let acquaintance { entry.isStranger = address.map { !acquaintance.knows($0) } ?? true }
        return state.withLock { state in
            guard state.open < limit else { return nil }
            if entry.isStranger, let most = acquaintance?.strangersLimit, state.strangers >= most { return nil }
            if let perAddress, let address = entry.address {
                let count = state.byAddress[address] ?? 0
                guard count < perAddress else { return nil }
                state.byAddress[address] = count + 1
            }
            state.open += 1
            if entry.isStranger { state.strangers += 1 }
            return entry
        }
    }

    /// Takes back what `enter` counted.
    func leave(_ entry: Entry) {
        state.withLock { state in
            state.open -= 1
            if entry.isStranger { state.strangers -= 1 }
            guard let address = entry.address, let count = state.byAddress[address] else { return }
            state.byAddress[address] = count > 1 ? count - 1 : nil
        }
    }
}
