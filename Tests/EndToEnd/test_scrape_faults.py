"""Targets, certificates and lists of targets that misbehave: each is named in the log with its cause, `up` says it, and a good
target beside them is scraped all the while."""
import gzip
import json
import os
import socket
import socketserver
import threading
import time

from support.agent import table
from support.case import is_long, takes
from support.certificates import Authority, server_context
from support.exporter import WithExporters
from support.influx import free_port
from support.processes import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def sized(body, *headers):
    return OK + b"".join(each + b"\r\n" for each in headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def bomb(size):
    """A page of that size that is short on the wire."""
    return gzip.compress(b"a 1\n" * (size // 4))


def drip(connection, data, pause):
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(pause)


def chunked(*chunks):
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in chunks)


#: What a target does with a connection on which a request has come, and what is said of it.
FAULTS = {
    "bomb": (lambda c: c.sendall(sized(bomb(64 << 20), b"Content-Encoding: gzip")),
             "longer than content_length_limit (1048576 bytes)"),
    "bomb_within": (lambda c: c.sendall(sized(bomb((1 << 20) + 8), b"Content-Encoding: gzip")),
                    "longer than content_length_limit (1048576 bytes)"),
    "long_on_the_wire": (lambda c: c.sendall(sized(gzip.compress(os.urandom(1 << 21)), b"Content-Encoding: gzip")),
                         "longer than content_length_limit (1048576 bytes)"),
    "gzip_twice": (lambda c: c.sendall(sized(gzip.compress(gzip.compress(b"a 1\n")), b"Content-Encoding: gzip")), "line 1:"),
    "gzip_cut": (lambda c: c.sendall(sized(gzip.compress(b"a 1\n" * 1000)[:-12], b"Content-Encoding: gzip")), "damaged gzip"),
    "gzip_of_nothing": (lambda c: c.sendall(sized(b"no gzip", b"Content-Encoding: gzip")), "damaged gzip"),
    "brotli": (lambda c: c.sendall(sized(b"x", b"Content-Encoding: br")), "a content encoding that was not asked for"),
    "short": (lambda c: c.sendall(OK + b"Content-Length: 100\r\n\r\na 1\n"), "the answer broke off"),
    "open_chunks": (lambda c: c.sendall(chunked(b"a 1\n")), "the answer broke off"),
    "odd_chunks": (lambda c: c.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "the answer broke off"),
    "nothing": (lambda c: None, "reset"),
    "no_http": (lambda c: c.sendall(b"SSH-2.0-OpenSSH\r\n"), ""),
    "drip": (lambda c: drip(c, sized(b"a 1\n" * 100), 0.2), "timeout"),
    "endless_head": (lambda c: [c.sendall(b"X-%d: %s\r\n" % (n, b"y" * 8000)) if n else c.sendall(OK) for n in range(3000)], ""),
    "endless_chunks": (lambda c: [c.sendall(chunked(b"a 1\n" * 4096) if not n else b"4000\r\n%s\r\n" % (b"a 1\n" * 4096))
                                  for n in range(3000)], "longer than content_length_limit (1048576 bytes)"),
    "endless_line": (lambda c: [c.sendall(b"a" * 65536 if n else OK + b"\r\n") for n in range(300)],
                     "longer than content_length_limit (1048576 bytes)"),
    "forbidden": (lambda c: c.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), "status 401"),
    "moved": (lambda c: c.sendall(b"HTTP/1.1 301 Moved\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
              "redirects are not followed"),
    "html": (lambda c: c.sendall(sized(b"<html>").replace(b"text/plain", b"text/html")), "no page of metrics but text/html"),
    "protobuf": (lambda c: c.sendall(sized(b"\x08\x01").replace(b"text/plain", b"application/vnd.google.protobuf")),
                 "no page of metrics but application/vnd.google.protobuf"),
    "no_end": (lambda c: c.sendall(sized(b"a 1\n").replace(b"text/plain", b"application/openmetrics-text")), "without # EOF"),
    "many": (lambda c: c.sendall(sized(b"".join(b"a%d 1\n" % n for n in range(2000)))), "more than sample_limit (1000) samples"),
    "nul": (lambda c: c.sendall(sized(b"\0" * 100 + b"\n")), "line 1:"),
    "latin": (lambda c: c.sendall(sized(b'a{b="\xe4"} 1\n')), "line 1: bytes that are no UTF-8"),
}


class Hostile(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        class Handler(socketserver.BaseRequestHandler):
            def handle(handler):
                data = b""
                while b"\r\n\r\n" not in data:
                    piece = handler.request.recv(65536)
                    if not piece:
                        return
                    data += piece
                try:
                    FAULTS[data.split(b" ")[1][1:].decode()][0](handler.request)
                except OSError:
                    pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_):
        pass


def write(path, text):
    with open(path + ".new", "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    os.rename(path + ".new", path)


class Faults(WithExporters):
    def good(self):
        exporter = self.exporter()
        exporter.page("good 1\n")
        return exporter

    def saying(self, agent, *words):
        wait_until(lambda: any(all(word in line for word in words) for line in agent.log_text().split("\n")), 30,
                   "a line with " + ", ".join(words))

    def goes_on(self, server):
        """A good target has more points after a while."""
        count = sum(b"good=1" in line for line in list(server.lines))
        wait_until(lambda: sum(b"good=1" in line for line in list(server.lines)) > count, 30, "the good target goes on")

    @takes(20)
    def test_every_way_to_answer_badly_is_named_and_nothing_of_it_is_taken(self):
        hostile = Hostile()
        self.addCleanup(hostile.server_close)
        self.addCleanup(hostile.shutdown)
        server, exporter = self.server(), self.good()
        base = "http://127.0.0.1:%d/" % hostile.server_address[1]
        # An input names ten new errors in ten seconds, so there are three.
        parts = [list(FAULTS)[each::3] for each in range(3)]
        agents = [self.scraping(server, [exporter.url] + [base + name for name in part], content_length_limit="1MiB",
                                sample_limit=1000, timeout="2s", interval="3s") for part in parts]
        for name, (_, words) in FAULTS.items():
            self.saying(next(agent for agent, part in zip(agents, parts) if name in part), base + name + ":", words)
            wait_until(lambda: any((base + name).encode() in line and b"up=" in line for line in list(server.lines)), 30,
                       "up of " + name)
        self.goes_on(server)
        for line in list(server.lines):
            name = next((each for each in FAULTS if (base + each + " ").encode() in line), None)
            if name:
                # A broken line costs its family, not the page.
                half = name in ("gzip_twice", "nul", "latin")
                self.assertIn(b"up=1" if half else b"up=0", line)
                self.assertIn(b"scrape_samples_scraped=0", line)
        for agent in agents:
            self.assertNotIn("y" * 100, agent.log_text())
            with open("/proc/%d/status" % agent.pid) as file:
                peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
            self.assertLess(peak, 150 << 10, "kB at the peak, of pages that would not end")

    @takes(10)
    def test_credentials_that_are_wrong_are_refused_with_401_and_named(self):
        server, port = self.server(), free_port()
        page = self.agent(inputs=[("mem", {})], extra=table("[[outputs.prometheus_client]]", {
            "listen": "127.0.0.1:%d" % port, "basic_username": "u", "basic_password": "right"}))
        url = "http://127.0.0.1:%d/metrics" % port
        agents = [self.scraping(server, [url], username="u", password=word, interval="500ms") for word in ("wrong", "right")]
        self.saying(agents[0], url, "status 401")
        wait_until(lambda: any(b"mem_used" in line for line in list(server.lines)), 30, "what the right password gets")
        for secret in ("wrong", "right"):
            for each in agents + [page]:
                self.assertNotIn(secret, each.log_text())

    @takes(10)
    def test_sockets_that_are_none_or_silent(self):
        server, folder = self.server(), self.folder()
        good = self.exporter(path=os.path.join(folder, "good"))
        good.page("good 1\n")
        write(os.path.join(folder, "file"), "a 1\n")
        os.mkdir(os.path.join(folder, "folder"))
        silent = socket.socket(socket.AF_UNIX)
        self.addCleanup(silent.close)
        silent.bind(os.path.join(folder, "silent"))
        silent.listen(8)
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(os.path.join(folder, "dead"))
        dead.close()
        names = ("absent", "file", "folder", "silent", "dead", "long" * 40)
        agent = self.scraping(server, ["unix://%s/%s" % (folder, name) for name in ("good",) + names], timeout="1s")
        for name in names:
            self.saying(agent, "unix://%s/%s:" % (folder, name))
        self.goes_on(server)

    @takes(15)
    def test_tls_that_is_not_to_be_trusted(self):
        self.needs_program("openssl")
        files = self.folder()
        authority, stranger = Authority(files), Authority(files, "stranger")
        server, plain = self.server(), self.good()

        def secure(*pair, **options):
            made = self.exporter(context=server_context(*pair, **options))
            made.page("secret 1\n")
            return "https://localhost:%d" % made.server_address[1]
        expired = authority.issue("old", days=-1)
        urls = {
            "expired": secure(*expired), "strange": secure(*stranger.issue("stranger-server")),
            "name": secure(*authority.issue("name", names="DNS:other.example")),
            "mutual": secure(*authority.issue("mutual"), clients=authority.certificate),
            "no TLS": plain.url.replace("http", "https"),
        }
        agent = self.scraping(server, list(urls.values()) + [plain.url], tls_ca=authority.certificate, timeout="2s")
        for name, words in (("expired", "expired"), ("strange", ""), ("name", ""), ("mutual", ""), ("no TLS", "")):
            self.saying(agent, urls[name] + ":", words)
        self.goes_on(server)
        self.assertFalse(any(b"secret" in line for line in list(server.lines)))
        for name in urls:
            print("  %-8s %s" % (name, next(line.split(": ", 2)[-1] for line in agent.log_text().split("\n") if urls[name] in line)[:150]))

    @takes(20)
    def test_lists_of_targets_that_are_rewritten_with_garbage_while_running(self):
        server, exporter, folder = self.server(), self.good(), self.folder()
        path = os.path.join(folder, "targets.json")
        good = json.dumps([{"targets": [exporter.url[7:]]}])
        write(path, good)
        agent = self.scraping(server, [], file_sd_files=[folder + "/*.json"], http_sd_urls=[exporter.url + "/sd"],
                              sd_refresh_interval="1s", interval="300ms")
        self.goes_on(server)
        garbage = ["", "{", "null", "[null]", "[[]]", '[{"targets": "a"}]', '[{"targets": [1]}]', '[{"target": ["a"]}]',
                   '[{"targets": [], "labels": {"a-b": "x"}}]', "[" * 100_000, b"\0" * 4096, b"\xff\xfe[]", good + "x",
                   '[{"targets": ["%s"]}]' % ("a" * 100_000), '[{"targets": ["a b", "http://x/y", "", "x@y", "[::1", "a:b:c"]}]']
        for text in garbage[:None if is_long() else 10]:
            write(path, text)
            count = agent.status()["inputs"][0]["errors"]
            # The last two are lists; what they name cannot be asked, or is none.
            wait_until(lambda: agent.status()["inputs"][0]["errors"] > count or text in garbage[-2:], 30, repr(text[:40]))
        self.goes_on(server)
        os.unlink(path)
        os.mkfifo(os.path.join(folder, "fifo.json"))
        os.mkdir(os.path.join(folder, "folder.json"))
        os.symlink("loop.json", os.path.join(folder, "loop.json"))
        seen = len(exporter.seen)
        self.saying(agent, "loop.json")
        self.saying(agent, "folder.json")
        for kind, body in (("text/html", "<html>"), ("application/json", "{}"), ("application/json", "")):
            exporter.page(body, "/sd", kind)
            self.saying(agent, exporter.url + "/sd:")
        exporter.page(good, "/sd", "application/json")
        wait_until(lambda: len([1 for path, _ in exporter.seen[seen:] if path == "/metrics"]) > 2, 30, "targets of the server")
        exporter.page("[]", "/sd", "application/json")

        def quiet():
            count = sum(path == "/metrics" for path, _ in list(exporter.seen))
            asked = sum(path == "/sd" for path, _ in list(exporter.seen))
            wait_until(lambda: sum(path == "/sd" for path, _ in list(exporter.seen)) > asked, 30, "another list")
            return count == sum(path == "/metrics" for path, _ in list(exporter.seen))
        wait_until(quiet, 30, "no target any more")
        self.assertTrue(agent.is_running)

    def test_rules_for_series_and_what_is_no_rule(self):
        server, exporter = self.server(), self.exporter()
        exporter.page('keep_a{zone="x",__tmp="1"} 1\nkeep_b{pod_label_app="web"} 2\ndrop_c 3\n')
        rules = "\n".join(table("[[inputs.prometheus.metric_relabel_configs]]", rule) for rule in (
            {"source_labels": ["__name__"], "regex": "keep_.*", "action": "keep"},
            {"regex": "pod_label_(.+)", "action": "labelmap"},
            {"regex": "pod_label_.+", "action": "labeldrop"},
            {"source_labels": ["zone"], "regex": "(.+)", "target_label": "area", "replacement": "$1-1"},
            {"source_labels": ["__name__"], "regex": "keep_(.*)", "target_label": "__name__", "replacement": "new_$1"}))
        self.scraping(server, [exporter.url], extra=rules, url_tag="")
        wait_until(lambda: len(server.lines) > 5, 30, "points")
        text = b"\n".join(list(server.lines))
        self.assertIn(b"prometheus,area=x-1,host=h,zone=x new_a=1", text)
        self.assertIn(b"prometheus,app=web,host=h new_b=2", text)
        self.assertIn(b"scrape_samples_post_metric_relabeling=2,scrape_samples_scraped=3", text)
        self.assertNotIn(b"drop_c", text)
        for rule, words in (({"action": "hashmod", "modulus": 8}, ("hashmod", "replace")),
                            ({"action": "keepequal"}, ("keepequal",)),
                            ({"regex": "(", "target_label": "x"}, ("relabel_configs",)),
                            ({"regex": "(?=x)", "target_label": "x"}, ("relabel_configs",)),
                            ({"action": "keep"}, ("keep needs source_labels",)),
                            ({}, ("replace needs a target_label",))):
            agent = self.agent(inputs=[("prometheus", {"urls": [exporter.url]})], start=False,
                               extra="[[inputs.prometheus.relabel_configs]]\n" + table("", rule) + "[[outputs.file]]\n")
            done = agent.run("check")
            self.assertNotEqual(done.returncode, 0, rule)
            for word in words:
                self.assertIn(word, done.stdout + done.stderr)
