import Pipeline

/// Which block devices input `diskio` shows, and under which tags.
///
/// Roots: HOST_DEV, HOST_RUN and HOST_SYS where set, else below HOST_ROOT, else below HOST_MOUNT_PREFIX.
struct DiskIdentity {
    private let host: any Host
    private let devices: [String]
    /// nil when no entry of `devices` is a glob.
    private let globs: PatternList?
    private let showsSerial: Bool
    private let deviceTags: [String]
    private let templates: [String]

    init(options: OptionValues, host: any Host) throws {
        self.host = host
        devices = options.strings("devices")
        let hasGlob = devices.contains { $0.utf8.contains { "*?[".utf8.contains($0) } }
        globs = hasGlob ? try PatternList(devices) : nil
        showsSerial = !options.bool("skip_serial_number")
        deviceTags = options.strings("device_tags")
        templates = options.strings("name_templates")
    }

    /// nil when the device is not to be shown.
    func tags(of device: String) -> [Tag]? {
        if globs == nil, !devices.isEmpty, !devices.contains(where: { resolved($0) == device }) { return nil }
        // A name is a part of paths.
        guard !device.split(separator: "/").contains("..") else { return nil }
        let needsProperties = globs != nil || !deviceTags.isEmpty || !templates.isEmpty
        let properties = needsProperties ? properties(of: device) : nil
        if let globs, !globs.matches(device), !(properties?.links.contains { globs.matches($0) } ?? false) {
            return nil
        }
        var tags: [Tag] = []
        for key in deviceTags {
            if let value = properties?.values[key] { tags.append(Tag(key, value)) }
        }
        if let name = wwid(of: device) { tags.append(Tag("wwid", name)) }
        if showsSerial { tags.append(Tag("serial", serial(of: device))) }
        tags.append(Tag("name", properties?.name(templates) ?? device))
        return tags
    }

    /// The name of the device that an entry of `devices` means.
    private func resolved(_ entry: String) -> String {
        var path = entry.hasPrefix("/dev/") ? String(entry.dropFirst("/dev/".count)) : entry
        // The kernel itself follows at most 40.
        for _ in 0..<40 {
            let (root, place) = place(.dev, path)
            guard let target = host.linkTarget(root, place) else { break }
            let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
            let whole = target.hasPrefix("/") ? target : "/dev/\(folder)\(target)"
            let clean = String(decoding: MountSelection.clean(Array(whole.utf8)), as: UTF8.self)
            path = clean.hasPrefix("/dev/") ? String(clean.dropFirst("/dev/".count)) : clean
        }
        return path.split(separator: "/").last.map(String.init) ?? path
    }

    /// What udev and the kernel say; nil without a record.
    private func properties(of device: String) -> DeviceProperties? {
        guard let number = host.deviceNumber(node(device)) else { return nil }
        guard let record = bytes(.run, "udev/data/b\(number)") ?? bytes(.dev, ".udev/db/block:\(device)") else {
            return nil
        }
        var properties = DeviceProperties()
        properties.add(udev: record)
        let folder = "class/block/\(kernelName(device))"
        guard let uevent = bytes(.sys, folder + "/uevent") else { return properties }
        properties.add(uevent: uevent)
        if let path = path(folder) { properties.add(path: path + "/" + kernelName(device)) }
        return properties
    }

    /// Where the link `device` of a folder of /sys leads, as a path below /sys.
    private func path(_ folder: String) -> String? {
        guard let device = target(folder + "/device") else { return nil }
        let base = target(folder).map { "/class/block/" + $0 } ?? "/" + folder
        return String(decoding: MountSelection.clean(Array("\(base)/\(device)".utf8)), as: UTF8.self)
    }

    private func target(_ path: String) -> String? {
        let (root, place) = place(.sys, path)
        return host.linkTarget(root, place)
    }

    private func wwid(of device: String) -> String? {
        guard let bytes = bytes(.sys, "block/\(kernelName(device))/wwid") else { return nil }
        let text = String(decoding: bytes.last == 0x0A ? bytes.dropLast() : bytes[...], as: UTF8.self)
        return text.isEmpty ? nil : text
    }

    /// udev's ID_SERIAL, else model and serial number of the hardware.
    private func serial(of device: String) -> String {
        guard let number = host.deviceNumber(node(DiskSerial.node(of: device))) else { return DiskSerial.shown("") }
        if let record = bytes(.run, "udev/data/b\(number)") {
            var properties = DeviceProperties()
            properties.add(udev: record)
            // A value with `=` in it is not recognised by the reference either.
            if let serial = properties.values["ID_SERIAL"], !serial.utf8.contains(UInt8(ascii: "=")) {
                return DiskSerial.shown(serial)
            }
        }
        let major = number.prefix { $0 != ":" }
        guard let model = bytes(.sys, "dev/block/\(major):0/device/model"),
            let serial = bytes(.sys, "dev/block/\(major):0/device/serial")
        else { return DiskSerial.shown("") }
        return DiskSerial.shown(String(decoding: model + [UInt8(ascii: "_")] + serial, as: UTF8.self))
    }

    // MARK: Places

    /// As the kernel spells a device in /sys.
    private func kernelName(_ device: String) -> String {
        String(decoding: device.utf8.map { $0 == UInt8(ascii: "/") ? UInt8(ascii: "!") : $0 }, as: UTF8.self)
    }

    private func place(_ root: HostRoot, _ path: String) -> (HostRoot, String) {
        guard !host.isMoved(root) else { return (root, path) }
        let above = host.environment("HOST_ROOT")
        let prefix = above.isEmpty ? host.mountPrefix : above
        return prefix.isEmpty ? (root, path) : (.absolute, "\(prefix)/\(root.rawValue)/\(path)")
    }

    private func node(_ device: String) -> String { place(.dev, device).1 }

    private func bytes(_ root: HostRoot, _ path: String) -> [UInt8]? {
        let (root, path) = place(root, path)
        var buffer: [UInt8] = []
        do throws(HostError) { try host.read(HostFile(root, path, isKept: false), into: &buffer) } catch { return nil }
        return buffer
    }
}
