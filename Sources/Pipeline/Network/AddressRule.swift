/// Which addresses a name may lead to, judged by the address that a connection goes to: names are the name service's,
/// and that may be somebody else's.
///
/// Addresses of one link, and those where clouds keep what a machine may know of itself, are only for who names them.
public struct AddressRule: Sendable, Hashable {
    public enum Reach: Sendable, Hashable {
        /// This machine.
        case own
        case listed([AddressRange])
        /// All but those of one link.
        case any
    }

    public var reach: Reach
    /// The address that is named where others have a name.
    public var literal: IPAddress?

    public init(_ reach: Reach, literal: IPAddress? = nil) {
        self.reach = reach
        self.literal = literal
    }

    /// RFC 3927 and RFC 4291, 2.5.6; then the meta-data services of AWS, Google, Alibaba, Azure and Oracle.
    private static let linkLocal = [
        "169.254.0.0/16", "fe80::/10", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16",
        "192.0.0.192",
    ].compactMap(AddressRange.init)
    /// RFC 6052: an IPv4 address in its last four bytes.
    private static let translated = AddressRange("64:ff9b::/96")

    /// Why not; nil where the connection may be made. `isOwn` tells whether an address is this machine's.
    public func refusal(of address: IPAddress, isOwn: (IPAddress) -> Bool) -> String? {
        if address == literal { return nil }
        var real = address
        if AddressRule.translated?.contains(address) ?? false, let inner = IPAddress(bytes: Array(address.bytes[12...]))
        {
            real = inner
        }
        if AddressRule.linkLocal.contains(where: { $0.contains(real) }) {
            return "\(address) is for one link or holds meta-data; it must be named as an address"
        }
        switch reach {
        case .any: return nil
        case .own: return isOwn(address) ? nil : "the name leads to \(address), which is not this machine"
        case .listed(let ranges):
            return ranges.contains { $0.contains(address) } ? nil : "the name leads to \(address), which is not listed"
        }
    }
}
