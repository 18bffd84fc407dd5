import CSSH2
import Glibc
import Pipeline

/// One try to prove who we are, repeated by the set-up until libssh2 has an answer.
final class SSHAttempt {
    let credential: SSHCredential
    private let user: [CChar]
    private let agentSocket: String
    private var agent: SSHAgentRequest?
    /// What libssh2 hands to its callbacks: a pointer to this attempt.
    private let context = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: 1)
    /// Whose memory libssh2 gives back.
    private weak var bounds: SSHBounds?

    init(_ credential: SSHCredential, user: [CChar], agentSocket: String) {
        self.credential = credential
        self.user = user
        self.agentSocket = agentSocket
        context.pointee = nil
    }

    deinit { context.deallocate() }

    func close() { agent?.close() }

    /// libssh2's code: 0, EAGAIN, or why not.
    func go(_ link: SSHLink) -> Int {
        let length = UInt32(clamping: user.count - 1)
        bounds = link.bounds
        switch credential {
        case .key(_, let method): return publicKey(link, method.publicKey)
        case .agent(let algorithm, let key): return publicKey(link, Self.key(key, named: algorithm))
        case .password(let secret):
            let text = Array(secret.revealed.utf8CString)
            return Int(
                libssh2_userauth_password_ex(
                    link.session, user, length, text, UInt32(clamping: text.count - 1), nil))
        case .keyboard:
            link.attempt = self
            return Int(
                libssh2_userauth_keyboard_interactive_ex(link.session, user, length) {
                    _, _, _, _, count, prompts, responses, abstract in
                    guard let link = SSHBounds.of(abstract)?.link, let responses else { return }
                    link.attempt?.answer(
                        UnsafeMutableBufferPointer(start: responses, count: Int(max(0, count))), prompts)
                })
        }
    }

    /// The key with another name in front: servers take an RSA key under the name of its signature.
    private static func key(_ key: [UInt8], named algorithm: String) -> [UInt8] {
        guard algorithm.hasPrefix("rsa-sha2"), key.count > 11 else { return key }
        var writer = SSHWriter()
        writer.string(algorithm.utf8)
        // 11 bytes: the length and "ssh-rsa".
        return writer.bytes + key[11...]
    }

    private func publicKey(_ link: SSHLink, _ key: [UInt8]) -> Int {
        context.pointee = Unmanaged.passUnretained(self).toOpaque()
        if agent == nil, case .agent(let algorithm, let key) = credential {
            agent = SSHAgentRequest(socket: agentSocket, key: key, algorithm: algorithm, link: link)
        }
        return Int(
            user.withUnsafeBufferPointer { user in
                libssh2_userauth_publickey(
                    link.session, user.baseAddress, key, key.count,
                    { _, signature, length, data, count, abstract in
                        guard let this = abstract?.pointee, let signature, let length else { return -1 }
                        let attempt = Unmanaged<SSHAttempt>.fromOpaque(this).takeUnretainedValue()
                        return attempt.sign(
                            UnsafeBufferPointer(start: data, count: count), into: signature, length)
                    }, context)
            })
    }

    private func sign(
        _ data: UnsafeBufferPointer<UInt8>, into result: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>,
        _ length: UnsafeMutablePointer<Int>
    ) -> Int32 {
        var signature: [UInt8]?
        switch credential {
        case .key(let key, let method): signature = key.sign(data, algorithm: method.algorithm)
        case .agent:
            guard let agent else { return -1 }
            switch agent.sign(Array(data)) {
            case .waiting: return LIBSSH2_ERROR_EAGAIN
            case .failed: return -1
            case .signed(let bytes): signature = bytes
            }
        case .password, .keyboard: return -1
        }
        guard let signature, !signature.isEmpty, let copy = bounds?.allocate(signature.count) else { return -1 }
        copy.copyMemory(from: signature, byteCount: signature.count)
        // libssh2 frees it.
        result.pointee = copy.assumingMemoryBound(to: UInt8.self)
        length.pointee = signature.count
        return 0
    }

    /// The password for every question that is not shown while it is typed, nothing for the others.
    private func answer(
        _ responses: UnsafeMutableBufferPointer<LIBSSH2_USERAUTH_KBDINT_RESPONSE>,
        _ prompts: UnsafePointer<LIBSSH2_USERAUTH_KBDINT_PROMPT>?
    ) {
        guard case .keyboard(let secret) = credential, let prompts else { return }
        for index in responses.indices {
            let text = Array((prompts[index].echo == 0 ? secret.revealed : "").utf8)
            guard let copy = bounds?.allocate(text.count) else { continue }
            copy.copyMemory(from: text, byteCount: text.count)
            responses[index].text = copy.assumingMemoryBound(to: CChar.self)
            responses[index].length = UInt32(clamping: text.count)
        }
    }
}
