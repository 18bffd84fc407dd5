import Pipeline

/// What real PushProx programs said on the wire, through the parsers of both ends: each recorded block is as long as it
/// says, each message inside another one is read for what the record shows it to be, and nothing that is cut is taken
/// for whole. The exchanges themselves are replayed by `Tests/EndToEnd/test_pushprox_samples.py`.
///
/// Shape: the `INDEX.md` of that folder.
struct PushProxSamples {
    static let defaultFolder = "../shared/fixtures/pushprox"
    private static let group = "pushprox"

    /// Bytes that went one way over one connection, one after another.
    private struct Block {
        var connection: String
        var isRequest: Bool
        var bytes: [UInt8]
    }

    /// One message of a block: its head, and its body without framing.
    private struct Message {
        var head: InnerHead
        var body: [UInt8]
        var isWhole: Bool
    }

    static func run(_ folder: String, _ report: inout Report) {
        guard Files.isFolder(folder) else { return report.skip(group, "pushprox", "no folder \(folder)") }
        for name in Files.names(folder) where name.hasSuffix(".txt") {
            // Pages, tables and decrypted answers, which tell no number of bytes.
            guard !["23-", "26-", "31-"].contains(where: { name.hasPrefix($0) }) else { continue }
            do {
                let blocks = try blocks(Files.read("\(folder)/\(name)") ?? [])
                guard !blocks.isEmpty else { throw CaseError("no blocks") }
                var differences: [String] = []
                for block in blocks { differences += check(block, name) }
                report.add(group, "pushprox/\(name)", differences: differences)
            } catch {
                report.add(group, "pushprox/\(name)", differences: ["\(error)"])
            }
        }
    }

    // MARK: The file

    private static func blocks(_ file: [UInt8]) throws -> [Block] {
        var blocks: [Block] = []
        var wanted: Int?
        for line in file.split(separator: 0x0A) {
            switch line.first {
            case UInt8(ascii: "@"):
                if let wanted, blocks.last?.bytes.count != wanted {
                    throw CaseError("a block is not \(wanted) bytes long")
                }
                let words = String(decoding: line, as: UTF8.self).split(separator: " ")
                wanted = words.count > 5 && words[5] == "bytes" ? Int(words[4]) : nil
                guard wanted != nil else { continue }
                blocks.append(Block(connection: String(words[2]), isRequest: words[3] == ">", bytes: []))
            case UInt8(ascii: ">"), UInt8(ascii: "<"):
                guard let last = blocks.indices.last, wanted != nil else { throw CaseError("bytes outside of a block") }
                let prefix = line.dropFirst().first == UInt8(ascii: "+") ? 3 : 2
                blocks[last].bytes += try unescaped(line.dropFirst(prefix))
            default: continue
            }
        }
        if let wanted, blocks.last?.bytes.count != wanted {
            throw CaseError("the last block is not \(wanted) bytes long")
        }
        return blocks
    }

    private static func unescaped(_ text: ArraySlice<UInt8>) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "\\"): bytes.append(0x5C)
            case UInt8(ascii: "x"):
                guard let byte = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                    throw CaseError("an escape that is none")
                }
                bytes.append(byte)
                rest = rest.dropFirst(2)
            default: throw CaseError("an escape that is none")
            }
        }
        return bytes
    }

    // MARK: What the parsers make of it

    private static func check(_ block: Block, _ name: String) -> [String] {
        var differences: [String] = []
        // HEAD's answer tells a length that its body has not; and a body that broke off is recorded as it was.
        let isCut = name.hasPrefix("10-truncated-")
        let isInnerHead = name.hasPrefix("09-head")
        let isHead = isInnerHead && "PT".contains(block.connection.prefix(1))
        guard let outer = message(block.bytes, pieces: block.bytes.count, isHead: isHead) else {
            // The target of one sample speaks no HTTP.
            return name.hasPrefix("13-bad-origin") ? [] : ["\(block.connection): no message"]
        }
        for size in [1, 7] where message(block.bytes, pieces: size, isHead: isHead)?.body != outer.body {
            differences.append("\(block.connection): in pieces of \(size) it is another message")
        }
        for cut in block.bytes.indices {
            let part = Array(block.bytes[..<cut])
            // Whatever it is: no trap, and no part of a request is one.
            if block.isRequest, outer.isWhole, message(part, pieces: part.count, isHead: isHead)?.isWhole == true,
                !outer.body.isEmpty
            {
                differences.append("\(block.connection): cut at \(cut) it is whole")
            }
            _ = PollVerdict.judge(status: 200, body: part)
        }
        if case .request(_, let target) = outer.head.start, target.hasSuffix("/push") {
            differences += push(outer.body, name, isHead: isInnerHead, isCut: isCut)
        }
        if !block.isRequest, "CF".contains(block.connection.prefix(1)), !outer.body.isEmpty {
            differences += pollAnswer(outer, name)
        }
        return differences
    }

    /// A response inside of a push.
    private static func push(_ bytes: [UInt8], _ name: String, isHead: Bool, isCut: Bool) -> [String] {
        let isMessage = !["14-push-badstatus", "14-push-empty", "14-push-garbage"].contains { name.hasPrefix($0) }
        guard let read = message(bytes, pieces: max(1, bytes.count), isHead: isHead) else {
            return isMessage ? ["no response is read in a push"] : []
        }
        guard isMessage, case .response = read.head.start else { return ["what is none is read as a response"] }
        var differences: [String] = []
        if read.isWhole == isCut { differences.append("a push is \(read.isWhole ? "" : "not ")whole") }
        for cut in bytes.indices { _ = message(Array(bytes[..<cut]), pieces: 5, isHead: isHead) }
        let answer = ScrapeAnswer(status: 200, fields: read.head.fields, body: read.body)
            .encoded(id: "1", remaining: .seconds(1))
        if message(answer, pieces: answer.count, isHead: false)?.body != read.body {
            differences.append("the page is another one when we push it")
        }
        return differences
    }

    /// What a proxy, or who stands before it, answers to a poll or a push.
    private static func pollAnswer(_ outer: Message, _ name: String) -> [String] {
        guard case .response(let status, _) = outer.head.start else { return ["no response"] }
        let verdict = PollVerdict.judge(status: status, body: outer.body)
        guard status == 200 else {
            if case .scrape = verdict { return ["a scrape with status \(status)"] }
            return []
        }
        guard case .scrape(let head, let body) = verdict, case .request(let method, let url) = head.start else {
            return ["a scrape is not read"]
        }
        guard let target = ProxiedTarget(absolute: url) else {
            return ["12-connect", "21-client-origin-form"].contains { name.hasPrefix($0) }
                ? [] : ["\(url) is no target"]
        }
        let again = ScrapeInstruction(method: method, target: target, fields: head.fields, body: body, id: "x")
            .encoded(host: target.name.description, remaining: .seconds(1))
        guard let (read, same) = ScrapeInstruction.parse(again), same == body, read.fields.last("id") == "x" else {
            return ["the scrape is another one when we hand it out"]
        }
        return []
    }

    private static func message(_ bytes: [UInt8], pieces size: Int, isHead: Bool) -> Message? {
        var reader = InnerHeadReader()
        var head: InnerHead?
        var framing: InnerBody?
        var body: [UInt8] = []
        do throws(InnerError) {
            for start in stride(from: 0, to: bytes.count, by: max(1, size)) {
                var piece = Array(bytes[start..<min(start + max(1, size), bytes.count)])
                if head == nil {
                    guard let (read, rest) = try reader.take(piece) else { continue }
                    head = read
                    framing = try InnerBody(of: read, isHead: isHead, limit: 1 << 20)
                    // A request without a length has no body.
                    if case .request = read.start, framing?.framing == .untilEnd, !rest.isEmpty { return nil }
                    piece = Array(rest)
                }
                try piece.withUnsafeBufferPointer { pointer throws(InnerError) in
                    try framing?.take(pointer) { body += pointer[$0] }
                }
            }
        } catch {
            return nil
        }
        guard let head, let framing else { return nil }
        return Message(head: head, body: body, isWhole: framing.isComplete)
    }
}
