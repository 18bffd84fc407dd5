import Pipeline
import Testing

@Suite("Sockets")
struct SocketTests {
    private let tail = " 00000000:00000000 00:00000000 00000000 0 0 101 1\n"

    private func table(_ rows: [String]) -> [UInt8] {
        Array(("heading\n" + rows.map { " 0: " + $0 + tail }.joined()).utf8)
    }

    private func tally(tcp: [String] = [], udp: [String] = []) -> SocketTally {
        var tally = SocketTally()
        ProcNetSockets.addInet(table(tcp), isTCP: true, isFirst: true, to: &tally)
        ProcNetSockets.addInet(table(udp), isTCP: false, isFirst: true, to: &tally)
        return tally
    }

    @Test("sockets of one kind, state and pair of addresses are one; IPv4 written as IPv6 is IPv4")
    func duplicates() {
        let any = "00000000:0016 00000000:0000 0A"
        let mapped = "0000000000000000FFFF000000000000:0016 0000000000000000FFFF000000000000:0000 0A"
        let anySix = "00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A"
        #expect(tally(tcp: [any, any, mapped]).tcp[10] == 1)
        #expect(tally(tcp: [any, anySix]).tcp[10] == 2)
        let other = tally(tcp: [any, "00000000:0016 00000000:0000 01", "00000000:0017 00000000:0000 0A"])
        #expect(other.tcp[10] == 2 && other.tcp[1] == 1)
        let both = tally(tcp: ["0100007F:0035 00000000:0000 07"], udp: ["0100007F:0035 00000000:0000 07"])
        #expect(both.tcp[7] == 1 && both.udp == 1)
    }

    @Test("odd lines and states are passed")
    func oddLines() {
        let odd = tally(tcp: [
            "0100007F 00000000:0000 0A", "0100007F:00G6 00000000:0000 0A", "0100007:0016 00000000:0000 0A",
            "0100007F:0016 00000000:0000 0C", "0100007F:0016 00000000:0000 FF",
        ])
        #expect(odd.tcp.enumerated().allSatisfy { $0.offset == 12 || $0.element == 0 })
        var short = SocketTally()
        ProcNetSockets.addInet(
            Array("0: 0100007F:0016 00000000:0000 0A 1 2 3\n".utf8), isTCP: true, isFirst: false, to: &short)
        #expect(short.tcp[10] == 0)
    }

    @Test("unix sockets: unnamed ones count each, named ones once a type and name")
    func unixSockets() throws {
        var tally = SocketTally()
        let text = """
            Num       RefCount Protocol Flags    Type St Inode Path
            0: 2 0 10000 0001 01 201 /run/a b
            0: 3 0 0 0001 03 202 /run/a b
            0: 2 0 10000 0001 01 203 /run/a c
            0: 3 0 0 0005 03 204
            0: 3 0 0 0002 03 205
            0: 3 0 0 0002 03 206 @x@
            0: 3 0 0

            """
        try ProcNetSockets.addUnix(Array(text.utf8), isFirst: true, to: &tally)
        #expect(tally.unixOthers == 3 && tally.unixDatagrams == 2)
        #expect(throws: ParseError.self) {
            try ProcNetSockets.addUnix(Array("0: 3 0 0 x 03 205\n".utf8), isFirst: false, to: &tally)
        }
    }

    @Test("a hundred thousand sockets are told apart, and the tally begins anew after them")
    func many() {
        var tally = SocketTally()
        for round in 0..<2 {
            for index in 0..<100_000 as Range<UInt32> {
                let remote = SocketTally.Address(v4: index, port: UInt16(truncatingIfNeeded: index))
                tally.addTCP(state: 1, local: SocketTally.Address(v4: 1, port: 80), remote: remote)
            }
            #expect(tally.tcp[1] == 100_000, "round \(round)")
        }
        tally.reset()
        #expect(tally.tcp[1] == 0)
        tally.reset()
        tally.addTCP(state: 1, local: .init(v4: 1, port: 1), remote: .init(v4: 1, port: 1))
        #expect(tally.tcp[1] == 1)
    }

    /// A message of the interface.
    private func message(_ type: UInt16, _ body: [UInt8], length: Int? = nil) -> [UInt8] {
        func native(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
        let padding = [UInt8](repeating: 0, count: (4 - body.count % 4) % 4)
        return native(UInt32(length ?? body.count + 16)) + native(UInt32(type)) + native(1) + native(0) + body + padding
    }

    private func socket(_ family: UInt8, _ state: UInt8, _ port: UInt8) -> [UInt8] {
        var body = [UInt8](repeating: 0, count: 72)
        body[0] = family
        body[1] = state
        body[5] = port
        return body
    }

    private func add(_ bytes: [UInt8], to tally: inout SocketTally) -> SocketDiag.Progress {
        bytes.withUnsafeBytes { SocketDiag.add($0, .tcp, to: &tally) }
    }

    @Test("sock_diag: sockets are counted up to the end of the answer; a refusal carries its errno")
    func answers() {
        var tally = SocketTally()
        let first = message(20, socket(2, 10, 22) + [5, 0, 8, 0, 0]) + message(20, socket(10, 10, 22))
        #expect(add(first, to: &tally) == .more)
        #expect(add(message(20, socket(2, 10, 22)) + message(3, [0, 0, 0, 0]), to: &tally) == .done)
        #expect(tally.tcp[10] == 2)
        #expect(add(message(2, [0xFE, 0xFF, 0xFF, 0xFF]), to: &tally) == .failed(2))
        #expect(add(message(3, [0xFE, 0xFF, 0xFF, 0xFF]), to: &tally) == .failed(2))
        #expect(add(message(20, socket(2, 10, 23), length: 500), to: &tally) == .failed(-1))
        #expect(add(message(20, [], length: 3), to: &tally) == .failed(-1))
        #expect(add(message(20, [2, 10]), to: &tally) == .more)
    }

    @Test("sock_diag and the tables agree on a socket's identity")
    func bothWays() {
        var tally = SocketTally()
        ProcNetSockets.addInet(table(["0100007F:0016 00000000:0000 0A"]), isTCP: true, isFirst: true, to: &tally)
        var body = socket(2, 10, 22)
        body[8] = 127
        body[11] = 1
        _ = add(message(20, body), to: &tally)
        #expect(tally.tcp[10] == 1)
    }

    @Test("answers and tables cut at every byte give counts or nothing, never a trap")
    func cuts() {
        let answer = message(20, socket(2, 10, 22)) + message(20, socket(10, 1, 2)) + message(3, [0, 0, 0, 0])
        let text = table(["0100007F:0016 00000000:0000 0A", "00000000000000000000000000000000:0016 0100007F:0016 01"])
        for end in 0...max(answer.count, text.count) {
            var tally = SocketTally()
            _ = add(Array(answer.prefix(end)), to: &tally)
            ProcNetSockets.addInet(Array(text.prefix(end)), isTCP: true, isFirst: true, to: &tally)
            try? ProcNetSockets.addUnix(Array(text.prefix(end)), isFirst: true, to: &tally)
        }
    }
}
