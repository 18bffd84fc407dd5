"""PushProx between real programs: Prometheus and node_exporter from Debian, in namespaces that do not reach each other
but through our client and our proxy; and certificates, faults and two proxies."""
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from support import processes
from support.agent import table
from support.case import EndToEnd, takes
from support.certificates import Authority
from support.influx import free_port
from support.processes import wait_until
from support.pushprox import RawClient, Scrape, client_config, listens, proxy_config
from test_pushprox import PAGE, inner, samples

#: A target in a file of its own: serves a page as a file says, in the way its path asks for.
TARGET = r'''
import http.server, sys, time
page = open(sys.argv[2], "rb").read()
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/redirect":
            self.send_response(302); self.send_header("Location", "http://127.0.0.1:1/"); self.send_header("Content-Length", "0")
            return self.end_headers()
        if path == "/hang": time.sleep(60)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        if path == "/echo":
            body = ("%s %s\n%s" % (self.command, self.path, self.headers)).encode()
        else:
            body = page
        if path == "/endless":
            self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
            while True: self.wfile.write(b"10000\r\n" + b"e 1\n" * 16384 + b"\r\n")
        if path == "/cut-chunks":
            self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body)); self.close_connection = True
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body[:50] if path == "/cut" else body)
        if path == "/cut": self.close_connection = True
    do_HEAD = do_GET
    do_POST = do_GET
    def log_message(self, *words): pass
    def handle(self):
        try: super().handle()
        except OSError: pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
'''


class Peers(EndToEnd):
    """Makes targets, proxies and clients."""

    def target(self, page=PAGE, wrapper=()):
        folder = self.folder()
        for name, data in (("target.py", TARGET.encode()), ("page", page)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        port = free_port()
        made = processes.spawn([*wrapper, sys.executable, folder + "/target.py", str(port), folder + "/page"])
        self.addCleanup(processes.end, made)
        if not wrapper:
            wait_until(lambda: listens(port), 30, "the target listens")
        self.target_process = made
        return port

    def proxy(self, listener=None, **options):
        self.port = free_port()
        agent = self.agent(inputs=[], extra=proxy_config(
            [dict({"listen": "127.0.0.1:%d" % self.port}, **(listener or {}))], **options))
        wait_until(lambda: listens(self.port), 30, "the proxy listens")
        return agent

    def waiting(self, proxy, count=1):
        wait_until(lambda: proxy.status()["pushprox"]["proxy"]["waiting_polls"] == count, 30, "%d polls wait" % count)

    def both(self, **options):
        target = self.target()
        proxy = self.proxy()
        client = self.agent(inputs=[], extra=client_config(
            ["http://127.0.0.1:%d" % self.port],
            [{"name": "t.example", "port": 9100, "url": "http://127.0.0.1:%d" % target}], **options))
        self.waiting(proxy)
        return proxy, client

    def scrape(self, path="/metrics", url=None, **options):
        return Scrape(self.port, url or "http://t.example:9100" + path, **options).done()


class Both(Peers):
    """Our client and our proxy."""

    def test_pages_methods_and_what_targets_do(self):
        proxy, client = self.both(max_body_size="1MiB")
        for _ in range(5):
            done = self.scrape()
            self.assertEqual((done.status, done.body), (200, PAGE))
        done = self.scrape(method="HEAD")
        self.assertEqual((done.status, done.reply.getheader("Content-Length")), (200, str(len(PAGE))))
        done = self.scrape("/redirect")
        self.assertEqual((done.status, done.reply.getheader("Location")), (302, "http://127.0.0.1:1/"))
        for path in ("/cut", "/cut-chunks"):
            done = self.scrape(path)
            self.assertEqual(done.status, 502, path)
            self.assertIn(b"broke off", done.body)
        # It goes out while it comes, so the scraper sees a cut connection and the log names the limit.
        done = self.scrape("/endless")
        self.assertIsNotNone(done.error)
        self.assertIn("max_body_size", client.log_text())
        began = time.monotonic()
        done = self.scrape("/hang", timeout="2")
        self.assertEqual(done.status, 504)
        self.assertLess(time.monotonic() - began, 2)
        echo = self.scrape("/echo?b=2&a=1", headers={
            "Authorization": "Bearer t", "Proxy-Authorization": "x", "Id": "y", "Accept": "a/b", "User-Agent": "P/1"})
        text = echo.body.decode()
        self.assertIn("GET /echo?b=2&a=1\n", text)
        self.assertIn("Host: t.example:9100", text)
        self.assertIn("Authorization: Bearer t", text)
        self.assertIn("User-Agent: P/1", text)
        self.assertNotIn("Proxy-Authorization", text)
        self.assertNotIn("Id:", text)
        self.assertIn("X-Prometheus-Scrape-Timeout-Seconds: ", text)
        for url, status in (("http://t.example:9101/", 403), ("http://t.example/", 403)):
            self.assertEqual(self.scrape(url=url).status, status)
        self.assertEqual(self.scrape(method="POST").status, 403)
        processes.end(self.target_process)
        done = self.scrape()
        self.assertEqual(done.status, 502)
        self.assertIn(b"http://t.example:9100/metrics: unreachable", done.body)
        wait_until(lambda: client.status()["pushprox"]["client"]["running"] == 0, 30, "nothing is left running")

    def test_the_agents_own_pages_need_no_exporter(self):
        self.proxy()
        port = free_port()
        client = self.agent(host_proc=self.proc(5), extra=table(
            "[[outputs.prometheus_client]]", {"listen": "127.0.0.1:%d" % port, "metric_version": 2}) + client_config(
                ["http://127.0.0.1:%d" % self.port],
                [{"name": "t.example", "port": 9100, "url": "output:prometheus_client"},
                 {"name": "t.example", "url": "agent", "path": "/agent"}]))
        wait_until(lambda: b"net_bytes_recv" in (self.scrape().body or b""), 30, "the page")
        self.assertIn(b"godwit_", self.scrape("/agent").body)
        self.assertEqual(self.scrape(url="http://t.example:1/x").status, 403)
        self.assertTrue(client.is_running)

    def test_several_names_at_several_proxies_and_a_restart(self):
        target = self.target()
        proxy = self.proxy()
        first = self.port
        other = self.proxy()
        second = self.port
        names = ["t.example", "u.example"]
        client = self.agent(inputs=[], extra=client_config(
            ["http://127.0.0.1:%d" % first, "http://127.0.0.1:%d" % second],
            [{"name": name, "url": "http://127.0.0.1:%d" % target} for name in names],
            retry_initial_wait="100ms", retry_max_wait="500ms"))
        self.waiting(proxy, 2)
        self.waiting(other, 2)
        for port in (first, second):
            for name in names:
                self.assertEqual(Scrape(port, "http://%s/metrics" % name).done().body, PAGE)
        proxy.kill()
        self.assertEqual(Scrape(second, "http://t.example/metrics").done().status, 200)
        proxy.start()
        self.waiting(proxy, 2)
        self.assertEqual(Scrape(first, "http://u.example/metrics").done().body, PAGE)
        # The client is gone without a word: the proxy notices, and the scrape waits for the next one.
        client.kill()
        wait_until(lambda: proxy.status()["pushprox"]["proxy"]["waiting_polls"] == 0, 30, "dead polls are noticed")
        late = Scrape(first, "http://t.example/metrics", timeout="20")
        client.start()
        self.assertEqual(late.done().body, PAGE)

    def test_a_client_killed_in_mid_scrape_costs_that_scrape(self):
        proxy, client = self.both()
        done = Scrape(self.port, "http://t.example:9100/hang", timeout="3")
        wait_until(lambda: client.status()["pushprox"]["client"]["running"] == 1, 30, "the scrape runs")
        client.kill()
        self.assertIn(done.done().status, (502, 504))
        client.start()
        self.waiting(proxy)
        self.assertEqual(self.scrape().body, PAGE)

    def test_the_configuration_is_reloaded_without_losing_polls_that_did_not_change(self):
        proxy, client = self.both()
        polls = proxy.status()["pushprox"]["proxy"]["polls"]
        client.write_config(client.text().replace('interval = "100ms"', 'interval = "200ms"'))
        self.assertEqual(client.request("/reload", "POST")[0], 200)
        self.assertEqual(self.scrape().status, 200)
        self.assertEqual(proxy.status()["pushprox"]["proxy"]["polls"], polls + 1)
        client.write_config(client.text().replace("t.example", "v.example"))
        client.request("/reload", "POST")
        wait_until(lambda: Scrape(self.port, "http://v.example:9100/").done().status == 200, 30, "the new name")
        proxy.write_config(proxy.text().replace("[pushprox.proxy]", "[pushprox.proxy]\nalways_500 = true"))
        proxy.request("/reload", "POST")
        wait_until(lambda: Scrape(self.port, "http://none.example/").done().status == 500, 30, "the new statuses")


class Certificates(Peers):
    """Names are bound to certificates."""

    def setUp(self):
        super().setUp()
        self.needs_program("openssl")
        self.files = self.folder()
        self.authority = Authority(self.files)

    def secure(self):
        pair = self.authority.issue("server")
        self.pair = pair
        return self.proxy(listener={"tls_cert": pair[0], "tls_key": pair[1],
                                    "tls_allowed_cacerts": [self.authority.certificate]})

    def place(self, pair):
        return {"url": "https://localhost:%d" % self.port, "tls_ca": self.authority.certificate, "tls_cert": pair[0],
                "tls_key": pair[1]}

    def test_a_client_polls_under_its_own_names_only(self):
        proxy = self.secure()
        mine = self.authority.context(self.authority.issue("mine", names="DNS:t.example,DNS:*.w.example"))
        foreign = self.authority.context(self.authority.issue("foreign", names="DNS:else.example"))
        bare = self.authority.context(self.authority.issue("bare", subject="t.example", names=None))
        for name in ("T.example.", "a.w.example"):
            polling = RawClient(self.port, name, mine).poll({"X-Godwit-Poll-Seconds": "1"})
            self.assertEqual(polling.answer()[0], 204, name)
        for name in ("else.example", "w.example", "a.b.w.example"):
            self.assertEqual(RawClient(self.port, name, mine).poll().answer(), (403, b""), name)
        for stranger in (foreign, bare):
            self.assertEqual(RawClient(self.port, "t.example", stranger).poll().answer(), (403, b""))
        wait_until(lambda: "does not carry the name t.example" in proxy.log_text(), 20, "the reason in the log")
        # Nor may a stranger bring the answer to a scrape that was given to somebody else.
        polling = RawClient(self.port, "t.example", mine).poll()
        self.waiting(proxy)
        scrape = Scrape(self.port, "https://t.example/m".replace("https", "http"), context=foreign)
        request = polling.answer()[1]
        self.assertEqual(RawClient(self.port, "x", foreign).push(inner(request)), (403, b""))
        self.assertEqual(polling.push(inner(request, b"right 1\n")), (200, b""))
        self.assertEqual(scrape.done().body, b"right 1\n")
        other = Authority(self.files, "other").issue("wrong", names="DNS:t.example")
        expired = self.authority.issue("old", names="DNS:t.example", days=-1)
        for context in (self.authority.context(), self.authority.context(other), self.authority.context(expired)):
            with self.assertRaises(OSError):
                RawClient(self.port, "t.example", context).poll().answer()
        with self.assertRaises((OSError, http.client.HTTPException, AssertionError)):
            self.assertEqual(RawClient(self.port, "t.example").poll().answer()[0], 200)
        self.assertGreater(sum(proxy.status()["pushprox"]["proxy"]["tls_failures"].values()), 2)

    def test_our_client_with_its_certificate_and_a_rotation_without_a_dropped_scrape(self):
        target = self.target()
        proxy = self.secure()
        pair = self.authority.issue("mine", names="DNS:t.example")
        self.agent(inputs=[], extra=client_config(
            [self.place(pair)], [{"name": "t.example", "url": "http://127.0.0.1:%d" % target}],
            retry_initial_wait="100ms"))
        self.waiting(proxy)
        scraper = self.authority.context(self.authority.issue("prometheus", names="DNS:prometheus.example"))
        failed, stop = [], threading.Event()

        def scrape_on():
            while not stop.is_set():
                done = Scrape(self.port, "http://t.example/metrics", context=scraper).done()
                if (done.status, done.body) != (200, PAGE):
                    failed.append((done.status, done.body, done.error))
        scraping = threading.Thread(target=scrape_on)
        scraping.start()
        try:
            for number in range(3):
                for old, new in zip(self.pair, self.authority.issue("renewed%d" % number)):
                    shutil.copy(new, old)
                os.kill(proxy.pid, signal.SIGHUP)
                time.sleep(1.2)
        finally:
            stop.set()
            scraping.join(60)
        self.assertEqual(failed, [])

    def test_a_client_that_is_refused_says_why(self):
        self.secure()
        wrong = self.authority.issue("wrong", names="DNS:else.example")
        client = self.agent(inputs=[], extra=client_config(
            [self.place(wrong)], [{"name": "t.example", "url": "agent"}], retry_initial_wait="100ms"))
        wait_until(lambda: "status 403" in json.dumps(client.status()["pushprox"]), 30, "the reason in the status")
        text = client.text().replace("tls_ca", "#")
        client.write_config(text)
        client.request("/reload", "POST")
        wait_until(lambda: "certificate" in json.dumps(client.status()["pushprox"]), 30, "the reason in the status")


class Real(Peers):
    """Programs from Debian, in two namespaces: Prometheus with the proxy here, the exporter with the client there."""

    def there(self):
        """A second namespace, with one wire to this one: the words that run a program in it."""
        self.network()
        holder = processes.spawn(["unshare", "-n", "sleep", "1000"])
        self.addCleanup(processes.end, holder)
        own = os.readlink("/proc/thread-self/ns/net")
        wait_until(lambda: os.readlink("/proc/%d/ns/net" % holder.pid) != own, 20, "a namespace of its own")
        inside = ["nsenter", "-t", str(holder.pid), "-n"]
        for words in (["ip", "link", "add", "gw0", "type", "veth", "peer", "name", "gw1", "netns", str(holder.pid)],
                      ["ip", "address", "add", "10.127.9.1/24", "dev", "gw0"], ["ip", "link", "set", "gw0", "up"],
                      inside + ["ip", "address", "add", "10.127.9.2/24", "dev", "gw1"],
                      inside + ["ip", "link", "set", "gw1", "up"], inside + ["ip", "link", "set", "lo", "up"]):
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode != 0:
                self.skipTest("needs virtual wires (%s)" % done.stderr.strip())
        return inside

    def prometheus(self, jobs):
        folder = self.folder()
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w") as file:
            json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}, file)
        port = free_port()
        with open(os.path.join(folder, "log"), "ab") as log:
            server = processes.spawn(["prometheus", "--config.file=" + path, "--storage.tsdb.path=" + folder + "/data",
                                      "--web.listen-address=127.0.0.1:%d" % port], stdout=log, stderr=log)
        self.addCleanup(processes.end, server)

        def series(selector):
            query = urllib.parse.urlencode({"query": selector})
            with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/query?%s" % (port, query), timeout=20) as reply:
                found = json.loads(reply.read())["data"]["result"]
            return {(each["metric"].get("__name__", ""), tuple(sorted(
                (name, text) for name, text in each["metric"].items() if name not in ("__name__", "job", "instance")))):
                    float(each["value"][1]) for each in found}
        return series

    @takes(40)
    def test_prometheus_scrapes_what_it_cannot_reach_and_gets_every_sample(self):
        self.needs_program("prometheus", "prometheus-node-exporter", "nsenter", "unshare", "curl")
        inside = self.there()
        exporter = processes.spawn([*inside, "prometheus-node-exporter", "--web.listen-address=127.0.0.1:9100"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(processes.end, exporter)

        def direct():
            return subprocess.run([*inside, "curl", "-sf", "http://127.0.0.1:9100/metrics"], capture_output=True).stdout
        page = wait_until(direct, 30, "the exporter's page")
        port = self.target(page, wrapper=inside)
        self.port = free_port()
        proxy = self.agent(inputs=[], extra=proxy_config([{"listen": ":%d" % self.port}]))
        client = self.agent(start=False, inputs=[], extra=client_config(
            ["http://10.127.9.1:%d" % self.port],
            [{"name": "far.example", "port": 9100, "url": "http://127.0.0.1:9100"},
             {"name": "far.example", "port": 9200, "url": "http://127.0.0.1:%d" % port}]))
        client.wrapper = inside
        client.start()
        self.waiting(proxy)
        self.assertFalse(listens(9100))
        discovery = {"url": "http://127.0.0.1:%d/clients" % self.port}
        series = self.prometheus([
            {"job_name": name, "proxy_url": "http://127.0.0.1:%d" % self.port, "http_sd_configs": [discovery],
             "relabel_configs": [{"source_labels": ["__address__"], "target_label": "__address__",
                                  "replacement": "$1:%d" % to}]} for name, to in (("node", 9100), ("still", 9200))])
        wait_until(lambda: list(series("up").values()) == [1.0, 1.0] or list(series("up").values()) == [1.0] and
                   len(series('up{job="node"}')) + len(series('up{job="still"}')) == 2, 90, "both targets are up", 0.3)
        wanted = samples(page.decode())
        found = wait_until(lambda: len(series('{job="still"}')) > len(wanted) and series('{job="still"}'), 60, "all samples",
                           0.3)
        self.assertGreater(len(wanted), 300)
        missing = [key for key, value in wanted.items()
                   if key not in found or found[key] != value and value == value]
        self.assertEqual(missing, [])
        live = set(series('{job="node"}'))
        self.assertEqual([key for key in samples(direct().decode()) if key not in live and "scrape_" not in key[0]
                          and "go_" not in key[0] and "softnet" not in key[0]][:5], [])
        figures = proxy.status()["pushprox"]["proxy"]
        self.assertEqual(set(figures["scrapes"]), {"ok"})
        # A cut wire: Prometheus sees failed scrapes, and good ones again once it is mended.
        subprocess.run(["ip", "link", "set", "gw0", "down"], check=True)
        wait_until(lambda: 0.0 in series('up{job="still"}').values(), 30, "a failed scrape", 0.3)
        subprocess.run(["ip", "link", "set", "gw0", "up"], check=True)
        wait_until(lambda: 1.0 in series('up{job="still"}').values(), 60, "a good scrape again", 0.3)

    @takes(30)
    def test_prometheus_with_its_certificate_through_the_proxy(self):
        self.needs_program("prometheus", "openssl")
        files = self.folder()
        authority = Authority(files)
        pair, own = authority.issue("server"), authority.issue("prometheus")
        target = self.target()
        listener = {"tls_cert": pair[0], "tls_key": pair[1], "tls_allowed_cacerts": [authority.certificate]}
        ports = (free_port(), free_port())
        proxy = self.agent(inputs=[], extra=proxy_config([
            dict(listener, listen="127.0.0.1:%d" % ports[0], serves=["clients"]),
            dict(listener, listen="127.0.0.1:%d" % ports[1], serves=["scrapers", "admin"])]))
        mine = authority.issue("mine", names="DNS:t.example")
        self.agent(inputs=[], extra=client_config(
            [{"url": "https://localhost:%d" % ports[0], "tls_ca": authority.certificate, "tls_cert": mine[0],
              "tls_key": mine[1]}], [{"name": "t.example", "url": "http://127.0.0.1:%d" % target}]))
        self.waiting(proxy)
        series = self.prometheus([{
            "job_name": "x", "proxy_url": "https://localhost:%d" % ports[1],
            "static_configs": [{"targets": ["t.example:9100"]}],
            "tls_config": {"ca_file": authority.certificate, "cert_file": own[0], "key_file": own[1]}}])
        wait_until(lambda: list(series("up").values()) == [1.0], 60, "the target is up", 0.3)
        self.assertEqual(len([key for key in series('{job="x"}') if key[0].startswith("m")]), 100)
