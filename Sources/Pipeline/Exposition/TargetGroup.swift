/// Targets that belong together, as service discovery names them.
///
/// Shape: JSON, `[{"targets": ["host:port", …], "labels": {"name": "value", …}}, …]`.
/// Source: Prometheus, `file_sd_config` and `http_sd_config`.
public struct TargetGroup: Sendable, Hashable {
    public var targets: [String]
    public var labels: [String: String]

    public init(targets: [String], labels: [String: String]) {
        self.targets = targets
        self.labels = labels
    }

    /// Why a text is no list of groups.
    public struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
        public var description: String
    }

    /// Reads a whole list. Errors: one wrong group costs the list, so that no half of it is taken for the whole.
    /// Bounds: 16 MiB.
    public static func read(_ bytes: [UInt8]) throws(Failure) -> [TargetGroup] {
        let root: JSONValue
        do throws(JSONError) { root = try JSONValue.parse(bytes) } catch {
            throw Failure(description: "no JSON: \(error)")
        }
        guard let elements = root.array else { throw Failure(description: "no list of groups") }
        var groups: [TargetGroup] = []
        for (index, element) in elements.enumerated() {
            func complain(_ text: String) -> Failure { Failure(description: "group \(index + 1): \(text)") }
            guard let members = element.members else { throw complain("no object") }
            var group = TargetGroup(targets: [], labels: [:])
            for member in members {
                switch member.key {
                case "targets":
                    guard let list = member.value.array else { throw complain("targets is no list") }
                    for target in list {
                        guard let text = target.string else { throw complain("a target that is no text") }
                        group.targets.append(text)
                    }
                case "labels":
                    guard let labels = member.value.members else { throw complain("labels is no object") }
                    for label in labels {
                        guard let text = label.value.string else { throw complain("a label that is no text") }
                        guard ExpositionName.isLabel(label.key) else { throw complain("no name of a label") }
                        group.labels[label.key] = text
                    }
                default: throw complain("something other than targets and labels")
                }
            }
            groups.append(group)
        }
        return groups
    }
}

/// A target that discovery found, after its rules.
public struct DiscoveredTarget: Sendable, Hashable {
    /// `host`, `host:port`, or an IPv6 address in brackets.
    public var address: String
    public var scheme: String
    public var path: String
    /// The query, from labels `__param_NAME`.
    public var parameters: [String: String]
    /// The labels that are left.
    public var tags: [Tag]

    /// Applies the rules to every target of the groups. A target is dropped by a rule, or when nothing is left of its
    /// address. Of several that are equal one is kept; `extra` labels, such as where the group came from, are for the
    /// rules alone.
    public static func all(
        of groups: [TargetGroup], extra: [String: String], rules: [RelabelRule], scheme: String, path: String
    ) -> [DiscoveredTarget] {
        var seen: Set<DiscoveredTarget> = []
        var targets: [DiscoveredTarget] = []
        for group in groups {
            for address in group.targets {
                var labels = extra
                labels["__scheme__"] = scheme
                labels["__metrics_path__"] = path
                labels.merge(group.labels) { _, own in own }
                labels["__address__"] = address
                guard let left = RelabelRule.apply(rules, to: labels), let target = DiscoveredTarget(left),
                    seen.insert(target).inserted
                else { continue }
                targets.append(target)
            }
        }
        return targets
    }

    /// nil: no address that can be asked.
    private init?(_ labels: [String: String]) {
        address = labels["__address__"] ?? ""
        guard !address.isEmpty,
            !address.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || "/?#@\\".utf8.contains($0) })
        else { return nil }
        scheme = labels["__scheme__"] ?? "http"
        guard scheme == "http" || scheme == "https" else { return nil }
        let path = labels["__metrics_path__"] ?? "/metrics"
        self.path = path.hasPrefix("/") ? path : "/" + path
        let prefix = "__param_"
        parameters = [:]
        for (name, value) in labels where name.hasPrefix(prefix) {
            parameters[String(name.dropFirst(prefix.count))] = value
        }
        tags = labels.filter { !$0.key.hasPrefix("__") && !$0.value.isEmpty }.map { Tag($0.key, $0.value) }
            .sorted { $0.key < $1.key }
    }
}
