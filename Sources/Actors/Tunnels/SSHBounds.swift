import CSSH2
import Glibc
import Pipeline

/// What stands between a server and libssh2: all memory that libssh2 uses for a session, and in `SSHBounds+Receiving`
/// every byte that it reads.
///
/// Promises: the session's memory has a bound, and what libssh2 forgets is given back with the session; a block that
/// libssh2 gives back twice is given back once; behind each block there is room, because libssh2 1.10 reads beyond some
/// messages that are too short. Refuses memory for a packet that would end the process (`SSHFraming`).
///
/// Why: a server that we have to trust with our data is not trusted with our memory. Of the faults of libssh2 1.10 that
/// a server can use, those named here are corrected in 1.11.0 and later only.
/// Owned by an `SSHLink`, used on its loop only; libssh2 hands it to every callback.
final class SSHBounds {
    /// Beyond the largest packet, 40,000 bytes, libssh2 needs nothing but the session itself.
    private static let blockLimit = 40_064
    private static let sessionLimit = 1 << 20
    /// Zeros behind each block: an ed25519 host key that is cut short is read for its full 32 bytes.
    private static let slack = 64
    /// Zeros behind packets while questions are answered: the name in a keyboard-interactive question is copied by a
    /// length that was not compared with the packet's.
    private static let questionSlack = 40_064

    weak var link: SSHLink?
    var framing = SSHFraming()
    /// What may still be read in this round of the loop.
    var allowance = SSHAllowance(carries: false)
    /// Counts reads that brought something; compared for equality only.
    var arrivals: UInt64 = 0
    /// Bytes read before the server knew us.
    var strangersBytes = 0
    /// So much waits in memory that nothing more is read for a moment.
    var isOvergrown = false
    /// Until the session has rested, after work that carried nothing.
    var isResting = false
    /// What waits in memory for those who read channels, as last counted.
    var queuedBytes = 0

    private let bytesLimit: Int
    private var live: [UnsafeMutableRawPointer: Int] = [:]
    /// All that libssh2 holds for the session.
    private(set) var bytes = 0

    /// - Parameter queuedLimit: bytes that may wait for the connections of the session.
    init(queuedLimit: Int) { bytesLimit = queuedLimit.addingSaturated(16 << 20) }

    deinit { releaseAll() }

    /// Blocks of memory that libssh2 holds: about two a packet that waits.
    var blocks: Int { live.count }

    /// A session whose memory and reads are under these bounds; nil when there is no memory. The bounds must outlive it.
    func makeSession() -> OpaquePointer? {
        let session = libssh2_session_init_ex(
            { count, abstract in SSHBounds.of(abstract)?.allocate(count) },
            { block, abstract in SSHBounds.of(abstract)?.release(block) },
            { block, count, abstract in SSHBounds.of(abstract)?.reallocate(block, count) },
            Unmanaged.passUnretained(self).toOpaque())
        guard let session else { return nil }
        libssh2_session_set_blocking(session, 0)
        SSHMethods.offer(on: session)
        readThroughBounds(session)
        return session
    }

    /// The bounds that a callback of libssh2 was given.
    static func of(_ abstract: UnsafeMutablePointer<UnsafeMutableRawPointer?>?) -> SSHBounds? {
        abstract?.pointee.map { Unmanaged<SSHBounds>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: Memory

    /// Memory that libssh2 will give back by itself, as for a signature; nil when there is none.
    func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        let limit = live.isEmpty ? SSHBounds.sessionLimit : SSHBounds.blockLimit
        guard count >= 0, count <= limit, bytes.addingSaturated(count) <= bytesLimit else { return nil }
        var room = SSHBounds.slack
        if let link {
            switch framing.allocated(count, macLength: framing.isEncrypted ? SSHMethods.macLength(of: link.session) : 0)
            {
            case .unrelated: break
            case .packet: if link.attempt != nil { room = SSHBounds.questionSlack }
            case .malformed(let length):
                link.end(
                    TunnelFailure(.sessionLost, "the server sent a packet of \(length) bytes, which no cipher makes"))
                return nil
            }
        }
        guard let block = malloc(count + room) else { return nil }
        memset(block + count, 0, room)
        live[block] = count + room
        bytes += count + room
        return block
    }

    private func release(_ block: UnsafeMutableRawPointer?) {
        // libssh2 gives a host key back twice when a second key exchange breaks off.
        guard let block, let count = live.removeValue(forKey: block) else { return }
        bytes -= count
        free(block)
    }

    private func reallocate(_ block: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeMutableRawPointer? {
        guard let copy = allocate(count) else { return nil }
        if let block, let old = live[block] {
            // Slack included: the copy has room for it.
            copy.copyMemory(from: block, byteCount: min(old, count))
            release(block)
        }
        return copy
    }

    /// Gives back what is left. Nothing of the session may be used any more.
    func releaseAll() {
        for block in live.keys { free(block) }
        live = [:]
        bytes = 0
    }
}
