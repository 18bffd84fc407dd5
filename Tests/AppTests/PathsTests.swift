import ArgumentParser
import Pipeline
import Testing

@testable import App

@Suite("Where the daemon is found")
struct PathsTests {
    private static let inputs = "[[inputs.cpu]]\n[[outputs.file]]\n"

    @Test("the commands that ask the daemon find the socket that its configuration names")
    func socketOfConfiguration() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("config.toml", "[status]\nsocket = \"/run/elsewhere.sock\"\n" + Self.inputs)
        #expect(try SocketOption.parse(["--config", file]).path(main: "/none") == "/run/elsewhere.sock")
        #expect(try SocketOption.parse([]).path(main: file) == "/run/elsewhere.sock")
        #expect(try SocketOption.parse(["--config", file, "--socket", "/s"]).path(main: "/none") == "/s")
    }

    @Test("a configuration with errors stops them only when it was named")
    func brokenConfiguration() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("config.toml", "[status]\nsocket = 7\n")
        #expect(try SocketOption.parse([]).path(main: file) == Paths.statusSocket(nil))
        #expect(throws: ExitCode(78)) { _ = try SocketOption.parse(["--config", file]).path(main: "/none") }
    }

    @Test("the status names the files that were read")
    func filesRead() throws {
        #expect(ConfigPaths(file: "a", directories: ["b"]).all == ["a", "b"])
        #expect(ConfigPaths(directories: ["b"]).all == ["b"])
        #expect(ConfigPaths().all == [Paths.configFile])
    }
}
