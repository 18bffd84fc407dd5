/// The page `/clients`: what Prometheus reads as `http_sd_configs`.
public enum DiscoveryList {
    /// Sorted by name. Byte for byte what the real proxy writes where there are no labels.
    public static func page(_ clients: [(name: String, labels: [HTTPField])]) -> [UInt8] {
        var text = "["
        for (index, client) in clients.sorted(by: { $0.name < $1.name }).enumerated() {
            if index > 0 { text += "," }
            text += "{\"targets\":[\(quoted(client.name))],\"labels\":"
            if client.labels.isEmpty {
                text += "null"
            } else {
                let members = client.labels.map { "\(quoted($0.name)):\(quoted($0.value))" }
                text += "{" + members.joined(separator: ",") + "}"
            }
            text += "}"
        }
        return Array((text + "]\n").utf8)
    }

    private static func quoted(_ text: String) -> String {
        String(decoding: JSONValue.string(text).encoded(), as: UTF8.self)
    }

    /// The header in which a client announces its labels: `name=value`, separated by commas. Bounds: 16 labels of 256
    /// bytes; names as Prometheus has them, and none that begin with `__` but `__meta_` and `__metrics_path__`.
    public static let labelsHeader = "x-godwit-labels"

    public static func labels(_ header: String?) -> [HTTPField] {
        var labels: [HTTPField] = []
        for pair in (header ?? "").split(separator: ",").prefix(16) {
            let sides = pair.split(separator: "=", maxSplits: 1)
            guard sides.count == 2, sides[1].utf8.count <= 256 else { continue }
            let name = sides[0].filter { $0 != " " }
            guard isLabel(name), !labels.contains(where: { $0.name == name }) else { continue }
            labels.append(HTTPField(name, String(sides[1])))
        }
        return labels.sorted { $0.name < $1.name }
    }

    private static func isLabel(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 64, !(0x30...0x39).contains(first) else { return false }
        let isWord = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
            default: false
            }
        }
        guard isWord else { return false }
        return !name.hasPrefix("__") || name.hasPrefix("__meta_") || name == "__metrics_path__"
    }
}
