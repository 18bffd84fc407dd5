import Actors
import Logging
import Pipeline

/// Which inputs brought the process down so often that they begin parked, and the record that attributes the next crash.
struct CrashVerdicts: Sendable {
    let parked: [String: ParkedStart]

    func parkedStart(_ input: String) -> ParkedStart? { parked[input] }
}
