import Pipeline
import Synchronization

/// How many connections are open, altogether and from each address.
///
/// Bounds: an entry for each address with an open connection, so never more than `limit`.
public final class ClientCount: Sendable {
    private struct State {
        var open = 0
        var byAddress: [IPAddress: Int] = [:]
    }

    private let limit: Int
    private let perAddress: Int?
    private let state = Mutex(State())

    /// `perAddress` is the limit for each address; nil = none.
    public init(limit: Int, perAddress: Int? = nil) {
        self.limit = limit
        self.perAddress = perAddress
    }

    /// Connections that are open now.
    public var open: Int { state.withLock { $0.open } }

    /// Counts a connection; false, and not counted, when it is one too many.
    func enter(_ address: IPAddress? = nil) -> Bool {
        state.withLock { state in
            guard state.open < limit else { return false }
            if let perAddress, let address {
                let count = state.byAddress[address] ?? 0
                guard count < perAddress else { return false }
                state.byAddress[address] = count + 1
            }
            state.open += 1
            return true
        }
    }

    /// Takes back what `enter` counted.
    func leave(_ address: IPAddress? = nil) {
        state.withLock { state in
            state.open -= 1
            guard perAddress != nil, let address, let count = state.byAddress[address] else { return }
            state.byAddress[address] = count > 1 ? count - 1 : nil
        }
    }
}
