import Pipeline

/// The TLS options of inputs that ask servers, under Telegraf's names.
enum ClientTLSOptions {
    static let all: [OptionSpec] = [
        OptionSpec("tls_ca", .string(""), "File with the certificates that are trusted; empty means the system's."),
        OptionSpec("tls_cert", .string(""), "File with the client certificate."),
        OptionSpec("tls_key", .string(""), "File with its key."),
        OptionSpec("tls_key_pwd", .secret(.none), "Password of the client key."),
        OptionSpec(
            "tls_server_name", .string(""), "Name that the server's certificate must have; empty means the URL's."),
        OptionSpec(
            "tls_min_version", .string("TLS12"), "Oldest accepted version of TLS.", choices: ["TLS12", "TLS13"]),
        OptionSpec("insecure_skip_verify", .bool(false), "Do not check the server's certificate."),
    ]
}
