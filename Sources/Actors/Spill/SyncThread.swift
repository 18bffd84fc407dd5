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

    struct CursorFile: Sendable {
        var reader: String
        var bytes: [UInt8]
    }

    /// What became of a commit.
    struct Result: Sendable {
        var syncTime = Duration.zero
        /// The first file that could not be synced; nothing was done after it.
        var syncFailure: DiskError?
        /// Readers whose cursors are durable now.
        var published: [String] = []
        var publishFailure: DiskError?
    }

    /// Syncs the files, then the directory that names them, then replaces the cursors one by one: what a cursor speaks
    /// of is durable before it. Stops at the first failure.
    func commit(
        _ descriptors: [Int32], syncsDirectory: Bool, _ files: [CursorFile], in folder: String
    ) -> Result {
        var result = Result()
        let start = clock.now
        do throws(DiskError) {
            for descriptor in descriptors { try disk.sync(descriptor) }
            if syncsDirectory { try disk.syncDirectory(folder) }
        } catch {
            result.syncFailure = error
            return result
        }
        result.syncTime = clock.now - start
        for file in files {
            do throws(DiskError) {
                try disk.replace(folder + "/" + SpillFiles.cursor(file.reader), with: file.bytes, in: folder)
                result.published.append(file.reader)
            } catch {
                result.publishFailure = error
                return result
            }
        }
        return result
    }
}
