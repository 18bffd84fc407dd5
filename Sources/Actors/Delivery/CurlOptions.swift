import CCurl
import Pipeline

/// Sets options one by one and remembers the first refusal.
struct CurlOptions {
    let easy: UnsafeMutableRawPointer
    var failure: TransferFailure?

    init(easy: UnsafeMutableRawPointer) { self.easy = easy }

    mutating func set(_ option: CURLoption, _ value: Int) { check(godwit_easy_set_long(easy, option, value)) }
    mutating func set(_ option: CURLoption, _ value: String) { check(godwit_easy_set_string(easy, option, value)) }
    mutating func set(_ option: CURLoption, pointer: UnsafeRawPointer?) {
        check(godwit_easy_set_pointer(easy, option, pointer))
    }

    mutating func check(_ code: CURLcode) {
        guard code != CURLE_OK, failure == nil else { return }
        failure = TransferFailure(.invalid, String(cString: curl_easy_strerror(code)))
    }
}

extension CurlTransfer {
    /// Whom the server must prove to be, and what it is shown.
    func configureTLS(_ setup: inout CurlOptions) {
        let options = request.connection
        let lowest = options.requiresTLS13 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2
        setup.set(CURLOPT_SSLVERSION, Int(lowest))
        setup.set(CURLOPT_SSL_VERIFYPEER, options.skipsVerification ? 0 : 1)
        setup.set(CURLOPT_SSL_VERIFYHOST, options.skipsVerification ? 0 : 2)
        if let file = options.tlsAuthorities { setup.set(CURLOPT_CAINFO, file) }
        if let file = options.tlsCertificate { setup.set(CURLOPT_SSLCERT, file) }
        if let file = options.tlsKey { setup.set(CURLOPT_SSLKEY, file) }
        if !options.tlsKeyPassword.isEmpty { setup.set(CURLOPT_KEYPASSWD, options.tlsKeyPassword.revealed) }
    }
}
