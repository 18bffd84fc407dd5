import CZlib
import Pipeline

/// A gzip compressor that is made once and reset for each payload.
///
/// Level 1, window 32 KiB, memory level 5. A window of 4 KiB costs a third more time on a full batch (929 against 698 ns a
/// line of 188 bytes) and has to be slid; of the larger one only the pages that a batch fills are ever touched.
/// Not `Sendable`: it belongs to the actor that uses it.
public final class GzipCompressor {
    private let stream: UnsafeMutablePointer<z_stream>
    private var isReady: Bool

    public init(level: Int32 = 1) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        isReady = godwit_deflate_init(stream, level, 15 + 16, 5) == Z_OK
    }

    deinit {
        if isReady { deflateEnd(stream) }
        stream.deinitialize(count: 1)
        stream.deallocate()
    }

    /// One gzip member that holds `bytes`; nil when zlib had no memory (send the bytes as they are).
    public func compress(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        guard isReady, deflateReset(stream) == Z_OK, let count = UInt32(exactly: bytes.count) else { return nil }
        let bound = Int(deflateBound(stream, uLong(count)))
        let stream = stream
        var isComplete = false
        let output = [UInt8](unsafeUninitializedCapacity: bound) { buffer, filled in
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = count
            stream.pointee.next_out = buffer.baseAddress
            stream.pointee.avail_out = UInt32(clamping: bound)
            isComplete = deflate(stream, Z_FINISH) == Z_STREAM_END
            filled = bound - Int(stream.pointee.avail_out)
        }
        // A copy of the right size: the bound is the size of the input, and batches live long.
        return isComplete ? output.withUnsafeBufferPointer { Array($0) } : nil
    }

    public func compress(_ bytes: [UInt8]) -> [UInt8]? { bytes.withUnsafeBytes { compress($0) } }
}

/// Inflating with a bound.
public enum Gzip {
    /// Why bytes cannot be inflated.
    public enum Failure: Error, Sendable, Hashable {
        /// Not gzip, cut short, or its checksum does not match.
        case damaged
        /// More than the limit comes out.
        case tooLarge
        /// Whoever asked does not want it to go on.
        case stopped
    }

    /// The bytes inside a gzip member (or several), at most `limit` of them.
    /// `mayGrow` is asked before each piece of the result is kept.
    public static func inflate(
        _ bytes: [UInt8], limit: Int, mayGrow: (Int) -> Bool = { _ in true }
    ) throws(Failure) -> [UInt8] {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        defer {
            stream.deinitialize(count: 1)
            stream.deallocate()
        }
        guard godwit_inflate_init(stream, 15 + 16) == Z_OK else { throw .damaged }
        defer { inflateEnd(stream) }
        guard let count = UInt32(exactly: bytes.count), limit >= 0 else { throw .tooLarge }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        let failure: Failure? = bytes.withUnsafeBufferPointer { input in
            stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.pointee.avail_in = count
            while true {
                let (code, made) = chunk.withUnsafeMutableBufferPointer { chunk in
                    stream.pointee.next_out = chunk.baseAddress
                    stream.pointee.avail_out = UInt32(clamping: chunk.count)
                    let code = CZlib.inflate(stream, Z_NO_FLUSH)
                    return (code, chunk.count - Int(stream.pointee.avail_out))
                }
                guard code == Z_OK || code == Z_STREAM_END else { return .damaged }
                guard output.count + made <= limit else { return .tooLarge }
                guard mayGrow(made) else { return .stopped }
                output.append(contentsOf: chunk[..<made])
                if code == Z_STREAM_END {
                    if stream.pointee.avail_in == 0 { return nil }
                    guard inflateReset(stream) == Z_OK else { return .damaged }
                } else if made == 0, stream.pointee.avail_in == 0 {
                    return .damaged
                }
            }
        }
        if let failure { throw failure }
        return output
    }
}
