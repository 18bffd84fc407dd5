"""The edges of PushProx that no recorded exchange shows: odd names, requests and responses, races, and ends of every kind
of connection, on both sides. `docs/testing.md` has the list of them all and which test meets each."""
import os
import socket
import struct
import threading
import time

from support import recorded
from support.case import EndToEnd, takes
from support.certificates import Authority, server_context
from support.influx import free_port
from support.processes import serve_each, wait_until
from support.pushprox import RawClient, Scrape, client_config, field, listens, proxy_config
from test_pushprox import PAGE, inner

TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds: %s\r\n"


def reset(connection):
    """Ends a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Edges(EndToEnd):
    def running(self, listener=None, **options):
        self.port = free_port()
        self.agent_here = self.agent(inputs=[], extra=proxy_config(
            [dict({"listen": "127.0.0.1:%d" % self.port}, **(listener or {}))], **options))
        wait_until(lambda: listens(self.port), 30, "the proxy listens")

    def figures(self):
        return self.agent_here.status()["pushprox"]["proxy"]

    def waits(self, count=1):
        wait_until(lambda: self.figures()["waiting_polls"] == count, 30, "%d polls wait" % count)

    def connect(self, data=b""):
        made = socket.create_connection(("127.0.0.1", self.port), 30)
        made.settimeout(30)
        self.addCleanup(made.close)
        made.sendall(data if isinstance(data, bytes) else data.encode())
        return made

    def asks(self, data):
        """The answer to these bytes."""
        return recorded.receive(self.connect(data))

    def poll(self, name="a.example"):
        made = RawClient(self.port, name).poll()
        self.addCleanup(made.close)
        return made

    def url(self, name="a.example", path="/m"):
        return "http://%s%s" % (name, path)

    def exchange(self, answer, method="GET", **options):
        """A whole scrape whose response is what `answer` makes of the instruction: (scrape, status of the push)."""
        client = self.poll()
        self.waits()
        scrape = Scrape(self.port, self.url(), method=method, **options)
        status, _ = client.push(answer(client.answer()[1]))
        return scrape.done(), status


class Polls(Edges):
    def test_names_that_are_none_and_names_that_are_the_same(self):
        self.running()
        for body in (b"", b" \r\n\t ", b"a b", b'"a"', b"<a>", b"a\xff\xfe", "ü.example".encode(), b"a\0b", b"a:9100",
                     b"%61", b"x" * 254, b"[::1", b"fe80::1%eth0"):
            got = self.asks(b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            self.assertEqual(got.status, 400, body)
        # No length is no name, and 10 KB are more than a name.
        self.assertEqual(self.asks(b"POST /poll HTTP/1.1\r\nHost: p\r\n\r\n").status, 400)
        self.assertEqual(self.asks(b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 10240\r\n\r\n" + b"x" * 10240).status,
                         413)
        self.assertEqual(self.figures()["clients"], 0)
        # As the client spells it, asked for as the scraper spells it.
        for name, host, seen in (("Upper.Example", "upper.example", "Upper.Example"), ("dot.example.", "DOT.example",
                                 "dot.example."), ("::1", "[::1]", "[::1]"), ("[2001:db8::a]", "[2001:DB8:0::A]",
                                                                              "[2001:db8::a]")):
            client = self.poll(name)
            self.waits()
            scrape = Scrape(self.port, "http://%s:9100/m" % host)
            request = client.answer()[1]
            self.assertTrue(request.startswith(("GET http://%s:9100/m HTTP/1.1\r\nHost: %s:9100\r\n" % (
                seen, seen)).encode()), request)
            self.assertEqual(client.push(inner(request)), (200, b""))
            self.assertEqual(scrape.done().status, 200)

    def test_polls_that_are_closed_reset_or_half_closed_get_nothing(self):
        self.running()
        text = b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n\r\na.example"
        for end in (socket.socket.close, reset, lambda each: each.shutdown(socket.SHUT_WR)):
            connection = self.connect(text)
            self.waits()
            end(connection)
            self.waits(0)
        self.assertEqual(self.figures()["lost_polls"], 3)
        scrape = Scrape(self.port, self.url())
        client = self.poll()
        self.assertEqual(client.push(inner(client.answer()[1])), (200, b""))
        self.assertEqual(scrape.done().status, 200)
        self.assertEqual(self.figures()["handed_out"], 1)

    def test_a_poll_that_is_reset_with_its_scrape_gives_it_to_the_next(self):
        self.running()
        connection = self.connect(b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n\r\na.example")
        self.waits()
        scrape = Scrape(self.port, self.url())
        request = recorded.receive(connection).body
        reset(connection)
        client = self.poll()
        again = client.answer()[1]
        self.assertEqual(field(again, "Id"), field(request, "Id"))
        self.assertEqual(client.push(inner(again)), (200, b""))
        self.assertEqual(scrape.done().status, 200)

    def test_two_clients_of_one_name_lose_no_scrape(self):
        self.running()
        stop, evicted = threading.Event(), []

        def serve():
            while not stop.is_set():
                client = RawClient(self.port, "a.example").poll({"X-Godwit-Poll-Seconds": "2"})
                status, request = client.answer()
                if status == 408:
                    evicted.append(status)
                if status == 200:
                    client.push(inner(request, PAGE))
                client.close()
        clients = [threading.Thread(target=serve, daemon=True) for _ in range(2)]
        for each in clients:
            each.start()
        wait_until(lambda: self.figures()["clients"] == 1, 30, "the name is known")
        for _ in range(5):
            scrapes = [Scrape(self.port, self.url(), timeout="30") for _ in range(12)]
            for scrape in scrapes:
                self.assertEqual((scrape.done().status, scrape.body), (200, PAGE), scrape.error)
        stop.set()
        for each in clients:
            each.join(30)
        self.assertGreater(len(evicted), 0)
        self.assertEqual(self.figures()["scrapes"], {"ok": 60})

    def test_what_is_no_poll_and_no_push(self):
        self.running({"serves": ["clients", "scrapers"]})
        for request, status in (
                (b"GET /clients HTTP/1.1\r\nHost: p\r\n\r\n", 404), (b"GET /poll/ HTTP/1.1\r\nHost: p\r\n\r\n", 404),
                (b"POST /pushed HTTP/1.1\r\nHost: p\r\nContent-Length: 0\r\n\r\n", 404),
                (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400), (b"\x16\x03\x01\x00\x05hello\r\n\r\n", 400)):
            got = self.asks(request)
            self.assertEqual(got and got.status, status, request)


class Scrapes(Edges):
    def test_a_scraper_that_is_gone_while_it_waits_is_not_handed_out(self):
        self.running(unknown_grace="20s")
        for end in (socket.socket.close, reset, lambda each: each.shutdown(socket.SHUT_WR)):
            scraper = self.connect("GET %s HTTP/1.1\r\nHost: a.example\r\n" % self.url(path="/gone") + TIMEOUT % 20 + "\r\n")
            wait_until(lambda: self.figures()["open_scrapes"] == 1, 30, "it waits")
            end(scraper)
            wait_until(lambda: self.figures()["open_scrapes"] == 0, 30, "it is forgotten")
        client = self.poll()
        self.waits()
        scrape = Scrape(self.port, self.url(path="/here"))
        request = client.answer()[1]
        self.assertIn(b"/here HTTP/1.1\r\n", request)
        client.push(inner(request))
        self.assertEqual(scrape.done().status, 200)
        self.assertEqual(self.figures()["scrapes"], {"scraper_gone": 3, "ok": 1})

    def test_odd_times(self):
        self.running(max_scrape_timeout="20s", default_scrape_timeout="8s", unknown_grace="10s")
        for lines, most in (("", 8), (TIMEOUT % "", 8), (TIMEOUT % "soon", 8), (TIMEOUT % "1e30", 20),
                            (TIMEOUT % "0x1p3", 8), (TIMEOUT % 5 + TIMEOUT % 500, 5), (TIMEOUT % " +7 ", 7)):
            client = self.poll()
            self.waits()
            scraper = self.connect("GET %s HTTP/1.1\r\nHost: a.example\r\n%s\r\n" % (self.url(), lines))
            request = client.answer()[1]
            left = field(request, "X-Prometheus-Scrape-Timeout-Seconds")
            self.assertEqual(len(left), 1, lines)
            self.assertTrue(0.5 * most < float(left[0]) < most, (lines, left))
            client.push(inner(request))
            self.assertEqual(recorded.receive(scraper).status, 200)
        # Shorter than anything can be done in.
        for number, text in enumerate(("0.000000001", "0.0001", "0.001", "0.005", "0.009")):
            scrape = Scrape(self.port, self.url("b%d.example" % number), timeout=text).done(20)
            self.assertIn(scrape.status, (404, 504), text)
        self.assertEqual(self.figures()["open_scrapes"], 0)

    def test_odd_forms_of_a_target(self):
        self.running()
        rest = "Host: elsewhere.example\r\n" + TIMEOUT % 10 + "\r\n"
        for line, status in (
                ("GET http://user@a.example/ HTTP/1.1", 400), ("GET http://user:pass@a.example/ HTTP/1.1", 400),
                ("GET http://%61.example/ HTTP/1.1", 400), ("GET http://a.example:99999/ HTTP/1.1", 400),
                ("GET http://:80/ HTTP/1.1", 400), ("GET http:///m HTTP/1.1", 400), ("GET ftp://a.example/ HTTP/1.1", 400),
                ("GET http://a.example:x/ HTTP/1.1", 400), ("GET http://[::1/ HTTP/1.1", 400),
                ("OPTIONS * HTTP/1.1", 400), ("GET http://a.example/ü HTTP/1.1", 400),
                ("CONNECT a.example:443 HTTP/1.1", 405), ("GET /m HTTP/1.1", 404)):
            got = self.asks((line + "\r\n" + rest).encode())
            self.assertEqual(got and got.status, status, line)
        # The target wins over Host; what is left out stays out.
        for line, seen, host in (
                ("GET http://a.example HTTP/1.1", "http://a.example/", "a.example"),
                ("GET http://a.example? HTTP/1.1", "http://a.example/?", "a.example"),
                ("GET HTTP://A.EXAMPLE:80/x?y=%20#z HTTP/1.1", "http://a.example:80/x?y=%20", "a.example:80"),
                ("GET https://a.example/x HTTP/1.1", "https://a.example/x", "a.example"),
                ("GET http://a.example:/x HTTP/1.1", "http://a.example/x", "a.example"),
                ("OPTIONS http://a.example/x HTTP/1.1", "http://a.example/x", "a.example")):
            client = self.poll()
            self.waits()
            scraper = self.connect(line + "\r\n" + rest)
            status, request = client.answer()
            self.assertEqual(status, 200, line)
            self.assertEqual(request.split(b"\r\n")[0].split(b" ")[1:], [seen.encode(), b"HTTP/1.1"], line)
            self.assertEqual(field(request, "Host"), [host], line)
            client.push(inner(request))
            self.assertEqual(recorded.receive(scraper).status, 200)

    def test_bodies_of_requests(self):
        self.running()
        client = self.poll()
        self.waits()
        scraper = self.connect("POST %s HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
                               % self.url() + TIMEOUT % 10 + "\r\n")
        self.assertEqual(scraper.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
        scraper.sendall(b"hello")
        request = client.answer()[1]
        self.assertTrue(request.startswith(b"POST ") and request.endswith(b"\r\n\r\nhello"), request)
        self.assertEqual((field(request, "Content-Length"), field(request, "Expect")), (["5"], []))
        client.push(inner(request))
        self.assertEqual(recorded.receive(scraper).status, 200)
        client = self.poll()
        self.waits()
        scraper = self.connect("POST %s HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n" % self.url()
                               + TIMEOUT % 10 + "\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n")
        request = client.answer()[1]
        self.assertTrue(request.endswith(b"\r\n\r\nabc"), request)
        self.assertEqual((field(request, "Content-Length"), field(request, "Transfer-Encoding")), (["3"], []))
        client.push(inner(request))
        self.assertEqual(recorded.receive(scraper).status, 200)
        # More than a scrape has.
        got = self.asks(("POST %s HTTP/1.1\r\nHost: a.example\r\nContent-Length: 70000\r\n" % self.url()
                         + TIMEOUT % 10 + "\r\n").encode() + b"x" * 70000)
        self.assertEqual(got.status, 413)

    def test_heads_that_are_too_large_cost_no_client_its_poll(self):
        self.running()
        client = self.poll()
        self.waits()
        for more in ("a: b\r\n" * 5000, "a: %s\r\n" % ("x" * 64000)):
            got = self.asks("GET %s HTTP/1.1\r\nHost: a.example\r\n%s\r\n" % (self.url(), more))
            self.assertIn(got and got.status, (431, 400), more[:20])
        got = self.asks("GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n" % self.url(path="/" + "x" * 70000))
        self.assertIn(got and got.status, (414, 431, 400))
        self.waits()
        # And one that is just large goes through.
        scrape = Scrape(self.port, self.url(path="/" + "x" * 8000), headers={"X-%d" % n: "y" * 20 for n in range(240)})
        request = client.answer()[1]
        self.assertEqual(field(request, "X-239"), ["y" * 20])
        client.push(inner(request))
        self.assertEqual(scrape.done().status, 200)


class Responses(Edges):
    def test_responses_that_are_odd_and_good(self):
        self.running()

        def head(request, *lines):
            return ("\r\n".join(lines) + "\r\nId: %s\r\n" % field(request, "Id")[0]).encode()
        for answer, status, body in (
                (lambda request: b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
                 head(request, "HTTP/1.1 200 OK") + b"\r\nok\n", 200, b"ok\n"),
                (lambda request: head(request, "HTTP/1.1 304 Not Modified", "Content-Length: 9") + b"\r\n", 304, b""),
                (lambda request: head(request, "HTTP/1.1 200 OK", "X-Folded: a", "\tb") + b"\r\nok\n", 200, b"ok\n"),
                (lambda request: head(request, "HTTP/1.1 200 OK").replace(b"\r\n", b"\n") + b"\nok\n", 200, b"ok\n"),
                (lambda request: head(request, "HTTP/1.1 200") + b"\r\nok\n", 200, b"ok\n"),
                (lambda request: head(request, "HTTP/1.1 599 Odd", "Content-Length: 2", "content-length: 2") + b"\r\nno",
                 599, b"no")):
            scrape, pushed = self.exchange(answer)
            self.assertEqual((scrape.status, scrape.body, pushed), (status, body, 200))
        folded = self.exchange(lambda request: head(request, "HTTP/1.1 200 OK", "X-Folded: a", "\tb") + b"\r\n")[0]
        self.assertEqual(folded.reply.getheader("X-Folded"), "a b")

    def test_responses_that_are_none(self):
        self.running()

        def bad(*lines, body=b""):
            # The id comes first: the scrape is known, and its response is of no use.
            return lambda request: ("HTTP/1.1 200 OK\r\nId: %s\r\n" % field(request, "Id")[0] + "".join(
                line + "\r\n" for line in lines) + "\r\n").encode() + body
        for answer in (bad("Content-Length: 5", body=b"four"), bad("Content-Length: 3", body=b"four"),
                       bad("Content-Length: 3", "Content-Length: 4", body=b"four"), bad("Content-Length: -1"),
                       bad("Content-Length: 1e3"), bad("Transfer-Encoding: gzip", body=b"four"),
                       bad("Transfer-Encoding: chunked", body=b"zz\r\n"),
                       bad("Transfer-Encoding: chunked", body=b"0\r\n\r\nmore"),
                       bad("Transfer-Encoding: chunked", body=b"4\r\nfour"),
                       bad("Content-Length: 99999999999999999999")):
            scrape, pushed = self.exchange(answer)
            self.assertEqual((scrape.status, pushed), (502, 400), answer(b"\r\nId: x\r\n\r\n"))
            self.assertIn(b"cannot be used", scrape.body)
        # What cannot be read has no id: the scrape waits for a better push.
        client = self.poll()
        self.waits()
        scrape = Scrape(self.port, self.url())
        request = client.answer()[1]
        for answer in (bad("X: a\0b"), bad("X\0: a"), bad(" folded"), bad(*["a: b"] * 5000), bad("a: " + "x" * 66000),
                       lambda request: b"HTTP/1.1 100 Continue\r\n\r\n" * 30 + inner(request),
                       lambda request: inner(request).replace(b"Id: ", b"Ed: ")):
            made = answer(request)
            status, text = client.push(made)
            # A folded line behind the id is a longer id, which nobody knows.
            self.assertIn(status, (400, 410), made[:80])
            self.assertEqual(text, b"")
        self.assertEqual(client.push(inner(request)), (200, b""))
        self.assertEqual(scrape.done().status, 200)

    @takes(15)
    def test_pushes_that_are_endless_and_peers_that_are_slow(self):
        self.running(max_body_size="1MiB")
        # A head that comes by the byte, of a poll and of a push, has ten seconds; the body of a push its scrape's time.
        slow = [self.connect(), self.connect(b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 500\r\n\r\nHTTP/1.1 20")]
        client = self.poll()
        self.waits()
        scrape = Scrape(self.port, self.url(), timeout="4")
        answer = inner(client.answer()[1], PAGE)
        slow.append(self.connect(b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 90000\r\n\r\n" + answer[:-900]))
        began, ended = time.monotonic(), {}

        def drip(number):
            try:
                while True:
                    slow[number].sendall(b"x")
                    slow[number].settimeout(0.3)
                    try:
                        if slow[number].recv(1000):
                            raise OSError("answered")
                        raise OSError("closed")
                    except TimeoutError:
                        pass
            except OSError:
                ended[number] = time.monotonic() - began
        dripping = [threading.Thread(target=drip, args=(number,), daemon=True) for number in range(3)]
        for each in dripping:
            each.start()
        # Meanwhile nobody else waits, and a gigabyte finds the limit.
        client = self.poll("b.example")
        self.waits()
        large = Scrape(self.port, self.url("b.example"))
        pusher = self.connect(b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 1073741824\r\n\r\n" +
                              inner(client.answer()[1], b"", framing=""))
        try:
            for _ in range(4096):
                pusher.sendall(b"z 1\n" * 65536)
        except OSError:
            pass
        large.done()
        self.assertTrue(large.status == 502 or large.error is not None, large.status)
        scrape.done()
        self.assertTrue(scrape.status in (502, 504) or scrape.error is not None, scrape.status)
        self.assertLess(time.monotonic() - began, 8)
        for each in dripping:
            each.join(60)
        self.assertEqual(sorted(ended), [0, 1, 2])
        with open("/proc/%d/status" % self.agent_here.pid) as file:
            resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        self.assertLess(resident, 200000)

    def test_a_head_has_the_length_that_its_response_tells(self):
        self.running()
        for lines, length in ((b"Content-Length: 77\r\n", "77"), (b"Transfer-Encoding: chunked\r\n", None), (b"", None)):
            scrape, pushed = self.exchange(lambda request: inner(request, b"", framing=lines.decode()), method="HEAD")
            self.assertEqual((scrape.status, pushed, scrape.reply.getheader("Content-Length")), (200, 200, length))

    def test_a_push_over_tls_that_ends_without_a_farewell_is_cut(self):
        self.needs_program("openssl")
        authority = Authority(self.folder())
        pair = authority.issue("server")
        self.running({"tls_cert": pair[0], "tls_key": pair[1]})
        context = authority.context()
        client = RawClient(self.port, "a.example", context).poll()
        self.waits()
        scrape = Scrape(self.port, self.url(), context=context)
        request = client.answer()[1]
        plain = socket.create_connection(("127.0.0.1", self.port), 30)
        secure = context.wrap_socket(plain, server_hostname="localhost")
        secure.sendall(b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 9999\r\n\r\n" + inner(request, PAGE, framing=""))
        time.sleep(0.2)
        os.close(secure.detach())
        scrape.done()
        self.assertEqual(scrape.status, 502)
        self.assertIn(b"breaks off", scrape.body)


class Client(Edges):
    """Our client and targets of every kind, through our proxy."""

    def target(self, answer, context=None):
        """A target that sends `answer(request line)` and closes without a farewell."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def serve(connection):
            try:
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
                else:
                    # Who does not ask in HTTP is not waited for.
                    connection.settimeout(2)
                request = recorded.receive(connection)
                if request:
                    connection.sendall(answer(request))
                if context:
                    os.close(connection.detach())
            except OSError:
                pass
            finally:
                connection.close()

        serve_each(server, serve)
        return server.getsockname()[1]

    def with_client(self, targets, names=1):
        self.running()
        made = self.agent(inputs=[], extra=client_config(["http://127.0.0.1:%d" % self.port], targets))
        self.waits(names)
        return made

    def scrape(self, url, **options):
        return Scrape(self.port, url, **options).done()

    def test_targets_over_tls(self):
        self.needs_program("openssl")
        files = self.folder()
        authority = Authority(files)
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

        def listening(pair):
            cut = {b"/short": page[:-1], b"/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n"}
            return self.target(lambda request: cut.get(request.start.split(b" ")[1], page), server_context(*pair))
        good = listening(authority.issue("good"))
        expired = listening(authority.issue("old", days=-1))
        other = listening(authority.issue("else", names="DNS:else.example"))
        foreign = listening(Authority(files, "foreign").issue("mine"))
        plain = self.target(lambda request: page)
        self.with_client([{"name": "localhost", "tls_ca": authority.certificate}])
        url = "http://localhost:%d/m?a=1&_scheme=https"
        for query in ("?_scheme=https", "?a=1&_scheme=https&b=2", "?_scheme=https&_scheme=https", "?%5fscheme=%68ttps"):
            done = self.scrape("http://localhost:%d/m%s" % (good, query))
            self.assertEqual((done.status, done.body), (200, b"ok\n"), query)
        for port, reason in ((expired, b"expired"), (other, b"name"), (foreign, b"certificate"), (plain, b"")):
            done = self.scrape(url % port)
            self.assertEqual(done.status, 502, reason)
            self.assertIn(reason.lower(), done.body.lower())
        # An end without a farewell, before the page's own.
        for path in ("/short", "/chunks"):
            done = self.scrape("http://localhost:%d%s?_scheme=https" % (good, path))
            self.assertEqual(done.status, 502, path)
            self.assertIn(b"broke off", done.body)
        self.assertEqual(self.scrape("http://localhost:%d/m" % good).status, 502)

    def test_redirects_are_the_scrapers_matter(self):
        places = ["http://127.0.0.1:%d/m", "http://elsewhere.example/m", "https://127.0.0.1:%d/m", "/loop", ""]
        port = []

        def answer(request):
            place = places[int(request.start.split(b" ")[1].rsplit(b"/")[-1])]
            place = place % port[0] if "%d" in place else place
            return ("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % place).encode()
        port.append(self.target(answer))
        self.with_client([{"name": "a.example", "url": "http://127.0.0.1:%d" % port[0]}])
        for number, place in enumerate(places):
            done = self.scrape(self.url(path="/%d" % number))
            self.assertEqual(done.status, 302)
            self.assertEqual(done.reply.getheader("Location"), place % port[0] if "%d" in place else place)

    def test_odd_answers_of_targets(self):
        answers = {
            b"/interim": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", 200),
            b"/same": (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304),
            b"/folded": (b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 3\r\n\r\nok\n", 200),
            b"/cookies": (b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 3\r\n\r\nok\n", 200),
            b"/short": (b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nok\n", 502),
            b"/nul": (b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 3\r\n\r\nok\n", 502),
            b"/many": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 6000 + b"Content-Length: 3\r\n\r\nok\n", 502),
            b"/large": (b"HTTP/1.1 200 OK\r\na: " + b"x" * 400000 + b"\r\nContent-Length: 3\r\n\r\nok\n", 502),
            b"/nothing": (b"", 502), b"/garbage": (b"\0\1\2\3\r\n\r\n", 502),
        }
        port = self.target(lambda request: answers[request.start.split(b" ")[1]][0])
        client = self.with_client([{"name": "a.example", "url": "http://127.0.0.1:%d" % port}])
        for path, (_, status) in answers.items():
            done = self.scrape(self.url(path=path.decode()))
            self.assertEqual(done.status, status, (path, done.body and done.body[:200], done.error))
            if status == 200:
                self.assertEqual(done.body, b"ok\n", path)
            if path == b"/cookies":
                self.assertEqual(done.reply.headers.get_all("Set-Cookie"), ["a=1", "b=2"])
        self.assertTrue(client.is_running)

    def test_scrapes_of_no_time(self):
        port = self.target(lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
        client = self.with_client([{"name": "a.example", "url": "http://127.0.0.1:%d" % port}])
        for text in ("0.001", "0.003", "0.006", "0.009"):
            done = self.scrape(self.url(), timeout=text)
            self.assertIn(done.status, (200, 504), text)
        wait_until(lambda: client.status()["pushprox"]["client"]["running"] == 0, 30, "nothing runs on")
        self.assertEqual(self.scrape(self.url()).body, b"ok\n")
