import Pipeline

/// The proxy that the environment names for a URL, by libcurl's rules: `http_proxy` (lower case only), `https_proxy`,
/// `all_proxy`, and `no_proxy` against them.
public enum EnvironmentProxy {
    /// nil for none. Empty variables count as unset.
    public static func proxy(for url: HTTPURL, environment: [String: String]) -> String? {
        func value(_ names: String...) -> String? {
            names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        }
        // A server may set HTTP_PROXY for whoever runs a script: libcurl ignores it.
        let own = url.scheme == "https" ? value("https_proxy", "HTTPS_PROXY") : value("http_proxy")
        guard let proxy = own ?? value("all_proxy", "ALL_PROXY") else { return nil }
        guard let exceptions = value("no_proxy", "NO_PROXY") else { return proxy }
        return isExcepted(url.host.lowercased(), exceptions) ? nil : proxy
    }

    /// Whether `host` is one of the names, addresses and networks of a list.
    static func isExcepted(_ host: String, _ list: String) -> Bool {
        if list == "*" { return true }
        let address = IPAddress(host)
        return list.split(whereSeparator: { $0 == "," || $0 == " " }).contains { entry in
            if let address {
                return AddressRange(String(entry)).map { $0.contains(address) } ?? false
            }
            let name = entry.drop { $0 == "." }.lowercased()
            return !name.isEmpty && (host == name || host.hasSuffix("." + name))
        }
    }
}
