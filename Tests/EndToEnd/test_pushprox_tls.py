"""TLS of the scrape proxy: who is refused and why, many handshakes at once, renewed files while polls hang."""
import os
import re
import shutil
import signal
import socket
import ssl
import threading
import time

from support.case import takes
from support.certificates import Authority
from support.influx import free_port
from support.processes import wait_until
from support.pushprox import RawClient, Scrape, listens, proxy_config
from test_pushprox import inner
from test_pushprox_real import Peers


def first_message():
    """What a client of TLS says first."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class TLSPeers(Peers):
    """A proxy with a listener for clients over TLS and one for scrapers and admins without."""

    def setUp(self):
        super().setUp()
        self.needs_program("openssl")
        self.files = self.folder()
        self.authority = Authority(self.files)
        self.pair = self.authority.issue("server")

    def secure(self, listener=None, **options):
        self.secure_port, self.port = free_port(), free_port()
        listeners = [
            dict({"listen": "127.0.0.1:%d" % self.secure_port, "serves": ["clients"], "tls_cert": self.pair[0],
                  "tls_key": self.pair[1], "tls_allowed_cacerts": [self.authority.certificate]}, **(listener or {})),
            {"listen": "127.0.0.1:%d" % self.port, "serves": ["scrapers", "admin"]}]
        agent = self.agent(inputs=[], extra=proxy_config(listeners, **options))
        wait_until(lambda: listens(self.secure_port) and listens(self.port), 30, "the proxy listens")
        return agent

    def figures(self, agent):
        return agent.status()["pushprox"]["proxy"]

    def listener(self, agent):
        return self.figures(agent)["tls_listeners"]["127.0.0.1:%d" % self.secure_port]

    def poll(self, name, context, headers=None):
        made = RawClient(self.secure_port, name, context)
        self.addCleanup(made.close)
        return made.poll(headers)

    def plain(self, data=b""):
        made = socket.create_connection(("127.0.0.1", self.secure_port), 20)
        self.addCleanup(made.close)
        made.sendall(data)
        return made

    def serve(self, client):
        """Answers one scrape, over the connection of the poll as real clients do."""
        status, request = client.answer()
        self.assertEqual(status, 200)
        client.connection.request("POST", "/push", inner(request))
        reply = client.connection.getresponse()
        self.assertEqual((reply.status, reply.read()), (200, b""))


class Refusals(TLSPeers):
    def test_each_bad_peer_is_refused_with_its_reason(self):
        gone = self.authority.issue("gone", names="DNS:t.example")
        agent = self.secure({"tls_crl": self.authority.revoke(gone[0])})
        mine = self.authority.context(self.authority.issue("mine", names="DNS:t.example"))
        self.assertEqual(self.poll("t.example", mine, {"X-Godwit-Poll-Seconds": "1"}).answer()[0], 204)
        old = self.authority.context()
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        untrusting = ssl.create_default_context()
        for reason, words, context in (
                ("expired", "has expired", self.authority.issue("old", names="DNS:t.example", days=-1)),
                ("not_yet_valid", "not yet valid", self.authority.issue("early", start="20990101000000Z")),
                ("unknown_authority", "issuer", Authority(self.files, "other").issue("foreign")),
                ("wrong_usage", "purpose", self.authority.issue("usage", names="DNS:t.example", usage="serverAuth")),
                ("revoked", "revoked", gone),
                ("no_certificate", "did not return a certificate", None),
                ("version", "unsupported protocol", old),
                ("refused_by_peer", "alert unknown ca", untrusting)):
            if not isinstance(context, ssl.SSLContext):
                context = self.authority.context(context)
            with self.assertRaises(OSError, msg=reason):
                self.poll("t.example", context).answer()
            wait_until(lambda: self.figures(agent)["tls_failures"].get(reason) == 1, 30, "%s is counted" % reason)
            wait_until(lambda: words in agent.log_text(), 30, "%s in the log" % words)
        # The certificate that was refused is named.
        self.assertRegex(agent.log_text(), r"has expired.*names=t.example.*serial=[0-9A-F]+")
        self.assertIn(b"this port speaks TLS", self.plain(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").recv(4096))
        leaving = self.plain(first_message())
        wait_until(lambda: self.listener(agent)["handshakes"] == 1, 30, "a handshake is under way")
        leaving.close()
        self.plain(b"\x16\x03\x01\x00\x05hello").recv(4096)
        for reason in ("plain_http", "left", "malformed"):
            wait_until(lambda: self.figures(agent)["tls_failures"].get(reason, 0) >= 1, 30, "%s is counted" % reason)
        self.assertEqual(self.figures(agent)["refusals"], 0)
        # A handshake on the port without TLS.
        with self.assertRaises(OSError):
            self.authority.context().wrap_socket(socket.create_connection(("127.0.0.1", self.port), 20),
                                       server_hostname="localhost")
        wait_until(lambda: "a TLS handshake came to a port without TLS" in agent.log_text(), 30, "the reason in the log")
        # A common name is no name.
        bare = self.authority.context(self.authority.issue("bare", subject="t.example", names=None))
        self.assertEqual(self.poll("t.example", bare).answer(), (403, b""))
        self.assertEqual(self.figures(agent)["refusals_by_reason"], {"tls_on_plain_port": 1, "name": 1})
        self.assertEqual(self.poll("t.example", mine, {"X-Godwit-Poll-Seconds": "1"}).answer()[0], 204)

    def test_a_list_of_revoked_certificates_that_cannot_be_used_lets_nobody_in(self):
        mine = self.authority.context(self.authority.issue("mine", names="DNS:t.example"))
        # Another authority's list.
        agent = self.secure({"tls_crl": Authority(self.files, "other").revoke()})
        with self.assertRaises(OSError):
            self.poll("t.example", mine).answer()
        wait_until(lambda: self.figures(agent)["tls_failures"].get("revocation_list") == 1, 30, "it is counted")
        empty = os.path.join(self.files, "empty.crl")
        open(empty, "w").close()
        broken = self.agent(inputs=[], extra=agent.text()[agent.text().index("[pushprox.proxy]"):].replace(
            "other.crl", "empty.crl"))
        wait_until(lambda: "revocation list" in str(self.figures(broken)["trouble"]), 30, "the reason in the status")


class Handshakes(TLSPeers):
    @takes(40)
    def test_hundreds_come_back_at_once_and_scrapes_go_on(self):
        agent = self.secure({"tls_max_handshakes": 4})
        mine = self.authority.context(self.authority.issue("mine", names="DNS:*.example"))
        steady = self.poll("steady.example", mine)
        self.waiting(agent)
        came, failed, most, times, stop = [], [], [0], [], threading.Event()

        def come_back(number):
            try:
                client = RawClient(self.secure_port, "c%d.example" % number, mine)
                client.connection.timeout = 120
                client.poll()
                came.append(client)
            except OSError as error:
                failed.append(error)

        def scrape_on():
            while not stop.is_set():
                scrape = Scrape(self.port, "http://steady.example/m", timeout="30")
                began = time.monotonic()
                self.serve(steady)
                scrape.done()
                times.append(time.monotonic() - began)
                if scrape.status != 200:
                    failed.append(scrape.status)
                steady.poll()
                most[0] = max(most[0], self.listener(agent)["handshakes"])
        scraping = threading.Thread(target=scrape_on)
        scraping.start()
        try:
            threads = [threading.Thread(target=come_back, args=(number,)) for number in range(300)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
            self.waiting(agent, 300)
        finally:
            stop.set()
            scraping.join(60)
            for client in came:
                client.close()
        self.assertEqual((failed, len(came)), ([], 300))
        self.assertTrue(0 < most[0] <= 4 and len(times) > 3, (most, len(times)))
        self.assertEqual(self.figures(agent)["tls_failures"], {})
        self.assertEqual(self.listener(agent)["handshakes"], 0)

    @takes(30)
    def test_handshakes_that_stand_still_cost_little_and_are_ended(self):
        agent = self.secure({"tls_max_handshakes": 2, "tls_handshake_timeout": "3s"})
        mine = self.authority.context(self.authority.issue("mine", names="DNS:*.example"))
        steady = self.poll("steady.example", mine)
        self.waiting(agent)
        before = self.resident(agent)
        hello = first_message()
        silent = [self.plain() for _ in range(100)]
        stalled = [self.plain(hello) for _ in range(200)]
        wait_until(lambda: self.listener(agent)["waiting_handshakes"] > 100, 30, "they wait")
        self.assertLessEqual(self.listener(agent)["handshakes"], 2)
        self.assertLess(self.resident(agent) - before, 20000)
        scrape = Scrape(self.port, "http://steady.example/m")
        self.serve(steady)
        self.assertEqual(scrape.done().status, 200)
        for each in silent + stalled:
            each.settimeout(60)
            try:
                while each.recv(65536):
                    pass
            except ConnectionResetError:
                pass
        failures = self.figures(agent)["tls_failures"]
        self.assertEqual(failures["timeout"] + failures["crowded"], 300, failures)
        self.assertGreater(failures["crowded"], 100)
        self.assertEqual(self.poll("new.example", mine, {"X-Godwit-Poll-Seconds": "1"}).answer()[0], 204)
        # Those that waited and left are forgotten.
        holders = [self.plain(hello) for _ in range(2)]
        wait_until(lambda: self.listener(agent)["handshakes"] == 2, 30, "they hold the turns")
        for _ in range(100):
            self.plain(hello).close()
        wait_until(lambda: self.listener(agent)["waiting_handshakes"] == 0, 30, "nobody waits")
        self.assertEqual(len(holders), 2)

    def resident(self, agent):
        with open("/proc/%d/status" % agent.pid) as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


class Rotation(TLSPeers):
    def test_renewed_files_while_polls_hang_and_a_revocation(self):
        crl = self.authority.revoke()
        agent = self.secure({"tls_crl": crl})
        mine = self.authority.context(self.authority.issue("mine", names="DNS:*.example"))
        other = self.authority.issue("other", names="DNS:*.example")
        clients = [self.poll("c%d.example" % number, mine) for number in range(10)]
        self.waiting(agent, 10)
        before = self.listener(agent)["certificate_expiry"]
        self.assertTrue(86400 < before - time.time() < 3 * 86400, before)
        for old, new in zip(self.pair, self.authority.issue("renewed", days=20)):
            shutil.copy(new, old)
        self.authority.revoke(other[0])
        os.kill(agent.pid, signal.SIGHUP)
        wait_until(lambda: self.listener(agent)["certificate_expiry"] > before + 86400, 30, "the new end")
        with self.assertRaises(OSError):
            self.poll("o.example", self.authority.context(other)).answer()
        self.assertEqual(self.figures(agent)["tls_failures"], {"revoked": 1})
        self.assertEqual(self.figures(agent)["waiting_polls"], 10)
        for number, client in enumerate(clients):
            scrape = Scrape(self.port, "http://c%d.example/m" % number)
            self.serve(client)
            self.assertEqual(scrape.done().status, 200)
            client.poll()
        self.waiting(agent, 10)
        self.assertEqual(self.figures(agent)["lost_polls"], 0)
