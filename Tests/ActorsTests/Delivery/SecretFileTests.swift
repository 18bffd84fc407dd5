import Glibc
import Testing

@testable import Actors

@Suite("SecretReader")
struct SecretFileTests {
    /// A folder with one secret file of that mode.
    private func folder(mode: mode_t) throws -> (folder: String, file: String) {
        var template = Array("/tmp/godwit-secret-XXXXXX".utf8CString)
        let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        let file = folder + "/token"
        let descriptor = open(file, O_WRONLY | O_CREAT, 0o600)
        #expect(write(descriptor, "s3cret\n", 7) == 7)
        #expect(fchmod(descriptor, mode) == 0)
        close(descriptor)
        return (folder, file)
    }

    @Test("a file that group or others can read is refused", arguments: [0o640, 0o604, 0o660] as [mode_t])
    func readableByOthers(mode: mode_t) throws {
        let place = try folder(mode: mode)
        defer {
            unlink(place.file)
            rmdir(place.folder)
        }
        var reader = SecretReader(.file(path: place.file), credentials: nil)
        #expect(throws: SecretError.self) { _ = try reader.current() }
    }

    @Test("a credential of systemd may show the mask of its access list as the group's right, and no more")
    func credential() throws {
        let place = try folder(mode: 0o440)
        defer {
            unlink(place.file)
            rmdir(place.folder)
        }
        var reader = SecretReader(.file(path: place.file), credentials: place.folder)
        #expect(try reader.current().revealed == "s3cret")
        #expect(chmod(place.file, 0o444) == 0)
        var fresh = SecretReader(.file(path: place.file), credentials: place.folder)
        #expect(throws: SecretError.self) { _ = try fresh.current() }
    }
}
