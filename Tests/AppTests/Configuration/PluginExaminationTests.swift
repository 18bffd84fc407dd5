import Glibc
import Pipeline
import Testing

@testable import App

@Suite("What plugins themselves say of their options")
struct PluginExaminationTests {
    private func check(_ text: String, isCheck: Bool = true) throws -> ConfigReport {
        let folder = try TemporaryFolder()
        let path = try folder.write("a.toml", text + "\n[[outputs.file]]\n")
        let decoder = ConfigDecoder(inputs: KnownPlugins.inputs)
        return ConfigFile.load(ConfigPaths(file: path), decoder: decoder, environment: [:], isCheck: isCheck)
    }

    @Test(
        "a check names the line of an option that only its input can judge",
        arguments: [
            ("ping", "urls = ['-x']", "urls"),
            ("net_response", "address = 'nowhere'", "address"),
            ("net_response", "protocol = 'tcp'\naddress = 'a:1'\nexpect = '('", "expect"),
            ("http_response", "urls = ['gopher://x']", "urls"),
            ("http_response", "response_string_match = '('", "response_string_match"),
            ("chrony", "server = 'x'", "server"),
            ("procstat", "pattern = '('", "pattern"),
            ("procstat", "exe = '('", "exe"),
            ("exec", "commands = ['true']\nenvironment = ['x']", "environment"),
            ("execd", "command = ['true']\nenvironment = ['x']", "environment"),
            ("ntpq", "options = '\"'", "options"),
            ("smart", "devices = ['-x']", "devices"),
            ("statsd", "service_address = 'x'", "service_address"),
            ("statsd", "templates = ['a.b c d e f']", "templates"),
            ("influxdb_listener", "service_address = 'x'", "service_address"),
            ("influxdb_listener", "basic_username = 'x'", "basic_username"),
            ("prometheus", "urls = ['x']", ""),
            ("procstat", "", ""),
        ])
    func lines(_ plugin: String, _ options: String, _ option: String) throws {
        let text = "[[inputs.\(plugin)]]\n\(options)\n"
        let report = try check(text)
        let issue = try #require(report.issues.first { $0.severity == .error }, "\(plugin) \(options)")
        #expect(report.config == nil)
        #expect(issue.key == (option.isEmpty ? "inputs.\(plugin)" : "inputs.\(plugin).\(option)"))
        let line = option.isEmpty ? 1 : 2 + options.split(separator: "\n").count { !$0.hasPrefix(option) }
        #expect(issue.origin.line == line)
        #expect(try check(text, isCheck: false).config != nil, "a start makes its inputs itself")
    }

    @Test("mistakes of the file and of inputs come out together, none of them twice")
    func together() throws {
        let report = try check(
            "[[inputs.ping]]\nurls = ['-x']\n[[inputs.ping]]\nalias = 'b'\nurls = ['a b']\n"
                + "[[inputs.net_response]]\naddress = 3\n[agent]\nintervall = 1\n")
        let errors = report.issues.filter { $0.severity == .error }
        #expect(errors.map(\.origin.line) == [2, 5, 7, 9])
        #expect(
            errors.map(\.key) == [
                "inputs.ping.urls", "inputs.ping.urls", "inputs.net_response.address", "agent.intervall",
            ])
    }

    @Test("the default configuration and every input as it is declared pass where their options need nothing")
    func passes() throws {
        for plugin in ["cpu", "mem", "disk", "net", "processes", "statsd", "influxdb_listener", "tail", "prometheus"] {
            let report = try check("[[inputs.\(plugin)]]\n")
            #expect(report.issues.allSatisfy { $0.severity != .error }, "\(plugin): \(report.issues)")
        }
    }

    @Test("a certificate that cannot be used and an address of another machine are named where they stand")
    func servers() throws {
        let report = try check(
            "[[inputs.cpu]]\n[[inputs.statsd]]\nservice_address = '192.0.2.1:8125'\n"
                + "[[outputs.prometheus_client]]\nlisten = '192.0.2.1:9273'\n"
                + "tls_cert = '/nonexistent/a.pem'\ntls_key = '/nonexistent/a.key'\n"
                + "[pushprox.proxy]\n[[pushprox.proxy.listeners]]\nlisten = '192.0.2.1:8080'\n")
        let found = report.issues.map { "\($0.severity) \($0.key) \($0.origin.line)" }
        #expect(
            found == [
                "warning inputs.statsd.service_address 3", "warning outputs.prometheus_client.listen 5",
                "error outputs.prometheus_client.tls_cert 6", "warning pushprox.proxy.listeners.listen 8",
            ])
    }

    @Test("a relay's address that is not here is refused by a check, unless it is awaited, and never by a start")
    func relay() throws {
        let text =
            "[[inputs.cpu]]\n[metadata_relay]\nguests_file = '/nonexistent/g'\nlisten = ['127.0.0.1:1', '192.0.2.1:80']\n"
        let issue = try #require(try check(text).issues.first)
        #expect(issue.severity == .error && issue.key == "metadata_relay.listen" && issue.origin.line == 4)
        #expect(issue.message.hasPrefix("192.0.2.1:80: this machine has no such address"))
        let start = try check(text, isCheck: false)
        #expect(start.issues.map(\.severity) == [.warning] && start.config != nil)
        #expect(try check(text + "await_addresses = true\n").issues == [])
    }
}
