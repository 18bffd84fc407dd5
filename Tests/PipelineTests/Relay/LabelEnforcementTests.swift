import Testing

@testable import Pipeline

@Suite("Labels of guests on line protocol")
struct LabelEnforcementTests {
    private static let labels = [
        Tag("tenant_id", "t 1"), Tag("vm_id", "id-a"), Tag("vm_name", "web, a=b \"x\" \\y"), Tag("zone", ""),
    ]
    private static let rendered = #",tenant_id=t\ 1,vm_id=id-a,vm_name=web\,\ a\=b\ "x"\ \y"#

    private struct Outcome {
        var text: String
        var issues: LineIssues
        var tally: LabelEnforcement.Tally
    }

    private func rewrite(
        _ bytes: [UInt8], foreign: LabelEnforcement.ForeignRule = .rewrite, piece: Int = .max,
        limits: LabelEnforcement.Limits = LabelEnforcement.Limits()
    ) -> Outcome {
        let enforcement = LabelEnforcement(
            labels: Self.labels, guarded: ["host"], foreign: foreign, limits: limits)
        var position = LineProtocolParser.Position()
        var out = ByteWriter()
        var outcome = Outcome(text: "", issues: LineIssues(), tally: LabelEnforcement.Tally())
        bytes.withUnsafeBufferPointer { bytes in
            var isMore = true
            while isMore {
                isMore = enforcement.rewrite(
                    bytes, from: &position, pieceBytes: piece, into: &out, &outcome.tally, &outcome.issues)
                outcome.text += String(decoding: out.bytes, as: UTF8.self)
                out.removeAll()
            }
        }
        return outcome
    }

    private func check(_ line: String, gives expected: String, location: SourceLocation = #_sourceLocation) {
        let outcome = rewrite(Array(line.utf8))
        #expect(outcome.issues.texts == [], sourceLocation: location)
        #expect(
            outcome.text == expected.replacing("<>", with: Self.rendered) + "\n", sourceLocation: location)
    }

    private func refuses(_ line: String, _ reason: LineIssue.Reason, location: SourceLocation = #_sourceLocation) {
        let outcome = rewrite(Array("good f=1 1\n\(line)\ngood f=2 2\n".utf8))
        #expect(outcome.issues.named.first == LineIssue(line: 2, reason), sourceLocation: location)
        let good = "good\(Self.rendered) f=1 1\ngood\(Self.rendered) f=2 2\n"
        #expect(outcome.text == good, sourceLocation: location)
    }

    @Test("labels stand behind the measurement, everything else stays byte for byte")
    func kept() {
        check("m f=1 1", gives: "m<> f=1 1")
        check("m f=1", gives: "m<> f=1")
        check(
            "m,b=2,a=1 f=1i,g=\"x, y\",h=t,i=-1.50e3,j=7u 1", gives: "m<>,b=2,a=1 f=1i,g=\"x, y\",h=t,i=-1.50e3,j=7u 1")
        check(#"m\,\ x,k\=1=v\,w f\ g=1 -5"#, gives: #"m\,\ x<>,k\=1=v\,w f\ g=1 -5"#)
        check("  m,a=1   f=1 \t 5 \r", gives: "m<>,a=1 f=1 5")
        check(#"m,path=c:\dir\x f="a\"b\\" 1"#, gives: #"m<>,path=c:\dir\x f="a\"b\\" 1"#)
        check("m,\u{4E2D}=\u{6587} f=1 1", gives: "m<>,\u{4E2D}=\u{6587} f=1 1")
    }

    @Test("what a guest says under a label's name is gone, in every spelling")
    func claims() {
        for claim in [
            "vm_id=x", "vm-id=x", "vm.id=x", #"vm\ id=x"#, #"vm\,id=x"#, #"vm\=id=x"#, "vm\u{E9}id=x", "zone=x",
            "host=x",
            "vm_id=x,vm_id=y,host=z", "tenant_id=t", "vm/id=x",
        ] {
            check("m,\(claim),keep=1 f=1 1", gives: "m<>,keep=1 f=1 1")
        }
        check("m,vm_idx=1,xvm_id=2,VM_ID=3,vm__id=4 f=1 1", gives: "m<>,vm_idx=1,xvm_id=2,VM_ID=3,vm__id=4 f=1 1")
    }

    @Test("lines that name somebody else are counted, and refused where that is asked")
    func foreign() {
        let text = Array("m,vm_id=id-a f=1 1\nm,vm_id=id-b f=2 2\nm f=3 3\n".utf8)
        #expect(rewrite(text).tally == .init(lines: 3, foreign: 1))
        let outcome = rewrite(text, foreign: .reject)
        #expect(outcome.tally == .init(lines: 2, foreign: 1))
        #expect(outcome.issues.named == [LineIssue(line: 2, .foreignIdentity)])
    }

    @Test("what databases read in different ways is refused")
    func ambiguous() {
        refuses(#"m\\,vm_id=id-b f=1 1"#, .ambiguousEscape)
        refuses(#"m,a=x\\,vm_id\=id-b f=1 1"#, .ambiguousEscape)
        refuses(#"m,a\\=x=y f=1 1"#, .ambiguousEscape)
        refuses("m\u{0},a=1 f=1 1", .controlCharacter)
        refuses("m,a=1\u{0} f=1 1", .controlCharacter)
        refuses("m,a=1\rm,vm_id=x f=1 1", .controlCharacter)
        refuses("m,a=1 f\u{7F}=1 1", .controlCharacter)
        // Under a name that goes away it harms nobody.
        check(#"m,vm_name=a\\,b f=1 1"#, gives: "m<> f=1 1")
    }

    @Test("a bad line costs that line")
    func broken() {
        refuses("m", .missingFields)
        refuses("m,a=1", .missingFields)
        refuses(",a=1 f=1 1", .missingMeasurement)
        refuses("m,=1 f=1 1", .missingTagKey)
        refuses("m,a= f=1 1", .missingTagValue)
        refuses("m,vm_id= f=1 1", .missingTagValue)
        refuses("m,a=b=c f=1 1", .missingTagValue)
        refuses("m f=x 1", .badBool)
        refuses("m f=1 1 2", .afterTime)
        refuses("m f=1 99999999999999999999", .timeOutOfRange)
        refuses("m f=\"x\" y", .badTime)
        refuses("m,vm_id=a\\", .missingFields)
    }

    @Test("a line end inside of a string stays inside of the line")
    func lineEnds() {
        check("m f=\"a\nm,vm_id=id-b f=9 9\nb\" 1", gives: "m<> f=\"a\\nm,vm_id=id-b f=9 9\\nb\" 1")
        let outcome = rewrite(Array("m f=\"a\n\" 1\nbad\nm f=2 2".utf8))
        #expect(outcome.issues.named.first?.line == 3)
    }

    @Test("comments and empty lines are left out")
    func comments() {
        #expect(rewrite(Array("# a\n\n \t\r\n#b\rm,vm_id=x f=1 1\n".utf8)).text == "")
        #expect(rewrite([]).text == "")
    }

    @Test("lines, heads, tags and fields have bounds")
    func bounds() {
        var limits = LabelEnforcement.Limits()
        limits.lineBytes = 100
        limits.headBytes = 200
        limits.tags = 3
        limits.fields = 2
        func reason(_ line: String) -> LineIssue.Reason? {
            rewrite(Array(line.utf8), limits: limits).issues.named.first?.reason
        }
        #expect(reason("m f=1") == nil)
        #expect(reason("m f=\"\(String(repeating: "x", count: 100))\"") == .tooLong)
        #expect(reason("m,a=\(String(repeating: "x", count: 101)) f=1") == .tooLong)
        #expect(reason("m,a=\(String(repeating: "\u{E9}", count: 40)),b=1 f=1") == nil)
        #expect(reason("m,a=1,b=2,c=3,d=4 f=1") == .tooManyTags)
        #expect(reason("m f=1,g=2,h=3") == .tooManyFields)
        limits.headBytes = 70
        #expect(reason("m,a=aaaaaaaaaaaaaaaaaaaaaaaaaa f=1") == .tooLong)
    }

    @Test("pieces are the same lines")
    func pieces() {
        let text = Array((1...50).map { "m,n=\($0) f=\"\n\" \($0)\nbad\n" }.joined().utf8)
        let whole = rewrite(text)
        let pieces = rewrite(text, piece: 1)
        #expect(whole.text == pieces.text && whole.tally == pieces.tally && whole.issues == pieces.issues)
        #expect(whole.tally.lines == 50 && whole.issues.count == 50)
    }

    @Test("a text cut anywhere gives whole lines with the labels and nothing else")
    func cut() {
        let text = Array("m,vm_id=x,a\\ b=1 f=\"q\\\"\n\",g=1.5e3,h=true 17\n#c\nn,b=c i=5i\nbad,=\nz f=1u 2\n".utf8)
        for length in 0...text.count {
            for line in rewrite(Array(text[..<length])).text.split(separator: "\n") {
                #expect(["m", "n", "z"].contains { line.hasPrefix($0 + Self.rendered) }, "cut at \(length)")
                #expect(LineProtocolParser.isWhole(String(line)))
            }
        }
    }
}

extension LineProtocolParser {
    /// Whether a line is read without complaint.
    fileprivate static func isWhole(_ line: String) -> Bool {
        var parser = LineProtocolParser()
        let (samples, issues) = parser.parse(all: Array(line.utf8), at: .zero)
        return issues.count == 0 && samples.rows.count == 1
    }
}

extension LabelEnforcement.Tally {
    fileprivate init(lines: Int, foreign: Int) {
        self.init()
        self.lines = lines
        self.foreign = foreign
    }
}
