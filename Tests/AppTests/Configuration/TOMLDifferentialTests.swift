// Compiled where TOMLKit is among the dependencies of this target.
#if canImport(TOMLKit)
    import Pipeline
    import TOMLKit
    import Testing

    /// Our TOML reader against toml++, as TOMLKit wraps it: what we accept, it accepts with the same values.
    @Suite("TOML against toml++")
    struct TOMLDifferentialTests {
        /// What toml++ makes of a text; nil when it refuses it.
        private func reference(_ text: String) -> TOMLTable? { try? TOMLTable(string: text) }

        private func isEqual(_ node: ConfigNode, _ value: any TOMLValueConvertible) -> Bool {
            switch node.kind {
            case .bool(let own): return value.bool == own
            case .integer(let own): return value.int.map(Int64.init) == own
            case .float(let own): return value.double.map { $0 == own || $0.isNaN && own.isNaN } == true
            case .string(let own): return value.string == own
            case .moment: return [.date, .time, .dateTime].contains(value.type)
            case .array(let nodes):
                guard let array = value.array, array.count == nodes.count else { return false }
                return zip(nodes, 0...).allSatisfy { isEqual($0, array[$1]) }
            case .table(let entries):
                guard let table = value.table else { return false }
                return isEqual(entries, table)
            }
        }

        private func isEqual(_ entries: [ConfigEntry], _ table: TOMLTable) -> Bool {
            guard table.count == entries.count else { return false }
            return entries.allSatisfy { entry in table[entry.key].map { isEqual(entry.value, $0) } ?? false }
        }

        private static let samples = [
            "a = 1\nb = -2.5e3\nc = 'x'\nd = \"y\\tz\\u00e9\"\ne = true\nf = [1, 2, [3]]\n"
                + "[t.u]\ng = { h = 1, i.j = 'k' }\n[[l]]\nm = 1\n[[l]]\nn = 2\n[l.o]\np = 3\n",
            "s = \"\"\"\na\\\n   b\"\"\"\nt = '''x\n'y\n'''\nn = [ # c\n 0x1F, 0b1, 0o7, 1_000,\n]\n",
            "[inputs]\n[[inputs.cpu]]\n  percpu = true\n  [inputs.cpu.tags]\n"
                + "    a = \"b\"\n[[inputs.cpu]]\n  tagpass = { x = [\"1\"] }\n",
            "a.b.c = 1\na.b.d = 2\n\"q r\".s = 3\n'e' = inf\n[x]\ny.z = 1\n[x.w]\nv = 0.5\n",
        ]

        @Test("documents have the same values", arguments: samples)
        func equal(text: String) throws {
            let (tree, issues) = TOMLParser.parse(Array(text.utf8), file: "f")
            #expect(issues == [])
            #expect(isEqual(tree.entries, try #require(reference(text))))
        }

        /// One direction only: toml++ aborts in an assertion on some broken texts, so it sees none that we refuse.
        @Test("a document with random changes that we accept means the same to toml++")
        func mutated() {
            var random = SeededRandom(state: 17)
            let pieces =
                Array("[]{}\"'=,.#\n\\_-+e01x ut").map(String.init) + [
                    "[a]\n", "a = 1\n", "[[l]]\n", "''", "\"\"\"", "0x", "\\u",
                ]
            var accepted = 0
            for round in 0..<4_000 {
                var characters = Array(TOMLDifferentialTests.samples[round % TOMLDifferentialTests.samples.count])
                for _ in 0..<Int.random(in: 1...2, using: &random) {
                    let index = Int.random(in: 0..<characters.count, using: &random)
                    let piece = Array(pieces.randomElement(using: &random) ?? "a")
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: characters.replaceSubrange(index...index, with: piece)
                    case 1: characters.insert(contentsOf: piece, at: index)
                    default: characters.remove(at: index)
                    }
                }
                let text = String(characters)
                let (tree, issues) = TOMLParser.parse(Array(text.utf8), file: "f")
                guard issues.isEmpty else { continue }
                accepted += 1
                guard let table = reference(text) else {
                    Issue.record("we accept what toml++ refuses: \(text.debugDescription)")
                    continue
                }
                #expect(isEqual(tree.entries, table), "values differ: \(text.debugDescription)")
            }
            #expect(accepted > 100)
        }
    }

    private struct SeededRandom: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) ^ (state << 31)
        }
    }
#endif
