"""The page for Prometheus: read by the real promtool, scraped by a real Prometheus."""
import re
import socket
import subprocess
import urllib.request

from support.agent import table
from support.case import EndToEnd, takes
from support.influx import free_port
from support.processes import wait_until

HOSTILE = [("mem", {"name_prefix": "9 wild.", "tags": {"a b": "x\"y\\z", "a_b": "second", "__name__": "no", "ü": "ö"}})]


def fetch(port, path="/metrics"):
    """The page by a plain client, as text."""
    with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=10) as reply:
        return reply.read().decode()


class Page(EndToEnd):
    def running(self, inputs=None, **options):
        self.port = free_port()
        output = dict({"listen": "127.0.0.1:%d" % self.port, "metric_version": 2}, **options)
        return self.agent(inputs=inputs, host_proc=None if inputs else self.proc(10),
                          extra=table("[[outputs.prometheus_client]]", output))

    def lines(self):
        return [line for line in fetch(self.port).split("\n") if line and not line.startswith("#")]

    def test_promtool_takes_the_page_of_real_inputs_and_of_hostile_names(self):
        self.needs_program("promtool")
        plain = [(name, {}) for name in ("cpu", "mem", "disk", "net", "system", "diskio", "kernel", "swap",
                                         "kernel_vmstat", "netstat", "nstat", "processes", "internal")]
        for version in (1, 2):
            agent = self.running(inputs=plain + HOSTILE, metric_version=version)
            wait_until(lambda: len(self.lines()) > 100, 30, "a full page")
            done = subprocess.run(["promtool", "check", "metrics"], input=fetch(self.port), capture_output=True,
                                  text=True, timeout=30)
            # 3: remarks on names, which are Telegraf's. 1: the page cannot be read.
            self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)
            self.assert_exact(agent.balance())
            self.assertEqual(agent.balance()["rejected"], 0)
            agent.stop()

    @takes(30)
    def test_a_real_prometheus_scrapes_every_series(self):
        self.needs_program("prometheus")
        agent = self.running(basic_username="scraper", basic_password="open sesame")
        server = self.prometheus({"global": {"scrape_interval": "1s"}, "scrape_configs": [{
            "job_name": "godwit", "static_configs": [{"targets": ["127.0.0.1:%d" % self.port]}],
            "basic_auth": {"username": "scraper", "password": "open sesame"}}]})
        series = server.series
        found = wait_until(lambda: series("net_bytes_recv"), 60, "scraped series", 0.2)
        self.assertEqual(len(found), 10)
        for labels, value in found.items():
            number = int(re.search(r"if(\d+)", dict(labels)["interface"]).group(1))
            self.assertEqual(float(value), 1000 + number)
        self.assertEqual(list(series("up").values()), ["1"])
        self.assertEqual(float(next(iter(series("godwit_exposition_series").values()))), len(series('{host="h"}')))
        self.assert_exact(agent.balance())

    def test_what_is_not_collected_any_more_goes(self):
        agent = self.running(expiration_interval="2s")
        wait_until(lambda: any("if3" in line for line in self.lines()), 30, "the page")
        agent.write_config(agent.text().replace('["if*"]', '["if[12]"]'))
        agent.request("/reload", "POST")
        wait_until(lambda: self.lines() and not any("if3" in line for line in self.lines()), 30, "it goes")
        self.assertTrue(any('"if1"' in line for line in self.lines()))

    def test_series_beyond_the_limit_are_refused_and_counted(self):
        agent = self.running(max_series=25)
        wait_until(lambda: agent.balance()["rejected"] >= 20, 30, "refused points")
        self.assertIn("godwit_exposition_series 25", self.lines())
        self.assert_exact(agent.balance())

    def test_clients_that_are_slow_many_or_hostile_harm_nobody(self):
        agent = self.running(read_timeout="1s")
        wait_until(lambda: len(self.lines()) > 20, 30, "the page")
        held = []
        for _ in range(40):
            client = socket.create_connection(("127.0.0.1", self.port), 5)
            client.sendall(b"GET /metr")
            held.append(client)
        wait_until(lambda: len(self.lines()) > 20, 20, "the page again")
        for client in held:
            client.close()
        for bad in (b"\x00\xff" * 5000, b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 10000, b"POST / HTTP/9\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                client.settimeout(5)
                try:
                    client.sendall(bad)
                    client.recv(65536)
                except OSError:
                    pass
        self.assertGreater(len(self.lines()), 20)
        self.assertTrue(agent.is_running)

    def test_a_port_in_use_is_an_output_that_is_down_until_it_is_free(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen(1)
            port = holder.getsockname()[1]
            agent = self.running(listen="127.0.0.1:%d" % port)
            wait_until(lambda: "cannot listen" in (agent.status()["outputs"][0]["routes"][0]["last_error"] or ""), 30,
                       "the reason in the status")
            self.assertEqual(agent.balance()["rejected"], 0)
        self.port = port
        wait_until(lambda: len(self.lines()) > 20, 60, "the page")
        self.wait_balance(agent, lambda balance: balance["pending"] < 50, 60)
        self.assert_exact(agent.balance())

    def test_every_address_is_served_when_asked_for_and_a_reload_moves_the_page(self):
        self.network()
        agent = self.running()
        wait_until(lambda: len(self.lines()) > 20, 30, "the page")
        text = agent.text().replace('listen = "127.0.0.1:%d"' % self.port, 'listen = ":%d"\npath = "/m"' % self.port)
        agent.write_config(text)
        agent.request("/reload", "POST")
        wait_until(lambda: len(fetch(self.port, "/m").split("\n")) > 20, 30, "the page at its new place")
        with urllib.request.urlopen("http://[::1]:%d/m" % self.port, timeout=10) as reply:
            self.assertIn(b"net_bytes_recv", reply.read())
        wait_until(lambda: agent.balance()["delivered"] > 100, 30, "delivered points")
        self.assert_exact(agent.balance())
        self.assertEqual(agent.balance()["rejected"], 0)

    def test_what_cannot_be_served_is_refused_before(self):
        for options, reason in (
                ({"listen": "somewhere:1"}, "listen: \"somewhere:1\" is no address"),
                ({"tls_cert": "/x"}, "tls_cert: tls_cert and tls_key need each other"),
                ({"tls_allowed_cacerts": ["/x"]}, "tls_allowed_cacerts: clients can only show a certificate"),
                ({"ip_range": ["10.0.0.0/40"]}, "ip_range: \"10.0.0.0/40\" is no network"),
                ({"basic_username": "u"}, "basic_username: basic_username and a password need each other"),
                ({"path": "metrics"}, "path: a path begins with /"),
                ({"metric_version": 3}, "metric_version: 3 is out of range")):
            agent = self.agent(start=False, extra=table("[[outputs.prometheus_client]]", options))
            done = agent.run("check")
            self.assertEqual(done.returncode, 78, options)
            self.assertIn(reason, done.stderr)
