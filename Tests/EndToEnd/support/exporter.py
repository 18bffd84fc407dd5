"""A scripted exporter, and an independent reader of pages."""
import gzip
import http.server
import socket
import socketserver
import sys
import threading
import time
import urllib.request

from .case import EndToEnd


class Pages(http.server.BaseHTTPRequestHandler):
    """Answers by path with what the test put there; `seen` keeps the heads."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        if self.path == "/hang":
            time.sleep(20)
            return
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"a 1\n" * 16384)
                    # The other threads of this server have their turn too.
                    time.sleep(0.002)
            except OSError:
                return
        body, kind = self.server.pages.get(self.path, (None, ""))
        if body is None:
            self.send_response(302 if self.path == "/moved" else 404)
            self.send_header("Location", "/metrics")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) + (100 if self.path == "/cut" else 0)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/cut":
            self.close_connection = True

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


class Exporter(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, context=None, path=None):
        self.pages, self.seen = {}, []
        if path:
            self.address_family = socket.AF_UNIX
        super().__init__(path or ("127.0.0.1", 0), Pages)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0

    def handle_error(self, *_):
        pass

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.server_address[1]

    def page(self, text, path="/metrics", kind="text/plain; version=0.0.4"):
        self.pages[path] = (text if isinstance(text, bytes) else text.encode(), kind)


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as reply:
        return reply.read(), reply.headers


def samples(text):
    """What a page says, as an independent reader understands it: {(name, labels): value}, and the types."""
    from prometheus_client.parser import text_string_to_metric_families
    found, kinds = {}, {}
    for family in text_string_to_metric_families(text):
        # Its parser knows counters by their name without _total.
        kinds[family.name + ("_total" if family.type == "counter" else "")] = (family.type, family.documentation)
        for sample in family.samples:
            # By the data model a label without a value is none.
            labels = tuple(sorted(item for item in sample.labels.items() if item[1]))
            found[(sample.name, labels)] = sample.value
    return found, kinds


class WithExporters(EndToEnd):
    """Tests with scripted exporters."""

    def exporter(self, **options):
        made = Exporter(**options)
        self.addCleanup(made.server_close)
        self.addCleanup(made.shutdown)
        return made

    def needs_reader(self):
        # The package of the distribution is not on the path of every interpreter.
        sys.path.append("/usr/lib/python3/dist-packages")
        try:
            import prometheus_client.parser  # noqa: F401
        except ImportError:
            self.skipTest("needs python3-prometheus-client")

    def scraping(self, server, urls, extra="", interval="500ms", **options):
        settings = dict({"urls": urls, "metric_version": 2, "timeout": "2s"}, **options)
        return self.agent(server.url if server else None, inputs=[("prometheus", settings)], extra=extra, interval=interval)
