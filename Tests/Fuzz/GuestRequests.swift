import Pipeline

/// What guests send to the metadata relay: bodies, targets, statements and the table of the guests themselves. The first
/// byte chooses.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGuestRequests(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let choice = input.byte()
    let bytes = input.all
    switch choice & 3 {
    case 0, 1: fuzzEnforcement(bytes, choice)
    case 2: fuzzTargets(bytes)
    default: fuzzTable(bytes)
    }
    return 0
}

private let labels = [Tag("tenant_id", ""), Tag("vm_id", "id-a"), Tag("vm_name", "a b,c=d")]

/// Whatever goes in: each line that comes out is one line to every reader, is read without complaint, and carries the
/// labels once and with the right values.
private func fuzzEnforcement(_ text: [UInt8], _ choice: UInt8) {
    let enforcement = LabelEnforcement(
        labels: labels, guarded: ["host"], foreign: choice & 4 == 0 ? .rewrite : .reject)
    var position = LineProtocolParser.Position()
    var tally = LabelEnforcement.Tally()
    var issues = LineIssues()
    var out = ByteWriter()
    var result: [UInt8] = []
    text.withUnsafeBufferPointer { bytes in
        var isMore = true
        while isMore {
            isMore = enforcement.rewrite(
                bytes, from: &position, pieceBytes: choice & 8 == 0 ? .max : 1, into: &out, &tally, &issues)
            result += out.bytes
            out.removeAll()
        }
    }
    let lines = result.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
    precondition(lines.count == tally.lines, "a line that another reader cuts in two")
    precondition(result.isEmpty || result.last == UInt8(ascii: "\n"), "a line without its end")
    for line in lines {
        var parser = LineProtocolParser()
        let (samples, complaints) = parser.parse(all: Array(line), at: .zero)
        precondition(complaints.count == 0 && samples.rows.count == 1, "a line that is not whole")
        judge(samples.rows[0].series.tags)
        judge(tagsByCountedBackslashes(line))
    }
    // What is right already stays as it is, but for the labels' place.
    var again = LabelEnforcement.Tally()
    var complaints = LineIssues()
    position = LineProtocolParser.Position()
    result.withUnsafeBufferPointer {
        _ = enforcement.rewrite($0, from: &position, into: &out, &again, &complaints)
    }
    // With the labels a line may have more tags than it may.
    precondition(complaints.count > 0 || out.bytes == result, "a second time is another result")
    precondition(again.foreign == 0, "a label that is foreign to itself")
}

private func judge(_ tags: [Tag]) {
    precondition(tags.count { $0.key == "vm_id" } == 1, "not one vm_id")
    precondition(tags.contains(Tag("vm_id", "id-a")), "the vm_id of somebody else")
    precondition(tags.contains(Tag("vm_name", "a b,c=d")), "the name of somebody else")
    let mayNotBe: Set<String> = ["tenant_id", "host", "vm-id", "vm.id", "vm id"]
    precondition(!tags.contains { mayNotBe.contains($0.key) }, "a label that the guest may not set")
}

/// The tags as a reader sees them for whom two backslashes are one, so that the character behind is no escaped one.
private func tagsByCountedBackslashes(_ line: ArraySlice<UInt8>) -> [Tag] {
    var parts: [[UInt8]] = [[]]
    var isEscaped = false
    for byte in line {
        if isEscaped {
            isEscaped = false
            if !",= \\".utf8.contains(byte) { parts[parts.count - 1].append(UInt8(ascii: "\\")) }
            // An escaped equals sign is a NUL until the parts are cut, which no name holds.
            parts[parts.count - 1].append(byte == UInt8(ascii: "=") ? 0 : byte)
        } else if byte == UInt8(ascii: "\\") {
            isEscaped = true
        } else if byte == UInt8(ascii: " ") {
            break
        } else if byte == UInt8(ascii: ",") {
            parts.append([])
        } else {
            parts[parts.count - 1].append(byte)
        }
    }
    func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map { $0 == 0 ? UInt8(ascii: "=") : $0 }, as: UTF8.self)
    }
    return parts.dropFirst().map { part in
        let sides = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        return Tag(text(sides[0]), sides.count > 1 ? text(sides[1]) : "")
    }
}

private func fuzzTargets(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    for method in ["GET", "POST"] {
        switch RelayTarget(method: method, target: text) {
        case .write: precondition(method == "POST" && text.utf8.starts(with: "/monitor/write".utf8), "another path")
        case .ping: precondition(text.utf8.starts(with: "/monitor/ping".utf8), "another path")
        case .query: precondition(text.utf8.starts(with: "/monitor/query".utf8), "another path")
        case .metadata(let parts):
            precondition(parts.allSatisfy { !$0.contains("..") || !$0.hasPrefix(".") }, "a way up")
        case .refused: break
        }
    }
    if DatabaseStatement.creates("telegraf", text) {
        precondition(text.utf8.count { $0 == UInt8(ascii: ";") } <= 1, "two statements")
    }
    _ = RelayPlace(text)
    if let address = IPAddress(text) { precondition(IPAddress(address.description) == address, "another address") }
}

private func fuzzTable(_ bytes: [UInt8]) {
    let (table, issues) = GuestTable.parse(bytes, file: "fuzz")
    precondition((table == nil) == issues.hasErrors, "neither a table nor an error")
    for guest in table?.guests ?? [] {
        for place in guest.places { precondition(table?.guest(at: place)?.id == guest.id, "another guest") }
        for page in [[], ["meta-data"], ["meta-data", "instance-id"]] {
            precondition(MetadataTree.page(page, for: guest) != nil, "no page")
        }
    }
}
