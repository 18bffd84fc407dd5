import Testing

@testable import Pipeline

/// Where a server's packets end, and how long it may be read for nothing.
@Suite("Bounds of a session")
struct SSHBoundsTests {
    /// Does what libssh2 does with the bytes of a server: asks, takes memory, asks for the rest. Returns the lengths of
    /// the packets, or the first verdict that was none.
    private func play(
        _ bytes: [UInt8], plainPackets: Int, macLength: Int, pieces: Int, _ lengths: inout [Int]
    ) -> SSHFraming.Verdict {
        var framing = SSHFraming()
        var rest = bytes[...]
        var number = 0
        func take(_ framing: inout SSHFraming, _ wanted: Int) -> [UInt8] {
            let piece = Array(rest.prefix(min(wanted, pieces)))
            rest = rest.dropFirst(piece.count)
            piece.withUnsafeBytes { framing.handed($0) }
            return piece
        }
        while !rest.isEmpty {
            let isPlain = number < plainPackets
            var head: [UInt8] = []
            while head.count < (isPlain ? 5 : 16), !rest.isEmpty {
                let room = framing.room(for: 16_384 - head.count)
                if room == 0 { return .unrelated }
                head += take(&framing, room)
            }
            guard head.count == (isPlain ? 5 : 16) else { break }
            let length = head[..<4].reduce(0) { $0 << 8 | Int($1) }
            lengths.append(length)
            let count = length - 1 + (isPlain ? 0 : macLength)
            let verdict = framing.allocated(count, macLength: macLength)
            guard verdict == .packet else { return verdict }
            var missing = isPlain ? count : count - 11
            while missing > 0, !rest.isEmpty {
                let got = take(&framing, framing.room(for: 16_384)).count
                missing -= got
                // libssh2 takes memory for other things meanwhile.
                if missing > 0 { #expect(framing.allocated(length - 1, macLength: macLength) == .unrelated) }
            }
            number += 1
        }
        return .packet
    }

    private func packet(_ length: Int, mac: Int = 0) -> [UInt8] {
        [UInt8(length >> 24), UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)]
            + [UInt8](repeating: 4, count: length + mac)
    }

    @Test("each packet is told from the next, plain and encrypted, in pieces of any size")
    func packets() {
        for pieces in [1, 3, 5, 16, 17, 1_000, 100_000] {
            let bytes = packet(12) + packet(700) + packet(28, mac: 32) + packet(12, mac: 32) + packet(35_004, mac: 32)
            var lengths: [Int] = []
            #expect(play(bytes, plainPackets: 2, macLength: 32, pieces: pieces, &lengths) == .packet)
            #expect(lengths == [12, 700, 28, 12, 35_004])
        }
    }

    @Test("an encrypted packet that is no whole number of blocks is refused before it is decrypted")
    func lengths() {
        for length in 1...200 {
            var lengths: [Int] = []
            let verdict = play(
                packet(28, mac: 20) + packet(length, mac: 20), plainPackets: 0, macLength: 20, pieces: 99, &lengths)
            let isWhole = length >= 12 && (length + 4) % 16 == 0
            #expect(verdict == (isWhole ? .packet : .malformed(length: length)), "length \(length)")
        }
    }

    @Test("a first line is read byte by byte and counts for no packet")
    func banner() {
        var framing = SSHFraming()
        for byte in Array("SSH-2.0-x\r\n".utf8) {
            #expect(framing.room(for: 1) == 1)
            withUnsafeBytes(of: byte) { framing.handed($0) }
        }
        #expect(framing.room(for: 16_384) == 5)
        #expect(!framing.isEncrypted)
    }

    @Test("work that carries nothing is rested from, most of the time, and given up after five rests")
    func barren() {
        var now = Instant(nanoseconds: 0)
        var work = BarrenWork(now: now)
        var busy = Duration.zero
        while !work.isHopeless {
            now = now + .milliseconds(20)
            busy += .milliseconds(20)
            if let rest = work.worked(.milliseconds(20), carried: false, now: now) { now = now + rest }
            #expect(now < Instant(nanoseconds: 60_000_000_000))
        }
        #expect(now > Instant(nanoseconds: 9_000_000_000))
        #expect(busy < (now - Instant(nanoseconds: 0)) / 40)
    }

    @Test("a session that carries something, or has little to do, is never rested from")
    func fruitful() {
        var now = Instant(nanoseconds: 0)
        var work = BarrenWork(now: now)
        for _ in 0..<1_000 {
            now = now + .milliseconds(20)
            #expect(work.worked(.milliseconds(20), carried: true, now: now) == nil)
        }
        for _ in 0..<1_000 {
            now = now + .milliseconds(100)
            #expect(work.worked(.milliseconds(1), carried: false, now: now) == nil)
        }
        #expect(!work.isHopeless)
    }
}
