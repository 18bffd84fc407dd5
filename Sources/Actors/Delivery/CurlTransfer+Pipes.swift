import CCurl
import Glibc
import Pipeline

/// Bodies that go through a pipe: libcurl's own pauses are the pace.
extension CurlTransfer {
    /// libcurl's code for a callback that has nothing now.
    private static let pause = Int(CURL_WRITEFUNC_PAUSE)

    var isPiped: Bool {
        if case .upload = request.method { return true }
        return request.sink != nil
    }

    func configurePipes(_ setup: inout CurlOptions) {
        guard isPiped else { return }
        setup.set(CURLOPT_BUFFERSIZE, 16 * 1_024)
        if let wake { request.sink?.setWriter(wake) }
        guard case .upload(let pipe, _) = request.method else { return }
        if let wake { pipe.setReader(wake) }
        setup.set(CURLOPT_READDATA, pointer: Unmanaged.passUnretained(self).toOpaque())
        setup.check(godwit_easy_set_write(easy, CURLOPT_READFUNCTION, sendBody))
    }

    /// Bytes of a reply, for a pipe; what libcurl's write callback returns.
    func pass(_ bytes: UnsafeMutablePointer<CChar>, _ length: Int, to sink: BodyPipe) -> Int {
        switch sink.take(UnsafeRawBufferPointer(start: bytes, count: length)) {
        case .taken:
            bodyBytes = bodyBytes.addingSaturated(length)
            return length
        case .wait: return Self.pause
        case .stop: return 0
        }
    }

    /// Bytes of a request, from a pipe; what libcurl's read callback returns.
    fileprivate func fill(_ buffer: UnsafeMutablePointer<CChar>, _ size: Int) -> Int {
        guard case .upload(let pipe, _) = request.method else { return Int(CURL_READFUNC_ABORT) }
        switch pipe.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: size)) {
        case .bytes(let count): return count
        case .wait: return Int(CURL_READFUNC_PAUSE)
        case .end: return 0
        // The connection ends in the middle of the request, so that nobody takes what has gone out for the whole.
        case .broken: return Int(CURL_READFUNC_ABORT)
        }
    }
}

/// Addresses that a name may lead to: asked before a connection is made, and again before a request goes out over one
/// that was made before.
extension CurlTransfer {
    func configureAddresses(_ setup: inout CurlOptions) {
        guard request.connection.addresses != nil, request.connection.unixSocketPath == nil else { return }
        let context = Unmanaged.passUnretained(self).toOpaque()
        setup.set(CURLOPT_OPENSOCKETDATA, pointer: context)
        setup.check(godwit_easy_set_opensocket(easy, openSocket))
        setup.set(CURLOPT_PREREQDATA, pointer: context)
        setup.check(godwit_easy_set_prereq(easy, beforeRequest))
    }

    /// Whether a connection to `address` may be used.
    fileprivate func mayUse(_ address: IPAddress?) -> Bool {
        guard let rule = request.connection.addresses else { return true }
        guard let address else {
            forbidden = "the address of the host is of an unknown kind"
            return false
        }
        // Of several addresses the last one that was tried counts.
        forbidden = rule.refusal(of: address, isOwn: OwnAddresses.contain)
        return forbidden == nil
    }
}

/// libcurl's read callback.
private func sendBody(
    _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let buffer, let context else { return Int(CURL_READFUNC_ABORT) }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.fill(buffer, size.multipliedSaturated(by: count))
}

/// libcurl's callback that makes a socket; without one the next address is tried.
private func openSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let context, let address, let start = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return -1 }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    guard transfer.mayUse(IPAddress(socketAddress: UnsafeRawPointer(address) + start)) else { return -1 }
    return OwnAddresses.socket(address.pointee.family, address.pointee.socktype, address.pointee.protocol)
}

/// libcurl's callback before a request goes out.
private func beforeRequest(
    _ context: UnsafeMutableRawPointer?, _ remote: UnsafeMutablePointer<CChar>?,
    _ local: UnsafeMutablePointer<CChar>?, _ remotePort: Int32, _ localPort: Int32
) -> Int32 {
    guard let context, let remote else { return Int32(CURL_PREREQFUNC_ABORT) }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    let text = String(cString: remote)
    let address = IPAddress(String(text.prefix { $0 != "%" }))
    return transfer.mayUse(address) ? Int32(CURL_PREREQFUNC_OK) : Int32(CURL_PREREQFUNC_ABORT)
}
