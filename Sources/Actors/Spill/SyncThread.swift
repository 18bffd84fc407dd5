import Pipeline

/// Owns the sync loop: the calls that may hang for seconds while appends and reads go on.
///
/// Receives descriptors to sync and cursors to publish; keeps the cursor files open that it has made; started by nobody
/// (it only answers).
actor SyncThread {
    /// A cursor file of ours: both slots exist, `generation` is the one on disk.
    private struct OpenCursor {
        let descriptor: Int32
        var generation: UInt64
    }

    private let disk: any Disk
    private let loop: WorkLoop
    private let clock: any Clock
    /// By reader.
    private var opened: [String: OpenCursor] = [:]

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(disk: any Disk, loop: WorkLoop, clock: any Clock) {
        self.disk = disk
        self.loop = loop
        self.clock = clock
    }

    deinit { for file in opened.values { disk.close(file.descriptor) } }

    struct CursorFile: Sendable {
        var reader: String
        var cursor: Cursor
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

    /// Syncs the files, then the directory that names them, then writes the cursors one by one: what a cursor speaks
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
                try publish(file, in: folder)
                result.published.append(file.reader)
            } catch {
                result.publishFailure = error
                return result
            }
        }
        return result
    }

    /// Writes a cursor and syncs it: into the older slot of the file that is open, else a new file. After a failure the
    /// next one makes a new file, since a file is never synced again after a failed sync.
    private func publish(_ file: CursorFile, in folder: String) throws(DiskError) {
        let path = folder + "/" + SpillFiles.cursor(file.reader)
        let before = opened.removeValue(forKey: file.reader)
        guard let before, disk.exists(path) else {
            if let before { disk.close(before.descriptor) }
            try disk.replace(path, with: CursorSlots.file(file.cursor), in: folder)
            if let descriptor = try? disk.openToRepair(path) {
                opened[file.reader] = OpenCursor(descriptor: descriptor, generation: 0)
            }
            return
        }
        var cursor = file.cursor
        cursor.generation = before.generation &+ 1
        let offset = CursorSlots.offset(cursor.generation)
        do throws(DiskError) {
            try disk.writeAll(before.descriptor, at: offset, [cursor.bytes], path: path)
            try disk.sync(before.descriptor)
        } catch {
            disk.close(before.descriptor)
            throw error
        }
        opened[file.reader] = OpenCursor(descriptor: before.descriptor, generation: cursor.generation)
    }
}
