"""Pages that the scrape client passes on while they come: bounded memory, the pace of the slowest, and never half a page
for a whole one; where names of targets may lead."""
import re
import socket
import threading
import time

from support.agent import table
from support.case import EndToEnd
from support.influx import free_port
from support.pages import Pages, Reader, digest, page
from support.processes import serve_each, wait_until
from support.pushprox import Scrape, client_config, field, listens, proxy_config

MIB = 1 << 20


def resident(agent, what="VmRSS"):
    """KiB of memory of an agent."""
    with open("/proc/%d/status" % agent.pid) as file:
        return int(re.search(what + r":\s+(\d+)", file.read()).group(1))


class StandIn:
    """A proxy as the original is: hands instructions out, says nothing of streams, and keeps what is pushed as it comes."""

    def __init__(self, case):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.instructions, self.polls, self.pushes = [], [], []
        self.more = threading.Condition()
        case.addCleanup(self.server.close)
        serve_each(self.server, self.serve)

    def serve(self, connection):
        try:
            while True:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536) or self.gone()
                head, body = data.split(b"\r\n\r\n", 1)
                if b"/push HTTP" in head.split(b"\r\n")[0]:
                    self.push(connection, head, body)
                else:
                    self.poll(connection, head)
        except OSError:
            pass

    def gone(self):
        raise OSError("the connection has ended")

    def poll(self, connection, head):
        with self.more:
            self.polls.append(head)
            self.more.wait_for(lambda: self.instructions, 60)
            body = self.instructions.pop(0)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def push(self, connection, head, body):
        entry = {"head": head, "body": bytearray(body), "ended": None}
        self.pushes.append(entry)
        length = int((field(head + b"\r\n\r\n", "Content-Length") or ["-1"])[0])
        try:
            while len(entry["body"]) < length:
                entry["body"] += connection.recv(1 << 18) or self.gone()
            entry["ended"] = "whole"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            entry["ended"] = "cut"

    def ask(self, path, timeout="10"):
        """Hands a scrape out; gives its push when that has begun."""
        before = len(self.pushes)
        with self.more:
            self.instructions.append(("GET http://t.example%s HTTP/1.1\r\nHost: t.example\r\nId: 1\r\n"
                                      "X-Prometheus-Scrape-Timeout-Seconds: %s\r\n\r\n" % (path, timeout)).encode())
            self.more.notify_all()
        wait_until(lambda: len(self.pushes) > before, 30, "a push for %s" % path)
        return self.pushes[before]

    def ended(self, path, timeout="10"):
        push = self.ask(path, timeout)
        wait_until(lambda: push["ended"], 30, "the push of %s ends" % path)
        return push


class Streams(EndToEnd):
    def setUp(self):
        super().setUp()
        self.pages = Pages()
        self.addCleanup(self.pages.close)

    def client(self, port, targets=None, **options):
        return self.agent(inputs=[], extra=client_config(
            ["http://127.0.0.1:%d" % port], targets or [{"name": "t.example", "url": self.pages.url()}],
            **dict({"retry_initial_wait": "100ms"}, **options)))

    def both(self, limit="128MiB", **options):
        self.port = free_port()
        self.proxy = self.agent(inputs=[], extra=proxy_config(
            [{"listen": "127.0.0.1:%d" % self.port}], max_body_size=limit))
        wait_until(lambda: listens(self.port), 30, "the proxy listens")
        made = self.client(self.port, max_body_size=limit, **options)
        self.polled()
        return made

    def polled(self):
        wait_until(lambda: self.proxy.status()["pushprox"]["proxy"]["waiting_polls"] == 1, 30, "a poll waits")

    def read(self, path, **options):
        return Reader(self.port, "http://t.example" + path, **options)

    def test_pages_of_every_size_and_framing_come_whole(self):
        client = self.both()
        for size in (0, 1, 1000, 65535, 65536, 65537, 70000, 200000, 3 * MIB + 17):
            for kind in ("length", "chunks", "end"):
                done = self.read("/%s/%d" % (kind, size)).done()
                self.assertTrue(done.is_whole, (kind, size, done.status, done.error))
                self.assertEqual((done.bytes, done.digest), (size, digest(size)), (kind, size))
        wait_until(lambda: client.status()["pushprox"]["client"]["running"] == 0, 30, "nothing is left running")

    def test_several_pages_of_100_mib_and_endless_ones_take_no_memory(self):
        client = self.both()
        size, limit = 100 * MIB, 128 * MIB
        self.read("/length/200000").done()
        before = resident(client), resident(self.proxy)
        readers = [self.read(path, timeout="100") for path in
                   ("/length/%d" % size, "/chunks/%d" % size, "/endless?1", "/endless?2", "/end/%d" % size)]
        for reader in readers:
            reader.done(110)
        after = resident(client, "VmHWM"), resident(self.proxy, "VmHWM")
        for reader in readers:
            if "endless" in reader.url:
                self.assertFalse(reader.is_whole, reader.url)
                self.assertLessEqual(reader.bytes, limit)
                self.assertGreater(reader.bytes, limit // 2)
            else:
                self.assertTrue(reader.is_whole, (reader.url, reader.status, reader.error, reader.bytes))
                self.assertEqual((reader.bytes, reader.digest), (size, digest(size)))
        grown = [one - other for one, other in zip(after, before)]
        print("  memory of client and proxy for five pages of 100 MiB and more: %s KiB" % grown)
        self.assertLess(grown[0], 2 * 1024 * len(readers))
        self.assertLess(grown[1], 4 * 1024 * len(readers))
        self.assertIn("max_body_size", client.log_text())

    def test_a_slow_scraper_slows_the_target(self):
        client = self.both()
        size = 100 * MIB
        pause = threading.Event()
        before = resident(client)
        reader = self.read("/length/%d" % size, pause=pause)
        wait_until(lambda: self.pages.sent.get("/length/%d" % size, 0) > MIB, 30, "the page begins")

        def stands():
            then = self.pages.sent["/length/%d" % size]
            time.sleep(0.5)
            return then == self.pages.sent["/length/%d" % size]
        wait_until(stands, 30, "the target is read no further")
        # What is on its way is in sockets, whose buffers are the kernel's.
        self.assertLess(self.pages.sent["/length/%d" % size], 50 * MIB)
        self.assertLess(resident(client) - before, 4096)
        pause.set()
        reader.done()
        self.assertTrue(reader.is_whole)
        self.assertEqual(reader.digest, digest(size))

    def test_what_breaks_off_is_never_whole_to_the_scraper(self):
        client = self.both()
        for kind in ("cut-length", "cut-chunks"):
            small = self.read("/%s/2000" % kind).done()
            self.assertEqual(small.status, 502)
            self.assertIn(b"broke off", small.text)
            large = self.read("/%s/%d" % (kind, 2 * MIB)).done()
            self.assertFalse(large.is_whole)
            self.assertLessEqual(large.bytes, MIB)
        for kind in ("hang-length", "hang-chunks"):
            large = self.read("/%s/%d" % (kind, 2 * MIB), timeout="2").done()
            self.assertFalse(large.is_whole, kind)
        wait_until(lambda: client.status()["pushprox"]["client"]["running"] == 0, 30, "nothing is left running")
        figures = client.status()["pushprox"]["client"]
        self.assertEqual(figures["push_errors"], 0)
        self.assertEqual(figures["scrapes"], {"target": 4, "timeout": 2})
        self.assertIn("scrape broken off: http://t.example/cut-chunks/2097152: the page broke off after", client.log_text())
        # A scraper that goes away ends the push, and with it the reading of the target.
        with socket.create_connection(("127.0.0.1", self.port), 20) as scraper:
            scraper.sendall(b"GET http://t.example/endless HTTP/1.1\r\nHost: t.example\r\n"
                            b"X-Prometheus-Scrape-Timeout-Seconds: 30\r\n\r\n")
            self.assertTrue(scraper.recv(65536))
        wait_until(lambda: client.status()["pushprox"]["client"]["running"] == 0, 60, "the scrape ends")
        done = self.read("/length/100000").done()
        self.assertTrue(done.is_whole)

    def test_limits_are_named_while_nothing_has_gone_out(self):
        client = self.both(limit="40KiB")
        for path in ("/length/50000", "/chunks/50000", "/endless", "/length/%d" % (200 * MIB)):
            done = self.read(path).done()
            self.assertEqual(done.status, 502, path)
            self.assertIn(b"more than 40960 bytes (max_body_size)", done.text)
        done = self.read("/length/40960").done()
        self.assertTrue(done.is_whole, (done.status, done.error, done.text))
        self.assertTrue(client.is_running)

    def test_to_the_original_proxy_a_page_goes_out_early_only_where_it_is_safe(self):
        proxy = StandIn(self)
        client = self.client(proxy.port, max_held_size="1MiB")
        size = 3 * MIB
        early = proxy.ask("/hang-length/%d" % size)
        wait_until(lambda: len(early["body"]) > MIB, 30, "half the page, while the target is silent")
        self.assertIsNone(early["ended"])
        self.pages.go.set()
        wait_until(lambda: early["ended"], 30, "the push ends")
        self.pages.go.clear()
        inner = bytes(early["body"])
        self.assertEqual(field(inner, "Content-Length"), [str(size)])
        self.assertEqual((early["ended"], inner.split(b"\r\n\r\n", 1)[1] == page(size)), ("whole", True))
        # Of no known length: nothing before its end, then with a length.
        whole = proxy.ended("/chunks/500000")
        inner = bytes(whole["body"])
        self.assertEqual(field(inner, "Content-Length"), ["500000"])
        self.assertTrue(inner.split(b"\r\n\r\n", 1)[1] == page(500000))
        for path, status, text in (("/cut-chunks/500000", b"502", b"broke off"), ("/cut-length/9000", b"502", b"broke off"),
                                   ("/chunks/%d" % size, b"503", b"(max_held_size)"),
                                   ("/endless", b"503", b"(max_held_size)")):
            inner = bytes(proxy.ended(path)["body"])
            self.assertEqual(inner[9:12], status, path)
            self.assertIn(text, inner)
        # Cut where its length was told: so is the push, and a scraper sees it by the length.
        self.assertEqual(proxy.ended("/cut-length/%d" % size)["ended"], "cut")
        # What was held is given back.
        self.assertEqual(bytes(proxy.ended("/chunks/500000")["body"])[9:12], b"200")
        names = {tuple(field(each["head"] + b"\r\n\r\n", "X-PushProx-Fqdn")) for each in proxy.pushes}
        names |= {tuple(field(each + b"\r\n\r\n", "X-PushProx-Fqdn")) for each in proxy.polls}
        self.assertEqual(names, {("t.example",)})
        self.assertTrue(client.is_running)

    def test_a_large_page_of_the_agent_itself(self):
        self.port = free_port()
        self.proxy = self.agent(inputs=[], extra=proxy_config([{"listen": "127.0.0.1:%d" % self.port}]))
        self.agent(host_proc=self.proc(2000), extra=table(
            "[[outputs.prometheus_client]]", {"listen": "127.0.0.1:%d" % free_port(), "metric_version": 2})
            + client_config(["http://127.0.0.1:%d" % self.port],
                            [{"name": "t.example", "url": "output:prometheus_client"}]))
        text = wait_until(lambda: (lambda done: done.status == 200 and done.body.count(b"net_bytes_recv{") == 2000
                                   and done.body)(Scrape(self.port, "http://t.example/").done()), 60, "all interfaces")
        self.assertGreater(len(text), 200000)
        self.assertTrue(text.endswith(b"\n"))


class Addresses(EndToEnd):
    """Numbers for names, which a resolver makes an address of without asking anybody."""

    def test_a_name_leads_to_this_machine_or_to_what_is_listed_and_never_to_a_link(self):
        network = self.network("169.254.77.1/32", "10.98.0.1/32")
        # Reached, but no address of this machine.
        network.ip("route", "add", "local", "10.99.0.0/16", "dev", "lo")
        self.needs_program("ip")
        heard = []

        def serve(server):
            while True:
                try:
                    connection, peer = server.accept()
                except OSError:
                    return
                heard.append(connection.getsockname()[0])
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nx 1\n")
        server = socket.create_server(("0.0.0.0", 0))
        self.addCleanup(server.close)
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        to = server.getsockname()[1]

        def number(address):
            return str(int.from_bytes(socket.inet_aton(address), "big"))
        link, own, other = number("169.254.77.1"), number("10.98.0.1"), number("10.99.1.1")
        port = free_port()
        proxy = self.agent(inputs=[], extra=proxy_config([{"listen": "127.0.0.1:%d" % port}]))
        wait_until(lambda: listens(port), 30, "the proxy listens")
        targets = [
            {"name": link}, {"name": own}, {"name": other}, {"name": "127.0.0.1"},
            {"name": "listed.example", "url": "http://%s:%d" % (other, to), "addresses": ["10.99.0.0/16"]},
            {"name": "unlisted.example", "url": "http://%s:%d" % (other, to), "addresses": ["10.98.0.0/16"]},
            {"name": "alias.example", "url": "http://%s:%d" % (other, to)},
            {"name": "steered.example", "url": "http://%s:%d" % (link, to)},
            {"name": "wide.example", "url": "http://%s:%d" % (link, to), "addresses": ["0.0.0.0/0"]},
            {"name": "meant.example", "url": "http://169.254.77.1:%d" % to}]
        self.agent(inputs=[], extra=client_config(["http://127.0.0.1:%d" % port], targets))
        wait_until(lambda: proxy.status()["pushprox"]["proxy"]["waiting_polls"] == len(targets), 30, "all poll")
        for name, status, reached in (
                (link, 403, None), (own, 200, "10.98.0.1"), (other, 403, None), ("127.0.0.1", 200, "127.0.0.1"),
                ("listed.example", 200, "10.99.1.1"), ("unlisted.example", 403, None),
                ("alias.example", 200, "10.99.1.1"), ("steered.example", 403, None), ("wide.example", 403, None),
                ("meant.example", 200, "169.254.77.1")):
            del heard[:]
            done = Scrape(port, "http://%s:%d/m" % (name, to)).done()
            self.assertEqual((done.status, heard), (status, [reached] if reached else []), (name, done.body))
        self.assertIn(b"which is not this machine", Scrape(port, "http://%s:%d/m" % (other, to)).done().body)
        self.assertIn(b"must be named as an address", Scrape(port, "http://steered.example/").done().body)
