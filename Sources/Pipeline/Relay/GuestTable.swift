/// One guest of this hypervisor as the relay knows it.
public struct Guest: Sendable, Hashable {
    /// Where requests of the guest come from: an address, and the network namespace of the listener that is asked.
    public struct Place: Sendable, Hashable {
        public var address: IPAddress
        /// Empty for the listeners of the relay's own namespace.
        public var namespace: String

        public init(_ address: IPAddress, namespace: String = "") {
            self.address = address
            self.namespace = namespace
        }
    }

    /// Its `vm_id`.
    public var id: String
    public var places: [Place]
    /// What each of its lines carries, `vm_id` included; sorted. A label with an empty value is only taken away.
    public var labels: [Tag]
    /// Leaves of the meta-data beside those that follow from labels and addresses, by path.
    public var metadata: [String: String]

    public init(id: String, places: [Place], labels: [Tag], metadata: [String: String] = [:]) {
        self.id = id
        self.places = places
        self.labels = labels
        self.metadata = metadata
    }

    /// The value of a label; nil when it is missing or empty.
    public func label(_ key: String) -> String? {
        labels.first { $0.key == key && !$0.value.isEmpty }?.value
    }
}

/// Who may report from which address.
///
/// Shape: a TOML file with a table for each guest:
///
///     [[guests]]
///     addresses = ["192.168.0.5", "fd00::5"]
///     labels = { vm_id = "0cb6…", vm_name = "web 1", tenant = "shop", tenant_id = "9f…" }
///     metadata = { mac = "00:22:d9:12:34:56", instance-type = "ecs.g1.c2m4" }
///
/// Errors: every one with its line, and then no table at all: half a table would take guests for strangers.
/// Bounds: `TOMLParser.sizeLimit`, and the limits below.
public struct GuestTable: Sendable, Hashable {
    public static let guestsLimit = 20_000
    static let addressesLimit = 64
    static let labelsLimit = 64
    static let textLimit = 1_024

    public private(set) var guests: [Guest] = []
    private var byPlace: [Guest.Place: Int] = [:]
    private var byID: [String: Int] = [:]

    /// No guests.
    public init() {}

    public func guest(at place: Guest.Place) -> Guest? { byPlace[place].map { guests[$0] } }

    public func contains(id: String) -> Bool { byID[id] != nil }

    /// Adds a guest. Errors: what it shares with another one.
    mutating func add(_ guest: Guest) -> String? {
        guard byID[guest.id] == nil else { return "two guests have the vm_id \"\(guest.id)\"" }
        for place in guest.places {
            if let other = byPlace[place] {
                let whose = other == guests.count ? "stands here twice" : "belongs to \"\(guests[other].id)\" too"
                return "the address \(place.address) \(whose)"
            }
            byPlace[place] = guests.count
        }
        byID[guest.id] = guests.count
        guests.append(guest)
        return nil
    }

    /// Reads the content of the file `file`.
    public static func parse(_ bytes: [UInt8], file: String) -> (table: GuestTable?, issues: [ConfigIssue]) {
        let (tree, syntax) = TOMLParser.parse(bytes, file: file)
        var reader = GuestTableReader(issues: syntax)
        let table = reader.read(tree)
        return (reader.issues.hasErrors ? nil : table, reader.issues)
    }
}

/// One reading of a guest table.
private struct GuestTableReader {
    var issues: [ConfigIssue]

    private static let options: [OptionSpec] = [
        OptionSpec("addresses", .strings([]), "Source addresses of the guest."),
        OptionSpec("namespace", .string(""), "Namespace of the listeners that it asks."),
        OptionSpec("labels", .table([:]), "Tags of all of its points; vm_id is one of them."),
        OptionSpec("metadata", .table([:]), "Leaves of its meta-data."),
    ]

    private mutating func complain(_ origin: ConfigOrigin, _ key: String, _ message: String) {
        // A file of thousands of guests with one mistake of the program that writes it needs no thousand complaints.
        guard issues.count < 20 else { return }
        issues.append(ConfigIssue(.error, origin, key, message))
    }

    mutating func read(_ root: ConfigNode) -> GuestTable {
        var table = GuestTable()
        for entry in root.entries {
            guard entry.key == "guests", case .array(let nodes) = entry.value.kind else {
                complain(entry.origin, entry.key, "a guest table holds [[guests]] and nothing else")
                continue
            }
            guard nodes.count <= GuestTable.guestsLimit else {
                complain(entry.origin, "guests", "more than \(GuestTable.guestsLimit) guests")
                continue
            }
            for node in nodes {
                guard issues.count < 20, let guest = guest(node) else { continue }
                if let complaint = table.add(guest) { complain(node.origin, "guests", complaint) }
            }
        }
        return table
    }

    private mutating func guest(_ node: ConfigNode) -> Guest? {
        guard case .table(let entries) = node.kind else {
            complain(node.origin, "guests", "expected [[guests]], found \(node.kindName)")
            return nil
        }
        let before = issues.count
        let settings = OptionReader(path: "guests", specs: GuestTableReader.options).read(entries, &issues)
        let options = OptionValues(GuestTableReader.options, set: settings.values)
        func place(_ name: String) -> ConfigOrigin { settings.origins[name] ?? node.origin }
        let namespace = options.string("namespace")
        let addresses = options.strings("addresses")
        var places: [Guest.Place] = []
        for text in addresses {
            guard let address = IPAddress(text), !address.isAnybodys else {
                complain(
                    place("addresses"), "guests.addresses", "\"\(text)\" is no address that belongs to one guest alone")
                continue
            }
            places.append(Guest.Place(address, namespace: namespace))
        }
        if addresses.isEmpty || addresses.count > GuestTable.addressesLimit {
            complain(place("addresses"), "guests.addresses", "a guest has 1 to \(GuestTable.addressesLimit) addresses")
        }
        let labels = options.table("labels")
        let id = labels[LabelEnforcement.identityKey] ?? ""
        if id.isEmpty { complain(place("labels"), "guests.labels", "a guest needs the label vm_id") }
        check(labels, place("labels"), "guests.labels")
        check(options.table("metadata"), place("metadata"), "guests.metadata")
        guard issues.count == before else { return nil }
        return Guest(
            id: id, places: places, labels: Series.normalized(labels.map { Tag($0.key, $0.value) }),
            metadata: options.table("metadata"))
    }

    private mutating func check(_ table: [String: String], _ origin: ConfigOrigin, _ key: String) {
        if table.count > GuestTable.labelsLimit {
            complain(origin, key, "more than \(GuestTable.labelsLimit) entries")
        }
        for (name, value) in table.sorted(by: { $0.key < $1.key }) {
            let isTooLong = name.utf8.count > 128 || value.utf8.count > GuestTable.textLimit
            let isBroken = (name + value).utf8.contains { $0 < 0x20 || $0 == 0x7F }
            if name.isEmpty || name.hasSuffix("\\") || isTooLong || isBroken {
                complain(origin, key, "\"\(name)\" is empty, too long or holds control characters")
            }
        }
    }
}

extension IPAddress {
    /// Whether the address says nothing about who uses it: unspecified, multicast, or link-local of IPv6, which every
    /// link has anew.
    var isAnybodys: Bool {
        if bytes.allSatisfy({ $0 == 0 }) { return true }
        return isV6 ? bytes[0] == 0xFF || bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 : bytes[0] >= 224
    }
}
