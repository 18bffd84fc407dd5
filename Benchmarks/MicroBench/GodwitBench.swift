import Actors

/// The measurements that need the inside of the agent; `Benchmarks/run.py` runs this and prints the table.
@main
struct GodwitBench {
    static func main() {
        let payload = EncodeBench.run()
        RemoteWriteBench.run(payload)
        MainLoop.run { loop in await SpillBench.run(payload, on: loop) }
    }
}
