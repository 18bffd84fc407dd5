import Pipeline

extension HTTPResponseCollector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "http_response", summary: "What HTTP servers answer, and how soon.",
            options: requestOptions + expectedOptions + connectionOptions + elsewhere,
            metrics: [
                MetricSpec(
                    "http_response", tags: ["method", "result", "server", "status_code"],
                    fields: [
                        MetricSpec.Field("response_time", .float, .seconds, "from the call to the end of the headers"),
                        MetricSpec.Field("http_response_code", .int, .none, "status of the answer"),
                        MetricSpec.Field("content_length", .int, .bytes, "length of the body that came"),
                        MetricSpec.Field("response_string_match", .int, .none, "0 or 1; with response_string_match"),
                        MetricSpec.Field(
                            "response_status_code_match", .int, .none, "0 or 1; with response_status_code"),
                        MetricSpec.Field("result_type", .string, .none, "the same as the tag result"),
                        MetricSpec.Field("result_code", .int, .none, "0 to 6, by the tag result"),
                    ],
                    note: "Further tags by `http_header_tags`, and the body as a field by `response_body_field`.")
            ])
    }

    private static let requestOptions: [OptionSpec] = [
        OptionSpec("urls", .strings(["http://localhost"]), "Addresses to ask, http or https."),
        OptionSpec("method", .string("GET"), "Method of the request."),
        OptionSpec("response_timeout", .duration(.seconds(5)), "Longest time for an answer.", bounds: 0...3_600),
        OptionSpec("follow_redirects", .bool(false), "Go where a redirect points, up to ten times."),
        OptionSpec("body", .string(""), "Body of the request."),
        OptionSpec("body_form", .listTable([:]), "Body as a form, where there is no other."),
        OptionSpec("headers", .table([:]), "Headers of the request."),
        OptionSpec("username", .secret(.none), "User for basic authentication."),
        OptionSpec("password", .secret(.none), "The user's password."),
        OptionSpec("token", .secret(.none), "Token, sent as Authorization: Bearer."),
        OptionSpec("bearer_token", .string(""), "File with that token."),
    ]

    private static let expectedOptions: [OptionSpec] = [
        OptionSpec("response_string_match", .string(""), "Regular expression that the body must match."),
        OptionSpec("response_status_code", .integer(0), "Status that the answer must have; 0: any.", bounds: 0...999),
        OptionSpec("response_body_field", .string(""), "Field that takes the body; empty: none."),
        OptionSpec(
            "response_body_max_size", .size(32 << 20), "Longest body; what is longer is a body_read_error.",
            bounds: 0...1_073_741_824),
        OptionSpec("http_header_tags", .table([:]), "Headers of the answer that become tags: header = tag."),
    ]

    private static let connectionOptions: [OptionSpec] =
        [
            OptionSpec("http_proxy", .string(""), "Proxy; empty means what the environment says."),
            OptionSpec("interface", .string(""), "Interface or address to connect from."),
        ] + ClientTLSOptions.all

    /// Telegraf's options that have no effect here, or none in this version.
    private static let elsewhere: [OptionSpec] = [
        OptionSpec(
            "tls_renegotiation_method", .string("never"), "When TLS may be negotiated again.",
            ignoredBecause: "it is never negotiated again"),
        OptionSpec("tls_cipher_suites", .strings([]), "Accepted ciphers.", refusedBecause: missing),
        OptionSpec("cookie_auth_url", .string(""), "Where to log in for a cookie.", refusedBecause: missing),
        OptionSpec("cookie_auth_method", .string("POST"), "Method of that login.", refusedBecause: missing),
        OptionSpec("cookie_auth_username", .string(""), "User of that login.", refusedBecause: missing),
        OptionSpec("cookie_auth_password", .secret(.none), "Password of that login.", refusedBecause: missing),
        OptionSpec("cookie_auth_body", .string(""), "Body of that login.", refusedBecause: missing),
        OptionSpec("cookie_auth_renewal", .duration(.zero), "When to log in again.", refusedBecause: missing),
    ]

    private static let missing = "not available in this version"
}
