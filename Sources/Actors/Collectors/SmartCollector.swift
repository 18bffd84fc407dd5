import Pipeline

/// Input `smart`: the health of disks, as the program `smartctl` tells of it.
///
/// Without `devices` two scans find them, then the program runs once a device. All runs of a tick share the end of
/// `timeout`, at the latest nine tenths of the interval. Without the program there is one error a tick and no point.
/// Rules: `docs/inputs.md`.
public actor SmartCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "smart", summary: "Health of disks, from the program smartctl.",
            options: [
                OptionSpec("path_smartctl", .string(""), "The program; empty: smartctl on PATH."),
                OptionSpec(
                    "path_nvme", .string(""), "The program nvme.",
                    ignoredBecause: "vendors' extensions of NVMe are not read"),
                OptionSpec(
                    "enable_extensions", .strings([]), "Vendors whose extensions are read.",
                    ignoredBecause: "vendors' extensions of NVMe are not read"),
                OptionSpec("use_sudo", .bool(false), "Run it through sudo -n."),
                OptionSpec("nocheck", .string("standby"), "Power state in which a disk is left alone; never: wake it."),
                OptionSpec("attributes", .bool(false), "Each attribute as a point of smart_attribute."),
                OptionSpec("excludes", .strings([]), "Devices that a scan finds and that are left out."),
                OptionSpec("devices", .strings([]), "Devices with their options, `/dev/sda -d sat`; empty: scan."),
                OptionSpec("tag_with_device_type", .bool(false), "Tag device_type with what -d says."),
                OptionSpec(
                    "timeout", .duration(.seconds(30)), "Longest time for all runs of a tick.", bounds: 0...3_600),
                OptionSpec(
                    "read_method", .string("concurrent"), "One device after the other, or all at once.",
                    choices: ["concurrent", "sequential"]),
            ], metrics: SmartReport.metrics)
    }

    /// Devices asked in one tick at most.
    private static let deviceLimit = 256

    private let host: any Host
    private let program: [String]
    private let options: OptionValues
    private var writer = PointWriter()

    /// Errors: a device that would be read as an option.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        self.options = options
        let path = options.string("path_smartctl")
        program = (options.bool("use_sudo") ? ["sudo", "-n"] : []) + [path.isEmpty ? "smartctl" : path]
        for device in options.strings("devices") where device.hasPrefix("-") || device.split(separator: " ").isEmpty {
            throw CollectorError("smart: \"\(device)\" is no device", option: "devices")
        }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let limit = options.duration("timeout") > .zero ? options.duration("timeout") : .seconds(30)
        let end = now + min(limit, (deadline - now) * 9 / 10)
        var gather = Gather()
        do {
            var devices = options.strings("devices")
            if devices.isEmpty { devices = try await scan(until: end) }
            if devices.count > SmartCollector.deviceLimit {
                gather.errors.append("\(devices.count) devices; only the first \(SmartCollector.deviceLimit) are read")
                devices.removeLast(devices.count - SmartCollector.deviceLimit)
            }
            let commands = devices.map(command)
            var ends: [ProgramEnd] = []
            if options.string("read_method") == "sequential" {
                for command in commands { ends += try await host.ends(of: [command], variables: [], until: end) }
            } else {
                ends = try await host.ends(of: commands, variables: [], until: end)
            }
            for (device, answer) in zip(devices, ends) { add(device, answer, time, &gather) }
        } catch let error as CollectorError {
            gather.errors.append(error.description)
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return Gather()
        }
        writer.finish()
        return gather
    }

    private func command(_ device: String) -> [String] {
        program + [
            "--info", "--health", "--attributes", "--tolerance=verypermissive", "-n", options.string("nocheck"),
            "--format=brief",
        ] + device.split(separator: " ").map(String.init)
    }

    /// What the program finds: NVMe devices first, since old versions find those only when asked for them.
    private func scan(until end: Instant) async throws -> [String] {
        let answers = try await host.ends(
            of: [["--scan", "--device=nvme"], ["--scan"]].map { program + $0 }, variables: [], until: end)
        var found: [String] = []
        for answer in answers {
            if answer.isMissing { throw SmartCollector.missing(program) }
            if let failure = answer.failure {
                let said = SmartCollector.words(of: answer).last.map { ": \($0.prefix(200))" } ?? ""
                throw CollectorError(answer.status == nil ? failure : "smartctl --scan: \(failure)\(said)")
            }
            for line in answer.output.split(separator: UInt8(ascii: "\n")) {
                let words = String(decoding: line, as: UTF8.self).split(separator: " ")
                // A line without blanks, such as a version, is no device.
                guard words.count > 1, words[0].hasPrefix("/") else { continue }
                let device = String(words[0])
                if !found.contains(device), !options.strings("excludes").contains(device) { found.append(device) }
            }
        }
        return found
    }

    /// The lines of what it said on both outputs.
    private static func words(of answer: ProgramEnd) -> [Substring] {
        (String(decoding: answer.output, as: UTF8.self) + "\n" + answer.complaint).split(separator: "\n")
    }

    private static func missing(_ program: [String]) -> CollectorError {
        CollectorError("the program \(program.last ?? "smartctl") is not there (Debian: apt install smartmontools)")
    }

    private func add(_ device: String, _ answer: ProgramEnd, _ time: Timestamp, _ gather: inout Gather) {
        let words = device.split(separator: " ", maxSplits: 1)
        let node = words.first ?? ""
        let name = String(node.split(separator: "/").last ?? node)
        guard let status = answer.status else {
            let reason = answer.isMissing ? SmartCollector.missing(program).description : answer.failure ?? ""
            gather.errors.append(answer.isMissing ? reason : "\(name): \(reason)")
            return
        }
        // Bit 0: the command line was not understood; bit 1: the device could not be opened, or sleeps.
        let said = SmartCollector.words(of: answer)
        if status & 1 != 0 {
            gather.errors.append("\(name): smartctl: \(said.last?.prefix(200) ?? "")")
            return
        }
        if status & 2 != 0, let line = said.first(where: { $0.contains("failed:") }) {
            gather.errors.append("\(name): smartctl: \(line.prefix(200))")
        }
        let type = options.bool("tag_with_device_type") && words.count == 2 ? String(words[1]) : ""
        let points = SmartReport.points(
            answer.output, device: name, type: type.hasPrefix("-d ") ? String(type.dropFirst(3)) : type,
            exitStatus: status, attributes: options.bool("attributes"))
        for point in points { writer.append(point, at: time, to: &gather.samples) }
    }
}
