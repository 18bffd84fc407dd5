import CLinux
import Glibc

/// Who is at the other end of a unix socket, as the kernel vouches for it at the time of `connect`.
public struct PeerCredentials: Sendable, Hashable {
    public var pid: Int32
    public var uid: UInt32
    public var gid: UInt32
    /// Supplementary groups.
    public var groups: [UInt32]

    public init(pid: Int32, uid: UInt32, gid: UInt32, groups: [UInt32] = []) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
        self.groups = groups
    }

    /// Reads them from a connected socket; nil when the kernel does not tell, which is to be treated as a stranger.
    ///
    /// Source: SO_PEERCRED and SO_PEERGROUPS, unix(7). Bounds: more than 1,024 groups count as none.
    public static func read(_ descriptor: Int32) -> PeerCredentials? {
        var credentials = godwit_ucred()
        guard godwit_peer_credentials(descriptor, &credentials) == 0 else { return nil }
        var groups = [UInt32](repeating: 0, count: 1_024)
        var size = socklen_t(groups.count * MemoryLayout<UInt32>.size)
        let peerGroups: Int32 = 59  // SO_PEERGROUPS, hidden behind _GNU_SOURCE
        let failure = getsockopt(descriptor, SOL_SOCKET, peerGroups, &groups, &size)
        let count = failure == 0 ? Int(size) / MemoryLayout<UInt32>.size : 0
        return PeerCredentials(
            pid: credentials.pid, uid: credentials.uid, gid: credentials.gid, groups: Array(groups.prefix(count)))
    }
}

/// What a peer may do.
public enum PeerRight: Sendable, Hashable, Comparable {
    case nothing
    /// Look at the status.
    case read
    /// Also change things and see live points.
    case control
}

/// The rule: uid 0 and our own uid may do everything, members of one group may read, everybody else nothing.
public struct PeerAccess: Sendable, Hashable {
    public var ownUID: UInt32
    public var readGroup: UInt32?

    public init(ownUID: UInt32, readGroup: UInt32?) {
        self.ownUID = ownUID
        self.readGroup = readGroup
    }

    public func right(of peer: PeerCredentials?) -> PeerRight {
        guard let peer else { return .nothing }
        if peer.uid == 0 || peer.uid == ownUID { return .control }
        guard let readGroup else { return .nothing }
        return peer.gid == readGroup || peer.groups.contains(readGroup) ? .read : .nothing
    }

    /// The number of a group; nil when this host has none of that name.
    public static func group(named name: String) -> UInt32? {
        guard !name.isEmpty else { return nil }
        return getgrnam(name)?.pointee.gr_gid
    }
}
