/// What one `[[pushprox.proxy.names]]` says: which names there are, whose they are, and who may ask for what of them.
public struct NameRule: Sendable, Hashable {
    /// Who may ask for a name.
    public enum Scraper: Sendable, Hashable {
        case network(AddressRange)
        /// A DNS name of the certificate that it shows.
        case name(String)

        /// A network, an address, or a DNS name.
        public init?(_ text: String) {
            if let range = AddressRange(text) {
                self = .network(range)
            } else if let name = ScrapeName(text), !text.contains("/"), !text.contains(":") {
                self = .name(name.description)
            } else {
                return nil
            }
        }
    }

    /// A name, `*.` before one for one label more, or `*` for all.
    public var pattern: String
    /// SHA-256 of tokens, 64 hexadecimal digits in lower case.
    public var tokens: Set<String> = []
    /// File with more tokens; empty for none.
    public var tokenFile = ""
    /// Ports that may be asked for; empty for all.
    public var ports: Set<UInt16> = []
    /// Empty: every scraper.
    public var scrapers: [Scraper] = []

    /// Errors: nil for what is no pattern.
    public init?(pattern: String) {
        let bare = pattern.hasPrefix("*.") ? String(pattern.dropFirst(2)) : pattern
        guard pattern == "*" || ScrapeName(bare) != nil else { return nil }
        self.pattern = pattern.lowercased()
    }

    public var hasTokens: Bool { !tokens.isEmpty || !tokenFile.isEmpty }

    /// Why this scraper may not have this target; nil when it may.
    public func refusal(of target: ProxiedTarget, for address: IPAddress?, _ dnsNames: [String]) -> ProxyRefusal? {
        let isKnown =
            scrapers.isEmpty
            || scrapers.contains { scraper in
                switch scraper {
                case .network(let range): address.map { range.contains($0) } ?? false
                case .name(let name): dnsNames.contains { $0.lowercased() == name }
                }
            }
        guard isKnown else { return .scraper }
        return ports.isEmpty || ports.contains(target.effectivePort) ? nil : .port
    }
}

/// All of them, in order: the first that fits a name counts. Without any, every name may be.
public struct NameRules: Sendable, Hashable {
    public let rules: [NameRule]
    /// The first rule of each name that is written out, so that thousands of them cost no search.
    private let exact: [String: Int]
    private let patterns: [Int]

    public init(_ rules: [NameRule] = []) {
        self.rules = rules
        var exact: [String: Int] = [:]
        for (index, rule) in rules.enumerated() where !rule.pattern.hasPrefix("*") {
            let name = ScrapeName(rule.pattern)?.description ?? rule.pattern
            if exact[name] == nil { exact[name] = index }
        }
        self.exact = exact
        patterns = rules.indices.filter { rules[$0].pattern.hasPrefix("*") }
    }

    public var isEmpty: Bool { rules.isEmpty }
    public var haveTokens: Bool { rules.contains { $0.hasTokens } }

    /// The number of the rule for a name; nil where none is.
    public func index(for name: ScrapeName) -> Int? {
        let pattern = patterns.first { rules[$0].pattern == "*" || name.isCovered(by: rules[$0].pattern) }
        guard let written = exact[name.description] else { return pattern }
        return pattern.map { min($0, written) } ?? written
    }

    /// What a client has shown for a name that it wants to poll or push under.
    public struct Claim: Sendable, Hashable {
        /// Its certificate carries the name.
        public var carriesName = false
        /// It showed one of the name's tokens.
        public var hasToken = false
        /// It showed the listener's own credentials, or the listener has none.
        public var isAccepted = true

        public init() {}
    }

    public enum Verdict: Sendable, Hashable {
        case allowed
        /// There are rules, and none is for the name.
        case unlisted
        /// The name has tokens, and none of them was shown.
        case noToken
        case notCarried
        case noCredentials
    }

    /// Whether a client may use `name` at a listener that `binds` names to certificates.
    ///
    /// A token of the name is as good as a certificate that carries it. The listener's own credentials prove no name.
    public func verdict(on name: ScrapeName, binds: Bool, _ claim: Claim) -> Verdict {
        var hasTokens = false
        if !isEmpty {
            guard let index = index(for: name) else { return .unlisted }
            hasTokens = rules[index].hasTokens
        }
        if hasTokens, claim.hasToken { return .allowed }
        guard claim.isAccepted else { return .noCredentials }
        if claim.carriesName { return .allowed }
        if hasTokens { return .noToken }
        return binds ? .notCarried : .allowed
    }
}
