/// Which headers go on to the next one, and which are for one connection or one leg alone.
public enum HeaderRules {
    /// RFC 9110, 7.6.1, and what older programs send. `Proxy-Authorization` and `Proxy-Authenticate` are for us alone.
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    /// What one side uses to find the answer again.
    private static let ours: Set<String> = ["id", ScrapeTimeout.lowercased, ScrapeTimeout.misspelt]

    /// Headers of a scrape as the client or the target gets them: without those of the connection, the length and ours,
    /// which are written anew, and without `Expect`, which has been answered.
    public static func request(_ fields: [HTTPField]) -> [HTTPField] {
        endToEnd(fields).filter {
            !ours.contains($0.name.lowercased()) && !isWrittenAnew($0) && !$0.isNamed("host") && !$0.isNamed("expect")
        }
    }

    /// Headers of a response as the scraper, or the proxy, gets them; the length is written anew.
    public static func response(_ fields: [HTTPField]) -> [HTTPField] {
        endToEnd(fields).filter { !ours.contains($0.name.lowercased()) && !isWrittenAnew($0) }
    }

    private static func isWrittenAnew(_ field: HTTPField) -> Bool { field.isNamed("content-length") }

    private static func endToEnd(_ fields: [HTTPField]) -> [HTTPField] {
        var named: Set<String> = hopByHop
        for field in fields where field.isNamed("connection") {
            for name in field.value.split(separator: ",") {
                let name = name.filter { $0 != " " && $0 != "\t" }.lowercased()
                // A peer cannot have everything dropped by naming it.
                if name != "close", name != "host", name != "content-type", name != "content-encoding" {
                    named.insert(name)
                }
            }
        }
        return fields.filter { !named.contains($0.name.lowercased()) }
    }
}
