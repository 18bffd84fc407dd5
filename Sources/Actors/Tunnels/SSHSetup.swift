import CSSH2
import Glibc
import Pipeline

/// How we may prove who we are, in the order of trying.
enum SSHCredential: Sendable {
    case key(SigningKey, SigningKey.Method)
    /// A key that an agent holds: the name of its signature and the key as the agent knows it.
    case agent(algorithm: String, key: [UInt8])
    case password(Secret)
    case keyboard(Secret)

    /// For log and status, without a secret.
    var label: String {
        switch self {
        case .key(let key, let method): "publickey \(method.algorithm) \(key.fingerprint)"
        case .agent(let algorithm, let key): "agent \(algorithm) \(SSHDigests.system.fingerprint(of: key))"
        case .password: "password"
        case .keyboard: "keyboard-interactive"
        }
    }
}

/// The first part of a session: handshake, host key, authentication, monitor channel.
final class SSHSetup: SSHStep {
    struct Outcome: Sendable {
        var method: String
        var fingerprint: String
    }

    private enum Phase { case handshake, methods, authenticate, monitor, finished }

    private let user: [CChar]
    private let judge: ([UInt8]) -> TunnelFailure?
    private var credentials: [SSHCredential]
    private let agentSocket: String
    private let completion: (Result<Outcome, TunnelFailure>) -> Void
    private var phase = Phase.handshake
    private var outcome = Outcome(method: "", fingerprint: "")
    private var attempt: SSHAttempt?
    private var tried: [String] = []
    private var offered = ""
    private var isComplete = false

    /// - Parameters:
    ///   - judge: what is wrong with a host key; nil when nothing is.
    ///   - completion: called once; the link has ended already when it failed.
    init(
        user: String, credentials: [SSHCredential], agentSocket: String, judge: @escaping ([UInt8]) -> TunnelFailure?,
        completion: @escaping (Result<Outcome, TunnelFailure>) -> Void
    ) {
        self.user = Array(user.utf8CString)
        self.credentials = credentials
        self.agentSocket = agentSocket
        self.judge = judge
        self.completion = completion
    }

    var isFinished: Bool { phase == .finished }

    func step(_ link: SSHLink) -> Bool {
        let moved =
            switch phase {
            case .handshake: handshake(link)
            case .methods: methods(link)
            case .authenticate: authenticate(link)
            case .monitor: openMonitor(link)
            case .finished: false
            }
        // A step further is no work for nothing.
        if moved { link.didCarry = true }
        return moved
    }

    func abandon(_ failure: TunnelFailure) {
        phase = .finished
        attempt?.close()
        attempt = nil
        complete(.failure(failure))
    }

    private func complete(_ result: Result<Outcome, TunnelFailure>) {
        guard !isComplete else { return }
        isComplete = true
        completion(result)
    }

    // MARK: Phases

    private func handshake(_ link: SSHLink) -> Bool {
        let code = libssh2_session_handshake(link.session, link.descriptor)
        guard code != LIBSSH2_ERROR_EAGAIN else { return false }
        guard code == 0 else {
            var text = SSHLibrary.text(of: link.session, code: Int(code))
            if code == LIBSSH2_ERROR_KEX_FAILURE { text = TunnelFailure.noCommonKey + text }
            link.end(TunnelFailure(.handshakeFailed, text))
            return false
        }
        var length = 0
        var type: Int32 = 0
        guard let bytes = libssh2_session_hostkey(link.session, &length, &type) else {
            link.end(TunnelFailure(.handshakeFailed, "the server gave no host key"))
            return false
        }
        let key = UnsafeRawBufferPointer(start: bytes, count: length).map { $0 }
        outcome.fingerprint = SSHDigests.system.fingerprint(of: key)
        if let failure = judge(key) {
            link.end(failure)
            return false
        }
        phase = .methods
        return true
    }

    private func methods(_ link: SSHLink) -> Bool {
        let list = libssh2_userauth_list(link.session, user, UInt32(clamping: user.count - 1))
        if let list {
            offered = Self.printable(list)
        } else if libssh2_userauth_authenticated(link.session) != 0 {
            outcome.method = "none"
            phase = .monitor
            return true
        } else {
            let code = Int(libssh2_session_last_errno(link.session))
            if code != Int(LIBSSH2_ERROR_EAGAIN) {
                let text = SSHLibrary.text(of: link.session, code: code)
                link.end(TunnelFailure(.authFailed, "the server did not tell how to authenticate: \(text)"))
            }
            return false
        }
        phase = .authenticate
        return true
    }

    /// The names in a list of the server's, for log and status: visible ASCII, and not too much of it.
    private static func printable(_ list: UnsafePointer<CChar>) -> String {
        let bytes = UnsafeBufferPointer(start: list, count: strnlen(list, 200)).map { UInt8(bitPattern: $0) }
        return String(decoding: bytes.map { $0 > 0x20 && $0 < 0x7F ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    private func authenticate(_ link: SSHLink) -> Bool {
        let attempt: SSHAttempt
        if let current = self.attempt {
            attempt = current
        } else {
            guard let credential = nextCredential() else {
                let what = tried.isEmpty ? "nothing that the server takes" : tried.joined(separator: ", ")
                link.end(TunnelFailure(.authFailed, "tried \(what); the server takes \(offered)"))
                return false
            }
            tried.append(credential.label)
            attempt = SSHAttempt(credential, user: user, agentSocket: agentSocket)
            self.attempt = attempt
        }
        let code = attempt.go(link)
        guard code != Int(LIBSSH2_ERROR_EAGAIN) else { return false }
        self.attempt = nil
        attempt.close()
        if code == 0 {
            outcome.method = attempt.credential.label
            credentials = []
            phase = .monitor
            return true
        }
        if libssh2_userauth_authenticated(link.session) == 0, SSHLibrary.isFatal(code) || !isOpen(link) {
            link.end(
                TunnelFailure(.authFailed, "the server closed the connection after \(tried.joined(separator: ", "))"))
            return false
        }
        return true
    }

    /// Whether the server has not hung up: libssh2 gives a refusal and a cut the same code.
    private func isOpen(_ link: SSHLink) -> Bool {
        var byte: UInt8 = 0
        return recv(link.descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) != 0
    }

    /// The next one that the server takes at all.
    private func nextCredential() -> SSHCredential? {
        while !credentials.isEmpty {
            let credential = credentials.removeFirst()
            let name =
                switch credential {
                case .key, .agent: "publickey"
                case .password: "password"
                case .keyboard: "keyboard-interactive"
                }
            if offered.split(separator: ",").contains(where: { $0 == name }) { return credential }
        }
        return nil
    }

    private func openMonitor(_ link: SSHLink) -> Bool {
        phase = .finished
        link.opener.open(
            link,
            .session { [self] result in
                if case .failure(let failure) = result, !link.isAlive { return complete(.failure(failure)) }
                link.monitor.begin(link, channel: try? result.get().handle)
                complete(.success(outcome))
            }, within: link.timing.authenticate)
        return true
    }
}
