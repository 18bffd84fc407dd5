import CCurl
import Glibc
import Pipeline

/// One transfer under way: the easy handle, everything whose address libcurl holds, and what has come so far.
///
/// Lives on the I/O loop only; the actor `CurlMulti` owns it from start to end.
final class CurlTransfer {
    static let bodyLimit = InfluxDBReply.bodyLimit
    /// All header lines of a reply together.
    static let headerLimit = 64 * 1024

    let ticket: Ticket
    let easy: UnsafeMutableRawPointer
    let started: Instant
    var continuation: CheckedContinuation<Result<HTTPReply, TransferFailure>, Never>?
    let request: HTTPRequest
    // libcurl reads the body from the array's own storage, which neither moves nor changes while it is retained here.
    private let body: [UInt8]
    private var lists: [UnsafeMutablePointer<curl_slist>] = []
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    fileprivate var received: [UInt8] = []
    var bodyBytes = 0
    fileprivate let bodyLimit: Int
    fileprivate let keepsBody: Bool
    private var headers: [String: String] = [:]
    private var fields: [HTTPField] = []
    private var answered: Instant?
    private var isRedirecting = false
    fileprivate var headerBytes = 0
    fileprivate var retryAfter: String?
    fileprivate var isBodyTooLong = false
    fileprivate var isHeaderTooLong = false
    /// Why no connection may be made.
    var forbidden: String?
    /// Goes on after a pause. Any thread.
    var wake: (@Sendable () -> Void)?

    init(ticket: Ticket, easy: UnsafeMutableRawPointer, request: HTTPRequest, started: Instant) {
        self.ticket = ticket
        self.easy = easy
        self.request = request
        self.started = started
        bodyLimit = request.probe?.bodyLimit ?? CurlTransfer.bodyLimit
        keepsBody = request.probe?.keepsBody ?? true
        if case .post(let body) = request.method { self.body = body } else { body = [] }
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        for list in lists { curl_slist_free_all(list) }
        errorText.deallocate()
    }

    /// Sets every option on the (new or reset) easy handle.
    ///
    /// Errors: `.invalid` when libcurl refuses one, such as a TLS file option without TLS support.
    func configure() -> TransferFailure? {
        var setup = CurlOptions(easy: easy)
        setup.set(CURLOPT_NOSIGNAL, 1)
        setup.set(CURLOPT_FOLLOWLOCATION, 0)
        setup.set(CURLOPT_PROTOCOLS_STR, "http,https")
        setup.set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        setup.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        setup.set(CURLOPT_HTTP_CONTENT_DECODING, 0)
        setup.set(CURLOPT_TCP_KEEPALIVE, 1)
        setup.set(CURLOPT_BUFFERSIZE, 4096)
        setup.set(CURLOPT_UPLOAD_BUFFERSIZE, 16 * 1024)
        setup.set(CURLOPT_DNS_CACHE_TIMEOUT, 60)
        setup.set(CURLOPT_ERRORBUFFER, pointer: errorText)
        let context = Unmanaged.passUnretained(self).toOpaque()
        setup.set(CURLOPT_WRITEDATA, pointer: context)
        setup.set(CURLOPT_HEADERDATA, pointer: context)
        setup.check(godwit_easy_set_write(easy, CURLOPT_WRITEFUNCTION, receiveBody))
        setup.check(godwit_easy_set_write(easy, CURLOPT_HEADERFUNCTION, receiveHeader))
        let timeout = Int(clamping: request.timeout.wholeNanoseconds / 1_000_000)
        setup.set(CURLOPT_TIMEOUT_MS, max(1, timeout))
        configureConnection(&setup)
        configureTLS(&setup)
        configureRequest(&setup)
        configurePipes(&setup)
        configureAddresses(&setup)
        return setup.failure
    }

    private func configureConnection(_ setup: inout CurlOptions) {
        let options = request.connection
        let isTLS = request.url.hasPrefix("https:")
        let connect = options.connectTimeout + (isTLS ? .seconds(5) : .zero)
        setup.set(CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(clamping: connect.wholeNanoseconds / 1_000_000)))
        setup.set(CURLOPT_USERAGENT, options.userAgent)
        if let path = options.unixSocketPath {
            setup.set(CURLOPT_UNIX_SOCKET_PATH, path)
            setup.set(CURLOPT_PROXY, "")
        } else if let proxy = options.proxy {
            setup.set(CURLOPT_PROXY, proxy)
        }
        if options.keepAliveSeconds > 0 {
            setup.set(CURLOPT_TCP_KEEPIDLE, options.keepAliveSeconds)
            setup.set(CURLOPT_TCP_KEEPINTVL, options.keepAliveSeconds)
        }
        if let address = options.localAddress, !address.isEmpty { setup.set(CURLOPT_INTERFACE, address) }
    }

    private func configureRequest(_ setup: inout CurlOptions) {
        var url = request.url
        // No wait for `100 Continue`, which many servers never send.
        var headers = request.headers + ["Expect:"]
        if let name = request.connection.tlsServerName, let parts = HTTPURL(url), parts.host != name {
            // The URL's host decides SNI and the name that is checked; the connection goes where it did.
            url = parts.replacingHost(with: name)
            setup.set(CURLOPT_CONNECT_TO, pointer: list(["\(name):\(parts.port):\(parts.bracketedHost):\(parts.port)"]))
            if !headers.contains(where: { $0.lowercased().hasPrefix("host:") }) {
                headers.append("Host: \(parts.authority)")
            }
        }
        setup.set(CURLOPT_URL, url)
        switch request.credentials {
        case .none: break
        case .basic(let user, let password):
            setup.set(CURLOPT_HTTPAUTH, 1)
            setup.set(CURLOPT_USERNAME, user)
            setup.set(CURLOPT_PASSWORD, password.revealed)
        case .token(let token): headers.append("Authorization: Token \(token.revealed)")
        case .bearer(let token): headers.append("Authorization: Bearer \(token.revealed)")
        }
        if let probe = request.probe { configureProbe(probe, &setup, &headers) }
        switch request.method {
        case .get: break
        case .upload(_, let length):
            setup.set(CURLOPT_POST, 1)
            setup.check(godwit_easy_set_off(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(length ?? -1)))
            headers.append("Content-Type:")
            if length == nil { headers.append("Transfer-Encoding: chunked") }
        case .post:
            setup.set(CURLOPT_POST, 1)
            setup.check(godwit_easy_set_off(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count)))
            let start = body.withUnsafeBufferPointer { UnsafeRawPointer($0.baseAddress) }
            // A null pointer would mean "ask the read callback".
            setup.set(CURLOPT_POSTFIELDS, pointer: body.isEmpty ? UnsafeRawPointer(errorText) : start)
        }
        // After what libcurl takes from the body.
        if let verb = request.probe?.verb, verb == "HEAD", body.isEmpty {
            setup.set(CURLOPT_NOBODY, 1)
        } else if let verb = request.probe?.verb, verb != (sendsBody ? "POST" : "GET") {
            setup.set(CURLOPT_CUSTOMREQUEST, verb)
        }
        setup.set(CURLOPT_HTTPHEADER, pointer: list(headers))
    }

    private var sendsBody: Bool {
        if case .upload = request.method { return true }
        return !body.isEmpty
    }

    /// A connection of its own, whose name lookup and handshake count.
    private func configureProbe(_ probe: HTTPProbe, _ setup: inout CurlOptions, _ headers: inout [String]) {
        if probe.isFresh {
            setup.set(CURLOPT_FRESH_CONNECT, 1)
            setup.set(CURLOPT_FORBID_REUSE, 1)
            setup.set(CURLOPT_DNS_CACHE_TIMEOUT, 0)
        }
        if probe.followsRedirects {
            setup.set(CURLOPT_FOLLOWLOCATION, 1)
            setup.set(CURLOPT_MAXREDIRS, 10)
        }
        // libcurl would call any body a form.
        if !body.isEmpty, !headers.contains(where: { $0.lowercased().hasPrefix("content-type:") }) {
            headers.append("Content-Type:")
        }
    }

    // MARK: Replies

    /// One header line of the reply, its end included.
    fileprivate func note(_ line: UnsafeRawBufferPointer) {
        guard request.probe != nil || !request.wantedHeaders.isEmpty else { return }
        let text = String(decoding: line.prefix { $0 != 13 && $0 != 10 }, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            // The next reply, behind an interim one or a redirect.
            headers = [:]
            fields = []
            answered = nil
            isRedirecting = false
        } else if text.isEmpty {
            var status = 0
            _ = godwit_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
            let followsRedirects = request.probe?.followsRedirects ?? false
            let isOver = status >= 200 && !(followsRedirects && isRedirecting && 300..<400 ~= status)
            if isOver, request.probe != nil { answered = KernelClock.monotonic() }
            if isOver { request.sink?.take(PageBuffer.Head(status: status, fields: fields)) }
        } else if let colon = text.firstIndex(of: ":") {
            let name = text[..<colon].lowercased()
            if name == "location" { isRedirecting = true }
            if request.probe?.keepsFields ?? false {
                fields.append(
                    HTTPField(String(text[..<colon]), Array(text[text.index(after: colon)...].utf8).trimmedText))
            }
            guard request.wantedHeaders.contains(name), headers[name] == nil else { return }
            headers[name] = Array(text[text.index(after: colon)...].utf8).trimmedText
        }
    }

    private func reply(_ status: Int, now: Instant, failure: TransferFailure? = nil) -> HTTPReply {
        var reply = HTTPReply(
            status: status, body: received, isTruncated: isBodyTooLong, retryAfter: retryAfter, elapsed: now - started)
        reply.answerTime = (answered ?? now) - started
        reply.bodyBytes = bodyBytes
        reply.headers = headers
        reply.fields = fields
        reply.bodyFailure = failure
        return reply
    }

    /// A C list of lines that lives as long as this transfer. Lines with control characters would smuggle: left out.
    private func list(_ lines: [String]) -> UnsafeMutablePointer<curl_slist>? {
        var head: UnsafeMutablePointer<curl_slist>?
        for line in lines where !line.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            if let longer = curl_slist_append(head, line) { head = longer }
        }
        if let head { lists.append(head) }
        return head
    }

    /// The end, by libcurl's code.
    func result(_ code: CURLcode, now: Instant) -> Result<HTTPReply, TransferFailure> {
        var status = 0
        _ = godwit_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        if code == CURLE_OK || code == CURLE_WRITE_ERROR && isBodyTooLong {
            return .success(reply(status, now: now))
        }
        var text = String(cString: errorText)
        if text.isEmpty { text = String(cString: curl_easy_strerror(code)) }
        if isHeaderTooLong { text = "reply headers longer than \(Self.headerLimit) bytes" }
        let failure =
            forbidden.map { TransferFailure(.forbidden, $0) } ?? TransferFailure(kind(of: code), libcurl: text)
        if answered != nil { return .success(reply(status, now: now, failure: failure)) }
        return .failure(failure)
    }

    private func kind(of code: CURLcode) -> TransferFailure.Kind {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .dns
        case CURLE_COULDNT_CONNECT, CURLE_INTERFACE_FAILED: .hardDown
        case CURLE_OPERATION_TIMEDOUT: .timeout
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_USE_SSL_FAILED,
            CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            .tls
        case CURLE_URL_MALFORMAT, CURLE_BAD_FUNCTION_ARGUMENT, CURLE_NOT_BUILT_IN, CURLE_UNKNOWN_OPTION: .invalid
        // Also what libcurl says to an HTTP/0.9 answer, which only comes over a connection.
        case CURLE_UNSUPPORTED_PROTOCOL: hasConnected ? .reset : .invalid
        default: .reset
        }
    }

    private var hasConnected: Bool {
        var connections = 0
        return godwit_easy_get_long(easy, CURLINFO_NUM_CONNECTS, &connections) == CURLE_OK && connections > 0
    }
}

/// libcurl's write callback: a return value other than the given size ends the transfer.
private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    let length = size.multipliedSaturated(by: count)
    if let sink = transfer.request.sink { return transfer.pass(bytes, length, to: sink) }
    let room = transfer.bodyLimit - transfer.bodyBytes
    transfer.bodyBytes += min(length, room)
    if transfer.keepsBody {
        transfer.received.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: min(length, room)))
    }
    guard length <= room else {
        transfer.isBodyTooLong = true
        return 0
    }
    return length
}

/// libcurl's header callback: once for each header line, the status line included.
private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    let length = size.multipliedSaturated(by: count)
    transfer.headerBytes = transfer.headerBytes.addingSaturated(length)
    guard transfer.headerBytes <= CurlTransfer.headerLimit else {
        transfer.isHeaderTooLong = true
        return 0
    }
    transfer.note(UnsafeRawBufferPointer(start: bytes, count: length))
    let name = "retry-after:"
    if length > name.utf8.count, strncasecmp(bytes, name, name.utf8.count) == 0 {
        let line = UnsafeRawBufferPointer(start: bytes, count: min(length, 128)).dropFirst(name.utf8.count)
        transfer.retryAfter = String(decoding: line.filter { $0 >= 0x20 }, as: UTF8.self)
    }
    return length
}
