/// The read-only meta-data of a guest, as programs ask for it at `http://169.254.169.254/latest/meta-data/`.
///
/// Shape: plain text; a folder is a list of its names, one a line, folders with a slash behind. What follows from the
/// guest's labels and addresses needs no entry of its own: `instance-id` (`vm_id`), `hostname` and `local-hostname`
/// (`vm_name`), `local-ipv4`, `local-ipv6`, `placement/availability-zone` (`zone`). User data is always empty: it can
/// hold passwords, and nothing here needs it. Nothing of project, domain or hypervisor is told.
public enum MetadataTree {
    /// The page of these parts behind the version; nil when there is none.
    public static func page(_ parts: [String], for guest: Guest) -> String? {
        switch parts.first {
        case nil: return "meta-data/\nuser-data\n"
        case "user-data": return parts.count == 1 ? "" : nil
        case "meta-data": return page(parts.dropFirst(), leaves(of: guest))
        default: return nil
        }
    }

    private static func page(_ parts: ArraySlice<String>, _ leaves: [String: String]) -> String? {
        let path = parts.joined(separator: "/")
        if let value = leaves[path] { return value }
        let folder = path.isEmpty ? "" : path + "/"
        var names: Set<String> = []
        for leaf in leaves.keys where leaf.hasPrefix(folder) {
            let rest = leaf.dropFirst(folder.count)
            let name = rest.prefix { $0 != "/" }
            names.insert(name.count < rest.count ? name + "/" : String(name))
        }
        guard !names.isEmpty else { return nil }
        return names.sorted().joined(separator: "\n") + "\n"
    }

    private static func leaves(of guest: Guest) -> [String: String] {
        var leaves = ["instance-id": guest.id, "ami-launch-index": "0"]
        if let name = guest.label("vm_name") {
            leaves["hostname"] = name
            leaves["local-hostname"] = name
        }
        leaves["placement/availability-zone"] = guest.label("zone")
        leaves["local-ipv4"] = guest.places.first { !$0.address.isV6 }?.address.description
        leaves["local-ipv6"] = guest.places.first { $0.address.isV6 }?.address.description
        for (path, value) in guest.metadata { leaves[path] = value.isEmpty ? nil : value }
        return leaves
    }
}
