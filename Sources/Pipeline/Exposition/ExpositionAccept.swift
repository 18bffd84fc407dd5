/// What a scraper takes, by its request's headers.
///
/// Shape: `a/b;version=1.0.0;q=0.5, */*`: kinds with a weight between 0 and 1; 1 where none is given.
/// Source: RFC 9110, 12.4 and 12.5; OpenMetrics 1.0, "Protocol negotiation".
public enum ExpositionAccept {
    /// The format for a header `Accept`: that of the greater weight, the plain text of two with the same unless OpenMetrics is
    /// named. Who takes neither gets the plain text, as everybody understood before there were two.
    public static func format(_ header: String?) -> ExpositionFormat {
        guard let header else { return .text }
        var plain = 0.0
        var open = 0.0
        var isPlainNamed = false
        for entry in entries(header) {
            switch entry.name {
            case "application/openmetrics-text":
                let version = entry.parameters["version"] ?? "1.0.0"
                if ["1.0.0", "0.0.1"].contains(version) { open = max(open, entry.weight) }
            case "text/plain":
                guard (entry.parameters["version"] ?? "0.0.4") == "0.0.4" else { continue }
                plain = max(plain, entry.weight)
                isPlainNamed = true
            case "text/*", "*/*": if !isPlainNamed { plain = max(plain, entry.weight) }
            default: break
            }
        }
        return open > 0 && open >= plain ? .openMetrics : .text
    }

    /// Whether a header `Accept-Encoding` takes gzip.
    public static func takesGzip(_ header: String?) -> Bool {
        let codings = entries(header ?? "")
        let found = codings.first { $0.name == "gzip" || $0.name == "x-gzip" } ?? codings.first { $0.name == "*" }
        return (found?.weight ?? 0) > 0
    }

    private struct Entry {
        var name: String
        var parameters: [String: String]
        var weight: Double
    }

    /// Of a header of any length the first few entries.
    private static func entries(_ header: String) -> [Entry] {
        header.lowercased().split(separator: ",", maxSplits: 64).prefix(64).compactMap { text in
            let parts = text.split(separator: ";", maxSplits: 16).map { $0.filter { $0 != " " && $0 != "\t" } }
            guard let name = parts.first else { return nil }
            var parameters: [String: String] = [:]
            for part in parts.dropFirst() {
                let sides = part.split(separator: "=", maxSplits: 1)
                if sides.count == 2 { parameters[String(sides[0])] = sides[1].filter { $0 != "\"" } }
            }
            let weight = parameters["q"].map { Double($0) ?? 0 } ?? 1
            return Entry(name: name, parameters: parameters, weight: weight.isFinite ? min(1, max(0, weight)) : 0)
        }
    }
}

extension ExpositionFormat {
    /// The header `Content-Type` of a page.
    public var contentType: String {
        switch self {
        case .text: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}
