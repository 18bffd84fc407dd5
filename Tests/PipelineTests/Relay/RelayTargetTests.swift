import Testing

@testable import Pipeline

@Suite("What may be asked of the metadata relay")
struct RelayTargetTests {
    @Test("only what is listed is let through")
    func list() {
        #expect(RelayTarget(method: "POST", target: "/monitor/write") == .write(RelayWrite()))
        #expect(RelayTarget(method: "GET", target: "/monitor/ping?verbose=true") == .ping)
        #expect(RelayTarget(method: "HEAD", target: "/monitor/ping") == .ping)
        #expect(RelayTarget(method: "POST", target: "/monitor/query") == .query(statement: nil))
        #expect(RelayTarget(method: "GET", target: "/monitor/query?q=a+b%3D") == .query(statement: "a b="))
        #expect(RelayTarget(method: "GET", target: "/latest") == .metadata([]))
        #expect(RelayTarget(method: "GET", target: "/2016-09-02/meta-data/") == .metadata(["meta-data"]))
    }

    @Test("every other path is none, however it is written")
    func others() {
        for target in [
            "", "*", "/", "monitor/write", "/monitor", "/monitor/", "//monitor/write", "/monitor//write",
            "/monitor/./write", "/monitor/../write", "/monitor/%77rite", "/monitor%2fwrite", "/monitor/write/",
            "/monitor/write%00", "/monitor/write;a", "/Monitor/write", "/monitor\\write", "http://h/monitor/write",
            "/monitor/write\u{0}", "/monitor/wr\u{EF}te", "/monitor/api/v2/write", "/latest/..", "/latest/./x",
            "/latest//meta-data", "/latest/meta-data/.hidden", "/2016-9-02/meta-data", "/lateste/meta-data",
            "/latest/%6d", "/" + String(repeating: "a", count: 10_000),
        ] {
            for method in ["GET", "POST", "PUT"] {
                #expect(RelayTarget(method: method, target: target) == .refused(.path), "\(target.prefix(60))")
            }
        }
    }

    @Test("every other method is refused")
    func methods() {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "post", "TRACE", "CONNECT"] {
            #expect(RelayTarget(method: method, target: "/monitor/write") == .refused(.method(allowed: "POST")))
        }
        #expect(RelayTarget(method: "POST", target: "/monitor/ping") == .refused(.method(allowed: "GET, HEAD")))
        #expect(RelayTarget(method: "DELETE", target: "/monitor/query") == .refused(.method(allowed: "GET, POST")))
        #expect(RelayTarget(method: "PUT", target: "/latest/api/token") == .refused(.method(allowed: "GET, HEAD")))
    }

    @Test("of a write's parameters four are known, of several with one name the first counts")
    func parameters() {
        var expected = RelayWrite()
        expected.database = "other"
        expected.precision = .seconds
        expected.precisionText = "s"
        expected.retentionPolicy = "a b"
        expected.consistency = "all"
        let target = "/monitor/write?db=other&u=me&p=x&precision=s&precision=h&rp=a%20b&consistency=all&q=DROP&db=3"
        #expect(RelayTarget(method: "POST", target: target) == .write(expected))
        for wrong in ["precision=x", "consistency=some", "rp=a%0Ab", "rp=\(String(repeating: "a", count: 256))"] {
            guard case .refused(.parameter) = RelayTarget(method: "POST", target: "/monitor/write?" + wrong) else {
                Issue.record("\(wrong) was taken")
                continue
            }
        }
        #expect(FormFields(Array("a=%4&b=%zz&c=+&&=x&d".utf8))["b"] == "%zz")
        #expect(FormFields(Array("a=%4&b=%zz&c=+&&=x&d".utf8))["d"] == "")
    }

    @Test("one statement is known: the creation of the database")
    func statements() {
        for good in [
            "CREATE DATABASE \"my db\"", "create database \"my db\" ;", " Create\tDatabase\n\"my db\"",
        ] {
            #expect(DatabaseStatement.creates("my db", good), "\(good)")
        }
        for bad in [
            "", "CREATE DATABASE", "CREATE DATABASE my db", "CREATE DATABASE \"my db\"; DROP DATABASE x",
            "CREATE DATABASE \"my db", "CREATE DATABASE \"other\"", "DROP DATABASE \"my db\"",
            "CREATE DATABASE \"my db\" x",
            "CREATEDATABASE \"my db\"", "SELECT 1; CREATE DATABASE \"my db\"",
        ] {
            #expect(!DatabaseStatement.creates("my db", bad), "\(bad)")
        }
        #expect(DatabaseStatement.creates("telegraf", "CREATE DATABASE telegraf"))
        #expect(!DatabaseStatement.creates("telegraf", "CREATE DATABASE telegraf2"))
        #expect(DatabaseStatement.creates("a\"b", "CREATE DATABASE \"a\\\"b\""))
    }
}
