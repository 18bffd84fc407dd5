import CLinux
import Glibc
import Logging
import Pipeline
import Testing

@testable import Actors

@Suite("A tunnel that is stopped while it dials")
struct TunnelDialTests {
    /// A port of this machine that answers nobody: its queue is full.
    private struct SilentPort {
        let port: UInt16
        private let descriptors: [Int32]

        init?() {
            let place = NetworkPlace("127.0.0.1", 0)
            guard let any = KernelAddress.resolve(place, isNumeric: true).first else { return nil }
            let listener = any.listeningSocket(backlog: 0)
            guard listener >= 0, let port = KernelAddress.port(of: listener),
                let address = KernelAddress.resolve(NetworkPlace("127.0.0.1", port), isNumeric: true).first
            else { return nil }
            self.port = port
            var descriptors = [listener]
            for _ in 0..<64 {
                let descriptor = address.makeSocket()
                _ = address.beginConnect(descriptor)
                var connected = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard poll(&connected, 1, 500) == 1 else {
                    close(descriptor)
                    self.descriptors = descriptors
                    return
                }
                descriptors.append(descriptor)
            }
            return nil
        }

        func end() { for descriptor in descriptors { close(descriptor) } }

        /// Sockets that ask to be connected to it. Source: proc(5), /proc/net/tcp; 02 is SYN_SENT.
        var callers: Int {
            let digits = String(port, radix: 16, uppercase: true)
            let wanted = "0100007F:" + String(repeating: "0", count: 4 - digits.count) + digits
            let table = String(decoding: SmallFile.read("/proc/self/net/tcp", limit: 1 << 20), as: UTF8.self)
            var count = 0
            for line in table.split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                if words.count > 3, words[2] == wanted, words[3] == "02" { count += 1 }
            }
            return count
        }
    }

    @Test("leaves no half-made connection behind")
    func noConnection() async throws {
        let silent = try #require(SilentPort())
        defer { silent.end() }
        var spec = TunnelSpec(name: "t", server: NetworkPlace("127.0.0.1", silent.port), user: "u")
        spec.password = Secret("unused")
        spec.timing.connect = .seconds(60)
        let tunnel = Tunnel(
            spec: spec, via: nil, loop: WorkLoop(name: "dial-test"), threads: BlockingThreads(), seed: 1,
            log: Logger(label: "test"))
        let life = Task { try? await tunnel.run() }
        await eventually("it dials") { silent.callers == 1 }
        life.cancel()
        await life.value
        await eventually("its socket is closed") { silent.callers == 0 }
    }
}
