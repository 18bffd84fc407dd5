import Pipeline
import Testing

@testable import App

@Suite("Headlines")
struct HeadlinesTests {
    @Test("rows of one series are one headline, in the order of the fields shown, values with units")
    func oneSeries() {
        var set = SampleSet()
        let series = Series("system")
        set.append(series, Schema([.float("load15"), .float("load1")]), at: .zero)
        set.float(0.5)
        set.float(1.25)
        set.append(series, Schema([.uint("uptime")]), at: .zero)
        set.uint(7_440)
        let fields = Headlines.make(from: ["system": set]).map(\.fields)
        #expect(
            fields == [
                [.init("load1", "1.25"), .init("load5", "-"), .init("load15", "0.50"), .init("uptime", "2 h 4 min")]
            ])
    }

    @Test("series are named by the one tag that tells them apart, and at most six of a name are shown")
    func manySeries() {
        var set = SampleSet()
        let schema = Schema([.uint("free"), .float("used_percent")])
        for number in 0..<9 {
            set.append(Series("disk", tags: [Tag("device", "sda"), Tag("path", "/\(number)")]), schema, at: .zero)
            set.uint(.max)
            set.float(.nan)
        }
        let found = Headlines.make(from: ["disk": set])
        #expect(found.map(\.series) == ["/0", "/1", "/2", "/3", "/4", "/5"])
        #expect(found.first?.fields.map(\.name) == ["used_percent", "free"])
    }
}
