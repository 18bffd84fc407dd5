import Testing

@testable import Pipeline

@Suite("Secrets")
struct SecretTests {
    @Test("a secret is not printed, described or reflected")
    func hidden() {
        let secret = Secret("canary-1")
        var dumped = ""
        dump(secret, to: &dumped)
        dump(OptionValue.secret(secret), to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), "\([secret])", "\(OptionValue.secret(secret))", dumped] {
            #expect(!text.contains("canary"))
        }
        #expect(secret.description == "***")
        #expect(secret.revealed == "canary-1")
    }

    @Test(
        "URLs lose user information and the values of their query",
        arguments: [
            ("https://h:8086/x", "https://h:8086/x"), ("https://user:canary@h:1/x", "https://***@h:1/x"),
            ("http://h/write?u=a&p=canary", "http://h/write?u=***&p=***"), ("user:canary@h", "***@h"),
            ("https://user:can/ary@h/", "https://***@h/"), ("", ""), ("http://[::1]:8086", "http://[::1]:8086"),
            ("http://u:canary@h?p=canary&x", "http://***@h?p=***&x"),
        ])
    func urls(url: String, expected: String) {
        #expect(Secret.redacted(url: url) == expected)
    }
}
