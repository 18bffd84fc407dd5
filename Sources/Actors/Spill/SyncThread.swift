import Pipeline

/// Owns the sync loop: the calls that may hang for seconds while appends and reads go on.
///
/// Receives descriptors to sync and cursor files to publish; keeps nothing; started by nobody (it only answers).
actor SyncThread {
    private let disk: any Disk
    private let loop: WorkLoop
    private let clock: any Clock

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(disk: any Disk, loop: WorkLoop, clock: any Clock) {
        self.disk = disk
        self.loop = loop
        self.clock = clock
    }

    /// Syncs the files, then the directory that names them. Stops at the first failure. Returns how long it took.
    func sync(_ descriptors: [Int32], directory: String?) throws(DiskError) -> Duration {
        let start = clock.now
        for descriptor in descriptors { try disk.sync(descriptor) }
        if let directory { try disk.syncDirectory(directory) }
        return clock.now - start
    }

    /// Replaces cursor files one by one. Returns the names that are durable now, and the first error.
    func publish(_ files: [(reader: String, bytes: [UInt8])], in folder: String) -> (done: [String], DiskError?) {
        var done: [String] = []
        for file in files {
            do throws(DiskError) {
                try disk.replace(folder + "/" + SpillFiles.cursor(file.reader), with: file.bytes, in: folder)
                done.append(file.reader)
            } catch {
                return (done, error)
            }
        }
        return (done, nil)
    }
}
