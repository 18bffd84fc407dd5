/// `/etc/os-release`: which distribution this is.
///
/// Shape: `KEY=value`, the value bare or in quotes. Source: os-release(5).
public struct OSRelease: Sendable, Hashable {
    /// `ID`, with Telegraf's spelling of Amazon Linux.
    public var platform = ""
    /// `VERSION_ID`.
    public var version = ""

    public init() {}

    public static func parse(_ bytes: [UInt8]) -> OSRelease {
        var cursor = ByteCursor(bytes)
        var release = OSRelease()
        while cursor.nextLine() {
            let line = cursor.trimmed(cursor.rest)
            guard let equals = cursor.first(UInt8(ascii: "="), in: line) else { continue }
            let value = unquoted(cursor, (equals + 1)..<line.upperBound)
            switch cursor.text(line.lowerBound..<equals) {
            case "ID": release.platform = value == "amzn" ? "amazon" : value
            case "VERSION_ID": release.version = value
            default: break
            }
        }
        return release
    }

    private static func unquoted(_ cursor: ByteCursor, _ range: Range<Int>) -> String {
        let quotes = [UInt8(ascii: "\""), UInt8(ascii: "'")]
        var inner = range
        while let first = inner.first, quotes.contains(cursor.bytes[first]) { inner = (first + 1)..<inner.upperBound }
        while let last = inner.last, quotes.contains(cursor.bytes[last]) { inner = inner.lowerBound..<last }
        return cursor.text(inner)
    }

    /// The family of the platform, as Telegraf names it; empty for one that belongs to none.
    public var family: String {
        for (family, members) in OSRelease.families where members.contains(platform) { return family }
        return ""
    }

    private static let families: [(String, Set<String>)] = [
        ("debian", ["debian", "ubuntu", "linuxmint", "raspbian", "Kylin", "cumulus", "Deepin"]),
        ("fedora", ["fedora"]),
        (
            "rhel",
            [
                "oracle", "centos", "redhat", "rhel", "scientific", "enterpriseenterprise", "amazon", "xenserver",
                "cloudlinux", "ibm_powerkvm", "rocky", "almalinux", "alinux",
            ]
        ),
        (
            "suse",
            [
                "suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "opensuse-tumbleweed-kubic", "sles",
                "sled", "caasp",
            ]
        ),
        ("gentoo", ["gentoo"]), ("slackware", ["slackware"]), ("arch", ["arch"]), ("exherbo", ["exherbo"]),
        ("alpine", ["alpine"]), ("coreos", ["coreos"]), ("solus", ["solus"]), ("neokylin", ["neokylin"]),
        ("anolis", ["anolis"]),
    ]
}
