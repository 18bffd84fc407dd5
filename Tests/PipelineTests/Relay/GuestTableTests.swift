import Testing

@testable import Pipeline

@Suite("Guests of the metadata relay")
struct GuestTableTests {
    static let text = """
        [[guests]]
        addresses = ["192.168.0.5", "fd00::5"]
        labels = { vm_id = "id-a", vm_name = "web 1", zone = "z1", tenant = "" }
        metadata = { mac = "00:22", "public-keys/0/openssh-key" = "ssh-rsa A" }

        [[guests]]
        addresses = ["192.168.0.5"]
        namespace = "vpc-2"
        labels = { vm_id = "id-b" }
        """

    private func parse(_ text: String) -> (table: GuestTable?, issues: [String]) {
        let (table, issues) = GuestTable.parse(Array(text.utf8), file: "guests.toml")
        return (table, issues.map { "\($0)" })
    }

    @Test("a guest is known by its address and the namespace that was asked")
    func places() throws {
        let table = try #require(parse(Self.text).table)
        let address = try #require(IPAddress("192.168.0.5"))
        let sixth = try #require(IPAddress("fd00:0:0::5"))
        #expect(table.guest(at: Guest.Place(address))?.id == "id-a")
        #expect(table.guest(at: Guest.Place(sixth))?.id == "id-a")
        #expect(table.guest(at: Guest.Place(address, namespace: "vpc-2"))?.id == "id-b")
        #expect(table.guest(at: Guest.Place(address, namespace: "vpc-3")) == nil)
        #expect(table.guest(at: Guest.Place(sixth, namespace: "vpc-2")) == nil)
        #expect(table.contains(id: "id-b") && !table.contains(id: "id-c"))
    }

    @Test("a mistake is named with its line, and then there is no table at all")
    func mistakes() {
        let good = "[[guests]]\naddresses = [\"192.0.2.1\"]\nlabels = { vm_id = \"x\" }\n"
        for (text, complaint) in [
            (
                "[[guests]]\naddresses = [\"192.0.2.2\"]\n",
                "guests.toml:4: guests.labels: a guest needs the label vm_id"
            ),
            ("[[guests]]\nlabels = { vm_id = \"y\" }\n", "guests.toml:4: guests.addresses: a guest has 1 to 64"),
            ("[[guests]]\naddresses = [\"192.0.2.1\"]\nlabels = { vm_id = \"y\" }\n", "belongs to \"x\" too"),
            (
                "[[guests]]\naddresses = [\"192.0.2.2\", \"192.0.2.2\"]\nlabels = { vm_id = \"y\" }\n",
                "stands here twice"
            ),
            ("[[guests]]\naddresses = [\"192.0.2.2\"]\nlabels = { vm_id = \"x\" }\n", "two guests have the vm_id"),
            ("[[guests]]\naddresses = [\"fe80::1\"]\nlabels = { vm_id = \"y\" }\n", "guests.toml:5: guests.addresses"),
            ("[[guests]]\naddresses = [\"0.0.0.0\"]\nlabels = { vm_id = \"y\" }\n", "no address that belongs to one"),
            ("[[guests]]\naddresses = [\"192.0.2.2\"]\nlabels = { vm_id = \"y\\nz\" }\n", "control characters"),
            ("[[guests]]\naddress = [\"192.0.2.2\"]\n", "nearest: \"addresses\""),
            ("[guest]\n", "holds [[guests]] and nothing else"),
            ("[[guests", "guests.toml:4"),
        ] {
            let (table, issues) = parse(good + text)
            #expect(table == nil, "\(text)")
            #expect(issues.contains { $0.contains(complaint) }, "\(issues)")
        }
        #expect(parse("").table == GuestTable())
        #expect(parse(String(repeating: "[[guests]]\n", count: 5_000)).issues.count <= 21)
    }

    @Test("a table cut anywhere is a table or an error")
    func cut() {
        let bytes = Array(Self.text.utf8)
        for length in 0...bytes.count {
            let (table, issues) = GuestTable.parse(Array(bytes[..<length]), file: "x")
            #expect((table == nil) == issues.hasErrors)
        }
    }

    @Test("meta-data follows from labels and addresses, and tells nothing of the tenant")
    func metadata() throws {
        let guest = try #require(parse(Self.text).table?.guests.first)
        func page(_ path: String) -> String? {
            MetadataTree.page(path.split(separator: "/").map(String.init), for: guest)
        }
        #expect(page("") == "meta-data/\nuser-data\n")
        #expect(page("user-data") == "")
        #expect(page("meta-data/instance-id") == "id-a")
        #expect(page("meta-data/hostname") == "web 1")
        #expect(page("meta-data/local-ipv4") == "192.168.0.5")
        #expect(page("meta-data/local-ipv6") == "fd00::5")
        #expect(page("meta-data/placement") == "availability-zone\n")
        #expect(page("meta-data/public-keys") == "0/\n")
        #expect(page("meta-data/public-keys/0/openssh-key") == "ssh-rsa A")
        #expect(
            page("meta-data")
                == "ami-launch-index\nhostname\ninstance-id\nlocal-hostname\nlocal-ipv4\nlocal-ipv6\nmac\nplacement/\n"
                + "public-keys/\n")
        for path in ["tenant", "meta-data/tenant", "meta-data/instance-id/x", "meta-data/plac", "user-data/x"] {
            #expect(page(path) == nil, "\(path)")
        }
    }

    @Test("addresses have one text")
    func addresses() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("::", "::"), ("fd00:ec2::254", "fd00:ec2::254"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1::", "1::"),
        ] {
            #expect(IPAddress(text)?.description == shown, "\(text)")
        }
    }
}

@Suite("Limits of guests")
struct GuestLimiterTests {
    private func limiter(_ change: (inout GuestLimiter.Limits) -> Void) -> GuestLimiter {
        var limits = GuestLimiter.Limits()
        limits.requests = 3
        limits.requestsPerGuest = 2
        limits.requestsPerSecond = 1
        limits.bytesPerSecond = 100
        change(&limits)
        return GuestLimiter(limits: limits)
    }

    private func at(_ seconds: Double) -> Instant { Instant.zero + .seconds(seconds) }

    @Test("places are those of one guest while it sends, and those of all at the database")
    func places() {
        var limiter = limiter { _ in }
        #expect(limiter.admit("a", now: at(0)) == .admitted)
        #expect(limiter.admit("a", now: at(0)) == .admitted)
        #expect(limiter.admit("a", now: at(0)) == .busy(.guestRequests, retryAfter: .seconds(1)))
        #expect(limiter.admit("b", now: at(0)) == .admitted)
        limiter.release("a")
        #expect(limiter.admit("a", now: at(0)) == .admitted)
        limiter.release("nobody")
        let four = (0..<4).map { _ in limiter.begin() }
        #expect(four == [true, true, true, false])
        limiter.finish()
        let another = limiter.begin()
        #expect(another)
        #expect(limiter.working == 3)
    }

    @Test("ten seconds' worth of requests can be had at once, then one a second")
    func rate() {
        var limiter = limiter {
            $0.requestsPerGuest = 100
            $0.requests = 100
        }
        for _ in 0..<10 { #expect(limiter.admit("a", now: at(0)) == .admitted) }
        #expect(limiter.admit("a", now: at(0.5)) == .busy(.guestRate, retryAfter: .seconds(0.5)))
        #expect(limiter.admit("a", now: at(1)) == .admitted)
        #expect(limiter.admit("b", now: at(1)) == .admitted)
    }

    @Test("who has sent too much waits until it is paid")
    func bytes() {
        var limiter = limiter { _ in }
        #expect(limiter.admit("a", now: at(0)) == .admitted)
        limiter.charge("a", bytes: 1_500, now: at(0))
        limiter.release("a")
        #expect(limiter.admit("a", now: at(1)) == .busy(.guestBytes, retryAfter: .seconds(4)))
        #expect(limiter.admit("a", now: at(5)) == .admitted)
    }

    @Test("other limits count from now on, and guests that are gone are forgotten once they have ended")
    func changes() {
        var limiter = limiter { _ in }
        #expect(limiter.admit("a", now: at(0)) == .admitted)
        #expect(limiter.admit("a", now: at(0)) == .admitted)
        limiter.keep { _ in false }
        #expect(limiter.admit("a", now: at(0)) == .busy(.guestRequests, retryAfter: .seconds(1)))
        limiter.release("a")
        limiter.release("a")
        limiter.keep { _ in false }
        var limits = limiter.limits
        limits.requestsPerSecond = 0.1
        limiter.configure(limits)
        #expect(limiter.admit("a", now: at(0)) == .admitted)
        #expect(limiter.admit("a", now: at(0)) == .busy(.guestRate, retryAfter: .seconds(10)))
    }

    @Test("the ledger's lists are bounded and its totals outlive the guests")
    func ledger() throws {
        var ledger = RelayLedger()
        for number in 0..<20 {
            var write = RelayLedger.Write()
            write.lines = number
            write.bytes = number
            ledger.began(.write, guest: "g\(number)", now: at(0))
            ledger.wrote(write, guest: "g\(number)")
            ledger.stranger(Guest.Place(try #require(IPAddress("192.0.2.\(number)"))))
        }
        ledger.refused(.unknownGuest, guest: nil)
        #expect(ledger.strangers.count == RelayLedger.strangersLimit)
        ledger.keep { $0 == "g7" || $0 == "g9" }
        #expect(ledger.top(1, now: at(3)).map(\.guest) == ["g9"])
        #expect(ledger.guests.count == 2 && ledger.total.lines == 190 && ledger.total.refused == 1)
        var status = RelayStatus()
        status.fill(ledger, now: at(3))
        #expect(status.top.first?.lastSeen == .seconds(3))
        #expect(status.json["total"]?["lines"]?.int == 190)
        #expect(StatusText.relay(status).contains { $0.contains("192.0.2.19") })
    }
}
