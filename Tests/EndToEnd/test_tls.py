"""TLS: who is trusted, who is refused, and that a refusal costs no point."""
import json
import ssl
import warnings

from support.case import EndToEnd
from support.certificates import Authority, server_context
from support.processes import wait_until


class TLS(EndToEnd):
    """Certificates of a CA made by openssl."""

    def setUp(self):
        super().setUp()
        self.needs_program("openssl")
        self.files = self.folder()
        self.authority = Authority(self.files)

    def delivers(self, context, **output):
        server = self.server(context=context)
        agent = self.agent(url=server.url, host_proc=self.proc(5), output=output)
        self.wait_for_lines(server, 20)
        return server, agent

    def is_refused(self, context, *words, **output):
        """Nothing is delivered, nothing is lost, and the reason is there to read."""
        server = self.server(context=context)
        agent = self.agent(url=server.url, host_proc=self.proc(5), output=output)
        wait_until(lambda: agent.balance()["sealed"] >= 50, 30, "points are sealed")

        def told():
            text = (json.dumps(agent.status()) + agent.log_text()).lower()
            return any(word in text for word in words)
        wait_until(told, 20, "one of %s in status or log" % (words,))
        self.assertFalse(server.lines)
        balance = agent.balance()
        self.assertEqual((balance["delivered"], balance["dropped"], balance["rejected"]), (0, 0, 0))
        self.assertEqual(balance["pending"], balance["sealed"])

    def test_a_good_certificate(self):
        self.delivers(server_context(*self.authority.issue("server")), tls_ca=self.authority.certificate)

    def test_the_wrong_authority(self):
        other = Authority(self.files, "other")
        self.is_refused(server_context(*self.authority.issue("server")), "certificate", "verify",
                        tls_ca=other.certificate)

    def test_an_unknown_authority_without_a_setting(self):
        self.is_refused(server_context(*self.authority.issue("server")), "certificate", "verify")

    def test_the_wrong_name(self):
        context = server_context(*self.authority.issue("server", "elsewhere", "DNS:elsewhere.example"))
        self.is_refused(context, "certificate", "name", "verify", tls_ca=self.authority.certificate)

    def test_another_server_name_by_setting(self):
        context = server_context(*self.authority.issue("server", "elsewhere", "DNS:elsewhere.example"))
        self.delivers(context, tls_ca=self.authority.certificate, tls_server_name="elsewhere.example")

    def test_insecure_skip_verify_delivers_and_says_so(self):
        context = server_context(*self.authority.issue("server", "elsewhere", "DNS:elsewhere.example"))
        _, agent = self.delivers(context, insecure_skip_verify=True)
        self.assertRegex(agent.log_text().lower(), "verif|insecure")

    def test_a_client_certificate(self):
        certificate, key = self.authority.issue("client", "agent", "DNS:agent")
        context = server_context(*self.authority.issue("server"), clients=self.authority.certificate)
        self.delivers(context, tls_ca=self.authority.certificate, tls_cert=certificate, tls_key=key)

    def test_a_missing_client_certificate(self):
        context = server_context(*self.authority.issue("server"), clients=self.authority.certificate)
        self.is_refused(context, "certificate", "alert", "tls", "ssl", tls_ca=self.authority.certificate)

    def test_tls_1_1_is_refused(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = server_context(*self.authority.issue("server"), newest=ssl.TLSVersion.TLSv1_1)
        self.is_refused(context, "tls", "ssl", "protocol", tls_ca=self.authority.certificate)

    def test_real_influxd_over_https(self):
        certificate, key = self.authority.issue("server")
        both = self.files + "/both.pem"
        with open(both, "w") as out:
            for path in (key, certificate):
                with open(path) as file:
                    out.write(file.read())
        server = self.influx(certificate=both)
        agent = self.agent(url=server.url, host_proc=self.proc(5), output={"tls_ca": self.authority.certificate})
        wait_until(lambda: agent.balance()["delivered"] >= 20, 30, "20 points delivered")
        self.assertTrue(server.points("net"))
