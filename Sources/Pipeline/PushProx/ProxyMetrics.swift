/// The proxy's own figures in the exposition format.
public enum ProxyMetrics {
    public static func page(_ figures: ScrapeProxyFigures) -> [UInt8] {
        var text = PrometheusText()
        add(figures, to: &text)
        return text.bytes
    }

    static func add(_ figures: ScrapeProxyFigures, to text: inout PrometheusText) {
        let counters = figures.counters
        text.single("godwit_pushprox_proxy_clients", .gauge, "Names that have polled lately.", Double(figures.clients))
        text.single(
            "godwit_pushprox_proxy_waiting_polls", .gauge, "Polls that wait for a scrape.",
            Double(figures.waitingPolls))
        text.single("godwit_pushprox_proxy_open_scrapes", .gauge, "Scrapes under way.", Double(figures.openScrapes))
        text.single(
            "godwit_pushprox_proxy_connections", .gauge, "Connections of all listeners.", Double(figures.connections))
        text.single("godwit_pushprox_proxy_polls_total", .counter, "Polls that came.", Double(counters.polls))
        text.single(
            "godwit_pushprox_proxy_evictions_total", .counter, "Polls ended by another one of the same name.",
            Double(counters.evictions))
        text.single(
            "godwit_pushprox_proxy_lost_polls_total", .counter, "Polls whose connection ended while they waited.",
            Double(counters.lostPolls))
        text.single(
            "godwit_pushprox_proxy_expired_polls_total", .counter, "Polls answered without a scrape, for their age.",
            Double(counters.expiredPolls))
        text.single(
            "godwit_pushprox_proxy_handed_out_total", .counter, "Scrapes handed to clients.",
            Double(counters.handedOut))
        text.single(
            "godwit_pushprox_proxy_late_pushes_total", .counter, "Pushes that nobody waited for any more.",
            Double(counters.latePushes))
        text.single(
            "godwit_pushprox_proxy_body_bytes_total", .counter, "Bytes of the pages that went through.",
            Double(counters.bodyBytes))
        text.single(
            "godwit_pushprox_proxy_pushed_bytes_total", .counter, "Bytes that clients pushed.",
            Double(counters.pushedBytes))
        text.single(
            "godwit_pushprox_proxy_instruction_bytes_total", .counter, "Bytes of scrapes handed to clients.",
            Double(counters.instructionBytes))
        text.histogram(
            "godwit_pushprox_proxy_queue_wait_seconds", "How long scrapes waited for a poll.", counters.queueWaits)
        text.histogram(
            "godwit_pushprox_proxy_client_round_trip_seconds", "From the hand-out of a scrape to its whole response.",
            counters.roundTrips)
        text.family("godwit_pushprox_proxy_scrapes_total", .counter, "Scrapes by how they ended.")
        for (outcome, count) in counters.scrapes.sorted(by: { $0.key < $1.key }) {
            text.sample([("outcome", outcome)], Double(count))
        }
        text.family(
            "godwit_pushprox_proxy_refusals_total", .counter, "Requests by somebody who may not make them, by reason.")
        for reason in ProxyRefusal.allCases {
            text.sample([("reason", reason.rawValue)], Double(counters.refusals[reason] ?? 0))
        }
        text.tls(prefix: "godwit_pushprox_proxy", figures.tls)
    }
}
