extension Double {
    /// What says, in place of a value, that a series has ended: the NaN that Prometheus reserves for it.
    ///
    /// It is told from other NaNs by its bits alone, so it is stored, copied and compared as a bit pattern.
    /// Source: the section "Staleness" of Prometheus' documentation, and its remote write specification.
    public static let staleMarker = Double(bitPattern: 0x7FF0_0000_0000_0002)

    public var isStaleMarker: Bool { bitPattern == 0x7FF0_0000_0000_0002 }
}

/// The values of a float for which line protocol has no number, as words.
///
/// Shape: `field=Stale`, `NaN`, `Inf`, `NegInf`. Only streams of outputs that speak Prometheus' language have them; no
/// database ever sees them, and no parser of foreign data takes them.
enum SpecialFloat {
    private static let words: [(text: StaticString, cell: UInt64)] = [
        ("Stale", Double.staleMarker.bitPattern), ("NaN", Double.nan.bitPattern), ("Inf", Double.infinity.bitPattern),
        ("NegInf", (-Double.infinity).bitPattern),
    ]

    /// The word of a value that is not finite.
    static func word(_ value: Double) -> StaticString {
        if value.isStaleMarker { return words[0].text }
        return words[value.isNaN ? 1 : value > 0 ? 2 : 3].text
    }

    /// The word that begins at `start`; nil for any other.
    static func read(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) -> LineProtocolNumber.Result? {
        for (text, cell) in words where bytes.count - start >= text.utf8CodeUnitCount {
            let end = start + text.utf8CodeUnitCount
            let isSame = text.withUTF8Buffer { word in
                BytesEqual.equal(UnsafeBufferPointer(rebasing: bytes[start..<end]), word)
            }
            if isSame { return LineProtocolNumber.Result(cell: cell, kind: .float, end: end) }
        }
        return nil
    }
}

extension SampleSet {
    /// Whether a row has fields, all of them floats that are not finite: one that only Prometheus can take.
    func isSpecial(_ row: Row) -> Bool {
        !row.schema.fields.isEmpty
            && row.schema.fields.indices.allSatisfy { column in
                row.schema.fields[column].kind == .float
                    && !Double(bitPattern: cells[row.firstCell + column]).isFinite
            }
    }
}

extension Point {
    /// Whether it ends a series instead of having values.
    var isStaleMarker: Bool {
        fields.contains { field in
            if case .float(let value) = field.value { value.isStaleMarker } else { false }
        }
    }
}
