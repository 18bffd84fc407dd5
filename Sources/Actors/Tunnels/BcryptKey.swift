import CCrypto
import Pipeline

/// The key derivation of OpenSSH's encrypted keys: PBKDF2's shape with bcrypt in the place of a keyed hash.
///
/// Shape: key material of any length from passphrase, salt and rounds; two hashes a round for 48 bytes.
/// Cost: about 3 ms a hash. Only for the moment in which a key file is opened. Source: OpenBSD, bcrypt_pbkdf(3).
/// Why: libcrypto has Blowfish, but neither this derivation nor the state that it begins with; libssh2 has both and
/// exports neither.
enum BcryptKey {
    private static let words = 18 + 4 * 256
    private static let magic = Array("OxychromaticBlowfishSwatDynamite".utf8)

    /// `length` bytes; `rounds` from 1 on.
    static func derive(passphrase: [UInt8], salt: [UInt8], rounds: UInt32, length: Int) -> [UInt8] {
        let start = blowfishStart()
        let password = SSHDigests.sha512(passphrase)
        let stride = (length + 31) / 32
        let amount = (length + stride - 1) / stride
        var key = [UInt8](repeating: 0, count: length)
        for block in 1...stride {
            var writer = SSHWriter()
            writer.uint32(UInt32(clamping: block))
            var hash = bcrypt(start, password, SSHDigests.sha512(salt + writer.bytes))
            var out = hash
            for _ in 1..<max(1, rounds) {
                hash = bcrypt(start, password, SSHDigests.sha512(hash))
                for index in out.indices { out[index] ^= hash[index] }
            }
            for index in 0..<amount where index * stride + block - 1 < length {
                key[index * stride + block - 1] = out[index]
            }
        }
        return key
    }

    /// One hash: 32 bytes.
    private static func bcrypt(_ start: [UInt32], _ password: [UInt8], _ salt: [UInt8]) -> [UInt8] {
        let state = UnsafeMutablePointer<UInt32>.allocate(capacity: words)
        defer { state.deallocate() }
        for index in 0..<words { state[index] = start[index] }
        let passwordWords = bigEndianWords(password)
        let saltWords = bigEndianWords(salt)
        expand(state, key: passwordWords, salt: saltWords)
        for _ in 0..<64 {
            expand(state, key: saltWords, salt: [])
            expand(state, key: passwordWords, salt: [])
        }
        var text = bigEndianWords(magic)
        let key = UnsafeRawPointer(state).assumingMemoryBound(to: BF_KEY.self)
        for index in Swift.stride(from: 0, to: 8, by: 2) {
            var pair = (text[index], text[index + 1])
            withUnsafeMutableBytes(of: &pair) { bytes in
                guard let data = bytes.baseAddress?.assumingMemoryBound(to: UInt32.self) else { return }
                for _ in 0..<64 { BF_encrypt(data, key) }
            }
            (text[index], text[index + 1]) = pair
        }
        // The words go out with their least significant byte first.
        return text.flatMap { word in
            [0, 8, 16, 24].map { (shift: UInt32) in UInt8(truncatingIfNeeded: word >> shift) }
        }
    }

    /// Mixes `key` into the state, and `salt` where there is one.
    private static func expand(_ state: UnsafeMutablePointer<UInt32>, key: [UInt32], salt: [UInt32]) {
        for index in 0..<18 { state[index] ^= key[index % key.count] }
        let data = UnsafeMutablePointer<UInt32>.allocate(capacity: 2)
        defer { data.deallocate() }
        data[0] = 0
        data[1] = 0
        var next = 0
        let blowfish = UnsafeRawPointer(state).assumingMemoryBound(to: BF_KEY.self)
        var index = 0
        while index < words {
            if !salt.isEmpty {
                data[0] ^= salt[next % salt.count]
                data[1] ^= salt[(next + 1) % salt.count]
                next += 2
            }
            BF_encrypt(data, blowfish)
            state[index] = data[0]
            state[index + 1] = data[1]
            index += 2
        }
    }

    private static func bigEndianWords(_ bytes: [UInt8]) -> [UInt32] {
        Swift.stride(from: 0, to: bytes.count, by: 4).map { start in
            bytes[start..<min(start + 4, bytes.count)].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    // MARK: The state Blowfish begins with

    /// The first 33,344 binary digits of π behind the point: 18 words of P, then 1,024 of S.
    ///
    /// Machin: π = 16 atan(1/5) − 4 atan(1/239), in fixed point with four more words than are kept.
    static func blowfishStart() -> [UInt32] {
        let length = 1 + words + 4
        var sum = [UInt32](repeating: 0, count: length)
        addArcus(of: 5, times: 16, isNegative: false, to: &sum)
        addArcus(of: 239, times: 4, isNegative: true, to: &sum)
        return Array(sum[1...words])
    }

    /// `sum` ± `times` · atan(1 / `x`).
    private static func addArcus(of x: UInt64, times: UInt32, isNegative: Bool, to sum: inout [UInt32]) {
        let count = sum.count
        sum.withUnsafeMutableBufferPointer { sum in
            var term = [UInt32](repeating: 0, count: count)
            var part = [UInt32](repeating: 0, count: count)
            term.withUnsafeMutableBufferPointer { term in
                part.withUnsafeMutableBufferPointer { part in
                    term[0] = times
                    divide(term, by: x, into: term, from: 0)
                    var first = 0
                    var divisor: UInt64 = 1
                    var subtracts = isNegative
                    while first < count {
                        divide(term, by: divisor, into: part, from: first)
                        accumulate(part, from: first, into: sum, subtracts: subtracts)
                        divide(term, by: x * x, into: term, from: first)
                        while first < count, term[first] == 0 { first += 1 }
                        divisor += 2
                        subtracts.toggle()
                    }
                }
            }
        }
    }

    private static func divide(
        _ number: UnsafeMutableBufferPointer<UInt32>, by divisor: UInt64,
        into result: UnsafeMutableBufferPointer<UInt32>, from first: Int
    ) {
        var remainder: UInt64 = 0
        var index = first
        while index < number.count {
            let value = remainder << 32 | UInt64(number[index])
            result[index] = UInt32(truncatingIfNeeded: value / divisor)
            remainder = value % divisor
            index &+= 1
        }
    }

    private static func accumulate(
        _ part: UnsafeMutableBufferPointer<UInt32>, from first: Int, into sum: UnsafeMutableBufferPointer<UInt32>,
        subtracts: Bool
    ) {
        var carry: Int64 = 0
        var index = sum.count - 1
        while index >= 0, index >= first || carry != 0 {
            let own = index >= first ? Int64(part[index]) : 0
            let total = Int64(sum[index]) + carry + (subtracts ? -own : own)
            sum[index] = UInt32(truncatingIfNeeded: total)
            // An arithmetic shift: −1 for a borrow, 1 for a carry.
            carry = total >> 32
            index -= 1
        }
    }
}
