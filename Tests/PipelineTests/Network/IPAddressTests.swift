import Testing

@testable import Pipeline

@Suite struct IPAddressTests {
    @Test(
        "the text forms of RFC 4291",
        arguments: [
            ("192.0.2.1", [192, 0, 2, 1] as [UInt8]?), ("0.0.0.0", [0, 0, 0, 0]),
            ("::1", [UInt8](repeating: 0, count: 15) + [1]), ("::", [UInt8](repeating: 0, count: 16)),
            ("2001:db8::8:0:200c", [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0x20, 0x0C]),
            ("::ffff:192.0.2.1", [192, 0, 2, 1]),
            ("1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]),
            ("fe80::", [0xFE, 0x80] + [UInt8](repeating: 0, count: 14)),
            ("", nil), ("1.2.3", nil), ("1.2.3.256", nil), ("01.2.3.4", nil), ("1.2.3.4.5", nil), ("+1.2.3.4", nil),
            (":", nil), (":::", nil), ("1::2::3", nil), ("1:2:3:4:5:6:7", nil), ("1:2:3:4:5:6:7:8:9", nil),
            ("12345::", nil), ("g::", nil), ("::1%eth0", nil), ("1.2.3.4::", nil), ("1:2:3:4:5:6:7::8", nil),
        ])
    func text(row: (String, [UInt8]?)) {
        #expect(IPAddress(row.0)?.bytes == row.1)
    }

    @Test("a network holds the addresses that share its first bits")
    func ranges() throws {
        func holds(_ range: String, _ address: String) throws -> Bool {
            try #require(AddressRange(range)).contains(try #require(IPAddress(address)))
        }
        #expect(try holds("192.0.2.0/24", "192.0.2.255"))
        #expect(try !holds("192.0.2.0/24", "192.0.3.0"))
        #expect(try holds("192.0.2.8/30", "192.0.2.11"))
        #expect(try !holds("192.0.2.8/30", "192.0.2.12"))
        #expect(try holds("192.0.2.1", "::ffff:192.0.2.1"))
        #expect(try holds("0.0.0.0/0", "255.1.2.3"))
        #expect(try !holds("0.0.0.0/0", "::1"))
        #expect(try holds("2001:db8::/33", "2001:db8:7fff::1"))
        #expect(try !holds("2001:db8::/33", "2001:db8:8000::1"))
        for text in ["", "/", "192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/a", "host/8"] {
            #expect(AddressRange(text) == nil, "\(text)")
        }
    }

    @Test("addresses to listen on")
    func listen() {
        #expect(ListenAddress(":9273")?.host == nil)
        #expect(ListenAddress(":9273")?.port == 9273)
        #expect(ListenAddress("127.0.0.1:1")?.host?.bytes == [127, 0, 0, 1])
        #expect(ListenAddress("localhost:1")?.host?.bytes == [127, 0, 0, 1])
        #expect(ListenAddress("[::1]:65535")?.host?.isV6 == true)
        for text in [
            "", "9273", "host:1", "::1:1", "127.0.0.1:", "127.0.0.1:65536", "[127.0.0.1]:1", "[::1]", "tcp://:1",
        ] {
            #expect(ListenAddress(text) == nil, "\(text)")
        }
    }

    @Test("Base64, the test vectors of RFC 4648")
    func base64() {
        let vectors = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "foobar": "Zm9vYmFy"]
        for (text, expected) in vectors { #expect(Base64.encoded(Array(text.utf8)) == Array(expected.utf8)) }
        #expect(Base64.encoded([0xFB, 0xFF]) == Array("+/8=".utf8))
        let credentials = Base64.basicCredentials(user: "Aladdin", password: Secret("open sesame"))
        #expect(credentials == Array("QWxhZGRpbjpvcGVuIHNlc2FtZQ==".utf8))
    }
}
