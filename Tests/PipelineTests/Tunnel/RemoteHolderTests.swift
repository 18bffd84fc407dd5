import Testing

@testable import Pipeline

/// What a server says of the process that serves us, and how it is kept over a restart.
@Suite("Processes at servers")
struct RemoteHolderTests {
    private static let boot = "0f8fad5b-d9cb-469f-a165-70867728950e"

    private func holder(_ pid: UInt64, _ start: UInt64 = 7) throws -> RemoteHolder {
        try #require(RemoteHolder(pid: pid, startTime: start, boot: Self.boot))
    }

    private func owner(_ name: String, _ host: String = "192.0.2.1") -> HolderBook.Owner {
        HolderBook.Owner(TunnelSpec(name: name, server: NetworkPlace(host, 22), user: "u"))
    }

    @Test("a greeting is a process, its boot and perhaps the server's address")
    func greeting() throws {
        let whole = try #require(
            SessionGreeting(Array("4242 987654 \(Self.boot) 192.0.2.9 5001 172.31.25.194 22\n".utf8)))
        #expect(whole.holder == RemoteHolder(pid: 4242, startTime: 987_654, boot: Self.boot))
        #expect(whole.serverAddress == "172.31.25.194")
        let bare = try #require(SessionGreeting(Array("4242 987654 \(Self.boot)\n".utf8)))
        #expect(bare.serverAddress == "")
        #expect(
            SessionGreeting(Array("4242 987654 \(Self.boot) c 1 not;an;address 22\n".utf8))?.serverAddress == "")
    }

    @Test(
        "what is no such greeting is not believed",
        arguments: [
            "", "4242", "4242 5", "1 5 BOOT", "0 5 BOOT", "x 5 BOOT", "4242 x BOOT", "-1 5 BOOT", "99999999999 1 BOOT",
            "4242 5 $(reboot)", "4242 5 0f8fad5b", "Welcome!\n4242 5 BOOT",
        ])
    func noGreeting(_ text: String) {
        #expect(SessionGreeting(Array(text.replacing("BOOT", with: Self.boot).utf8)) == nil)
    }

    @Test("the command names number, start and boot, and nothing else of the server's")
    func command() throws {
        let text = try holder(4242, 99).command
        #expect(text.contains("/proc/4242/stat") && text.contains("= 99 ") && text.contains(Self.boot))
        #expect(text.hasSuffix("kill -9 4242 && echo ended"))
    }

    @Test("a book reads back what it wrote, also cut at any byte")
    func book() throws {
        var book = HolderBook()
        book[owner("b")] = [try holder(10), try holder(11)]
        book[owner("a", "2001:db8::1")] = [try holder(12)]
        let bytes = book.encoded
        #expect(HolderBook(bytes) == book)
        #expect(HolderBook(bytes)[owner("b")].map(\.pid) == [10, 11])
        for length in 0..<bytes.count { _ = HolderBook(Array(bytes[..<length])) }
        #expect(HolderBook(Array("something else\n".utf8)) == HolderBook())
    }

    @Test("a tunnel to another server does not inherit, a tunnel that is gone is forgotten, each keeps eight")
    func bounds() throws {
        var book = HolderBook()
        book[owner("b")] = try (2..<20).map { try holder($0) }
        #expect(book[owner("b")].map(\.pid) == Array(12..<20))
        #expect(book[owner("b", "192.0.2.2")] == [])
        book[owner("c")] = [try holder(50)]
        book.keep([owner("c")])
        #expect(book[owner("b")] == [] && book[owner("c")].count == 1)
        for number in 0..<2_000 { book[owner("t\(number)")] = [try holder(9)] }
        #expect(book.encoded.count < HolderBook.bytesLimit)
        #expect(HolderBook(book.encoded) == book)
    }
}
