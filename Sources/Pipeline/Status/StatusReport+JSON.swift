extension StatusReport {
    /// The report as `/status` gives it. Names are public: they are only ever added.
    ///
    /// Units: seconds (`_seconds`), bytes (`_bytes`), points unless the name says otherwise; times are RFC 3339.
    public var json: JSONValue {
        [
            "version": .string(version),
            "pid": .init(exactly: pid),
            "hostname": .string(hostname),
            "started": .string(UTCTime(started).text),
            "uptime_seconds": .number(uptime.inSeconds),
            "health": [
                "state": .string(health.state.rawValue),
                "reasons": .array(
                    health.reasons.map { ["state": .string($0.state.rawValue), "text": .string($0.text)] }),
            ],
            "ready": .bool(notReady == nil),
            "not_ready_reason": .optional(notReady),
            "config": config.json,
            "tree": tree.json,
            "inputs": .array(inputs.map(\.json)),
            "batcher": batcher.json,
            "processors": .array(processors.map(\.json)),
            "aggregators": .array(aggregators.map(\.json)),
            "streams": .array(streams.map(\.json)),
            "outputs": .array(outputs.map(\.json)),
            "tunnels": .array(tunnels.map(\.json)),
            "metadata_relay": relay?.json ?? .null,
            "pushprox": pushprox.json,
            "process": process.json,
        ]
    }
}

extension JSONValue {
    static func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
    static func optional(_ duration: Duration?) -> JSONValue { duration.map { .number($0.inSeconds) } ?? .null }

    /// Counters by name, in the order of their names.
    static func counters(_ counters: [String: UInt64]) -> JSONValue {
        .object(counters.sorted { $0.key < $1.key }.map { JSONMember($0.key, .init(exactly: $0.value)) })
    }
}

extension ReloadVerdict {
    public var json: JSONValue {
        [
            "time": .string(UTCTime(time).text),
            "accepted": .bool(isAccepted),
            "changes": .array(changes.map(JSONValue.string)),
            "errors": .array(errors.map(JSONValue.string)),
        ]
    }
}

extension ChildStatus {
    public var json: JSONValue {
        [
            "id": .string(id),
            "kind": .string(kind.rawValue),
            "state": .string(state.rawValue),
            "state_seconds": .number(age.inSeconds),
            "restarts": .init(exactly: restarts),
            "abandoned": .init(exactly: abandoned),
            "last_error": .optional(lastError),
            "retry_in_seconds": .optional(retryIn),
            "children": .array(children.map(\.json)),
        ]
    }
}

extension StatusReport.Config {
    var json: JSONValue {
        [
            "paths": .array(paths.map(JSONValue.string)),
            "hash": .string(hash),
            "skipped": .array(skipped.map(JSONValue.string)),
            "last_reload": lastReload?.json ?? .null,
        ]
    }
}

extension StatusReport.Input {
    var json: JSONValue {
        [
            "id": .string(id),
            "interval_seconds": .number(interval.inSeconds),
            "last_gather_age_seconds": .optional(lastGather),
            "last_gather_seconds": .optional(lastDuration),
            "points": .init(exactly: points),
            "errors": .init(exactly: errors),
            "ticks_skipped": .init(exactly: skippedTicks),
            "last_error": .optional(lastError),
        ]
    }
}

extension StatusReport.Batcher {
    var json: JSONValue {
        [
            "received": .init(exactly: receivedPoints),
            "open": .init(exactly: openPoints),
            "sealed": .init(exactly: sealedPoints),
            "sealed_batches": .init(exactly: sealedBatches),
            "encoded_bytes": .init(exactly: encodedBytes),
            "sealed_bytes": .init(exactly: sealedBytes),
            "dropped": .counters(dropped),
        ]
    }
}

extension Balance {
    var json: JSONValue {
        [
            "sealed": .init(exactly: sealed),
            "delivered": .init(exactly: delivered),
            "rejected": .init(exactly: rejected),
            "dropped": .counters(droppedByName),
            "pending": .init(exactly: pending),
        ]
    }

    var droppedByName: [String: UInt64] {
        Dictionary(dropped.map { ($0.key.rawValue, $0.value) }) { $0.addingSaturated($1) }
    }
}

extension SpillStatus {
    var json: JSONValue {
        [
            "name": .string(name),
            "state": .string(state.rawValue),
            "bytes": .init(exactly: bytes),
            "limit_bytes": .init(exactly: bytesLimit),
            "segments": .init(exactly: segments),
            "oldest_age_seconds": .optional(oldestAge),
            "dirty_bytes": .init(exactly: dirtyBytes),
            "memory_bytes": .init(exactly: memoryBytes),
            "quarantined_bytes": .init(exactly: quarantinedBytes),
            "last_sync_age_seconds": .optional(lastSync),
            "verdicts": .counters(verdictsByName),
            "last_error": .optional(lastError),
            "readers": .array(
                readers.map { reader in
                    [
                        "name": .string(reader.name),
                        "orphaned": .bool(reader.isOrphaned),
                        "balance": reader.balance.json,
                        "backlog_batches": .init(exactly: reader.backlogBatches),
                        "backlog_points": .init(exactly: reader.backlogPoints),
                        "live_batches": .init(exactly: reader.liveBatches),
                    ]
                }),
        ]
    }

    var verdictsByName: [String: UInt64] {
        Dictionary(verdicts.map { ($0.key.rawValue, UInt64(clamping: $0.value)) }) { $0.addingSaturated($1) }
    }
}

extension StatusReport.Output {
    var json: JSONValue {
        [
            "id": .string(id),
            "kind": .string(kind),
            "stream": .string(stream),
            "balance": balance.json,
            "backlog_batches": .init(exactly: backlogBatches),
            "backlog_points": .init(exactly: backlogPoints),
            "backlog_bytes": .init(exactly: backlogBytes),
            "live_batches": .init(exactly: liveBatches),
            "active_route": .optional(activeRoute),
            "active_route_seconds": .optional(activeSince),
            "last_switch_cause": .optional(lastSwitch?.cause),
            "last_switch_from": .optional(lastSwitch?.from),
            "last_switch_to": .optional(lastSwitch?.to),
            "last_switch_age_seconds": .optional(lastSwitch?.age),
            "route_switches": .init(exactly: switches),
            "routes": .array(
                routes.map { route in
                    [
                        "name": .string(route.name),
                        "breaker": .string(route.breaker.rawValue),
                        "last_error": .optional(route.lastError),
                        "since_seconds": .optional(route.since),
                        "next_try_seconds": .optional(route.nextTry),
                        "destinations": .array(route.destinations.map { .string($0) }),
                        "tunnel": .optional(route.road?.tunnel),
                        "target": .optional(route.road.map { "\($0.target)" }),
                    ]
                }),
            "requests": .counters(requests),
            "retries": .init(exactly: retries),
            "sent_bytes": .init(exactly: sentBytes),
            "last_delivery_age_seconds": .optional(lastDelivery),
        ]
    }
}

extension StatusReport.Process {
    var json: JSONValue {
        [
            "resident_bytes": .init(exactly: residentBytes),
            "anonymous_bytes": .init(exactly: anonymousBytes),
            "cpu_seconds": .number(cpuSeconds),
            "threads": .init(exactly: threads),
            "open_descriptors": .init(exactly: openDescriptors),
            "voluntary_switches": .init(exactly: voluntarySwitches),
            "involuntary_switches": .init(exactly: involuntarySwitches),
        ]
    }
}
