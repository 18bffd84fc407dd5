import Testing

@testable import Pipeline

@Suite("XMLDocument")
struct XMLDocumentTests {
    private func parse(_ text: String) throws(ParseError) -> XMLDocument {
        try XMLDocument.parse(Array(text.utf8), source: "x")
    }

    private static let sample = """
        <?xml version="1.0" ?>
        <!DOCTYPE log SYSTEM "nvsmi_device_v12.dtd" [<!ENTITY a "b">]>
        <!-- a < comment -->
        <log a="1>2" b='"'>
        \t<name> A &amp; B &lt;&#65;&#x42;&unknown; </name>
        \t<empty/><also x="/"></also>
        \t<inner><leaf>1</leaf><leaf>2</leaf><![CDATA[<raw> &amp;]]></inner>
        </log>
        """

    @Test("elements, texts, entities, CDATA and the document type are read; attributes and comments are passed")
    func reads() throws {
        let document = try parse(XMLDocumentTests.sample)
        #expect(document.documentType.contains("nvsmi_device_v12.dtd"))
        #expect(document.root.name == "log")
        #expect(document.root.children.map(\.name) == ["name", "empty", "also", "inner"])
        #expect(document.root.text(at: "name") == "A & B <AB&unknown;")
        #expect(document.root.text(at: "inner") == "<raw> &amp;")
        #expect(document.root["inner"]?.children.map(\.text) == ["1", "2"])
        #expect(document.root.text(at: "inner/leaf") == "1")
        #expect(document.root.text(at: "inner/none/leaf") == "")
    }

    @Test(
        "what is no document is an error",
        arguments: [
            "", "text", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a/>x", "< a/>", "<a", "<!--", "<!DOCTYPE a",
            "<![CDATA[x]]>",
            "<a x=\"></a>",
        ])
    func errors(text: String) {
        #expect(throws: ParseError.self) { try parse(text) }
    }

    @Test("depth and number of elements are bounded")
    func bounds() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
        }
        _ = try parse(nested(XMLDocument.depthLimit))
        #expect(throws: ParseError.self) { try parse(nested(XMLDocument.depthLimit + 1)) }
        #expect(throws: ParseError.self) {
            try parse("<a>" + String(repeating: "<b/>", count: XMLDocument.elementLimit) + "</a>")
        }
    }

    @Test("cut anywhere it is an error, but for what stands behind the last element")
    func cuts() {
        let bytes = Array(XMLDocumentTests.sample.utf8)
        for end in 0..<bytes.count {
            #expect(throws: ParseError.self) { try XMLDocument.parse(Array(bytes[..<end]), source: "x") }
        }
    }
}
