"""Both ends of PushProx for tests: what an agent needs as a config, and plain clients and scrapers made of sockets."""
import http.client
import socket
import threading
import urllib.parse

from .agent import table
from .influx import free_port
from .processes import wait_until


def proxy_config(listeners, names=(), **options):
    """`listeners` and `names` are tables of options."""
    text = table("[pushprox.proxy]", options)
    for each in listeners:
        text += table("[[pushprox.proxy.listeners]]", each)
    for each in names:
        text += table("[[pushprox.proxy.names]]", each)
    return text


def client_config(proxies, targets=(), **options):
    """`proxies` are URLs or tables of options."""
    text = table("[pushprox.client]", options)
    for each in proxies:
        text += table("[[pushprox.client.proxies]]", {"url": each} if isinstance(each, str) else each)
    for each in targets:
        text += table("[[pushprox.client.targets]]", each)
    return text


def listens(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 5).close()
        return True
    except OSError:
        return False


class RawClient:
    """A client as the original is: posts its name, hangs, gets one request as a body."""

    def __init__(self, port, name, context=None, host="127.0.0.1"):
        kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
        more = {"context": context} if context else {}
        self.make = lambda: kind("localhost" if context else host, port, timeout=60, **more)
        self.name = name
        self.connection = self.make()

    def poll(self, headers=None):
        """Sends the poll and does not wait for the answer."""
        self.connection.request("POST", "/poll", self.name, dict({"Content-Type": "", "Accept-Encoding": "gzip",
                                                                  "User-Agent": "Go-http-client/1.1"}, **(headers or {})))
        return self

    def answer(self):
        """(status, body) of the poll."""
        reply = self.connection.getresponse()
        return reply.status, reply.read()

    def push(self, inner):
        """(status, body) of a push of these bytes."""
        other = self.make()
        try:
            other.request("POST", "/push", inner)
            reply = other.getresponse()
            return reply.status, reply.read()
        finally:
            other.close()

    def close(self):
        self.connection.close()


def field(message, name):
    """All values of a header of an inner message."""
    lines = message.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]
    return [line.split(b":", 1)[1].strip().decode() for line in lines
            if line.split(b":", 1)[0].lower() == name.lower().encode()]


class Scrape(threading.Thread):
    """A scraper that asks for a URL through the proxy, as Prometheus does."""

    def __init__(self, port, url, timeout="10", method="GET", headers=None, context=None):
        super().__init__(daemon=True)
        kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
        more = {"context": context} if context else {}
        self.connection = kind("localhost" if context else "127.0.0.1", port, timeout=60, **more)
        self.url, self.method = url, method
        self.headers = dict({"Host": urllib.parse.urlsplit(url).netloc}, **(headers or {}))
        if timeout is not None:
            self.headers["X-Prometheus-Scrape-Timeout-Seconds"] = timeout
        self.status, self.body, self.reply, self.error = None, None, None, None
        self.start()

    def run(self):
        try:
            self.connection.request(self.method, self.url, headers=self.headers)
            self.reply = self.connection.getresponse()
            self.status = self.reply.status
            self.body = self.reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.error = error

    def done(self, seconds=60):
        self.join(seconds)
        if self.is_alive():
            raise AssertionError("the scrape of %s did not end" % self.url)
        return self


__all__ = ["proxy_config", "client_config", "listens", "RawClient", "Scrape", "field", "free_port", "wait_until"]
