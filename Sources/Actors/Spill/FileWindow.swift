import Glibc
import Pipeline

/// A segment file seen through one buffer of 64 KiB, read as the walker goes forward.
struct FileWindow: SegmentBytes {
    private let disk: any Disk
    private let descriptor: Int32
    let size: Int
    private var buffer: [UInt8]
    private var start = 0
    private var filled = 0

    init(_ disk: any Disk, _ descriptor: Int32, size: Int) {
        self.disk = disk
        self.descriptor = descriptor
        self.size = size
        buffer = [UInt8](repeating: 0, count: 64 * 1024)
    }

    mutating func withBytes<Result>(
        at offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) -> Result
    ) throws -> Result {
        let wanted = max(0, min(count, size - offset, buffer.count))
        if offset < start || offset + wanted > start + filled { try fill(from: offset) }
        let from = min(offset - start, filled)
        let until = min(from + wanted, filled)
        return buffer.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[from..<until])) }
    }

    private mutating func fill(from offset: Int) throws(DiskError) {
        filled = 0
        start = offset
        let limit = min(buffer.count, max(0, size - offset))
        var failure: DiskError?
        let (disk, descriptor) = (disk, descriptor)
        let count = buffer.withUnsafeMutableBytes { bytes in
            do throws(DiskError) {
                return try disk.read(
                    descriptor, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<limit]))
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        filled = count
    }

    /// The payload of a record, straight into an array of its own.
    func payload(at offset: Int, count: Int) throws(DiskError) -> [UInt8] {
        guard count > 0 else { return [] }
        var failure: DiskError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(DiskError) {
                filled = try disk.read(descriptor, at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
