import Pipeline

/// What tunnels read from files, agents and servers: known hosts, key containers, agents' answers, process numbers. Any
/// bytes; half of the inputs get the frame that makes a key container, so that its inside is reached.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSSHFiles(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let choice = input.byte()
    let bytes = input.all
    let digests = SSHDigests(sha256: { _ in [] }, hmacSHA1: { key, _ in key })
    if let hosts = try? KnownHosts(bytes) {
        let server = NetworkPlace("proxy.example", choice & 1 == 0 ? 22 : 2_222)
        _ = hosts.types(for: server, digests)
        _ = hosts.verdict(for: server, key: bytes, digests)
    }
    if let line = KnownHosts.line(for: NetworkPlace("h", 22), key: bytes), let hosts = try? KnownHosts(Array(line.utf8))
    {
        precondition(
            hosts.verdict(for: NetworkPlace("h", 22), key: bytes, digests) == .known, "a kept line is not found")
    }
    let framed =
        Array("-----BEGIN OPENSSH PRIVATE KEY-----\n".utf8)
        + Base64.encoded(Array("openssh-key-v1\0".utf8) + bytes) + Array("\n-----END OPENSSH PRIVATE KEY-----\n".utf8)
    for file in [bytes, framed] {
        if let container = try? SSHKeyContainer(file) {
            _ = try? SSHPrivateKey(section: container.privateSection, wasEncrypted: container.isEncrypted)
        }
    }
    _ = try? SSHPrivateKey(section: bytes, wasEncrypted: choice & 2 == 0)
    if let body = SSHAgentReply.body(bytes) { _ = SSHAgentReply.keys(body) }
    _ = SSHAgentReply.keys(bytes)
    _ = SSHAgentReply.signature(bytes)
    if let greeting = SessionGreeting(bytes) { _ = greeting.holder.command }
    let book = HolderBook(bytes)
    precondition(HolderBook(book.encoded) == book, "a book of holders does not read back")
    let fromLines = HolderBook(Array("godwit tunnel holders 1\n".utf8) + bytes)
    precondition(HolderBook(fromLines.encoded) == fromLines, "a book of holders does not read back")
    _ = ForwardProbe.http(path: "/", status: 204).complaint(about: ProbeReply(bytes))
    if choice & 8 != 0 { fuzzImport(bytes) }
    let text = String(decoding: bytes, as: UTF8.self)
    if let place = SocketPlace(parsing: text, allowsAnyPort: choice & 4 == 0) {
        precondition(SocketPlace(parsing: "\(place)", allowsAnyPort: true) == place, "a place does not read back")
    }
    return 0
}

/// The platform's records: whatever they hold, what is written is a configuration with just these tunnels and forwards.
private func fuzzImport(_ bytes: [UInt8]) {
    let name = JSONValue.string(String(decoding: bytes, as: UTF8.self)).encoded()
    let framed =
        Array(
            #"{"proxy_endpoints": [{"id": "e", "user": "u", "host": "h", "intranet_ip_addr": "10.0.0.1", "name": "#.utf8
        )
        + name
        + Array(#"}], "forwards": [{"type": "remote", "proxy_endpoint_id": "e", "remote_addr": "10.0.0.2", "#.utf8)
        + Array(#""remote_port": 1, "bind_port": 2, "name": "#.utf8) + name + Array("}]}".utf8)
    for text in [bytes, framed] {
        guard let records = try? PlatformRecords(text, file: "f") else { continue }
        let result = PlatformImport(records.records, PlatformImport.Settings())
        guard !result.tunnels.isEmpty else { continue }
        let (tree, issues) = TOMLParser.parse(Array(result.toml.utf8), file: "c")
        var more = issues
        let report = ConfigDecoder(inputs: []).decode(tree.substituting([:], key: "", &more), issues: more)
        precondition(report.config?.tunnels.count == result.tunnels.count, "an import does not read back")
    }
}
