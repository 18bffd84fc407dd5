"""Names of the scrape proxy: tokens and certificates that prove them, who may ask for them, clients that share one, and the
proxy's page."""
import base64
import hashlib
import os
import subprocess
import urllib.request

from support.processes import wait_until
from support.pushprox import RawClient, Scrape, client_config
from test_pushprox import ProxyAlone, inner
from test_pushprox_tls import TLSPeers


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()}


def bearer(token):
    return {"Authorization": "Bearer " + token}


QUICK = {"X-Godwit-Poll-Seconds": "1"}


class Names(ProxyAlone):
    """Names without certificates."""

    def test_who_may_poll_and_push_under_which_name(self):
        path = os.path.join(self.folder(), "tokens")
        self.write(path, "other\n\nsha256:%s\n" % hashlib.sha256(b"hashed").hexdigest())
        agent = self.running(listener={"token": "all"}, names=[
            {"name": "a.example", "token_sha256": [hashlib.sha256(b"s3cret").hexdigest().upper()], "token_file": path},
            {"name": "*.open.example"}])
        for headers in (bearer("s3cret"), basic("a.example", "s3cret"), basic("s3cret", ""), bearer("other"),
                        basic("x", "hashed")):
            self.assertEqual(self.client().poll(dict(QUICK, **headers)).answer()[0], 204, headers)
        # The listener's own token proves no name; a name's token is for that name.
        for name, headers, status in (
                ("a.example", {}, 401), ("a.example", bearer("all"), 403), ("a.example", bearer("s3cre"), 401),
                ("a.example", bearer(hashlib.sha256(b"s3cret").hexdigest()), 401), ("a.example", bearer(""), 401),
                ("x.open.example", bearer("all"), 204), ("x.open.example", bearer("s3cret"), 401),
                ("x.open.example", {}, 401), ("b.example", bearer("all"), 403), ("open.example", bearer("all"), 403)):
            self.assertEqual(self.client(name).poll(dict(QUICK, **headers)).answer()[0], status, (name, headers))
        wait_until(lambda: "no token of the name a.example was shown" in agent.log_text(), 20, "the reason")
        wait_until(lambda: "no [[pushprox.proxy.names]] is for the name b.example" in agent.log_text(), 20, "the reason")
        for secret in ("s3cret", "hashed", "s3cre", base64.b64encode(b"a.example:s3cret").decode()):
            self.assertNotIn(secret, agent.log_text())
        # The answer must come from the one who got the scrape.
        client = self.client().poll(bearer("other"))
        self.waits(agent)
        scrape = Scrape(self.port, "http://a.example/m", headers={"Proxy-Authorization": "Bearer all"})
        request = client.answer()[1]
        for headers, status in (({}, 401), (bearer("all"), 403), (bearer("s3cret"), 403)):
            self.assertEqual(self.push(request, headers)[0], status, headers)
        self.assertEqual(self.push(request, basic("x", "other")), (200, b""))
        self.assertEqual(scrape.done().status, 200)
        reasons = self.figures(agent)["refusals_by_reason"]
        self.assertEqual(reasons["identity"], 1)
        self.assertGreater(reasons["credentials"], 3)
        # A new token before the old one goes, and a file that cannot be read.
        self.write(path, "new\n")
        self.assertEqual(self.client().poll(dict(QUICK, **bearer("new"))).answer()[0], 204)
        self.assertEqual(self.client().poll(dict(QUICK, **bearer("other"))).answer()[0], 401)
        os.chmod(path, 0o644)
        self.write(path, "newer\n", 0o644)
        self.assertEqual(self.client().poll(dict(QUICK, **bearer("newer"))).answer()[0], 401)
        wait_until(lambda: "a file of tokens cannot be used" in agent.log_text(), 20, "the reason in the log")

    def write(self, path, text, mode=0o600):
        with open(path + ".new", "w") as file:
            file.write(text)
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)

    def push(self, request, headers):
        client = self.client()
        client.connection.request("POST", "/push", inner(request), headers)
        reply = client.connection.getresponse()
        return reply.status, reply.read()

    def test_a_client_of_ours_comes_by_the_token_in_its_url(self):
        self.running(names=[{"name": "t.example", "token_sha256": [hashlib.sha256(b"s3cret").hexdigest()]}])
        self.agent(inputs=[], extra=client_config(
            ["http://u:s3cret@127.0.0.1:%d" % self.port], [{"name": "t.example", "url": "agent"}],
            retry_initial_wait="100ms"))
        wait_until(lambda: Scrape(self.port, "http://t.example/").done().status == 200, 30, "a scrape", 0.2)

    def test_who_may_ask_for_which_name_and_port(self):
        agent = self.running(names=[
            {"name": "a.example", "ports": [9100], "scrapers": ["127.0.0.0/8"]},
            {"name": "b.example", "scrapers": ["192.0.2.0/24", "prometheus.example"]}])
        client = self.client().poll()
        self.waits(agent)
        for url, words in (("http://a.example:9101/m", b"port 9101 of a.example may not be asked for"),
                           ("http://a.example/m", b"port 80 "), ("http://b.example:9100/m", b"this scraper may not"),
                           ("http://c.example/m", b"no [[pushprox.proxy.names]] is for the name c.example")):
            scrape = Scrape(self.port, url).done()
            self.assertEqual(scrape.status, 403, url)
            self.assertIn(words, scrape.body)
        self.assertEqual(self.figures(agent)["refusals_by_reason"], {"port": 2, "scraper": 1, "name": 1})
        scrape = Scrape(self.port, "http://a.example:9100/m")
        self.assertEqual(client.push(inner(client.answer()[1])), (200, b""))
        self.assertEqual(scrape.done().status, 200)

    def test_clients_share_a_name_and_one_of_them_is_lost(self):
        agent = self.running(duplicates="spread")
        clients = [self.client().poll() for _ in range(3)]
        self.waits(agent, 3)
        for turn in range(2):
            for client in clients:
                scrape = Scrape(self.port, "http://a.example/m")
                self.assertEqual(client.push(inner(client.answer()[1], b"turn %d\n" % turn)), (200, b""))
                self.assertEqual((scrape.done().status, scrape.body), (200, b"turn %d\n" % turn))
                client.poll()
                self.waits(agent, 3)
        # The first one dies with the scrape: the second one gets it.
        scrape = Scrape(self.port, "http://a.example/m")
        clients[0].answer()
        clients[0].close()
        self.assertEqual(clients[1].push(inner(clients[1].answer()[1])), (200, b""))
        self.assertEqual(scrape.done().status, 200)
        self.assertEqual(self.figures(agent)["evictions"], 0)
        # The same client once more, whose older poll hangs on a connection that is lost.
        again = [self.client("b.example").poll({"X-Godwit-Instance": "7f"}) for _ in range(2)]
        self.assertEqual(again[0].answer(), (408, b""))
        clients[2].close()

    def test_two_clients_of_ours_share_a_name(self):
        agent = self.running(duplicates="spread")
        for site in ("one", "two"):
            self.agent(inputs=[], extra=client_config(
                ["http://127.0.0.1:%d" % self.port], [{"name": "t.example", "url": "agent"}],
                retry_initial_wait="100ms"))
        self.waits(agent, 2)
        for _ in range(6):
            self.assertEqual(Scrape(self.port, "http://t.example/").done().status, 200)
            self.waits(agent, 2)

    def test_the_page_is_what_prometheus_wants(self):
        agent = self.running()
        client = self.client().poll()
        self.waits(agent)
        scrape = Scrape(self.port, "http://a.example/m")
        body = inner(client.answer()[1], b"x 1\n" * 1000)
        self.assertEqual(client.push(body), (200, b""))
        self.assertEqual(scrape.done().status, 200)
        self.assertEqual(client.push(body), (410, b""))
        self.client("b.example").poll(QUICK).answer()
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.port) as reply:
            page = reply.read().decode()
        for name, value in (("late_pushes_total", 1), ("expired_polls_total", 1), ("body_bytes_total", 4000),
                            ("pushed_bytes_total", 2 * len(body)), ("queue_wait_seconds_count", 1),
                            ("client_round_trip_seconds_count", 1), ('refusals_total{reason="name"}', 0)):
            self.assertIn("godwit_pushprox_proxy_%s %d\n" % (name, value), page)
        self.assertRegex(page, r"instruction_bytes_total [1-9]")
        self.assertRegex(page, r'client_round_trip_seconds_bucket\{le="60"\} 1\n')
        self.needs_program("promtool")
        done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class OptionalCertificates(TLSPeers):
    def test_with_or_without_a_certificate(self):
        agent = self.secure({"tls_client_auth": "optional"}, names=[
            {"name": "t.example", "token_sha256": [hashlib.sha256(b"s3cret").hexdigest()]}, {"name": "*"}])
        mine = self.authority.context(self.authority.issue("mine", names="DNS:t.example"))
        foreign = self.authority.context(self.authority.issue("foreign", names="DNS:else.example"))
        none = self.authority.context()
        for name, context, headers, status in (
                ("t.example", mine, {}, 204), ("t.example", none, bearer("s3cret"), 204),
                ("t.example", foreign, bearer("s3cret"), 204), ("t.example", none, {}, 401),
                ("t.example", none, bearer("x"), 403), ("t.example", foreign, {}, 403),
                ("else.example", foreign, {}, 204), ("else.example", none, {}, 401),
                ("else.example", none, bearer("s3cret"), 403), ("else.example", mine, {}, 403)):
            self.assertEqual(self.poll(name, context, dict(QUICK, **headers)).answer()[0], status,
                             (name, status, headers))
        expired = self.authority.context(self.authority.issue("old", names="DNS:t.example", days=-1))
        with self.assertRaises(OSError):
            self.poll("t.example", expired, bearer("s3cret")).answer()
        self.assertIn("without a certificate nobody may use the name else.example", agent.log_text())
        # Another client that may use the name, too, is not the one that has the scrape.
        client = self.poll("t.example", none, bearer("s3cret"))
        self.waiting(agent)
        scrape = Scrape(self.port, "http://t.example/m")
        request = client.answer()[1]
        thief = RawClient(self.secure_port, "t.example", mine)
        self.assertEqual(thief.push(inner(request)), (403, b""))
        pushing = RawClient(self.secure_port, "t.example", none)
        pushing.connection.request("POST", "/push", inner(request), bearer("s3cret"))
        self.assertEqual(pushing.connection.getresponse().status, 200)
        self.assertEqual(scrape.done().status, 200)
        # A renewed certificate of the same names is the same client.
        client = self.poll("t.example", mine)
        self.waiting(agent)
        scrape = Scrape(self.port, "http://t.example/m")
        renewed = RawClient(self.secure_port, "", self.authority.context(self.authority.issue("mine2", names="DNS:t.example")))
        self.assertEqual(renewed.push(inner(client.answer()[1])), (200, b""))
        self.assertEqual(scrape.done().status, 200)
