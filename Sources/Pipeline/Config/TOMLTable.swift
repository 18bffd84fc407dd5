/// A table while its file is being read: it knows how it came to be, since that decides what may still be added.
final class TOMLTable {
    private enum Slot {
        case value(ConfigNode)
        case table(TOMLTable)
        case tables([TOMLTable])
    }

    private enum Source {
        /// Named in passing, as `a` by `[a.b]`.
        case implied
        case header
        case dottedKey
    }

    private var keys: [(key: String, origin: ConfigOrigin)] = []
    private var slots: [String: Slot] = [:]
    private var source = Source.implied
    private let origin: ConfigOrigin

    init(origin: ConfigOrigin) { self.origin = origin }

    /// This table and all below it as a value.
    var node: ConfigNode {
        var entries: [ConfigEntry] = []
        for (key, place) in keys {
            guard let slot = slots[key] else { continue }
            let value: ConfigNode
            switch slot {
            case .value(let node): value = node
            case .table(let table): value = table.node
            case .tables(let tables): value = ConfigNode(.array(tables.map(\.node)), at: place)
            }
            entries.append(ConfigEntry(key, value, at: place))
        }
        return ConfigNode(.table(entries), at: origin)
    }

    /// `[path]`: the table, made where missing; nil when the name is taken.
    func define(_ path: [String], at place: ConfigOrigin) -> TOMLTable? {
        guard let name = path.last, let parent = descend(path.dropLast(), at: place, implying: .implied) else {
            return nil
        }
        switch parent.slots[name] {
        case nil:
            let table = parent.insert(name, at: place, .header)
            return table
        case .table(let table) where table.source == .implied:
            table.source = .header
            return table
        default: return nil
        }
    }

    /// `[[path]]`: a new table at the end of the list; nil when the name is taken.
    func append(_ path: [String], at place: ConfigOrigin) -> TOMLTable? {
        guard let name = path.last, let parent = descend(path.dropLast(), at: place, implying: .implied) else {
            return nil
        }
        let table = TOMLTable(origin: place)
        table.source = .header
        switch parent.slots.removeValue(forKey: name) {
        case nil:
            parent.keys.append((name, place))
            parent.slots[name] = .tables([table])
        case .tables(var tables):
            tables.append(table)
            parent.slots[name] = .tables(tables)
        case let other?:
            parent.slots[name] = other
            return nil
        }
        return table
    }

    /// `path = value`; false when the key is taken.
    func set(_ path: [String], _ value: ConfigNode, at place: ConfigOrigin) -> Bool {
        guard let name = path.last, let parent = descend(path.dropLast(), at: place, implying: .dottedKey) else {
            return false
        }
        guard parent.slots[name] == nil else { return false }
        parent.keys.append((name, place))
        parent.slots[name] = .value(value)
        return true
    }

    private func insert(_ name: String, at place: ConfigOrigin, _ source: Source) -> TOMLTable {
        let table = TOMLTable(origin: place)
        table.source = source
        keys.append((name, place))
        slots[name] = .table(table)
        return table
    }

    /// The table at `path`, made where missing. A header may go through any table and the last one of a list; a dotted
    /// key only through tables that dotted keys made.
    private func descend(_ path: ArraySlice<String>, at place: ConfigOrigin, implying source: Source) -> TOMLTable? {
        var table = self
        for name in path {
            switch table.slots[name] {
            case nil: table = table.insert(name, at: place, source)
            case .table(let next) where source != .dottedKey || next.source == .dottedKey: table = next
            case .tables(let tables) where source != .dottedKey:
                guard let last = tables.last else { return nil }
                table = last
            default: return nil
            }
        }
        return table
    }
}
