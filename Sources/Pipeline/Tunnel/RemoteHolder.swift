/// The process at a server that serves one of our sessions, named so that a reused number is never taken for it: by
/// number, start time and boot.
public struct RemoteHolder: Sendable, Hashable {
    public let pid: UInt32
    /// Field 22 of `/proc/PID/stat`.
    public let startTime: UInt64
    /// `/proc/sys/kernel/random/boot_id`: 36 characters of hexadecimal digits and `-`.
    public let boot: String

    /// nil for what is no such process.
    public init?(pid: UInt64, startTime: UInt64, boot: String) {
        guard let number = UInt32(exactly: pid), number > 1, Self.isBoot(boot) else { return nil }
        self.pid = number
        self.startTime = startTime
        self.boot = boot
    }

    private static func isBoot(_ text: String) -> Bool {
        text.utf8.count == 36
            && text.utf8.allSatisfy { $0 &- 0x30 < 10 || $0 &- UInt8(ascii: "a") < 6 || $0 == UInt8(ascii: "-") }
    }

    /// A shell command that ends the process, if it is still the same one, and prints `ended` then: by force, since one
    /// that hangs does not obey. Only numbers and a checked word go into it.
    public var command: String {
        "test \"$(cut -d' ' -f22 /proc/\(pid)/stat 2>/dev/null)\" = \(startTime)"
            + " && test \"$(cat /proc/sys/kernel/random/boot_id)\" = \(boot) && kill -9 \(pid) && echo ended"
    }
}

/// What a server's shell tells of the session that asks.
///
/// Shape: `PID START BOOT CLIENT PORT SERVER PORT`, the last four from `SSH_CONNECTION`, which may be missing.
public struct SessionGreeting: Sendable, Hashable {
    /// What a shell runs to say it.
    public static let question =
        "echo $PPID $(cut -d' ' -f22 /proc/$PPID/stat) $(cat /proc/sys/kernel/random/boot_id) $SSH_CONNECTION"

    public var holder: RemoteHolder
    /// The server's own address of the connection; empty when it does not tell.
    public var serverAddress = ""

    /// nil for anything else; banners and errors of a shell are not believed.
    public init?(_ output: [UInt8]) {
        var cursor = ByteCursor(output)
        guard output.count <= 256, cursor.nextLine(), let pid = cursor.unsigned(), let start = cursor.unsigned(),
            let boot = cursor.word(),
            let holder = RemoteHolder(
                pid: pid, startTime: start, boot: String(decoding: output[boot], as: UTF8.self))
        else { return nil }
        self.holder = holder
        guard cursor.word() != nil, cursor.word() != nil, let address = cursor.word(), cursor.word() != nil else {
            return
        }
        let text = String(decoding: output[address], as: UTF8.self)
        if IPAddress(text) != nil { serverAddress = text }
    }
}

/// The processes of all tunnels that may still hold a port, kept over a restart of the agent.
///
/// Shape: a first line `godwit tunnel holders 1`, then per process a line `TUNNEL SERVER PID START BOOT`, oldest first.
/// Bounds: 8 processes a tunnel, 1,024 tunnels, 1 MiB. A line that is none is passed over.
public struct HolderBook: Sendable, Hashable {
    public static let holdersLimit = 8
    public static let tunnelsLimit = 1_024
    public static let bytesLimit = 1 << 20
    private static let head = Array("godwit tunnel holders 1".utf8)

    /// Whose processes: a tunnel of that name to that server.
    public struct Owner: Sendable, Hashable {
        public let tunnel: String
        public let server: String

        public init(_ spec: TunnelSpec) {
            tunnel = spec.name
            server = "\(spec.server)"
        }

        fileprivate init(_ tunnel: String, _ server: String) {
            self.tunnel = tunnel
            self.server = server
        }
    }

    private var holders: [Owner: [RemoteHolder]] = [:]

    public init() {}

    /// Reads what `encoded` wrote; anything else gives an empty book.
    public init(_ bytes: [UInt8]) {
        var cursor = ByteCursor(bytes)
        guard bytes.count <= Self.bytesLimit, cursor.nextLine(), cursor.equals(cursor.rest, Self.head) else { return }
        while cursor.nextLine() {
            guard let tunnel = cursor.word(), let server = cursor.word(), let pid = cursor.unsigned(),
                let start = cursor.unsigned(), let boot = cursor.word(),
                let holder = RemoteHolder(
                    pid: pid, startTime: start, boot: String(decoding: bytes[boot], as: UTF8.self))
            else { continue }
            let owner = Owner(
                String(decoding: bytes[tunnel], as: UTF8.self), String(decoding: bytes[server], as: UTF8.self))
            self[owner] = self[owner] + [holder]
        }
    }

    /// The processes of one tunnel, the newest last. A tunnel beyond the limit is not kept.
    public subscript(owner: Owner) -> [RemoteHolder] {
        get { holders[owner] ?? [] }
        set {
            guard holders[owner] != nil || holders.count < Self.tunnelsLimit else { return }
            holders[owner] = newValue.isEmpty ? nil : Array(newValue.suffix(Self.holdersLimit))
        }
    }

    /// Forgets tunnels that are not configured any more.
    public mutating func keep(_ owners: Set<Owner>) { holders = holders.filter { owners.contains($0.key) } }

    public var encoded: [UInt8] {
        var lines = [String(decoding: Self.head, as: UTF8.self)]
        for (owner, list) in holders.sorted(by: { ($0.key.tunnel, $0.key.server) < ($1.key.tunnel, $1.key.server) }) {
            lines += list.map { "\(owner.tunnel) \(owner.server) \($0.pid) \($0.startTime) \($0.boot)" }
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }
}
