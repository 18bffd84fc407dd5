import Actors
import Pipeline

/// `ntpq/commandline.json`
enum NtpqCommandCases: CaseList {
    static func check(_ element: JSONValue) throws -> [String] {
        guard let config = element["config"], let expected = element["argv"].flatMap({ ConfigValues.strings($0) })
        else {
            throw CaseError("no config or no argv")
        }
        let options = try ConfigValues.options(NtpqCollector.spec.options, from: config)
        let ours = try NtpqCollector.command(options, server: options.strings("servers").first ?? "")
        return ours == expected ? [] : ["\(ours), not \(expected)"]
    }
}
