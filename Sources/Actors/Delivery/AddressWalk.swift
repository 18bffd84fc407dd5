import Pipeline

/// Walks to an address: name → kernel route → TCP. For commands only: it blocks.
struct AddressWalk {
    let clock: any Clock

    /// The hops up to the first broken one.
    func hops(to host: String, port: String) -> [RouteHop] {
        var started = clock.now
        let addresses: [NetworkPath.Address]
        do throws(NetworkPath.Failure) {
            addresses = try NetworkPath.addresses(of: host, port: port)
        } catch {
            return [RouteHop(.name, false, "\(host): \(error.reason)", since: started, clock)]
        }
        let name = RouteHop(.name, true, addresses.map(\.text).joined(separator: ", "), since: started, clock)
        // As libcurl does: one address after the other, until one takes the connection.
        var failed: [RouteHop] = []
        for address in addresses {
            started = clock.now
            do throws(NetworkPath.Failure) {
                let source = try NetworkPath.source(to: address)
                failed.append(RouteHop(.route, true, "from \(source)", since: started, clock))
            } catch {
                failed.append(RouteHop(.route, false, "\(address.text): \(error.reason)", since: started, clock))
                continue
            }
            started = clock.now
            let place = "\(address.text) port \(port)"
            do throws(NetworkPath.Failure) {
                try NetworkPath.connectOnce(to: address)
                return [name] + failed.suffix(1) + [RouteHop(.tcp, true, place, since: started, clock)]
            } catch {
                failed.append(RouteHop(.tcp, false, "\(place): \(error.reason)", since: started, clock))
            }
        }
        // The address that came furthest tells most.
        if let index = failed.lastIndex(where: { $0.kind == .tcp }) { return [name] + failed[(index - 1)...index] }
        return [name] + failed.suffix(1)
    }
}
