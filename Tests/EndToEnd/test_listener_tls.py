"""TLS of the agent's own listeners: who gets in, who is told why not, and that renewed files disturb nobody."""
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.request

from support.agent import table
from support.case import EndToEnd, takes
from support.certificates import Authority
from support.influx import free_port
from support.processes import wait_until


class ListenerTLS(EndToEnd):
    def setUp(self):
        super().setUp()
        self.needs_program("openssl")
        self.files = self.folder()
        self.authority = Authority(self.files)
        self.pair = self.authority.issue("server")

    def running(self, **options):
        self.port = free_port()
        output = dict({"listen": "127.0.0.1:%d" % self.port, "metric_version": 2, "tls_cert": self.pair[0],
                       "tls_key": self.pair[1]}, **options)
        agent = self.agent(host_proc=self.proc(5), extra=table("[[outputs.prometheus_client]]", output))
        wait_until(lambda: self.listens(), 30, "the port")
        return agent

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except ConnectionRefusedError:
            return False

    def fetch(self, pair=None, context=None, path="/metrics"):
        context = context or self.authority.context(pair)
        with urllib.request.urlopen("https://localhost:%d%s" % (self.port, path), timeout=20, context=context) as reply:
            return reply.read().decode()

    def is_refused(self, agent, words, pair=None):
        with self.assertRaises(OSError):
            self.fetch(pair)
        wait_until(lambda: words in agent.log_text(), 20, "\"%s\" in the log" % words)

    def test_the_page_over_tls_and_http_told_to_use_it(self):
        agent = self.running()
        wait_until(lambda: "net_bytes_recv" in self.fetch(), 30, "the page")
        with socket.create_connection(("127.0.0.1", self.port), 20) as plain:
            plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            reply = b""
            while piece := plain.recv(4096):
                reply += piece
        self.assertTrue(reply.startswith(b"HTTP/1.1 400 "), reply)
        self.assertIn(b"this port speaks TLS", reply)
        wait_until(lambda: "HTTP without TLS" in agent.log_text(), 20, "the reason in the log")
        for hostile in (b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02"):
            with socket.create_connection(("127.0.0.1", self.port), 20) as client:
                client.settimeout(0.5)
                try:
                    client.sendall(hostile)
                    client.recv(4096)
                except OSError:
                    pass
        old = self.authority.context()
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(OSError):
            self.fetch(context=old)
        self.assertIn("net_bytes_recv", self.fetch())

    def test_curl_and_a_page_larger_than_a_record(self):
        self.needs_program("curl")
        agent = self.running()
        agent.write_config(agent.text())
        wait_until(lambda: "net_bytes_recv" in self.fetch(), 30, "the page")
        for version in ("--tlsv1.2", "--tlsv1.3"):
            done = subprocess.run(
                ["curl", "-sS", "--http1.1", version, "--tls-max", version[-3:], "--cacert", self.authority.certificate,
                 "https://localhost:%d/metrics" % self.port], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("net_bytes_recv", done.stdout)

    def test_clients_need_a_certificate_of_the_authority(self):
        other = Authority(self.files, "other")
        agent = self.running(tls_allowed_cacerts=[self.authority.certificate],
                             tls_allowed_dns_names=["scraper.example"])
        good = self.authority.issue("good", names="DNS:a.example,DNS:Scraper.example")
        wait_until(lambda: "net_bytes_recv" in self.fetch(good), 30, "the page")
        self.is_refused(agent, "peer did not return a certificate")
        self.is_refused(agent, "unable to get local issuer", other.issue("foreign", names="DNS:scraper.example"))
        self.is_refused(agent, "certificate has expired",
                        self.authority.issue("old", names="DNS:scraper.example", days=-1))
        self.is_refused(agent, "has no DNS name", self.authority.issue("bare", subject="scraper.example", names=None))
        self.is_refused(agent, "has the names b.example", self.authority.issue("wrong", names="DNS:b.example"))
        self.assertIn("net_bytes_recv", self.fetch(good))

    def test_renewed_files_are_taken_up_and_no_connection_is_dropped(self):
        agent = self.running()
        wait_until(lambda: "net_bytes_recv" in self.fetch(), 30, "the page")
        kept = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.authority.context())
        kept.request("GET", "/metrics")
        self.assertEqual(kept.getresponse().read()[:1], b"#")
        before = self.serial()
        for old, new in zip(self.pair, self.authority.issue("renewed")):
            shutil.copy(new, old)
        self.assertEqual(self.serial(), before)
        os.kill(agent.pid, signal.SIGHUP)
        wait_until(lambda: self.serial() != before, 30, "the new certificate")
        kept.request("GET", "/metrics")
        self.assertIn(b"net_bytes_recv", kept.getresponse().read())
        kept.close()
        renewed = self.serial()
        with open(self.pair[0], "w") as file:
            file.write("nonsense")
        os.kill(agent.pid, signal.SIGHUP)
        wait_until(lambda: "a listener keeps its certificate" in agent.log_text(), 30, "the reason in the log")
        self.assertEqual(self.serial(), renewed)

    def serial(self):
        with socket.create_connection(("127.0.0.1", self.port), 20) as plain:
            with self.authority.context().wrap_socket(plain, server_hostname="localhost") as client:
                return client.getpeercert()["serialNumber"]

    def test_a_certificate_that_cannot_be_used_is_an_output_that_is_down(self):
        self.pair = (self.pair[0], self.authority.issue("else")[1])
        self.port = free_port()
        agent = self.agent(host_proc=self.proc(5), extra=table("[[outputs.prometheus_client]]", {
            "listen": "127.0.0.1:%d" % self.port, "tls_cert": self.pair[0], "tls_key": self.pair[1]}))
        wait_until(lambda: "key values mismatch" in json.dumps(agent.status()), 30, "the reason")
        self.assertFalse(self.listens())

    @takes(30)
    def test_a_real_prometheus_scrapes_with_its_certificate(self):
        self.needs_program("prometheus")
        self.running(tls_allowed_cacerts=[self.authority.certificate])
        pair = self.authority.issue("prometheus")
        server = self.prometheus({"global": {"scrape_interval": "1s"}, "scrape_configs": [{
            "job_name": "godwit", "scheme": "https", "static_configs": [{"targets": ["localhost:%d" % self.port]}],
            "tls_config": {"ca_file": self.authority.certificate, "cert_file": pair[0], "key_file": pair[1]}}]})
        wait_until(lambda: len(server.series("net_bytes_recv")) == 5, 60, "scraped series", 0.2)

    def test_applications_write_over_tls_with_their_certificate(self):
        self.port = free_port()
        backend = self.server()
        agent = self.agent(url=backend.url, inputs=[("influxdb_listener", {
            "service_address": "127.0.0.1:%d" % self.port, "tls_cert": self.pair[0], "tls_key": self.pair[1],
            "tls_allowed_cacerts": [self.authority.certificate]})])
        wait_until(self.listens, 30, "the port")
        client = self.authority.context(self.authority.issue("writer"))
        lines = "".join("app v=%d %d\n" % (n, n) for n in range(1, 20001))
        request = urllib.request.Request("https://localhost:%d/write?db=x" % self.port, lines.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30, context=client) as reply:
            self.assertEqual(reply.status, 204)
        wait_until(lambda: len([1 for line in backend.lines if line.startswith(b"app")]) == 20000, 60, "all lines")
        self.is_refused(agent, "peer did not return a certificate")
