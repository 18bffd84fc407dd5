import Actors
import Pipeline

/// A folder with `case.json`: gathers of one input, step by step, each compared with its expected points.
struct FolderCase {
    let folder: String
    let name: String

    /// The versions that stand for themselves in expected texts.
    private static let placeholders: [(String, String)] = {
        let kernel = FixtureHost().kernel
        return [("<uname -m>", kernel.machine), ("<uname -r>", kernel.release)]
    }()

    func run(_ report: inout Report) async {
        do {
            let description = try Files.json("\(folder)/case.json")
            guard let plugin = description["plugin"]?.string else { throw CaseError("no plugin named") }
            guard let input = InputRegistry.plugin(plugin) else {
                report.skip(plugin, name, "input \(plugin) does not exist")
                return
            }
            report.add(plugin, name, differences: await differences(description, input))
        } catch {
            report.add("cases", name, differences: ["\(error)"])
        }
    }

    private func differences(_ description: JSONValue, _ input: InputPlugin) async -> [String] {
        var differences: [String] = []
        let host = FixtureHost()
        var clock = Instant(nanoseconds: 1_000_000_000_000)
        var wall = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
        var instance: Result<any Collector, CaseError>?
        // The same with the fields that stock Telegraf does not have: only its declaration is looked at.
        var whole: (any Collector)?
        for (index, step) in (description["steps"]?.array ?? []).enumerated() {
            // Longer than anything is remembered that the case did not set itself.
            let elapsed = step["mock"]?["elapsed_ms"]?.int64.map { Duration.milliseconds($0) } ?? .seconds(120)
            clock += elapsed
            wall = wall + elapsed
            host.enter(world(step))
            if step["config"] != nil || instance == nil {
                let config = step["config"] ?? description["config"] ?? .object([])
                instance = make(input, config, host)
                whole = wholeInstance(input, config, host)
            }
            if let gather = await whole?.gather(at: wall, now: clock, deadline: clock + .seconds(10)) {
                differences += MetricSpec.undeclared(in: gather.samples, input.spec.metrics)
                    .map { "step \(index): not declared: \($0)" }
            }
            let gather: Gather
            switch instance {
            case .success(let collector):
                gather = await collector.gather(at: wall, now: clock, deadline: clock + .seconds(10))
            case .failure(let error): gather = Gather(errors: [error.description])
            case nil: continue
            }
            do {
                differences += try compare(gather, step).map { "step \(index): \($0)" }
            } catch {
                differences.append("step \(index): \(error)")
            }
        }
        return differences
    }

    private func make(
        _ input: InputPlugin, _ config: JSONValue, _ host: FixtureHost
    ) -> Result<any Collector, CaseError> {
        do {
            let options = try ConfigValues.options(input.spec.options, from: config)
            return .success(try input.make(options, host))
        } catch {
            return .failure(CaseError("\(error)"))
        }
    }

    private func wholeInstance(
        _ input: InputPlugin, _ config: JSONValue, _ host: FixtureHost
    ) -> (any Collector)? {
        var members = config.members ?? []
        if input.spec.options.contains(where: { $0.name == "rates" }) {
            members.removeAll { $0.key == "rates" }
            members.append(JSONMember("rates", .bool(true)))
        }
        guard case .success(let collector) = make(input, .object(members), host) else { return nil }
        return collector
    }

    private func world(_ step: JSONValue) -> FixtureHost.Step {
        var world = FixtureHost.Step()
        let keys: [(HostRoot, String)] = [
            (.proc, "proc"), (.sys, "sys"), (.run, "run"), (.etc, "etc"), (.variable, "var"), (.dev, "dev"),
        ]
        for (root, key) in keys {
            if let path = step[key]?.string { world.folders[root] = "\(folder)/\(path)" }
        }
        for member in step["env"]?.members ?? [] { world.environment[member.key] = member.value.string ?? "" }
        if let table = world.environment[HostRoot.mountTable.environmentName] {
            world.folders[.mountTable] = "\(folder)/\(table)"
        }
        world.mock = step["mock"] ?? .null
        for member in step["ntpq"]?.members ?? [] {
            if let file = member.value["stdout"]?.string {
                world.ntpq[member.key] = .output(Files.read("\(folder)/\(file)") ?? [])
            } else if let file = member.value["fails"]?.string {
                world.ntpq[member.key] = .failed((Files.read("\(folder)/\(file)") ?? []).trimmedText)
            }
        }
        return world
    }

    private func compare(_ gather: Gather, _ step: JSONValue) throws -> [String] {
        guard let file = step["expected"]?.string, let bytes = Files.read("\(folder)/\(file)") else {
            throw CaseError("no expected points")
        }
        var text = String(decoding: bytes, as: UTF8.self)
        for (placeholder, value) in FolderCase.placeholders { text = text.replacing(placeholder, with: value) }
        var differences = try LineComparison.differences(
            expected: Array(text.utf8), actual: try LineComparison.lines(of: gather.samples))
        if let errors = step["errors"]?.array {
            if errors.count != gather.errors.count {
                differences.append("\(gather.errors.count) errors, not \(errors.count): \(gather.errors)")
            }
        } else if step["error"] != nil {
            if gather.errors.isEmpty { differences.append("no error was reported") }
        } else if !gather.errors.isEmpty {
            differences.append("errors were reported: \(gather.errors)")
        }
        return differences
    }
}

extension String {
    /// Every `part` replaced, without Foundation.
    fileprivate func replacing(_ part: String, with other: String) -> String {
        var rest = Array(utf8)[...]
        let pattern = Array(part.utf8)
        var out: [UInt8] = []
        while let first = rest.first {
            if rest.starts(with: pattern) {
                out += Array(other.utf8)
                rest = rest.dropFirst(pattern.count)
            } else {
                out.append(first)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
