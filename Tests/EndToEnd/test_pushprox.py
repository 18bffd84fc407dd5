"""Both ends of PushProx: real Prometheus and node_exporter through them, and peers that do what peers do."""
import http.client
import os
import re
import signal
import socket
import threading
import time
import urllib.request

from support.case import EndToEnd
from support.influx import free_port
from support.processes import wait_until
from support.pushprox import RawClient, Scrape, client_config, field, listens, proxy_config

PAGE = "".join('m%d{a="%d"} %d\n' % (number, number, number) for number in range(100)).encode()


def inner(instruction, body=b"x 1\n", status="200 OK", framing=None):
    """The response to an instruction, as a real client pushes it."""
    head = "HTTP/1.1 %s\r\n" % status
    head += framing if framing is not None else "Content-Length: %d\r\n" % len(body)
    head += "Content-Type: text/plain\r\nId: %s\r\nX-Prometheus-Scrape-Timeout: 9.9\r\n\r\n" % field(instruction, "Id")[0]
    return head.encode() + body


def samples(page):
    """{(name, labels): value} of a page."""
    found = {}
    for line in page.splitlines():
        match = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$", line)
        if line and not line.startswith("#") and match:
            labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or "")
            key = tuple(sorted((name, text.replace("\\\\", "\\").replace('\\"', '"').replace("\\n", "\n"))
                               for name, text in labels if text))
            found[(match.group(1), key)] = float(match.group(3))
    return found


class ProxyAlone(EndToEnd):
    """Makes the proxy, with clients and scrapers made of sockets."""

    def running(self, **options):
        self.port = free_port()
        listener = dict({"listen": "127.0.0.1:%d" % self.port}, **options.pop("listener", {}))
        agent = self.agent(inputs=[], extra=proxy_config([listener], **options))
        wait_until(lambda: listens(self.port), 30, "the proxy listens")
        return agent

    def client(self, name="a.example", **options):
        made = RawClient(self.port, name, **options)
        self.addCleanup(made.close)
        return made

    def figures(self, agent):
        return agent.status()["pushprox"]["proxy"]

    def waits(self, agent, count=1):
        wait_until(lambda: self.figures(agent)["waiting_polls"] == count, 30, "%d polls wait" % count)


class Proxy(ProxyAlone):
    """The proxy alone."""

    def test_a_scrape_goes_through_and_its_headers_are_right(self):
        agent = self.running()
        client = self.client("A.Example.").poll()
        self.waits(agent)
        scrape = Scrape(self.port, "http://a.example:9100/metrics?x=1", headers={
            "Id": "mine", "Proxy-Authorization": "Basic secret", "Authorization": "Bearer t", "Connection": "X-Drop",
            "X-Drop": "1", "Accept": "text/plain"})
        status, request = client.answer()
        self.assertEqual(status, 200)
        self.assertTrue(request.startswith(b"GET http://A.Example.:9100/metrics?x=1 HTTP/1.1\r\nHost: A.Example.:9100\r\n"),
                        request)
        self.assertEqual(len(field(request, "Id")), 1)
        self.assertNotEqual(field(request, "Id"), ["mine"])
        self.assertEqual(field(request, "Authorization"), ["Bearer t"])
        for name in ("Proxy-Authorization", "X-Drop", "Connection"):
            self.assertEqual(field(request, name), [], name)
        left = float(field(request, "X-Prometheus-Scrape-Timeout-Seconds")[0])
        self.assertTrue(5 < left < 10, left)
        answer = inner(request, PAGE).replace(b"Content-Type", b"Connection: close\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
                                              b"X-Prometheus-Scrape-Timeout-Seconds: 1\r\nContent-Type")
        self.assertEqual(client.push(answer), (200, b""))
        scrape.done()
        self.assertEqual((scrape.status, scrape.body), (200, PAGE))
        for name in ("Id", "X-Prometheus-Scrape-Timeout", "X-Prometheus-Scrape-Timeout-Seconds", "Connection"):
            self.assertIsNone(scrape.reply.getheader(name), name)
        self.assertEqual(scrape.reply.headers.get_all("Set-Cookie"), ["a", "b"])
        # A second push of the same id, and ids that nobody gave out.
        self.assertEqual(client.push(answer), (410, b""))
        self.assertEqual(client.push(b"HTTP/1.1 200 OK\r\n\r\nx"), (410, b""))
        self.assertEqual(client.push(b"hello"), (400, b""))
        self.assertEqual(client.push(b""), (400, b""))
        self.assertEqual(self.figures(agent)["scrapes"], {"ok": 1})

    def test_every_framing_of_a_response(self):
        agent = self.running()
        chunked = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in (PAGE[:10], PAGE[10:])) + b"0\r\nT: 1\r\n\r\n"
        for body, framing, status in ((chunked, "Transfer-Encoding: chunked\r\n", 200), (PAGE, "", 200),
                                      (PAGE, "Connection: close\r\n", 200)):
            client = self.client().poll()
            self.waits(agent)
            scrape = Scrape(self.port, "http://a.example/m")
            request = client.answer()[1]
            answer = inner(request, body, framing=framing)
            if framing == "":
                answer = answer.replace(b"HTTP/1.1 200 OK", b"HTTP/0.0 200 OK", 1)
            self.assertEqual(client.push(answer), (200, b""))
            scrape.done()
            self.assertEqual((scrape.status, scrape.body), (status, PAGE), framing)
        for method, text, status in (("HEAD", "200 OK", 200), ("GET", "204 No Content", 204)):
            client = self.client().poll()
            self.waits(agent)
            scrape = Scrape(self.port, "http://a.example/m", method=method)
            request = client.answer()[1]
            self.assertTrue(request.startswith(method.encode()))
            framing = "Content-Length: 77\r\n" if method == "HEAD" else ""
            self.assertEqual(client.push(inner(request, b"", text, framing)), (200, b""))
            scrape.done()
            self.assertEqual((scrape.status, scrape.body), (status, b""))
            if method == "HEAD":
                self.assertEqual(scrape.reply.getheader("Content-Length"), "77")

    def test_a_response_that_is_cut_never_looks_whole(self):
        agent = self.running()
        large = b"y 1\n" * 100000
        cases = (
            (PAGE[:500], "Content-Length: %d\r\n" % len(PAGE), "small"),
            (b"%x\r\n%s\r\n" % (len(PAGE), PAGE), "Transfer-Encoding: chunked\r\n", "small"),
            (large, "Content-Length: 9999999\r\n", "large"),
            (b"%x\r\n%s\r\n" % (len(large), large), "Transfer-Encoding: chunked\r\n", "large"))
        for body, framing, size in cases:
            client = self.client().poll()
            self.waits(agent)
            scrape = Scrape(self.port, "http://a.example/m")
            self.assertEqual(client.push(inner(client.answer()[1], body, framing=framing)), (400, b""))
            scrape.done()
            if size == "small":
                self.assertEqual(scrape.status, 502)
                self.assertIn(b"breaks off", scrape.body)
            else:
                self.assertIsNotNone(scrape.error, "%s: %d bytes" % (framing, len(scrape.body or b"")))
        # The connection of the push itself is cut.
        for body in (PAGE[:500], large):
            client = self.client().poll()
            self.waits(agent)
            scrape = Scrape(self.port, "http://a.example/m")
            answer = inner(client.answer()[1], body, framing="")
            with socket.create_connection(("127.0.0.1", self.port), 20) as push:
                push.sendall(b"POST /push HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + answer)
                time.sleep(0.2)
            scrape.done()
            self.assertTrue(scrape.status == 502 or scrape.error is not None, scrape.status)
        self.assertTrue(agent.is_running)

    def test_failures_have_their_status_and_cause(self):
        agent = self.running(unknown_grace="200ms", max_body_size="100KiB")
        began = time.monotonic()
        scrape = Scrape(self.port, "http://nobody.example/m").done()
        self.assertEqual((scrape.status, time.monotonic() - began < 5), (404, True))
        self.assertIn(b"no client of this name", scrape.body)
        # Taken, and nothing pushed.
        client = self.client().poll()
        self.waits(agent)
        scrape = Scrape(self.port, "http://a.example/m", timeout="1")
        request = client.answer()[1]
        scrape.done()
        self.assertEqual(scrape.status, 504)
        self.assertIn(b"pushed nothing", scrape.body)
        self.assertEqual(client.push(inner(request)), (410, b""))
        # Known, and not polling.
        scrape = Scrape(self.port, "http://a.example/m", timeout="1").done()
        self.assertEqual(scrape.status, 504)
        self.assertIn(b"did not poll in time", scrape.body)
        # Too large: the limit is named.
        client.poll()
        self.waits(agent)
        scrape = Scrape(self.port, "http://a.example/m")
        request = client.answer()[1]
        client.push(inner(request, b"z" * 90000, framing="Content-Length: 200000\r\n"))
        scrape.done()
        self.assertEqual(scrape.status, 502)
        self.assertIn(b"102400", scrape.body)
        for timeout in ("0", "-1", "nan", "inf", "1e999"):
            self.assertEqual(Scrape(self.port, "http://a.example/m", timeout=timeout).done().status, 400, timeout)
        self.assertEqual(Scrape(self.port, "http://user@a.example/m").done().status, 400)
        self.assertEqual(Scrape(self.port, "ftp://a.example/m").done().status, 400)
        self.assertEqual(self.raw("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n")[:12], b"HTTP/1.1 405")
        for name in ("", " ", "a b", "x" * 300, "ü.example", "<a>"):
            self.assertIn(RawClient(self.port, name.encode()).poll().answer()[0], (400, 413), name)
        self.assertEqual(self.raw("GET /none HTTP/1.1\r\nHost: x\r\n\r\n")[:12], b"HTTP/1.1 404")
        self.assertTrue(agent.is_running)

    def raw(self, text):
        with socket.create_connection(("127.0.0.1", self.port), 20) as client:
            client.sendall(text.encode())
            client.settimeout(20)
            return client.recv(65536)

    def test_two_polls_of_one_name_and_a_poll_that_is_gone(self):
        agent = self.running()
        first = self.client().poll()
        self.waits(agent)
        second = self.client().poll()
        self.assertEqual(first.answer(), (408, b""))
        self.waits(agent)
        second.close()
        wait_until(lambda: self.figures(agent)["waiting_polls"] == 0, 30, "the dead poll is noticed")
        self.assertEqual(self.figures(agent)["lost_polls"], 1)
        scrape = Scrape(self.port, "http://a.example/m")
        third = self.client().poll()
        request = third.answer()[1]
        # It dies with the scrape; the next poll gets it once more, a third one does not.
        third.close()
        fourth = self.client().poll()
        again = fourth.answer()[1]
        self.assertEqual(field(again, "Id"), field(request, "Id"))
        self.assertEqual(fourth.push(inner(again, b"ok 1\n")), (200, b""))
        self.assertEqual((scrape.done().status, scrape.body), (200, b"ok 1\n"))
        wait = self.client("quiet.example").poll({"X-Godwit-Poll-Seconds": "1"})
        self.assertEqual(wait.answer(), (204, b""))

    def test_a_large_page_streams_and_a_slow_scraper_slows_the_push(self):
        agent = self.running()
        page = b"z 1\n" * (10 << 20)
        client = self.client().poll()
        self.waits(agent)
        with socket.create_connection(("127.0.0.1", self.port), 60) as scraper:
            scraper.sendall(b"GET http://a.example/m HTTP/1.1\r\nHost: a.example\r\n"
                            b"X-Prometheus-Scrape-Timeout-Seconds: 60\r\n\r\n")
            request = client.answer()[1]
            result = []
            push = threading.Thread(target=lambda: result.append(client.push(inner(request, page))))
            push.start()
            time.sleep(1)
            self.assertEqual(result, [])
            with open("/proc/%d/status" % agent.pid) as file:
                resident = int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
            self.assertLess(resident, 150000)
            got = b""
            while len(got) < len(page):
                piece = scraper.recv(1 << 20)
                self.assertTrue(piece)
                got += piece
            push.join(60)
            self.assertEqual(result, [(200, b"")])
            self.assertTrue(got.split(b"\r\n\r\n", 1)[1] == page[:len(got.split(b"\r\n\r\n", 1)[1])])

    def test_a_stop_turns_scrapes_away_and_lets_pushes_through(self):
        agent = self.running()
        busy = self.client().poll()
        idle = self.client("b.example").poll()
        self.waits(agent, 2)
        scrape = Scrape(self.port, "http://a.example/m")
        request = busy.answer()[1]
        os.kill(agent.pid, signal.SIGTERM)
        self.assertEqual(idle.answer()[0], 204)
        # The port is open until the last push is in: it needs a new connection.
        self.assertEqual(self.client("b.example").poll().answer()[0], 503)
        self.assertEqual(Scrape(self.port, "http://a.example/m").done().status, 503)
        health = busy.make()
        health.request("GET", "/healthz")
        self.assertEqual(health.getresponse().status, 503)
        push = busy.make()
        push.request("POST", "/push", inner(request, b"last 1\n"))
        self.assertEqual(push.getresponse().status, 200)
        self.assertEqual((scrape.done().status, scrape.body), (200, b"last 1\n"))
        self.assertEqual(agent.process.wait(20), 0)

    def test_pages_of_its_own_and_listeners_of_their_own(self):
        ports = [free_port() for _ in range(3)]
        roles = ("clients", "scrapers", "admin")
        agent = self.agent(inputs=[], extra=proxy_config([
            {"listen": "127.0.0.1:%d" % port, "serves": [role]} for port, role in zip(ports, roles)]))
        wait_until(lambda: all(listens(port) for port in ports), 30, "three listeners")
        self.port = ports[2]
        self.assertEqual(urllib.request.urlopen("http://127.0.0.1:%d/clients" % ports[2]).read(), b"[]\n")
        client = RawClient(ports[0], "a.example").poll()
        other = RawClient(ports[0], "b.example").poll({"X-Godwit-Labels": "site=x,__meta_a=1,__bad=2,9=3"})
        self.waits(agent, 2)
        with urllib.request.urlopen("http://127.0.0.1:%d/clients" % ports[2]) as reply:
            self.assertEqual(reply.headers["Content-Type"].split(";")[0], "application/json")
            self.assertEqual(reply.read(), b'[{"targets":["a.example"],"labels":null},{"targets":["b.example"],'
                                           b'"labels":{"__meta_a":"1","site":"x"}}]\n')
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % ports[2]) as reply:
            self.assertIn(b"godwit_pushprox_proxy_waiting_polls 2", reply.read())
        for port, path, status in ((ports[0], "/clients", 404), (ports[1], "/metrics", 421), (ports[1], "/poll", 421),
                                   (ports[2], "/poll", 404), (ports[0], "http://a.example/", 404)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().status, status, (port, path))
        client.close()
        other.close()

    def test_who_may_come(self):
        secret = {"basic_username": "u", "basic_password": "p", "token": "s3cret"}
        self.running(listener=secret)
        scrape = Scrape(self.port, "http://a.example/m").done()
        self.assertEqual((scrape.status, scrape.reply.getheader("Proxy-Authenticate")), (407, 'Basic realm="godwit"'))
        self.assertEqual(RawClient(self.port, "a.example").poll().answer(), (401, b""))
        self.assertEqual(Scrape(self.port, "http://a.example/m",
                                headers={"Proxy-Authorization": "Bearer s3cret"}).done().status, 404)
        client = RawClient(self.port, "a.example").poll({"Authorization": "Basic dTpw", "X-Godwit-Poll-Seconds": "1"})
        self.assertEqual(client.answer()[0], 204)
        for wrong in ("Basic dTpx", "Bearer s3cre", "Bearer", "dTpw"):
            self.assertEqual(RawClient(self.port, "a").poll({"Authorization": wrong}).answer()[0], 401, wrong)

    def test_hostile_peers_harm_nobody(self):
        agent = self.running()
        for bad in (b"\x00" * 5000, b"GET http://a/ HTTP/1.1\r\n" + b"a: b\r\n" * 20000,
                    b"POST /push HTTP/1.1\r\nContent-Length: 10\r\n\r\nHTTP/1.1 20",
                    b"POST /push HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    b"POST /poll HTTP/1.1\r\nContent-Length: 1\r\n\r\naPOST /poll HTTP/1.1\r\nContent-Length: 1\r\n\r\nb",
                    b"POST /push HTTP/1.1\r\nContent-Length: 70000\r\n\r\nHTTP/1.1 200 OK\r\n" + b"a" * 70000,
                    b"POST /poll HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100000,
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                client.settimeout(1)
                try:
                    client.sendall(bad)
                    client.recv(65536)
                except OSError:
                    pass
        client = self.client().poll()
        self.waits(agent)
        scrape = Scrape(self.port, "http://a.example/m")
        self.assertEqual(client.push(inner(client.answer()[1])), (200, b""))
        self.assertEqual(scrape.done().status, 200)

    def test_what_cannot_be_served_is_refused_before(self):
        for text, reason in (
                (proxy_config([]), "it needs [[pushprox.proxy.listeners]]"),
                (proxy_config([{"listen": "x"}]), "listen: \"x\" is no address"),
                (proxy_config([{"serves": ["all"]}]), "\"all\" is not allowed"),
                (proxy_config([{"tls_cert": "/x"}]), "tls_cert and tls_key need each other"),
                (proxy_config([{}], max_body="1"), "max_body"),
                (proxy_config([{}], names=[{"name": "a b"}]), "is no name of a host"),
                (proxy_config([{}], names=[{"name": "*", "token_sha256": ["abc"]}]), "64 hexadecimal digits"),
                (proxy_config([{}], names=[{"name": "*", "ports": [0]}]), "from 1 to 65535"),
                (proxy_config([{}], names=[{"name": "*", "scrapers": ["10.0.0.0/99"]}]), "no network and no DNS name"),
                (proxy_config([{"tls_client_auth": "optional"}]), "no certificate is asked for"),
                (proxy_config([{"tls_crl": "/x"}]), "belongs to an authority"),
                (client_config([]), "it needs [[pushprox.client.proxies]]"),
                (client_config(["proxy:8080"]), "expected http://host:port"),
                (client_config(["http://x"], [{"name": "a b"}]), "a target needs the name of a host"),
                (client_config(["http://x"], [{"name": "a", "url": "gopher://x"}]), "expected http://host:port, unix:"),
                ("[pushprox.clients]\n", "expected a table")):
            agent = self.agent(start=False, inputs=[], extra=text)
            done = agent.run("check")
            self.assertEqual(done.returncode, 78, text)
            self.assertIn(reason, done.stderr)
