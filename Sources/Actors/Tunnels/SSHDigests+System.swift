import CCrypto
import Pipeline

extension SSHDigests {
    /// libcrypto's digests.
    public static let system = SSHDigests(
        sha256: { data in
            var digest = [UInt8](repeating: 0, count: 32)
            _ = SHA256(data, data.count, &digest)
            return digest
        },
        hmacSHA1: { key, data in
            var digest = [UInt8](repeating: 0, count: 20)
            var length: UInt32 = 20
            _ = HMAC(EVP_sha1(), key, Int32(clamping: key.count), data, data.count, &digest, &length)
            return digest
        })

    static func sha512(_ data: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 64)
        _ = SHA512(data, data.count, &digest)
        return digest
    }
}
