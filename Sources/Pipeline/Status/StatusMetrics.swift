/// The page `/metrics`: the status report as Prometheus metrics.
///
/// Names are public. Counters end in `_total`, ages in `_seconds`, sizes in `_bytes`; an age that is not known yet has
/// no sample.
public enum StatusMetrics {
    public static func exposition(_ report: StatusReport) -> [UInt8] {
        var text = PrometheusText()
        agent(report, &text)
        tree(report.tree, &text)
        inputs(report.inputs, &text)
        batcher(report.batcher, &text)
        spill(report.streams, &text)
        outputs(report.outputs, &text)
        tunnels(report.tunnels, &text)
        relay(report.relay, &text)
        pushprox(report.pushprox, &text)
        process(report.process, &text)
        return text.bytes
    }

    private static func agent(_ report: StatusReport, _ text: inout PrometheusText) {
        text.family("godwit_build_info", .gauge, "Always 1; the version is a label.")
        text.sample([("version", report.version)], 1.0)
        text.single("godwit_uptime_seconds", .gauge, "Since the process started.", report.uptime.inSeconds)
        text.family("godwit_health", .gauge, "1 for the state the agent is in, 0 for the others.")
        for state in HealthState.allCases {
            text.sample([("state", state.rawValue)], state == report.health.state ? 1.0 : 0)
        }
        text.single("godwit_ready", .gauge, "1 when the agent collects and stores.", report.notReady == nil ? 1 : 0)
        if let reload = report.config.lastReload {
            text.single(
                "godwit_reload_accepted", .gauge, "1 when the last reload was accepted.", reload.isAccepted ? 1 : 0)
        }
    }

    private static func tree(_ root: ChildStatus, _ text: inout PrometheusText) {
        let children = root.flattened()
        text.family("godwit_child_state", .gauge, "1 for the state each supervised child is in.")
        for (path, child) in children { text.sample([("child", path), ("state", child.state.rawValue)], 1.0) }
        text.family("godwit_child_restarts_total", .counter, "Restarts of each supervised child.")
        for (path, child) in children { text.sample([("child", path)], child.restarts) }
        text.family("godwit_child_abandoned_total", .counter, "Runs that did not stop in time and were left behind.")
        for (path, child) in children { text.sample([("child", path)], child.abandoned) }
    }

    private static func inputs(_ inputs: [StatusReport.Input], _ text: inout PrometheusText) {
        text.family("godwit_input_points_total", .counter, "Points that each input gathered.")
        for input in inputs { text.sample([("input", input.id)], input.points) }
        text.family("godwit_input_errors_total", .counter, "Errors of each input.")
        for input in inputs { text.sample([("input", input.id)], input.errors) }
        text.family("godwit_input_ticks_skipped_total", .counter, "Ticks skipped because the one before took too long.")
        for input in inputs { text.sample([("input", input.id)], input.skippedTicks) }
        text.family("godwit_input_gather_seconds", .gauge, "How long the last gather took.")
        for input in inputs { text.age([("input", input.id)], input.lastDuration) }
        text.family("godwit_input_last_gather_age_seconds", .gauge, "How long ago the last gather was.")
        for input in inputs { text.age([("input", input.id)], input.lastGather) }
    }

    private static func batcher(_ batcher: StatusReport.Batcher, _ text: inout PrometheusText) {
        text.family("godwit_batcher_received_points_total", .counter, "Points that came from the inputs.")
        text.sample([], batcher.receivedPoints)
        text.family("godwit_batcher_sealed_points_total", .counter, "Points sealed, summed over the streams.")
        text.sample([], batcher.sealedPoints)
        text.family("godwit_batcher_sealed_batches_total", .counter, "Batches sealed.")
        text.sample([], batcher.sealedBatches)
        text.family("godwit_batcher_encoded_bytes_total", .counter, "Line protocol encoded, before compression.")
        text.sample([], batcher.encodedBytes)
        text.family("godwit_batcher_sealed_bytes_total", .counter, "Payload sealed, after compression.")
        text.sample([], batcher.sealedBytes)
        text.single("godwit_batcher_open_points", .gauge, "Points in open batches.", Double(batcher.openPoints))
        text.family("godwit_batcher_dropped_points_total", .counter, "Points that entered no batch, by reason.")
        for (reason, count) in batcher.dropped.sorted(by: { $0.key < $1.key }) {
            text.sample([("reason", reason)], count)
        }
    }

    private static func spill(_ streams: [SpillStatus], _ text: inout PrometheusText) {
        text.family("godwit_spill_state", .gauge, "1 for the state each stream is in.")
        for stream in streams { text.sample([("stream", stream.name), ("state", stream.state.rawValue)], 1.0) }
        let sizes: [(String, String, (SpillStatus) -> Int)] = [
            ("bytes", "Size of the segments.", { $0.bytes }),
            ("limit_bytes", "Cap of the segments.", { $0.bytesLimit }),
            ("dirty_bytes", "Written and not synced.", { $0.dirtyBytes }),
            ("memory_bytes", "Payload in memory.", { $0.memoryBytes }),
            ("quarantined_bytes", "Set aside as unreadable.", { $0.quarantinedBytes }),
            ("segments", "Number of segments.", { $0.segments }),
        ]
        for (name, help, value) in sizes {
            text.family("godwit_spill_\(name)", .gauge, help)
            for stream in streams { text.sample([("stream", stream.name)], Double(value(stream))) }
        }
        text.family("godwit_spill_oldest_age_seconds", .gauge, "Since the oldest segment on disk was begun.")
        for stream in streams { text.age([("stream", stream.name)], stream.oldestAge) }
        text.family("godwit_spill_verdicts_total", .counter, "What recovery and running found, by verdict.")
        for stream in streams {
            for (verdict, count) in stream.verdictsByName.sorted(by: { $0.key < $1.key }) {
                text.sample([("stream", stream.name), ("verdict", verdict)], count)
            }
        }
    }

    private static func outputs(_ outputs: [StatusReport.Output], _ text: inout PrometheusText) {
        let counters: [(String, String, (StatusReport.Output) -> UInt64)] = [
            ("sealed_points", "Points sealed for each output.", { $0.balance.sealed }),
            ("delivered_points", "Points delivered.", { $0.balance.delivered }),
            ("rejected_points", "Points that the destination refused.", { $0.balance.rejected }),
            ("retries", "Requests that repeated an earlier one.", { $0.retries }),
            ("sent_bytes", "Payload sent.", { $0.sentBytes }),
        ]
        for (name, help, value) in counters {
            text.family("godwit_output_\(name)_total", .counter, help)
            for output in outputs { text.sample([("output", output.id)], value(output)) }
        }
        text.family("godwit_output_dropped_points_total", .counter, "Points given up, by reason.")
        for output in outputs {
            for reason in DropReason.allCases {
                let count = output.balance.dropped[reason] ?? 0
                text.sample([("output", output.id), ("reason", reason.rawValue)], count)
            }
        }
        text.family("godwit_output_requests_total", .counter, "Requests by outcome class.")
        for output in outputs {
            for (outcome, count) in output.requests.sorted(by: { $0.key < $1.key }) {
                text.sample([("output", output.id), ("outcome", outcome)], count)
            }
        }
        let gauges: [(String, String, (StatusReport.Output) -> UInt64)] = [
            ("pending_points", "Points sealed and not settled.", { $0.balance.pending }),
            ("backlog_points", "Points waiting in the replay lane.", { $0.backlogPoints }),
            ("backlog_batches", "Batches waiting in the replay lane.", { $0.backlogBatches }),
            ("backlog_bytes", "Payload waiting in the replay lane.", { $0.backlogBytes }),
            ("live_batches", "Batches waiting in the live lane.", { $0.liveBatches }),
        ]
        for (name, help, value) in gauges {
            text.family("godwit_output_\(name)", .gauge, help)
            for output in outputs { text.sample([("output", output.id)], value(output)) }
        }
        text.family("godwit_output_last_delivery_age_seconds", .gauge, "How long ago the last points were settled.")
        for output in outputs { text.age([("output", output.id)], output.lastDelivery) }
        routes(outputs, &text)
    }

    private static func routes(_ outputs: [StatusReport.Output], _ text: inout PrometheusText) {
        text.family("godwit_route_active", .gauge, "1 for the route in use.")
        for output in outputs {
            for route in output.routes {
                let isActive = route.name == output.activeRoute
                text.sample([("output", output.id), ("route", route.name)], isActive ? 1.0 : 0)
            }
        }
        text.family("godwit_route_active_seconds", .gauge, "How long the route in use has been that.")
        for output in outputs {
            guard let route = output.activeRoute, let since = output.activeSince else { continue }
            text.sample([("output", output.id), ("route", route)], since.inSeconds)
        }
        text.family("godwit_route_switches_total", .counter, "Changes of the route in use.")
        for output in outputs where !output.routes.isEmpty { text.sample([("output", output.id)], output.switches) }
        text.family("godwit_route_last_switch_age_seconds", .gauge, "Age of the last change of the route in use.")
        for output in outputs {
            guard let change = output.lastSwitch else { continue }
            let labels = [
                ("output", output.id), ("from", change.from ?? ""), ("to", change.to), ("cause", change.cause),
            ]
            text.sample(labels, change.age.inSeconds)
        }
        text.family("godwit_route_breaker", .gauge, "1 for the state each route's breaker is in.")
        for output in outputs {
            for route in output.routes {
                text.sample(
                    [("output", output.id), ("route", route.name), ("state", route.breaker.rawValue)], 1.0)
            }
        }
    }

    private static func process(_ process: StatusReport.Process, _ text: inout PrometheusText) {
        let gauges: [(String, String, Double)] = [
            ("resident_bytes", "Resident memory.", Double(process.residentBytes)),
            ("anonymous_bytes", "Anonymous resident memory.", Double(process.anonymousBytes)),
            ("threads", "Threads.", Double(process.threads)),
            ("open_descriptors", "Open descriptors.", Double(process.openDescriptors)),
        ]
        for (name, help, value) in gauges { text.single("godwit_process_\(name)", .gauge, help, value) }
        text.single("godwit_process_cpu_seconds_total", .counter, "CPU time, user and system.", process.cpuSeconds)
        text.family("godwit_process_context_switches_total", .counter, "Context switches; voluntary ones are wake-ups.")
        text.sample([("kind", "voluntary")], process.voluntarySwitches)
        text.sample([("kind", "involuntary")], process.involuntarySwitches)
    }
}

extension PrometheusText {
    /// A sample in seconds, or none for an age that is not known.
    mutating func age(_ labels: [(String, String)], _ age: Duration?) {
        if let age { sample(labels, age.inSeconds) }
    }
}
