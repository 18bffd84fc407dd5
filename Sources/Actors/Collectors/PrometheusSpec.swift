import Pipeline

extension PrometheusInput {
    public static let spec = PluginSpec(
        name: "prometheus", summary: "Pages of metrics in Prometheus' formats, scraped from their servers.",
        options: targetOptions + pageOptions + requestOptions + kubernetes + elsewhere,
        metrics: [
            MetricSpec(
                "prometheus", tags: ["*"],
                fields: [
                    .float("up", .none, "1 when the page of the target was read, else 0"),
                    .float("scrape_duration_seconds", .seconds, "from the request to the last point"),
                    .float("scrape_samples_scraped", .count, "samples on the page"),
                    .float("scrape_samples_post_metric_relabeling", .count, "those that rules kept"),
                    .float("scrape_series_added", .count, "series that the page before did not have"),
                    .float("*", .none, "the samples of the page"),
                ],
                note: "With `metric_version = 2`. Tags are the labels, those of the target, and `url`."),
            MetricSpec(
                "*", tags: ["*"],
                fields: [
                    .float("counter", .none, "value of a counter"), .float("gauge", .none, "value of a gauge"),
                    .float("value", .none, "value of what has no type"),
                    .float("sum", .none, "of a histogram or summary"),
                    .float("count", .count, "of a histogram or summary"),
                    .float("*", .none, "bucket of a histogram up to this bound, or quantile of a summary"),
                ], note: "With `metric_version = 1`: the measurement is the name of the metric."),
        ],
        subtables: [
            SubtableSpec(
                "relabel_configs", "Rules for the targets that discovery finds.", options: RelabelRule.options),
            SubtableSpec(
                "metric_relabel_configs", "Rules for the series of all pages.", options: RelabelRule.options),
        ])

    private static let targetOptions: [OptionSpec] = [
        OptionSpec("urls", .strings([]), "Pages: http, https, or unix:///path?path=/metrics."),
        OptionSpec("file_sd_files", .strings([]), "Files of targets in JSON; patterns. Read at every tick."),
        OptionSpec("http_sd_urls", .strings([]), "Addresses that answer with such a list."),
        OptionSpec(
            "sd_refresh_interval", .duration(.seconds(60)), "How often http_sd_urls are asked.", bounds: 1...86_400),
        OptionSpec("sd_scheme", .string("http"), "Scheme of discovered targets.", choices: ["http", "https"]),
        OptionSpec("sd_metrics_path", .string("/metrics"), "Path of discovered targets."),
        OptionSpec(
            "target_limit", .integer(1_000), "Targets that are scraped; more are an error and left out.",
            bounds: 1...100_000),
        OptionSpec("spread", .bool(true), "Scrapes of several targets begin one after another over the interval."),
        OptionSpec(
            "max_parallel", .integer(16), "Pages that are fetched at the same time, the quick ones first.",
            bounds: 1...1_000),
    ]

    private static let pageOptions: [OptionSpec] = [
        OptionSpec("metric_version", .integer(1), "Layout of the points.", bounds: 1...2),
        OptionSpec("url_tag", .string("url"), "Tag that takes the page's address; empty: none."),
        OptionSpec("ignore_timestamp", .bool(false), "Points get the time of the gather, not that of the page."),
        OptionSpec(
            "content_length_limit", .size(16 << 20), "Longest page, also after decompression.",
            bounds: 1...1_073_741_824),
        OptionSpec(
            "sample_limit", .integer(200_000), "Samples of a page; with more none is taken.", bounds: 1...10_000_000),
        OptionSpec(
            "content_type_override", .string(""), "Read pages as this, whatever their server says.",
            choices: ["", "text", "openmetrics-text", "text/plain", "application/openmetrics-text"]),
        OptionSpec("scrape_points", .bool(true), "Add up and the scrape_* fields."),
        OptionSpec(
            "stale_markers", .bool(true), "Tell outputs of Prometheus when a series has ended; others never see it."),
    ]

    private static let requestOptions: [OptionSpec] =
        [
            OptionSpec("timeout", .duration(.seconds(5)), "Longest time for a page.", bounds: 0.001...3_600),
            OptionSpec(
                "response_timeout", .duration(.zero), "Older name of timeout; 0s: not given.", bounds: 0...3_600),
            OptionSpec("follow_redirects", .bool(false), "Go where a redirect points, up to ten times."),
            OptionSpec("username", .secret(.none), "User for basic authentication."),
            OptionSpec("password", .secret(.none), "The user's password."),
            OptionSpec(
                "bearer_token", .string(""), "File with a token, sent as Authorization: Bearer; read each time."),
            OptionSpec("bearer_token_string", .secret(.none), "That token itself."),
            OptionSpec("http_headers", .table([:]), "Headers of the request."),
            OptionSpec("headers", .table([:]), "Older name of http_headers."),
            OptionSpec("use_system_proxy", .bool(false), "Take the proxy that the environment names."),
            OptionSpec("http_proxy_url", .string(""), "Proxy."),
        ] + ClientTLSOptions.all

    private static let missing = "not available in this version"

    private static let kubernetes: [OptionSpec] = [
        OptionSpec(
            "kubernetes_services", .strings([]), "Services whose addresses are looked up.", refusedBecause: missing),
        OptionSpec("kube_config", .string(""), "File that says how to reach Kubernetes.", refusedBecause: missing),
        OptionSpec("monitor_kubernetes_pods", .bool(false), "Scrape annotated pods.", refusedBecause: missing),
        OptionSpec(
            "monitor_kubernetes_pods_namespace", .string(""), "Only pods of this namespace.", refusedBecause: missing),
        OptionSpec(
            "monitor_kubernetes_pods_method", .string("annotations"), "How pods say that they want it.",
            refusedBecause: missing),
        OptionSpec("pod_scrape_scope", .string("cluster"), "Pods of the cluster or the node.", refusedBecause: missing),
        OptionSpec("pod_scrape_interval", .integer(60), "How often pods are listed.", refusedBecause: missing),
        OptionSpec("kubernetes_label_selector", .string(""), "Only pods with labels.", refusedBecause: missing),
        OptionSpec("kubernetes_field_selector", .string(""), "Only pods with fields.", refusedBecause: missing),
        OptionSpec("node_ip", .string(""), "Address of the node.", refusedBecause: missing),
    ]

    private static let elsewhere: [OptionSpec] = [
        OptionSpec(
            "enable_request_metrics", .bool(false), "Add points about the requests.",
            ignoredBecause: "scrape_points says the same"),
        OptionSpec(
            "enable_http2", .bool(true), "Speak HTTP/2 where the server does.", ignoredBecause: "HTTP/1.1 is spoken"),
        OptionSpec(
            "tls_renegotiation_method", .string("never"), "When TLS may be negotiated again.",
            ignoredBecause: "it is never negotiated again"),
        OptionSpec("tls_enable", .bool(true), "Whether TLS is used.", ignoredBecause: "the address says it"),
    ]
}
