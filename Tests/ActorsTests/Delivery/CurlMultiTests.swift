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
}
