/// Puts the trees of several files together.
public enum ConfigMerge {
    /// Later files add to earlier ones: plugins and other lists accumulate, tags are merged, and an option of a section
    /// that two files set has the later one's value, with a warning.
    public static func merge(_ trees: [ConfigNode]) -> (tree: ConfigNode, issues: [ConfigIssue]) {
        var issues: [ConfigIssue] = []
        guard var merged = trees.first else {
            return (ConfigNode(.table([]), at: ConfigOrigin(file: "", line: 0)), [])
        }
        for tree in trees.dropFirst() {
            merged.kind = .table(merge(merged.entries, tree.entries, path: "", &issues))
        }
        return (merged, issues)
    }

    private static func merge(
        _ first: [ConfigEntry], _ second: [ConfigEntry], path: String, _ issues: inout [ConfigIssue]
    ) -> [ConfigEntry] {
        var result = first
        var indexes = Dictionary(first.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { kept, _ in kept })
        for entry in second {
            guard let index = indexes[entry.key] else {
                indexes[entry.key] = result.count
                result.append(entry)
                continue
            }
            result[index] = combine(result[index], entry, parent: path, &issues)
        }
        return result
    }

    private static func combine(
        _ old: ConfigEntry, _ new: ConfigEntry, parent: String, _ issues: inout [ConfigIssue]
    ) -> ConfigEntry {
        let path = parent.isEmpty ? new.key : "\(parent).\(new.key)"
        var result = old
        if ["inputs", "outputs", "plugins", "processors", "aggregators"].contains(parent),
            let first = tables(old.value),
            let second = tables(new.value)
        {
            result.value.kind = .array(first + second)
            return result
        }
        switch (old.value.kind, new.value.kind) {
        case (.table(let first), .table(let second)) where parent.isEmpty:
            result.value.kind = .table(merge(first, second, path: path, &issues))
        case (.array(let first), .array(let second)) where parent.isEmpty:
            result.value.kind = .array(first + second)
        default:
            if old.value.kind != new.value.kind {
                issues.append(ConfigIssue(.warning, new.origin, path, "replaces the value from \(old.origin)"))
            }
            return new
        }
        return result
    }

    /// The tables of a plugin: one, or a list.
    private static func tables(_ node: ConfigNode) -> [ConfigNode]? {
        switch node.kind {
        case .table: [node]
        case .array(let nodes): nodes
        default: nil
        }
    }
}
