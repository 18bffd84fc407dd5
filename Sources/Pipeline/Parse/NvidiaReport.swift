/// What `nvidia-smi -q -x` prints, as points.
///
/// Shape: `<nvidia_smi_log>` with `driver_version`, `cuda_version` and a `<gpu>` for each card, whose leaves are texts
/// with units: `<total>8112 MiB</total>`, `<current_link_width>16x</current_link_width>`, `N/A`. Names of some elements
/// changed with the version of the document type (v10 to v13): all are tried, the later of two wins.
/// Units: as printed: %, MiB, W, MHz, °C, KB/s.
public enum NvidiaReport {
    /// What a field holds.
    public enum Kind: Sendable {
        case int, float, text
        /// `Active` is 1, `Not Active` 0.
        case flag
    }

    /// The points of all cards.
    public static func points(_ bytes: [UInt8]) throws(ParseError) -> [ParsedPoint] {
        let document = try XMLDocument.parse(bytes, source: "nvidia-smi")
        guard document.root.name == "nvidia_smi_log" else {
            throw ParseError("nvidia-smi", "the outermost element is not nvidia_smi_log")
        }
        // Those versions know the architecture, but Telegraf makes no tag of it.
        let hasArchitecture = !["_v10.", "_v11."].contains { document.documentType.contains($0) }
        var points: [ParsedPoint] = []
        for (index, gpu) in document.root.children.filter({ $0.name == "gpu" }).enumerated() {
            points.append(card(gpu, index, document.root, hasArchitecture))
            for device in gpu["mig_devices"]?.children ?? [] where device.name == "mig_device" {
                points.append(partition(device, gpu, hasArchitecture))
            }
            for process in gpu["processes"]?.children ?? [] where process.name == "process_info" {
                points.append(self.process(process))
            }
        }
        return points
    }

    private static func tag(_ point: inout ParsedPoint, _ gpu: XMLElement, _ hasArchitecture: Bool) {
        point.tag("pstate", gpu.text(at: "performance_state"))
        point.tag("name", gpu.text(at: "product_name"))
        if hasArchitecture { point.tag("arch", gpu.text(at: "product_architecture")) }
        point.tag("uuid", gpu.text(at: "uuid"))
        point.tag("compute_mode", gpu.text(at: "compute_mode"))
    }

    private static func card(
        _ gpu: XMLElement, _ index: Int, _ log: XMLElement, _ hasArchitecture: Bool
    ) -> ParsedPoint {
        var point = ParsedPoint("nvidia_smi", tags: [Tag("index", "\(index)")])
        tag(&point, gpu, hasArchitecture)
        for name in ["driver_version", "cuda_version"] { point[name] = value(.text, log.text(at: name)) }
        for (name, kind, paths) in cardFields {
            for path in paths { point[name] = value(kind, gpu.text(at: path)) }
        }
        return point
    }

    private static func partition(_ device: XMLElement, _ gpu: XMLElement, _ hasArchitecture: Bool) -> ParsedPoint {
        var point = ParsedPoint("nvidia_smi_mig")
        point.tag("index", device.text(at: "index"))
        point.tag("gpu_index", device.text(at: "gpu_instance_id"))
        point.tag("compute_index", device.text(at: "compute_instance_id"))
        tag(&point, gpu, hasArchitecture)
        for (name, path) in partitionFields { point[name] = value(.int, device.text(at: path)) }
        return point
    }

    private static func process(_ process: XMLElement) -> ParsedPoint {
        var point = ParsedPoint("nvidia_smi_process")
        point.tag("name", process.text(at: "process_name"))
        point.tag("type", process.text(at: "type"))
        for name in ["pid", "used_memory"] { point[name] = value(.int, process.text(at: name)) }
        return point
    }

    /// The value of a leaf without its unit; nil for what is not available.
    static func value(_ kind: Kind, _ text: String) -> ParsedPoint.Value? {
        guard !text.isEmpty, text != "N/A", text != "Requested functionality has been deprecated" else { return nil }
        var number: Substring { (text.split(separator: " ").first ?? "").trimmingSuffix("x") }
        switch kind {
        case .text: return .string(text)
        case .int: return Int64(number).map { .int($0) }
        case .float: return Double(number).flatMap { $0.isFinite ? .float($0) : nil }
        case .flag: return text == "Active" ? .int(1) : text == "Not Active" ? .int(0) : nil
        }
    }
}

extension Substring {
    fileprivate func trimmingSuffix(_ suffix: String) -> Substring { hasSuffix(suffix) ? dropLast(suffix.count) : self }
}
