import Pipeline
import Testing

@testable import Actors

@Suite("CurlMulti")
struct CurlMultiTests {
    @Test("a name without an address fails in the same way each time, and a later request is not spoilt by it")
    func lookupFailures() async {
        let client = CurlMulti(loop: WorkLoop(name: "curl-test"))
        var request = HTTPRequest(.get, url: "http://no.such.host.invalid/", timeout: .seconds(60))
        request.connection.connectTimeout = .seconds(60)
        for isProbe in [false, true, true, false, false] {
            request.probe = isProbe ? HTTPProbe() : nil
            guard case .failure(let failure) = await client.perform(request) else {
                Issue.record("there is such a host")
                return
            }
            #expect(failure.kind == .dns)
        }
        await client.close()
    }

    @Test(
        "a proxy that cannot be used is complained about without its password",
        arguments: [
            "foo://user:s3cret@127.0.0.1:1", "http://user:s3cret@127.0.0.1:99999", "http://us er:s3cret@127.0.0.1:1",
            "user:s3cret@@127.0.0.1:1:1", "http://user:s3'cret@[::1",
            "http://user:" + String(repeating: "s3cret", count: 60) + "@[::1",
        ])
    func proxyPassword(_ proxy: String) async {
        let client = CurlMulti(loop: WorkLoop(name: "curl-test"))
        var request = HTTPRequest(.get, url: "http://127.0.0.1:1/", timeout: .seconds(30))
        request.connection.proxy = proxy
        guard case .failure(let failure) = await client.perform(request) else {
            Issue.record("there is no such proxy")
            return
        }
        #expect(failure.reason.hasPrefix("Unsupported proxy") && failure.reason.contains("***"))
        #expect(!failure.reason.contains("s3") && !failure.reason.contains("cret"))
        await client.close()
    }

    @Test("a percent sign is decoded before two hexadecimal digits and before nothing else")
    func percent() {
        let url = HTTPURL("http://%41%2f%-0:%+1%4@host/")
        #expect(url?.user == "A/%-0")
        #expect(url?.password == "%+1%4")
    }
}
