import Pipeline
import Synchronization

@testable import Actors

/// A disk whose first sync does not return until released.
final class HangingDisk: Disk {
    private let disk = FakeDisk()
    private let isReleased = Atomic(false)
    private let hasStarted = Atomic(false)

    func started() async { while !hasStarted.load(ordering: .acquiring) { await Task.yield() } }
    func release() { isReleased.store(true, ordering: .releasing) }

    func sync(_ descriptor: Int32) throws(DiskError) {
        hasStarted.store(true, ordering: .releasing)
        while !isReleased.load(ordering: .acquiring) {}
        try disk.sync(descriptor)
    }

    func makeDirectory(_ path: String) throws(DiskError) { try disk.makeDirectory(path) }
    func list(_ path: String) throws(DiskError) -> [DiskEntry] { try disk.list(path) }
    func openToRead(_ path: String) throws(DiskError) -> Int32 { try disk.openToRead(path) }
    func openToWrite(_ path: String) throws(DiskError) -> Int32 { try disk.openToWrite(path) }
    func openToRepair(_ path: String) throws(DiskError) -> Int32 { try disk.openToRepair(path) }
    func read(
        _ descriptor: Int32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) -> Int { try disk.read(descriptor, at: offset, into: buffer) }
    func write(_ descriptor: Int32, at offset: Int, _ parts: [[UInt8]]) throws(DiskError) -> Int {
        try disk.write(descriptor, at: offset, parts)
    }
    func allocate(_ descriptor: Int32, bytes: Int) throws(DiskError) {}
    func truncate(_ descriptor: Int32, to size: Int) throws(DiskError) { try disk.truncate(descriptor, to: size) }
    func size(_ descriptor: Int32) throws(DiskError) -> Int { try disk.size(descriptor) }
    func syncDirectory(_ path: String) throws(DiskError) { try disk.syncDirectory(path) }
    func rename(_ source: String, to target: String) throws(DiskError) { try disk.rename(source, to: target) }
    func remove(_ path: String) throws(DiskError) { try disk.remove(path) }
    func exists(_ path: String) -> Bool { disk.exists(path) }
    func space(_ path: String) throws(DiskError) -> DiskSpace { try disk.space(path) }
    func close(_ descriptor: Int32) { disk.close(descriptor) }
}
