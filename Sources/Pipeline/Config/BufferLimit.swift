extension ConfigDecodingRun {
    /// Bytes of backlog that one point of `metric_buffer_limit` is worth: a long line, uncompressed.
    static let bytesPerBufferedPoint: Int64 = 256
    /// Largest backlog in memory that `metric_buffer_limit` asks for by itself.
    static let bufferedMemoryLimit: Int64 = 1 << 30

    /// Makes the backlog large enough for what Telegraf's `metric_buffer_limit` promises to keep.
    ///
    /// `max_bytes` of `[spill]` is raised to outputs × the largest limit × 256 bytes, and, where nothing is spilled to
    /// disk, `memory_bytes` likewise. What the file sets itself stays.
    /// Why: a number of points is what Telegraf's memory holds; a backlog on disk has room for far more, so the limit can
    /// only be too small by accident, never a cap that somebody wants.
    mutating func applyBufferLimits(_ section: ConfigNode?, _ spill: inout SpillConfig) {
        guard let most = bufferLimits.max() else { return }
        let wanted = most.multipliedSaturated(by: Int64(bufferLimits.count))
            .multipliedSaturated(by: ConfigDecodingRun.bytesPerBufferedPoint)
        raise("max_bytes", to: min(wanted, 1_000_000_000_000_000), section, &spill)
        if spill.settings.mode == .off {
            raise("memory_bytes", to: min(wanted, ConfigDecodingRun.bufferedMemoryLimit), section, &spill)
        }
    }

    private func raise(_ name: String, to size: Int64, _ section: ConfigNode?, _ spill: inout SpillConfig) {
        let isSet = (section?.entries ?? []).contains { NearestName.normalized($0.key) == NearestName.normalized(name) }
        guard !isSet, spill.values.size(name) < size else { return }
        spill = SpillConfig(spill.values.setting(name, to: .size(size)))
    }
}
