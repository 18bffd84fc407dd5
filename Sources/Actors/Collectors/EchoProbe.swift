import CLinux
import Glibc
import Pipeline

/// ICMP echo requests to one address, over a socket of their own.
///
/// A raw socket where that is allowed, else the kernel's ping socket (`net.ipv4.ping_group_range`), or the other way
/// round. Answers are known by the random bytes that the request carried, so that probes beside each other, also those
/// of other programs, are never mixed up.
struct EchoProbe: Sendable {
    struct Settings: Sendable {
        var count: Int
        var interval: Duration
        var payloadBytes: Int
        var prefersRaw: Bool
        /// An interface or an address of this host; empty for the kernel's choice.
        var source: String
    }

    struct Outcome: Sendable {
        var sent = 0
        var trips = RoundTrips()
        /// Of the first answer.
        var hops: Int?
    }

    let settings: Settings
    let io: WorkLoop
    let clock: any Clock

    /// Sends all requests and waits for their answers until `end`. Errors: `HostError`, `CancellationError`.
    func run(to address: ProbeAddress, until end: Instant) async throws -> Outcome {
        let (socket, isRaw) = try open(address)
        socket.set(
            address.version == .ipv4 ? IPPROTO_IP : IPPROTO_IPV6,
            address.version == .ipv4 ? Int32(IP_RECVTTL) : Int32(IPV6_RECVHOPLIMIT), 1)
        // Datagram sockets only note the address; the answers of others do not come then.
        _ = try await socket.connect(to: address, until: end)
        var random = SystemRandomNumberGenerator()
        var message = EchoMessage(
            identifier: UInt16.random(in: 1 ... .max, using: &random), sequence: 0,
            payload: (0..<settings.payloadBytes).map { _ in UInt8.random(in: 0 ... .max, using: &random) })
        var outcome = Outcome()
        var pending: [UInt16: Instant] = [:]
        let start = clock.now
        for index in 0..<settings.count {
            let isLast = index + 1 == settings.count
            message.sequence = UInt16(truncatingIfNeeded: index + 1)
            pending[message.sequence] = KernelClock.monotonic()
            guard try await socket.send(message.request(address.version), until: end) else { break }
            outcome.sent += 1
            let next = isLast ? end : min(end, start + settings.interval * (index + 1))
            while !isLast || !pending.isEmpty {
                guard
                    let packet = try await socket.receivePacket(settings.payloadBytes + 128, until: next)
                else { break }
                let hasHeader = isRaw && address.version == .ipv4
                guard let reply = EchoMessage.reply(packet.bytes[...], address.version, hasHeader: hasHeader),
                    reply.payload == message.payload, !isRaw || reply.identifier == message.identifier,
                    let began = pending.removeValue(forKey: reply.sequence)
                else { continue }
                outcome.trips.add(max(.zero, packet.at - began))
                outcome.hops = outcome.hops ?? ControlMessages.hops(packet.control)
            }
            if clock.now >= end { break }
        }
        return outcome
    }

    private func open(_ address: ProbeAddress) throws(HostError) -> (ProbeSocket, isRaw: Bool) {
        let socket: ProbeSocket
        var isRaw = settings.prefersRaw
        do throws(HostError) {
            socket = try make(address, isRaw: isRaw)
        } catch {
            guard error.code == EPERM || error.code == EACCES || error.code == EPROTONOSUPPORT else { throw error }
            isRaw.toggle()
            do throws(HostError) { socket = try make(address, isRaw: isRaw) } catch {
                let hint = "needs CAP_NET_RAW, or a group within net.ipv4.ping_group_range"
                throw HostError(code: error.code, operation: "open an ICMP socket (\(hint))")
            }
        }
        if !settings.source.isEmpty { try bind(socket, address.family) }
        return (socket, isRaw)
    }

    private func make(_ address: ProbeAddress, isRaw: Bool) throws(HostError) -> ProbeSocket {
        try ProbeSocket(
            family: address.family, type: isRaw ? SOCK_RAW : SOCK_DGRAM,
            protocol: address.version == .ipv4 ? Int(IPPROTO_ICMP) : Int(IPPROTO_ICMPV6), io: io)
    }

    private func bind(_ socket: ProbeSocket, _ family: Int32) throws(HostError) {
        let result = ProbeAddress.lookUp(settings.source, port: "", family: family, isNumeric: true)
        if case .success(let addresses) = result, let source = addresses.first {
            guard source.withPointer({ Glibc.bind(socket.descriptor, $0, $1) }) == 0 else {
                throw HostError(code: errno, operation: "bind to \(settings.source)")
            }
            return
        }
        let name = Array(settings.source.utf8)
        guard setsockopt(socket.descriptor, SOL_SOCKET, SO_BINDTODEVICE, name, socklen_t(name.count)) == 0 else {
            throw HostError(code: errno, operation: "bind to interface \(settings.source)")
        }
    }
}
