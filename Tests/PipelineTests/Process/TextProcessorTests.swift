import Testing

@testable import Pipeline

private typealias Tag = Pipeline.Tag

@Suite("Processors of text")
struct TextProcessorTests {
    private func check(_ text: String, _ point: Point, gives expected: String?, _ line: Int = #line) throws {
        let results = try Processing.run(text, [point])
        #expect(results.first.map(Processing.line) == expected, "line \(line)")
    }

    private let request = Point(
        "nginx_requests", tags: [Tag("verb", "GET"), Tag("resp_code", "200")],
        fields: [
            "request": .string("/api/search/?category=plugins&q=regex"), "client_ip": .string("::1"), "n": .int(2),
        ],
        time: .zero)

    @Test("regex: values with replacement, result key and appending")
    func regexValues() throws {
        let rest = #"client_ip="::1",n=2i,request="/api/search/?category=plugins&q=regex""#
        try check(
            #"""
            [[processors.regex]]
            [[processors.regex.tags]]
            key = "resp_*"
            pattern = "^(\\d)\\d\\d$"
            replacement = "${1}xx"
            """#, request, gives: "nginx_requests,resp_code=2xx,verb=GET " + rest)
        try check(
            #"""
            [[processors.regex]]
            [[processors.regex.tags]]
            key = "resp_code"
            pattern = '^2\d\d$'
            replacement = " OK"
            result_key = "verb"
            append = true
            """#, request, gives: #"nginx_requests,resp_code=200,verb=GET\ OK "# + rest)
        try check(
            #"""
            [[processors.regex]]
            [[processors.regex.fields]]
            key = "request"
            pattern = ".*category=(\\w+).*"
            replacement = "${1}"
            result_key = "category"
            [[processors.regex.fields]]
            key = "n"
            pattern = ".*"
            replacement = "text only"
            """#, request, gives: #"nginx_requests,resp_code=200,verb=GET category="plugins","# + rest)
    }

    @Test("regex: named groups become fields, names are replaced")
    func regexNames() throws {
        try check(
            #"""
            [[processors.regex]]
            [[processors.regex.fields]]
            key = "request"
            pattern = '^/api/(?P<method>\w+)[/?].*category=(?P<category>\w+)&(?:.*)'
            [[processors.regex.field_rename]]
            pattern = "^client_(\\w+)$"
            replacement = "${1}"
            [[processors.regex.metric_rename]]
            pattern = '^(\w+)_.*$'
            replacement = "${1}"
            """#, request,
            gives: #"nginx,resp_code=200,verb=GET category="plugins",ip="::1",method="search",n=2i,"#
                + #"request="/api/search/?category=plugins&q=regex""#)
        let both = Point("m", tags: [Tag("a_x", "1"), Tag("x", "2")], fields: ["f": .int(1)], time: .zero)
        let rename = "[[processors.regex]]\n[[processors.regex.tag_rename]]\npattern = \"^a_\"\nreplacement = \"\"\n"
        try check(rename, both, gives: "m,a_x=1,x=2 f=1i")
        try check(rename + "result_key = \"keep\"", both, gives: "m,a_x=1,x=2 f=1i")
        try check(rename + "result_key = \"overwrite\"", both, gives: "m,x=1 f=1i")
        let same =
            "[[processors.regex]]\n[[processors.regex.field_rename]]\npattern = \"f\"\nreplacement = \"f\"\nresult_key = \"overwrite\""
        try check(same, both, gives: "m,a_x=1,x=2 f=1i")
    }

    @Test("strings: the examples of the documentation")
    func strings() throws {
        let log = Point(
            "iis_log", tags: [Tag("method", "get"), Tag("uri_stem", "/API/HealthCheck")],
            fields: ["cs-host": .string("MIXEDCASE_host"), "http_version": .float(1.1)], time: .zero)
        try check(
            """
            [[processors.strings]]
            [[processors.strings.lowercase]]
            tag = "uri_stem"
            [[processors.strings.trim_prefix]]
            tag = "uri_stem"
            prefix = "/api/"
            [[processors.strings.uppercase]]
            field = "cs-host"
            dest = "cs-host_normalised"
            """, log,
            gives:
                #"iis_log,method=get,uri_stem=healthcheck cs-host="MIXEDCASE_host",cs-host_normalised="MIXEDCASE_HOST",http_version=1.1"#
        )
        let keys = Point("iis_log", tags: [Tag("URI-Stem", "/API")], fields: ["v": .float(1.1)], time: .zero)
        try check(
            """
            [[processors.strings]]
            [[processors.strings.replace]]
            tag_key = "uri-stem"
            old = "-"
            new = "_"
            [[processors.strings.lowercase]]
            tag_key = "URI-Stem"
            """, keys, gives: "iis_log,uri_stem=/API v=1.1")
    }

    @Test("strings: each function")
    func functions() {
        func check(_ function: StringsRule.Function, _ text: String, gives expected: String, _ line: Int = #line) {
            #expect(function.result(text) == expected, "line \(line)")
        }
        check(.lowercase, "ÄB", gives: "äb")
        check(.uppercase, "straße", gives: "STRAßE")
        check(.titlecase, "one two-three it's a_b 1st", gives: "One Two-Three It's A_b 1st")
        check(.trim("", left: true, right: true), " \t a b \n", gives: "a b")
        check(.trim("xy", left: true, right: true), "xyaxby", gives: "axb")
        check(.trim("x", left: true, right: false), "xax", gives: "ax")
        check(.trim("x", left: false, right: true), "xax", gives: "xa")
        check(.trim("", left: true, right: true), "   ", gives: "")
        check(.trimPrefix("my_"), "my_my_x", gives: "my_x")
        check(.trimPrefix("my_"), "my", gives: "my")
        check(.trimSuffix("_count"), "read_count", gives: "read")
        check(.replace(old: ":", new: "_"), "a:b::c", gives: "a_b__c")
        check(.replace(old: "a", new: ""), "aaa", gives: "aaa")
        check(.replace(old: "", new: "-"), "ab", gives: "-a-b-")
        check(.replace(old: "aa", new: "b"), "aaa", gives: "ba")
        check(.left(3), "abcdef", gives: "abc")
        check(.left(3), "aéé", gives: "aé")
        check(.left(0), "a", gives: "")
        check(.base64Decode, "aG93ZHk=", gives: "howdy")
        check(.base64Decode, "not base64!", gives: "not base64!")
        check(.base64Decode, "/w==", gives: "/w==")
        check(.validUTF8("?"), "a\u{FFFD}\u{FFFD}b", gives: "a?b")
    }

    @Test("strings: all keys and values with *")
    func everything() throws {
        let point = Point("a:b", tags: [Tag("K", "V")], fields: ["F": .string("T"), "N": .int(1)], time: .zero)
        try check(
            """
            [[processors.strings]]
            [[processors.strings.replace]]
            measurement = "*"
            old = ":"
            new = "_"
            [[processors.strings.lowercase]]
            tag = "*"
            tag_key = "*"
            field = "*"
            field_key = "*"
            dest = "ignored"
            """, point, gives: #"a_b,k=v f="t",n=1i"#)
    }
}
