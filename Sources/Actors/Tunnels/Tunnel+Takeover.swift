import CSSH2
import Pipeline

/// A port that a dead session of ours still holds at the server.
///
/// A session that was cut without a word lives on at the server until TCP gives up, and its process keeps the ports of
/// remote forwards. So each session asks which process serves it, and when a port is in use after a reconnect, the
/// processes of earlier sessions are ended, also those of an agent that was here before this one. Where the account has no shell this does nothing, and the port comes free
/// when the server notices (`ClientAliveInterval`).
extension Tunnel {
    /// Asks the server's process who it is.
    func learnHolder(_ link: SSHLink) {
        run(SessionGreeting.question, on: link) { [self, weak link] output in
            guard let greeting = SessionGreeting(output), let link, link === self.link else { return }
            serverAddress = greeting.serverAddress
            remember(greeting.holder)
        }
    }

    private func remember(_ holder: RemoteHolder) {
        holders.removeAll { $0 == holder }
        holders.append(holder)
        if holders.count > HolderBook.holdersLimit { holders.removeFirst() }
        presentHolder = holder
        holderFile?.set(holders, of: HolderBook.Owner(spec))
    }

    /// Ends the processes of earlier sessions that still live, and tells the forward whether there was one.
    func takeOver(for id: String) {
        let old = holders.filter { $0 != presentHolder }
        guard spec.takesOverPorts, let link, isReady, presentHolder != nil, !old.isEmpty else {
            return didTakeOver(false, for: id)
        }
        run(old.map(\.command).joined(separator: "; ") + "; echo asked", on: link) { [self] output in
            let lines = output.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
            let didEnd = lines.contains("ended")
            // None of them is there any more: the next question need not name them again.
            if lines.contains("asked") {
                holders.removeAll { old.contains($0) }
                holderFile?.set(holders, of: HolderBook.Owner(spec))
            }
            if didEnd {
                log.notice("ended what an earlier session left at the server", metadata: ["tunnel": "\(spec.name)"])
            }
            didTakeOver(didEnd, for: id)
        }
    }

    private func didTakeOver(_ didSomething: Bool, for id: String) {
        for forward in forwards where forward.spec.id == id { (forward as? RemoteForward)?.didTakeOver(didSomething) }
    }

    /// Runs a command of ours at the server. `body` gets what it printed, nothing when it could not run.
    private func run(_ command: String, on link: SSHLink, _ body: @escaping ([UInt8]) -> Void) {
        let request = SSHOpener.Request.session { result in
            switch result {
            case .success(let channel): channel.link.add(SSHCommand(channel.handle, command, body))
            case .failure: body([])
            }
        }
        link.opener.open(link, request, within: .seconds(5))
    }
}

/// A command at the server: runs it and reads what it prints, at most 4 KiB within 5 s.
final class SSHCommand: SSHStep {
    private let channel: OpaquePointer
    private let command: [CChar]
    private var body: (([UInt8]) -> Void)?
    private var output: [UInt8] = []
    private var hasStarted = false
    private var isClosing = false
    private var hasTimer = false
    private(set) var isFinished = false

    init(_ channel: OpaquePointer, _ command: String, _ body: @escaping ([UInt8]) -> Void) {
        self.channel = channel
        self.command = Array(command.utf8CString)
        self.body = body
    }

    func step(_ link: SSHLink) -> Bool {
        if !hasTimer {
            hasTimer = true
            link.after(.seconds(5)) { [weak self] link in
                self?.isClosing = true
                link.turn()
            }
        }
        // Not while a packet of the read is half sent.
        if isClosing, !link.isHalfSent { return close(link) }
        if !hasStarted {
            let code = Int(
                libssh2_channel_process_startup(channel, "exec", 4, command, UInt32(clamping: command.count - 1)))
            if code == Int(LIBSSH2_ERROR_EAGAIN) || link.isFatal(code) { return false }
            hasStarted = true
            isClosing = code != 0
            return true
        }
        let bytes = link.scratch.baseAddress?.assumingMemoryBound(to: CChar.self)
        let count = libssh2_channel_read_ex(channel, 0, bytes, 4_096)
        if count > 0 {
            output += link.scratch[..<count]
            if output.count > 4_096 { isClosing = true }
            return true
        }
        if count == 0, libssh2_channel_eof(channel) != 0 {
            isClosing = true
            return true
        }
        _ = link.isFatal(count)
        return false
    }

    private func close(_ link: SSHLink) -> Bool {
        guard link.free(channel) else { return false }
        isFinished = true
        finish()
        return true
    }

    private func finish() {
        let body = body
        self.body = nil
        body?(output)
    }

    func abandon(_ failure: TunnelFailure) {
        isFinished = true
        output = []
        finish()
    }
}
