/// A growing run of bytes in one allocation: the output buffer of the encoder. Appending is a bounds check and a store.
public struct ByteWriter: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    public private(set) var count = 0

    public init(capacity: Int = 4096) {
        self.capacity = max(64, capacity)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    /// The bytes so far, valid inside `body` only.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeBufferPointer<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeBufferPointer(start: base, count: count))
    }

    /// A copy of the bytes.
    public var bytes: [UInt8] { [UInt8](UnsafeBufferPointer(start: base, count: count)) }

    /// Forgets all bytes, keeps the allocation.
    public mutating func removeAll() { count = 0 }

    /// Forgets the bytes from `length` on.
    public mutating func truncate(to length: Int) {
        precondition(length >= 0 && length <= count, "BUG: truncate beyond the end")
        count = length
    }

    @inline(__always)
    public mutating func reserve(_ additional: Int) {
        if capacity - count < additional { grow(additional) }
    }

    @inline(never)
    private mutating func grow(_ additional: Int) {
        let larger = max(capacity * 2, count + additional)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        moved.update(from: base, count: count)
        base.deallocate()
        base = moved
        capacity = larger
    }

    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        base[count] = byte
        count += 1
    }

    @inline(__always)
    public mutating func append(_ bytes: [UInt8]) {
        reserve(bytes.count)
        bytes.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { (base + count).update(from: start, count: source.count) }
        }
        count += bytes.count
    }

    public mutating func append(contentsOf bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        (base + count).update(from: start, count: bytes.count)
        count += bytes.count
    }

    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(contentsOf: $0) }
    }

    /// Appends `value` in decimal.
    public mutating func append(decimal value: UInt64) {
        reserve(20)
        var digits = 1
        var bound: UInt64 = 10
        while digits < 20 && value >= bound {
            digits += 1
            if digits < 20 { bound &*= 10 }
        }
        var rest = value
        var index = count + digits
        repeat {
            index -= 1
            base[index] = UInt8(truncatingIfNeeded: 48 &+ rest % 10)
            rest /= 10
        } while rest != 0
        count += digits
    }

    /// Appends `value` in decimal.
    public mutating func append(decimal value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(decimal: value.magnitude)
    }

    /// Appends the shortest plain decimal that reads back as `value`, never with an exponent. `value` must be finite.
    ///
    /// A decimal of at most 15 digits that parses to a double is that double's shortest form, and `n / 1e6` is
    /// correctly rounded for an integer n below 2^53: so up to six decimals need only the integer writer.
    public mutating func append(decimal value: Double) {
        let magnitude = value.magnitude
        if magnitude < 1e9 {
            let scaled = (magnitude * 1e6).rounded()
            if scaled / 1e6 == magnitude {
                if value < 0 { append(UInt8(ascii: "-")) }
                appendMillionths(UInt64(scaled))
                return
            }
        }
        var text = value.description
        let isPlain = text.withUTF8 { bytes in
            guard !bytes.contains(UInt8(ascii: "e")) else { return false }
            // Swift writes integral doubles with a fraction of zero.
            let isIntegral =
                bytes.count > 2 && bytes[bytes.count - 1] == UInt8(ascii: "0")
                && bytes[bytes.count - 2] == UInt8(ascii: ".")
            append(contentsOf: UnsafeBufferPointer(rebasing: isIntegral ? bytes.dropLast(2) : bytes[...]))
            return true
        }
        if !isPlain { appendExpanded(text) }
    }

    private mutating func appendMillionths(_ millionths: UInt64) {
        append(decimal: millionths / 1_000_000)
        var fraction = millionths % 1_000_000
        guard fraction != 0 else { return }
        append(UInt8(ascii: "."))
        var unit: UInt64 = 100_000
        while fraction != 0 {
            append(UInt8(truncatingIfNeeded: 48 &+ fraction / unit))
            fraction %= unit
            unit /= 10
        }
    }

    /// Appends Swift's shortest form with its exponent written out: `1e-05` becomes `0.00001`, `12.0` becomes `12`.
    private mutating func appendExpanded(_ description: String) {
        var digits: [UInt8] = []
        var point = 0
        var seenPoint = false
        var exponent = 0
        var text = description
        text.withUTF8 { bytes in
            var index = 0
            while index < bytes.count {
                let byte = bytes[index]
                switch byte {
                case UInt8(ascii: "-"): append(byte)
                case UInt8(ascii: "."): seenPoint = true
                case UInt8(ascii: "e"):
                    exponent = Int(String(decoding: bytes[(index + 1)...], as: UTF8.self)) ?? 0
                    index = bytes.count
                default:
                    digits.append(byte)
                    if !seenPoint { point += 1 }
                }
                index += 1
            }
        }
        point += exponent
        while digits.count > max(point, 1), digits.last == UInt8(ascii: "0") { digits.removeLast() }
        while digits.count > 1, digits.first == UInt8(ascii: "0"), point > 1 || digits.count > point && point <= 0 {
            digits.removeFirst()
            point -= 1
        }
        if point <= 0 {
            append(UInt8(ascii: "0"))
            if digits.contains(where: { $0 != UInt8(ascii: "0") }) {
                append(UInt8(ascii: "."))
                for _ in 0..<(-point) { append(UInt8(ascii: "0")) }
                append(digits)
            }
            return
        }
        for index in 0..<max(point, digits.count) {
            if index == point { append(UInt8(ascii: ".")) }
            append(index < digits.count ? digits[index] : UInt8(ascii: "0"))
        }
    }
}
