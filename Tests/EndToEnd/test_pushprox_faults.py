"""A real Prometheus scrapes through our proxy and our client while something fails. It sees failed scrapes and never half
a page as a success, and good scrapes again within a stated time. --long cuts the wire for a minute, with the product's
own times."""
import socket
import threading
import time

from support.case import EndToEnd, is_long, takes
from support.clock import WallClock
from support.influx import free_port
from support.network import Namespace, link
from support.pages import Pages, Reader
from support.processes import wait_until
from support.pushprox import Scrape, client_config, listens, proxy_config

LONG = is_long()
#: Seconds after the end of a fault within which scrapes are good again.
RECOVERY = 20
#: Bytes of a page that goes out while it comes, and its samples.
SIZE, SAMPLES = 160000, 10000


class Faults(EndToEnd):
    def setUp(self):
        super().setUp()
        self.needs_program("prometheus")
        self.pages = Pages()
        self.addCleanup(self.pages.close)

    def proxied(self, listen="127.0.0.1"):
        self.port = free_port()
        self.proxy = self.agent(inputs=[], extra=proxy_config([{"listen": "%s:%d" % (listen, self.port)}]))
        wait_until(lambda: listens(self.port), 30, "the proxy listens")

    def client(self, host="127.0.0.1", environment=None, start=True, **options):
        return self.agent(start=start, inputs=[], environment=environment, extra=client_config(
            ["http://%s:%d" % (host, self.port)],
            [{"name": "t.example", "port": 9100, "url": self.pages.url()},
             {"name": "t.example", "port": 9101, "url": "http://127.0.0.1:1"}], **options))

    def watch(self, paths=("/length/%d" % SIZE,), slow=(), port=9100):
        """A Prometheus with a job for each path."""
        def job(path):
            made = {"job_name": path, "metrics_path": path, "proxy_url": "http://127.0.0.1:%d" % self.port,
                    "static_configs": [{"targets": ["t.example:%d" % (9101 if path == "/refused" else port)]}]}
            if path in slow:
                made["scrape_interval"] = "3s"
            return made
        self.watcher = self.prometheus({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                                        "scrape_configs": [job(path) for path in paths]})

    def verdicts(self, path="/length/%d" % SIZE):
        """[(time in ms, up, samples)] of every scrape of a path."""
        selector = '{job="%s"}' % path
        ups = {key[1]: value for key, value in self.watcher.points("up" + selector).items()}
        counts = {key[1]: value for key, value in self.watcher.points("scrape_samples_scraped" + selector).items()}
        return [(at, ups[at], counts[at]) for at in sorted(ups) if at in counts]

    def good(self, since, count=2, seconds=RECOVERY, path="/length/%d" % SIZE):
        """Waits for good scrapes that began after `since`."""
        wait_until(lambda: sum(up == 1 for at, up, _ in self.verdicts(path) if at > since * 1000) >= count, seconds,
                   "%d good scrapes of %s" % (count, path), 0.2)

    def noted(self, what, since):
        print("  %s: %.1f s" % (what, time.time() - since))

    def failed(self, since, seconds=RECOVERY, path="/length/%d" % SIZE):
        wait_until(lambda: any(up == 0 for at, up, _ in self.verdicts(path) if at > since * 1000), seconds,
                   "a failed scrape of %s" % path, 0.2)

    def never_half(self, path="/length/%d" % SIZE, samples=SAMPLES):
        for at, up, count in self.verdicts(path):
            self.assertEqual(count, samples if up == 1 else 0, (path, at, up))

    @takes(20)
    def test_whatever_a_target_does_its_scrape_fails_and_others_do_not(self):
        self.proxied()
        client = self.client()
        fine = {"/length/%d" % SIZE: SAMPLES, "/chunks/%d" % SIZE: SAMPLES, "/chunks/1600": 100, "/end/1600": 100}
        huge = ["/length/%d" % (100 << 20), "/chunks/%d" % (100 << 20), "/endless"]
        bad = ["/hang", "/refused", "/cut-length/1600", "/cut-chunks/1600", "/cut-length/320000", "/cut-chunks/320000",
               "/hang-length/320000", "/hang-chunks/320000"] + huge
        self.watch(list(fine) + bad, slow=huge)
        began = time.time()
        for path in fine:
            self.good(began, 3, 60, path)
        for path in bad:
            wait_until(lambda: len(self.verdicts(path)) >= 2, 60, "scrapes of %s" % path, 0.2)
            self.assertEqual({(up, count) for _, up, count in self.verdicts(path)}, {(0, 0)}, path)
        for path, samples in fine.items():
            self.never_half(path, samples)
        with open("/proc/%d/status" % client.pid) as file:
            peak = int(file.read().split("VmHWM:")[1].split()[0])
        print("  peak memory of the client: %d KiB" % peak)
        self.assertLess(peak, 48 << 10)

    @takes(20)
    def test_a_client_killed_in_mid_push_and_a_proxy_that_is_restarted(self):
        self.proxied()
        client = self.client()
        self.watch()
        self.good(0, seconds=60)
        reader = Reader(self.port, "http://t.example:9100/hang-length/320000", timeout="30")
        wait_until(lambda: reader.bytes > 0, 30, "the page is on its way")
        cut = time.time()
        client.kill()
        reader.done(10)
        self.assertFalse(reader.is_whole)
        self.failed(cut)
        client.start()
        began = time.time()
        self.good(began)
        self.noted("good scrapes after the start of the client", began)
        cut = time.time()
        self.proxy.kill()
        self.failed(cut)
        self.proxy.start()
        began = time.time()
        self.good(began)
        self.noted("good scrapes after the start of the proxy", began)
        self.never_half()

    @takes(20)
    def test_two_clients_with_one_name(self):
        self.proxied()
        first = self.client()
        second = self.client()
        self.watch()
        self.good(0, 5, 60)
        began = time.time()
        second.kill()
        self.good(began, 3)
        second.start()
        self.good(time.time(), 3)
        first.stop()
        self.good(time.time(), 3)
        self.never_half()
        self.assertTrue(second.is_running)

    @takes(20)
    def test_a_clients_clock_that_is_an_hour_off(self):
        clock = WallClock(self)
        self.proxied()
        client = self.client(environment=clock.environment)
        self.watch()
        self.good(0, seconds=60)
        # Before and behind, from one moment to the next, and both at the start.
        # The same line is not logged twice within a minute.
        for offset, restarts, method in ((3600, False, "GET"), (-3600, False, "POST"), (3600, True, "GET"),
                                         (-3600, True, "GET")):
            clock.set(offset)
            if restarts:
                client.stop()
                client.start()
            began = time.time()
            self.good(began, 3)
            self.assertEqual(Scrape(self.port, "http://t.example:9/", method=method).done().status, 403)
            told = client.log_text().splitlines()[-1]
            hours = {time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + offset - ago)) for ago in (0, 60)}
            self.assertIn(told[:13], hours)
            self.assertEqual(Scrape(self.port, "http://t.example:9100/hang", timeout="1").done().status, 504)
        self.never_half()
        wait_until(lambda: client.status()["pushprox"]["client"]["running"] == 0, 30, "nothing is left running")

    @takes(90 if LONG else 35)
    def test_a_partition(self):
        self.needs_program("nft", "nsenter", "ip")
        near = self.network()
        far = Namespace("far")
        self.addCleanup(far.close)
        try:
            link(near.namespace, "gw0", far, "gw1")
        except RuntimeError as error:
            self.skipTest("needs virtual wires (%s)" % error)
        near.ip("address", "add", "10.127.9.1/24", "dev", "gw0")
        far.ip("address add 10.127.9.2/24 dev gw1")
        with far:
            self.pages = Pages()
        self.addCleanup(self.pages.close)
        self.proxied(listen="")
        options = {} if LONG else {"keepalive_interval": "1s", "retry_max_wait": "2s"}
        client = self.client("10.127.9.1", start=False, **options)
        client.wrapper = ["nsenter", "--net=" + far.path]
        client.start()
        self.watch()
        self.good(0, seconds=60)
        far.nft("add table inet cut\n"
                "add chain inet cut in { type filter hook input priority 0; }\n"
                "add chain inet cut out { type filter hook output priority 0; }\n"
                "add rule inet cut in iifname gw1 drop\nadd rule inet cut out oifname gw1 drop\n")
        cut = time.time()
        self.failed(cut)
        time.sleep(max(0, (60 if LONG else 8) - (time.time() - cut)))
        far.nft("delete table inet cut\n")
        mended = time.time()
        self.good(mended, 3, 60 if LONG else 30)
        print("  good scrapes %.1f s after the end of %.0f s without a wire" % (time.time() - mended, mended - cut))
        self.never_half()
        self.assertTrue(all(up == 0 for at, up, _ in self.verdicts() if cut * 1000 + 1000 < at < mended * 1000 - 1000))


class Returning(EndToEnd):
    def test_names_come_back_spread_out_after_a_restart_of_the_proxy(self):
        server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.addCleanup(server.close)
        waiting, came = [], []

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                came.append(time.monotonic())
                waiting.append(connection)
        threading.Thread(target=accept, daemon=True).start()
        names = ["n%d.example" % number for number in range(60)]
        self.agent(inputs=[], extra=client_config(["http://127.0.0.1:%d" % server.getsockname()[1]], names=names))
        wait_until(lambda: len(waiting) == len(names), 60, "all names poll")
        gone, waiting[:] = list(waiting), []
        del came[:]
        for connection in gone:
            connection.close()
        wait_until(lambda: len(came) >= len(names), 60, "all names poll again")
        came.sort()
        most = max(sum(start <= each < start + 0.1 for each in came) for start in came)
        self.assertLess(most, len(names) // 2)
