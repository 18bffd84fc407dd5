import Glibc
import Synchronization

@testable import Actors

/// A file system in memory that can be full, fail, write short, and forget what was not synced.
final class FakeDisk: Disk {
    struct File {
        var bytes: [UInt8] = []
        var durable: [UInt8] = []
        /// A sync failed: the kernel believes the pages are clean, the device never got them.
        var isPoisoned = false
    }

    struct State {
        var files: [Int: File] = [:]
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        var directories: Set<String> = []
        var descriptors: [Int32: Int] = [:]
        var nextFile = 1
        var nextDescriptor: Int32 = 100
        /// Bytes that all files may hold; nil is no limit.
        var capacity: Int?
        /// Every write stops half way.
        var writesShort = false
        /// Calls that fail, by number counted from 1 over the life of the disk, and with what.
        var failingSyncs: Set<Int> = []
        var failingWrites: Set<Int> = []
        var readFailure: Int32?
        var writeFailure: Int32?
        /// Everything fails with it.
        var failure: Int32?
        var syncs = 0
        var writes = 0
        /// Syncs of a file after a failed one: the forbidden thing.
        var resyncs = 0
    }

    let state = Mutex(State())

    func update(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

    // MARK: Crashes

    /// SIGKILL: descriptors are gone, all written bytes stay. What a failed sync left behind counts as written anew:
    /// no process can know of the failures of another.
    func killProcess() {
        state.withLock { state in
            state.descriptors = [:]
            for id in state.files.keys { state.files[id]?.isPoisoned = false }
        }
    }

    /// Power cut: of what was not synced, any part may be there.
    func cutPower(_ random: inout some RandomNumberGenerator) {
        state.withLock { state in
            state.descriptors = [:]
            var names: [String: Int] = [:]
            for name in Set(state.names.keys).union(state.durableNames.keys).sorted() {
                let (old, new) = (state.durableNames[name], state.names[name])
                if let file = old == new || Bool.random(using: &random) ? old : new { names[name] = file }
            }
            state.names = names
            state.durableNames = names
            for id in state.files.keys.sorted() {
                guard var file = state.files[id] else { continue }
                if file.bytes.count == file.durable.count, !file.isPoisoned {
                    // Written in place: each sector is old or new.
                    for start in stride(from: 0, to: file.bytes.count, by: 512) where Bool.random(using: &random) {
                        let sector = start..<min(start + 512, file.bytes.count)
                        file.bytes.replaceSubrange(sector, with: file.durable[sector])
                    }
                } else if file.bytes != file.durable {
                    let most = file.bytes.count
                    let kept = file.isPoisoned ? 0 : Int.random(in: 0...most, using: &random)
                    file.bytes = kept > file.durable.count ? Array(file.bytes.prefix(kept)) : file.durable
                }
                file.durable = file.bytes
                file.isPoisoned = false
                state.files[id] = file
            }
        }
    }

    // MARK: For tests

    func contents(_ path: String) -> [UInt8]? {
        state.withLock { state in state.names[path].flatMap { state.files[$0]?.bytes } }
    }

    func put(_ path: String, _ bytes: [UInt8]) {
        state.withLock { state in
            let id = state.nextFile
            state.nextFile += 1
            state.files[id] = File(bytes: bytes, durable: bytes)
            state.names[path] = id
            state.durableNames[path] = id
        }
    }

    func delete(_ path: String) {
        state.withLock {
            $0.names[path] = nil
            $0.durableNames[path] = nil
        }
    }
    var paths: [String] { state.withLock { $0.names.keys.sorted() } }
    func paths(ending: String) -> [String] { paths.filter { $0.hasSuffix(ending) } }

    /// A disk with the same files: what a copy of the device would be.
    func copy() -> FakeDisk {
        let other = FakeDisk()
        let (files, names, directories) = state.withLock { ($0.files, $0.names, $0.directories) }
        other.update { state in
            state.files = files.mapValues { File(bytes: $0.bytes, durable: $0.bytes) }
            state.names = names
            state.durableNames = names
            state.directories = directories
            state.nextFile = (files.keys.max() ?? 0) + 1
        }
        return other
    }

    // MARK: Disk

    private func parent(_ path: String) -> String { String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }

    private func check(_ state: State, _ operation: String, _ path: String) throws(DiskError) {
        if let code = state.failure { throw DiskError(operation, path, code) }
    }

    private func locked<Value>(_ body: (inout State) throws(DiskError) -> Value) throws(DiskError) -> Value {
        let result: Result<Value, DiskError> = state.withLock { state in
            do throws(DiskError) { return .success(try body(&state)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    func makeDirectory(_ path: String) throws(DiskError) {
        try locked { state throws(DiskError) in
            try check(state, "create", path)
            state.directories.insert(path)
        }
    }

    func list(_ path: String) throws(DiskError) -> [DiskEntry] {
        try locked { state throws(DiskError) in
            try check(state, "list", path)
            guard state.directories.contains(path) else { throw DiskError("list", path, ENOENT) }
            let files = state.names.filter { parent($0.key) == path }.map { name, id in
                DiskEntry(
                    name: String(name.dropFirst(path.count + 1)), kind: .file, size: state.files[id]?.bytes.count ?? 0)
            }
            let folders = state.directories.filter { parent($0) == path }.map {
                DiskEntry(name: String($0.dropFirst(path.count + 1)), kind: .directory, size: 0)
            }
            return files + folders
        }
    }

    private func open(_ path: String, creating: Bool) throws(DiskError) -> Int32 {
        try locked { state throws(DiskError) in
            try check(state, "open", path)
            guard !state.directories.contains(path) else { throw DiskError("open", path, EISDIR) }
            if creating {
                guard state.directories.contains(parent(path)) else { throw DiskError("open", path, ENOENT) }
                if state.names[path] == nil {
                    state.names[path] = state.nextFile
                    state.files[state.nextFile] = File()
                    state.nextFile += 1
                } else if let id = state.names[path] {
                    state.files[id]?.bytes = []
                }
            }
            guard let id = state.names[path] else { throw DiskError("open", path, ENOENT) }
            state.nextDescriptor += 1
            state.descriptors[state.nextDescriptor] = id
            return state.nextDescriptor
        }
    }

    func openToRead(_ path: String) throws(DiskError) -> Int32 { try open(path, creating: false) }
    func openToRepair(_ path: String) throws(DiskError) -> Int32 { try open(path, creating: false) }
    func openToWrite(_ path: String) throws(DiskError) -> Int32 { try open(path, creating: true) }

    private func file(_ state: State, _ descriptor: Int32) throws(DiskError) -> Int {
        guard let id = state.descriptors[descriptor] else { throw DiskError("use", "descriptor", EBADF) }
        return id
    }

    func read(
        _ descriptor: Int32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) -> Int {
        let bytes: [UInt8] = try locked { state throws(DiskError) in
            if let code = state.readFailure { throw DiskError("read", "file", code) }
            let bytes = state.files[try file(state, descriptor)]?.bytes ?? []
            guard offset < bytes.count else { return [] }
            return Array(bytes[offset..<min(bytes.count, offset + buffer.count)])
        }
        buffer.copyBytes(from: bytes)
        return bytes.count
    }

    func write(_ descriptor: Int32, at offset: Int, _ parts: [[UInt8]]) throws(DiskError) -> Int {
        try locked { state throws(DiskError) in
            state.writes += 1
            if let code = state.failure ?? state.writeFailure { throw DiskError("write", "file", code) }
            if state.failingWrites.contains(state.writes) { throw DiskError("write", "file", EIO) }
            let id = try file(state, descriptor)
            var data = parts.flatMap { $0 }
            if state.writesShort, data.count > 1 { data = Array(data.prefix((data.count + 1) / 2)) }
            if let capacity = state.capacity {
                let used = state.names.values.reduce(0) { $0 + (state.files[$1]?.bytes.count ?? 0) }
                guard used < capacity else { throw DiskError("write", "file", ENOSPC) }
                data = Array(data.prefix(capacity - used))
            }
            var bytes = state.files[id]?.bytes ?? []
            while bytes.count < offset + data.count { bytes.append(0) }
            bytes.replaceSubrange(offset..<(offset + data.count), with: data)
            state.files[id]?.bytes = bytes
            return data.count
        }
    }

    func allocate(_ descriptor: Int32, bytes: Int) throws(DiskError) {}

    func truncate(_ descriptor: Int32, to size: Int) throws(DiskError) {
        try locked { state throws(DiskError) in
            let id = try file(state, descriptor)
            let kept = Array((state.files[id]?.bytes ?? []).prefix(size))
            state.files[id]?.bytes = kept
        }
    }

    func size(_ descriptor: Int32) throws(DiskError) -> Int {
        try locked { state throws(DiskError) in state.files[try file(state, descriptor)]?.bytes.count ?? 0 }
    }

    func sync(_ descriptor: Int32) throws(DiskError) {
        try locked { state throws(DiskError) in
            let id = try file(state, descriptor)
            state.syncs += 1
            if state.files[id]?.isPoisoned == true { state.resyncs += 1 }
            if state.failingSyncs.contains(state.syncs) || state.failure != nil {
                state.files[id]?.isPoisoned = true
                throw DiskError("sync", "file", EIO)
            }
            guard let file = state.files[id], !file.isPoisoned else { return }
            state.files[id]?.durable = file.bytes
        }
    }

    func syncDirectory(_ path: String) throws(DiskError) {
        try locked { state throws(DiskError) in
            try check(state, "sync", path)
            for name in state.durableNames.keys where parent(name) == path && state.names[name] == nil {
                state.durableNames[name] = nil
            }
            for (name, id) in state.names where parent(name) == path { state.durableNames[name] = id }
        }
    }

    func rename(_ source: String, to target: String) throws(DiskError) {
        try locked { state throws(DiskError) in
            try check(state, "rename", source)
            guard let id = state.names[source] else { throw DiskError("rename", source, ENOENT) }
            state.names[source] = nil
            state.names[target] = id
        }
    }

    func remove(_ path: String) throws(DiskError) {
        try locked { state throws(DiskError) in
            try check(state, "remove", path)
            state.names[path] = nil
        }
    }

    func exists(_ path: String) -> Bool {
        state.withLock { $0.names[path] != nil || $0.directories.contains(path) }
    }

    func space(_ path: String) throws(DiskError) -> DiskSpace {
        try locked { state throws(DiskError) in
            try check(state, "look at", path)
            guard let capacity = state.capacity else { return DiskSpace(free: 1 << 40, total: 1 << 40) }
            let used = state.names.values.reduce(0) { $0 + (state.files[$1]?.bytes.count ?? 0) }
            return DiskSpace(free: UInt64(max(0, capacity - used)), total: UInt64(capacity))
        }
    }

    func close(_ descriptor: Int32) { state.withLock { $0.descriptors[descriptor] = nil } }
}
