import Testing

@testable import Pipeline

/// Where the name of a target may lead.
@Suite("Addresses that a name may lead to")
struct AddressRuleTests {
    private func refuses(_ rule: AddressRule, _ text: String) throws -> Bool {
        let address = try #require(IPAddress(text))
        return rule.refusal(of: address) { $0.description == "192.0.2.1" || $0.description == "::1" } != nil
    }

    @Test("addresses of a link and of meta-data are for who names them alone")
    func linkLocal() throws {
        let all: [AddressRange] = ["0.0.0.0/0", "::/0"].compactMap(AddressRange.init)
        for text in [
            "169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "fe80::1", "febf::1", "fd00:ec2::254",
            "64:ff9b::a9fe:a9fe", "100.100.100.200", "168.63.129.16",
        ] {
            for rule in [AddressRule(.any), AddressRule(.own), AddressRule(.listed(all))] {
                #expect(try refuses(rule, text), "\(text)")
            }
            #expect(try !refuses(AddressRule(.any, literal: IPAddress(text)), text), "\(text)")
        }
        for text in ["169.253.0.1", "fec0::1", "fd00:ec2::253", "64:ff9b::a00:1", "127.0.0.1"] {
            #expect(try !refuses(AddressRule(.any), text), "\(text)")
        }
    }

    @Test("a name without more leads to this machine, or to what is listed")
    func reach() throws {
        #expect(try !refuses(AddressRule(.own), "192.0.2.1"))
        #expect(try !refuses(AddressRule(.own), "::1"))
        #expect(try refuses(AddressRule(.own), "192.0.2.2"))
        let listed = AddressRule(.listed([try #require(AddressRange("198.51.100.0/24"))]))
        #expect(try !refuses(listed, "198.51.100.7"))
        #expect(try refuses(listed, "192.0.2.1"))
    }
}
