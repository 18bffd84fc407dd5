import Glibc
import Testing

@testable import Actors
@testable import Pipeline

/// New host keys, kept by several daemons and tunnels at the same time.
@Suite("Known hosts file")
struct KnownHostsFileTests {
    private let path = "/tmp/godwit-known-\(getpid())-\(UInt64.random(in: 0 ..< .max))"

    private func key(_ number: UInt8, type: String = "ssh-ed25519") -> [UInt8] {
        var writer = SSHWriter()
        writer.string(type.utf8)
        writer.string([UInt8](repeating: number, count: 32))
        return writer.bytes
    }

    private func server(_ number: Int) -> NetworkPlace { NetworkPlace("h\(number).example", 22) }

    @Test("a new key is put at the end, mode 0600, behind a line that was cut, and only once")
    func keeps() throws {
        defer { unlink(path) }
        #expect(try KnownHostsFile.add(key(1), of: server(1), to: path))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        truncate(path, status.st_size - 1)
        #expect(try KnownHostsFile.add(key(2), of: server(2), to: path))
        #expect(try KnownHostsFile.add(key(2), of: server(2), to: path))
        let bytes = try PrivateFile.read(path)
        #expect(bytes.count { $0 == UInt8(ascii: "\n") } == 2)
        let hosts = try KnownHosts(bytes)
        #expect(hosts.verdict(for: server(2), key: key(2), .system) == .known)
    }

    @Test("another key that was kept meanwhile, or a kind that no server is asked for, is not trusted")
    func conflicts() throws {
        defer { unlink(path) }
        #expect(try KnownHostsFile.add(key(1), of: server(1), to: path))
        #expect(try !KnownHostsFile.add(key(2), of: server(1), to: path))
        for type in ["ssh-rsa", "ssh-ed25519\nh", "", "@revoked", "*"] {
            #expect(try !KnownHostsFile.add(key(3, type: type), of: server(3), to: path))
        }
        #expect(try KnownHosts(PrivateFile.read(path)).verdict(for: server(1), key: key(1), .system) == .known)
        #expect(try PrivateFile.read(path).count { $0 == UInt8(ascii: "\n") } == 1)
    }

    @Test("many writers at once lose no line")
    func races() async throws {
        defer { unlink(path) }
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<40 {
                group.addTask { (try? KnownHostsFile.add(key(UInt8(number)), of: server(number), to: path)) ?? false }
            }
            for await isKept in group { #expect(isKept) }
        }
        let hosts = try KnownHosts(PrivateFile.read(path))
        for number in 0..<40 {
            #expect(hosts.verdict(for: server(number), key: key(UInt8(number)), .system) == .known)
        }
        #expect(hosts.malformedLines.isEmpty)
    }

    @Test("a file that others may write is left alone")
    func mode() throws {
        defer { unlink(path) }
        #expect(try KnownHostsFile.add(key(1), of: server(1), to: path))
        chmod(path, 0o666)
        #expect(throws: FileComplaint.self) { try KnownHostsFile.add(key(2), of: server(2), to: path) }
    }
}
