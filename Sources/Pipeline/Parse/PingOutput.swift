/// What the program `ping` (iputils or busybox) prints at its end.
///
/// Shape: `64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.031 ms`, then
/// `5 packets transmitted, 4 received, 20% packet loss, time 4005ms` (busybox: `4 packets received`) and
/// `rtt min/avg/max/mdev = 0.030/0.034/0.041/0.004 ms` (busybox: `round-trip min/avg/max = …`).
/// Units: ms.
public struct PingOutput: Sendable, Hashable {
    public var transmitted: Int64 = 0
    public var received: Int64 = 0
    /// Of the first answer.
    public var ttl: Int64?
    /// Minimum, average, maximum, and the deviation where it is told.
    public var times: [Double] = []

    /// Errors: no line that tells the number of packets.
    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> PingOutput {
        var output = PingOutput()
        var hasCounts = false
        for line in bytes.split(separator: UInt8(ascii: "\n")).map({ String(decoding: $0, as: UTF8.self) }) {
            if output.ttl == nil { output.ttl = number(after: "ttl=", line) ?? number(after: "hlim=", line) }
            if line.contains(" transmitted"), line.contains(" received") {
                let words = line.split(separator: ",").map { $0.split(separator: " ") }
                guard words.count >= 2, let sent = words[0].first.flatMap({ Int64($0) }),
                    let back = words[1].first.flatMap({ Int64($0) })
                else {
                    throw ParseError("ping", "no number of packets")
                }
                output.transmitted = sent
                output.received = back
                hasCounts = true
            } else if line.contains("min/avg/max"), let equals = line.firstIndex(of: "=") {
                let values = line[equals...].dropFirst().split(separator: " ").first ?? ""
                output.times = values.split(separator: "/").prefix(4).compactMap { Double($0) }.filter(\.isFinite)
            }
        }
        guard hasCounts else { throw ParseError("ping", "no line tells how many packets there were") }
        return output
    }

    private static func number(after label: String, _ line: String) -> Int64? {
        guard let found = line.firstRange(of: label) else { return nil }
        return Int64(line[found.upperBound...].prefix { $0.isASCII && $0.isNumber })
    }
}
