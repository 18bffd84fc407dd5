"""What real PushProx programs said on the wire, replayed from both sides: a scripted peer sends the recorded bytes, block
by block, to our proxy and to our client, and what these answer is compared with the record.

To the byte: request lines and status lines, inside and outside; bodies, of polls, scrapes, pages and answers. As sets with
exact values, since their order is free: headers. `SAMPLES` says for each file where ours is different on purpose, and why;
`EVERYWHERE` what differs in all of them. A sample without a row, and a row without its sample, fail."""
import collections
import socket
import threading
import time

from support import recorded
from support.case import EndToEnd, takes
from support.certificates import Authority, server_context
from support.influx import free_port
from support.processes import serve_each, wait_until
from support.pushprox import Scrape, client_config, listens, proxy_config

NAME = "client-a.example.test"

#: Headers that are not compared, and why.
EVERYWHERE = {
    "answers to scrapers": {
        "date": "nobody needs it, and it is a clock's",
        "x-prometheus-scrape-timeout": "a misspelt header of the real client, which its proxy lets through",
        "connection": "of one hop", "keep-alive": "of one hop", "x-hop": "of one hop, as Connection names it",
    },
    "scrapes as the client gets them": {
        "proxy-connection": "of one hop", "id": "random: there is one, of the same form",
        "x-prometheus-scrape-timeout-seconds": "the time that is left, not that which was granted",
    },
    "requests to targets": {
        "proxy-connection": "of one hop", "id": "between proxy and client",
        "x-prometheus-scrape-timeout-seconds": "the time that is left",
    },
    "responses as the proxy gets them": {
        "x-prometheus-scrape-timeout": "misspelt; ours says how long a proxy may hold the push, in the right header",
        "x-prometheus-scrape-timeout-seconds": "the same", "id": "compared apart",
        "content-length": "compared with the body", "transfer-encoding": "ours tells the length",
        "connection": "of one hop", "keep-alive": "of one hop", "x-hop": "of one hop, as Connection names it",
    },
    "polls and pushes": {
        "host": "a port of this test", "user-agent": "ours", "content-type": "read by nobody",
        "accept": "anything",
        "accept-encoding": "answers are small", "content-length": "compared with the body",
        "x-pushprox-fqdn": "ours, for balancers", "x-godwit-poll-seconds": "ours, for proxies of ours",
        "x-godwit-instance": "ours, for proxies of ours",
    },
}

#: How ours differs in one sample. A name of a connection: the status of the answer there, None for no answer. `proxy`:
#: - `compat`: the same where always_500 is on; there every other status is as recorded;
#: - `words`: answers that are then as recorded to the byte;
#: - `without`: connections that are not played; `stays`: those that we do not close;
#: - `scrapers`: asked at a listener for scrapers alone.
#: `client`: `status` of the response that is pushed, `trouble`: what the status of the poll says and no push comes,
#: `target`: False where the target must not be asked; `line` its request line; `extra` headers that the original adds
#:   there; `page`: "target" where the page goes on as the target sent it.
#: A text instead of either says why there is nothing to play.
Row = collections.namedtuple("Row", "proxy client but")
SAME = {}
LISTED = "played by the test of the list"


def row(proxy=SAME, client=SAME, but=""):
    return Row(proxy, client, but)


REFUSED = "the first one that is refused tells why, and a scrape is answered by its cause"
TEST_CLIENT = "its client is a test's"
STAND_IN = "its proxy is a stand-in"
LATE = "a push that nobody waits for is told so at once, without a text that costs the connection"

SAMPLES = {
    "01-prometheus-two-scrapes.txt": row(),
    "02-scrape-plain-ok.txt": row(),
    "03-scrape-chunked-ok.txt": row(),
    "04-no-timeout-header.txt": row(client={"status": 200}, but="a scrape that names no time has the default one"),
    "05-unknown-client-timeout.txt": row(
        {"P1": 404, "words": ["P1"]}, "nobody polls", but="an unknown name is told soon"),
    "06-target-refused.txt": row(client={"status": 502}, but=REFUSED),
    "07-target-slow-timeout.txt": row(
        {"P1": 504, "words": ["P1"]}, {"status": 504}, but="the client pushes its failure before the deadline"),
    "08-target-204.txt": row(),
    "08-target-404.txt": row(),
    "08-target-500.txt": row(),
    "09-head.txt": row(),
    "09-post-small.txt": row(client={"status": 403, "target": False}, but="the client allows GET and HEAD"),
    "10-truncated-chunked.txt": row(
        {"P1": 502, "C2": 400, "compat": {"P1": 500, "C2": 500}}, {"status": 502}, but="half a page is no success"),
    "10-truncated-content-length.txt": row(
        {"P1": 502, "C2": 400, "compat": {"P1": 500, "C2": 500}, "stays": ["P1"]}, {"status": 502},
        but="half a page is no success"),
    "11-redirect-followed.txt": row(client={"status": 302}, but="no redirect is followed: it may lead anywhere"),
    "12-connect.txt": row(
        {"P1": 405, "without": ["C1", "C2"], "compat": {"P1": 500}}, {"status": 400, "target": False},
        but="a tunnel is nothing that a client could make; the answer says what to do instead"),
    "12-https-param.txt": row(client={"line": b"GET /echo?b=2&a=1 HTTP/1.1"}, but="parameters stay in their order"),
    "13-bad-origin.txt": row(client={"status": 502}, but=REFUSED),
    "13-clients-empty.txt": row(LISTED, "nobody polls"),
    "13-clients-one.txt": row(LISTED, "nobody is asked"),
    "13-close-origin.txt": row({"stays": ["P1"]}, but="how the target ends its connection is not the scraper's matter"),
    "13-echo.txt": row(),
    "13-headers.txt": row(),
    "13-non-proxied-404.txt": row(client="nobody polls"),
    "14-push-badstatus.txt": row({"C1": 400}, TEST_CLIENT, LATE),
    "14-push-empty.txt": row({"C1": 400}, TEST_CLIENT, LATE),
    "14-push-garbage.txt": row({"C1": 400}, TEST_CLIENT, LATE),
    "14-push-no-id.txt": row({"C1": 410}, TEST_CLIENT, LATE),
    "14-push-unknown-id-seconds-header.txt": row({"C1": 410}, TEST_CLIENT, LATE),
    "14-push-unknown-id.txt": row({"C1": 410}, TEST_CLIENT, LATE),
    "15-duplicate-poll.txt": row(client=TEST_CLIENT),
    "15-poll-odd-names.txt": row(LISTED, TEST_CLIENT, "a name is that of a host"),
    "16-scrape-before-client.txt": row(),
    "17-dead-poller-eats-scrape.txt": row(
        {"P1": 504, "P2": 504, "words": ["P2"]}, TEST_CLIENT, "a poll that is gone gets nothing"),
    "18-id-header-injection.txt": row({"P1": 200, "C2": 200, "compat": {"P1": 200, "C2": 200}},
                                      but="a scraper's own id does no harm, neither at our proxy nor at a real one"),
    "19-proxy-restart.txt": row(),
    "20-scraper-goes-away.txt": row(
        {"P1": None, "C2": 410, "compat": {"P1": None, "C2": 500}}, {"extra": ["user-agent", "accept-encoding"]}, LATE),
    "21-client-any-port.txt": row(STAND_IN, {"status": 502}, REFUSED),
    "21-client-bad-timeout.txt": row(STAND_IN, {"status": 200}, "the time is the default one"),
    "21-client-case-mismatch.txt": row(STAND_IN, {"status": 200}, "names of hosts have no case"),
    "21-client-host-mismatch.txt": row(STAND_IN, {"status": 403, "target": False}, REFUSED),
    "21-client-no-id.txt": row(STAND_IN, {"extra": ["accept-encoding"]}),
    "21-client-origin-form.txt": row(STAND_IN, {"status": 400, "target": False}, REFUSED),
    "21-client-poll-408.txt": row(STAND_IN, {"trouble": "another client polls under this name"}),
    "21-client-poll-504.txt": row(STAND_IN, {"trouble": "status 504"}),
    "21-client-poll-empty.txt": row(STAND_IN, {"trouble": "an empty answer"}),
    "21-client-poll-redirect.txt": row(STAND_IN, {"trouble": "status 302"}, "a name goes nowhere else"),
    "21-client-push-refused-2.txt": row(STAND_IN, {"extra": ["accept-encoding"]}),
    "21-client-push-refused.txt": row(STAND_IN, {"extra": ["accept-encoding"]}),
    "22-basic-auth-and-prefix.txt": row("played by a test of its own"),
    "23-metrics-client.txt": row(STAND_IN, "the client's figures are at the status socket and in the agent's page"),
    "23-metrics-proxy.txt": row("played by a test of its own", "nobody polls", "the families are ours"),
    "24-long-request.txt": row(),
    "25-no-accept-encoding.txt": row(
        client={"extra": ["accept-encoding"], "page": "target"},
        but="no coding is asked for that the scraper did not ask for, so what the target sends goes on as it is"),
    "26-timeout-values.txt": row("played by a test of its own", "nobody polls"),
    "27-chunked-poll-and-push.txt": row({"late": 410}, TEST_CLIENT, LATE),
    "28-registration-expiry.txt": row(LISTED, "nobody is asked", "a client whose poll waits is listed"),
    "29-frozen-client.txt": row({"P1": 504, "C2": 410, "compat": {"C2": 500}, "words": ["P1"]}, but=LATE),
    "30-through-nginx-mtls.txt": row(),
    "31-nginx-504.txt": row(STAND_IN, {"trouble": "status 504"}),
    "31-nginx-foreign-client-cert.txt": row(STAND_IN, {"trouble": "The SSL certificate error"}),
    "31-nginx-no-client-cert.txt": row(STAND_IN, {"trouble": "No required SSL certificate was sent"}),
    "32-nginx-on-scrape-leg.txt": row(
        {"P1": 421, "compat": {"P1": 421}, "scrapers": True}, "nobody polls", "the proxy's own page is no target's"),
}


class Recorded(EndToEnd):
    def setUp(self):
        super().setUp()
        if not recorded.names():
            self.skipTest("no samples at %s" % recorded.FOLDER)

    def connect(self, port):
        made = socket.create_connection(("127.0.0.1", port), 30)
        made.settimeout(30)
        self.addCleanup(made.close)
        return made

    def headers(self, message, of, *more):
        return message.headers(*EVERYWHERE[of], *more)


class Files(Recorded):
    def test_every_sample_has_a_row_and_every_row_its_sample(self):
        self.assertEqual(sorted(SAMPLES), recorded.names())

    def test_every_block_is_as_long_as_it_says(self):
        count = 0
        for name in recorded.names():
            if name.startswith(recorded.FREE):
                continue
            found = recorded.blocks(name)
            self.assertTrue(found, name)
            count += sum(1 for block in found if block.data is not None)
        self.assertGreater(count, 300)


class Proxy(Recorded):
    """Our proxy, and what real clients and scrapers sent."""

    def running(self, **options):
        self.ports = free_port(), free_port()
        self.agent_here = self.agent(inputs=[], extra=proxy_config(
            [{"listen": "127.0.0.1:%d" % self.ports[0]},
             {"listen": "127.0.0.1:%d" % self.ports[1], "serves": ["scrapers"]}], **options))
        wait_until(lambda: listens(self.ports[0]) and listens(self.ports[1]), 30, "the proxy listens")
        return self.agent_here

    def figures(self):
        return self.agent_here.status()["pushprox"]["proxy"]

    def poll_bytes(self):
        """The poll of the real client."""
        return next(block.data for block in recorded.blocks("01-prometheus-two-scrapes.txt") if block.connection == "C1")

    @takes(15)
    def test_with_statuses_of_ours(self):
        self.running()
        self.all(False)

    @takes(15)
    def test_with_the_statuses_of_the_original(self):
        self.running(always_500=True, unknown_grace="10s")
        self.all(True)

    def all(self, compat):
        played = 0
        for name, (ours, _, _) in SAMPLES.items():
            if isinstance(ours, str):
                continue
            with self.subTest(name):
                Played(self, name, ours, compat).run()
                played += 1
                # Nothing of it may be left for the next one.
                wait_until(lambda: self.figures()["waiting_polls"] + self.figures()["open_scrapes"] == 0, 30,
                           "%s: nothing is left" % name)
        self.assertGreater(played, 35)
        self.assertTrue(self.agent_here.is_running)

    def test_the_list_of_clients(self):
        clients, fresh = "13-clients-empty.txt", "15-poll-odd-names.txt"
        self.running()
        self.list_as_in(recorded.blocks(clients)[0].data, recorded.blocks(clients)[1].data)
        blocks = [block for block in recorded.blocks(fresh) if block.data is not None]
        nameless = self.connect(self.ports[0])
        nameless.sendall(blocks[0].data)
        self.assertEqual(recorded.receive(nameless).status, 400)
        named = self.connect(self.ports[0])
        named.sendall(blocks[1].data)
        wait_until(lambda: self.figures()["waiting_polls"] == 1, 30, "the poll waits")
        # Without the empty name, which is none.
        listed = self.list_as_in(blocks[2].data, None)
        self.assertEqual(listed.body, recorded.inner(blocks[3].data).body.replace(b'{"targets":[""],"labels":null},', b""))
        # A client whose poll waits is listed, however long it waits.
        self.agent_here.stop()
        self.running(registration_timeout="1s")
        client = self.connect(self.ports[0])
        client.sendall(self.poll_bytes())
        wait_until(lambda: self.figures()["waiting_polls"] == 1, 30, "the poll waits")
        began = time.monotonic()
        one = recorded.blocks("13-clients-one.txt")
        self.list_as_in(one[0].data, one[1].data)
        blocks = {block.connection + block.direction: block for block in recorded.blocks("28-registration-expiry.txt")
                  if block.data is not None}
        self.list_as_in(blocks["P1>"].data, blocks["P1<"].data)
        wait_until(lambda: time.monotonic() - began > 1.2, 30, "it has waited longer than names are known")
        self.list_as_in(blocks["P2>"].data, blocks["P1<"].data)
        scraper = self.connect(self.ports[0])
        scraper.sendall(blocks["P3>"].data)
        asked = recorded.inner(recorded.receive(client).body)
        answer = recorded.inner(blocks["P3<"].data)
        pusher = self.connect(self.ports[0])
        inside = b"HTTP/1.1 200 OK\r\nId: %s\r\n\r\n" % asked.all("id")[0].encode() + answer.body
        pusher.sendall(b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n\r\n" % len(inside) + inside)
        self.assertEqual(recorded.receive(scraper).body, answer.body)
        self.list_as_in(blocks["P4>"].data, blocks["P4<"].data)

    def list_as_in(self, request, answer):
        connection = self.connect(self.ports[0])
        connection.sendall(request)
        got = recorded.receive(connection)
        if answer is not None:
            wanted = recorded.inner(answer)
            self.assertEqual((got.start, got.body), (wanted.start, wanted.body))
            self.assertEqual(self.headers(got, "answers to scrapers"), self.headers(wanted, "answers to scrapers"))
        return got

    def test_a_poll_with_user_info_and_a_prefix(self):
        self.running()
        blocks = [block.data for block in recorded.blocks("22-basic-auth-and-prefix.txt")]
        client, scraper, pusher = (self.connect(self.ports[0]) for _ in range(3))
        client.sendall(blocks[0])
        wait_until(lambda: self.figures()["waiting_polls"] == 1, 30, "the poll waits")
        wanted = recorded.inner(recorded.inner(blocks[1]).body)
        scraper.sendall(wanted.raw)
        got = recorded.inner(recorded.receive(client).body)
        self.assertEqual(got.start, wanted.start)
        push = recorded.inner(blocks[3])
        inside = push.body.replace(b"Id: 20", b"Id: " + got.all("id")[0].encode())
        pusher.sendall(push.raw[:-len(push.body)].replace(b": %d" % len(push.body), b": %d" % len(inside)) + inside)
        self.assertEqual(recorded.receive(pusher).status, 200)
        self.assertEqual(recorded.receive(scraper).body, recorded.inner(push.body).body)

    def test_the_page_of_its_own(self):
        self.running()
        wanted = [recorded.unescape(line) for line in recorded.lines("23-metrics-proxy.txt")
                  if line and not line.startswith(b"#")]
        connection = self.connect(self.ports[0])
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: p\r\n\r\n")
        got = recorded.receive(connection)
        self.assertEqual(got.start + b"\r\n", wanted[0])
        self.assertIn(b"Content-Type: " + got.all("content-type")[0].encode() + b"\r\n", wanted)
        self.assertIn(b"godwit_pushprox_proxy_clients 0", got.body)

    @takes(10)
    def test_how_odd_times_are_read(self):
        # As recorded: the default is a second, nobody polls, the scraper itself gives up after three.
        self.running(always_500=True, unknown_grace="20s", default_scrape_timeout="1s")
        rows = [line.decode() for line in recorded.lines("26-timeout-values.txt") if line.startswith(b"'")]
        self.assertEqual(len(rows), 12)

        def ask(number, value):
            began = time.monotonic()
            scrape = Scrape(self.ports[0], "http://ghost%d.example.test/" % number, timeout=value).done()
            return scrape.status, time.monotonic() - began
        results = {}
        threads = []
        wanted = {}
        for number, text in enumerate(rows):
            value, rest = text[1:].split("'", 1)
            words = rest.split()
            wanted[value] = words[words.index("status") + 1], float(words[words.index("after") + 1])
            # What the recorded scraper did not wait for ends with this test, and so does what has no bound with the
            # original: it takes five minutes at most here.
            if wanted[value][0] == "000" or value == "1e30":
                self.waits_longer(number, value)
                continue
            threads.append(threading.Thread(target=lambda number=number, value=value: results.update(
                {value: ask(number, value)})))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for value, (status, seconds) in results.items():
            self.assertEqual(status, int(wanted[value][0]), value)
            # Ours answers a tenth before the end, and a busy machine a little later.
            self.assertGreater(seconds, 0 if wanted[value][1] < 0.2 else 0.75 * wanted[value][1], value)
            self.assertLess(seconds, wanted[value][1] + 5, value)
        self.assertEqual(len(results), 10)

    def waits_longer(self, number, value):
        scraper = self.connect(self.ports[0])
        scraper.settimeout(2)
        scraper.sendall(("GET http://ghost%d.example.test/ HTTP/1.1\r\nHost: x\r\n"
                         "X-Prometheus-Scrape-Timeout-Seconds: %s\r\n\r\n" % (number, value)).encode())
        with self.assertRaises(TimeoutError, msg=value):
            scraper.recv(1)


class Played:
    """A sample, played to a proxy: all connections to it are ours."""

    def __init__(self, test, name, ours, compat):
        self.test, self.name, self.ours, self.compat = test, name, ours, compat
        self.port = test.ports[1 if ours.get("scrapers") else 0]
        self.blocks = [block for block in recorded.blocks(name) if block.connection[0] in "PC" and
                       block.connection not in ours.get("without", ())]
        self.connections, self.closed, self.ids = {}, set(), {}
        self.asked, self.pushed, self.heads = [], [], {}
        self.polls = test.figures()["polls"]

    def run(self):
        try:
            self.play()
        finally:
            for connection in self.connections.values():
                connection.close()

    def play(self):
        first = {}
        for block in self.blocks:
            first.setdefault(block.connection, block)
        for name, block in first.items():
            # What hung already when the recording began.
            if block.direction == "<" and block.data is not None:
                self.send(name, self.test.poll_bytes())
            elif block.direction == "!" or block.data is None:
                self.closed.add(name)
        for index, block in enumerate(self.blocks):
            if block.direction == "!" or block.connection in self.closed and block.data is None:
                continue
            if block.data is None:
                self.end(block)
            elif block.direction == ">":
                self.send(block.connection, block.data)
                later = [each for each in self.blocks[index + 1:] if each.connection == block.connection]
                # What the original left open, and ours answers.
                if block.connection in self.ours and not any(each.direction == "<" and each.data is not None
                                                             for each in later):
                    self.answer(block.connection, None)
            else:
                self.answer(block.connection, block.data)

    def send(self, name, data):
        if name not in self.connections:
            self.connections[name] = self.test.connect(self.port)
        for theirs, ours in self.ids.items():
            # In the head of the push; a page may show it too.
            data = data.replace(theirs, ours, 1)
        if self.ids and b"Id: injected" in data and name[0] == "C":
            # The real client takes the first of two ids; of ours there is one.
            push = recorded.inner(data)
            inside = push.body.replace(b"injected", list(self.ids.values())[-1])
            data = push.raw[:-len(push.body)].replace(b": %d" % len(push.body), b": %d" % len(inside)) + inside
        self.connections[name].sendall(data)
        for message in recorded.messages(data)[0]:
            line = message.start.split(b" ")
            self.heads[name] = line[0] == b"HEAD"
            if line[1].endswith(b"/poll"):
                self.polls += 1
                wait_until(lambda: self.test.figures()["polls"] == self.polls, 30, "%s: the poll has come" % self.name)
            elif line[1].endswith(b"/push"):
                self.pushed.append(recorded.inner(message.body))
            elif name[0] == "P":
                self.asked.append(message)

    def end(self, block):
        """An end as recorded; ours may keep a connection that the original closes."""
        name, connection = block.connection, self.connections[block.connection]
        if block.direction == ">":
            connection.shutdown(socket.SHUT_WR)
            self.heads[name + "!"] = True
        elif name + "!" in self.heads or name not in self.ours.get("stays", ()):
            try:
                self.test.assertEqual(connection.recv(1), b"", "%s %s: it ends" % (self.name, name))
            except ConnectionResetError:
                pass
            self.closed.add(name)

    def answer(self, name, data):
        bodyless = self.heads.get(name, False)
        got = recorded.receive(self.connections[name], bodyless)
        wanted = recorded.inner(data, bodyless) if data else None
        if wanted and name[0] == "C" and wanted.status == 200 and wanted.body:
            return self.handed_out(name, got, wanted)
        status, differs = self.status(name, wanted)
        if status is None:
            return self.test.assertIsNone(got, self.name)
        self.test.assertIsNotNone(got, "%s: no answer at %s" % (self.name, name))
        self.test.assertEqual(got.status, status, "%s %s: %r" % (self.name, name, got))
        if name[0] == "C":
            # Of a poll or a push: never with a text, whatever the original says.
            self.test.assertEqual(got.body, b"", self.name)
            if not differs and wanted.status == 200:
                self.test.assertEqual(self.test.headers(got, "answers to scrapers"),
                                      self.test.headers(wanted, "answers to scrapers"), self.name)
            return None
        if not differs or self.compat and name in self.ours.get("words", ()):
            return self.as_recorded(name, got, wanted)
        if status == 200:
            return self.test.assertEqual(got.body, self.pushed[-1].body, self.name)
        self.test.assertEqual(got.body.count(b"\n"), 1, "%s: one line of text" % self.name)
        return self.test.assertEqual(got.all("x-content-type-options"), ["nosniff"], self.name)

    def status(self, name, wanted):
        """(status, whether it is another one than recorded) of an answer."""
        if len(self.pushed) > 1 and name[0] == "C" and "late" in self.ours:
            return (500, False) if self.compat else (self.ours["late"], True)
        if name not in self.ours:
            return wanted.status, False
        if not self.compat:
            return self.ours[name], True
        return self.ours.get("compat", {}).get(name, wanted.status if wanted else 500), True

    def as_recorded(self, name, got, wanted):
        """Line and body to the byte, headers as a set."""
        self.test.assertEqual((got.start, got.body), (wanted.start, wanted.body), "%s %s" % (self.name, name))
        # A kind of content that the pusher did not tell is the original's guess.
        guess = ["content-type"] if self.pushed and not self.pushed[-1].all("content-type") and got.status != 204 and \
            not wanted.all("x-content-type-options") else []
        self.test.assertEqual(self.test.headers(got, "answers to scrapers", *guess),
                              self.test.headers(wanted, "answers to scrapers", *guess), "%s %s" % (self.name, name))

    def handed_out(self, name, outer, wanted):
        self.test.assertIsNotNone(outer, "%s: no scrape at %s" % (self.name, name))
        # nginx asks in HTTP/1.0 and takes an answer in 1.1.
        self.test.assertEqual(outer.start[8:], wanted.start[8:])
        self.test.assertEqual(self.test.headers(outer, "answers to scrapers", "content-length"),
                              self.test.headers(wanted, "answers to scrapers", "content-length", "transfer-encoding"))
        got, wanted = recorded.inner(outer.body), recorded.inner(wanted.body)
        self.test.assertEqual((got.start, got.body), (wanted.start, wanted.body), self.name)
        # The original invents an agent where the scraper has none.
        invented = [] if self.asked[-1].all("user-agent") else ["user-agent"]
        of = "scrapes as the client gets them"
        self.test.assertEqual(self.test.headers(got, of), self.test.headers(wanted, of, *invented), self.name)
        ours, theirs = got.all("id"), wanted.all("id")
        self.test.assertEqual((len(ours), len(ours[0])), (1, len(theirs[-1])), self.name)
        self.ids[theirs[-1].encode()] = ours[0].encode()
        granted = float((wanted.all("x-prometheus-scrape-timeout-seconds") or ["15"])[0])
        left = float(got.all("x-prometheus-scrape-timeout-seconds")[0])
        self.test.assertTrue(0 < left < granted, "%s: %s of %s s are left" % (self.name, left, granted))


class Client(Recorded):
    """Our client, and what real proxies and targets sent: all samples at once, each with a proxy of its own."""

    @takes(10)
    def test_every_sample(self):
        self.needs_program("openssl")
        cases = {name: StandIn(self, name, each.client) for name, each in SAMPLES.items()
                 if not isinstance(each.client, str)}
        self.assertGreater(len(cases), 35)
        target = Target(self)
        files = self.folder()
        authority = Authority(files)
        secure = Target(self, server_context(*authority.issue("server")))
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))
        self.addCleanup(closed.close)
        nobody = "http://127.0.0.1:%d" % closed.getsockname()[1]
        agent = self.agent(inputs=[], extra=client_config(
            [each.place() for each in cases.values()],
            [{"name": NAME, "port": 9199, "url": nobody}, {"name": NAME, "port": 1, "url": nobody},
             {"name": NAME, "port": 9443, "url": "https://127.0.0.1:%d" % secure.port, "tls_ca": authority.certificate},
             {"name": NAME, "url": "http://127.0.0.1:%d" % target.port}],
            retry_initial_wait="100ms", retry_max_wait="1s", max_scrapes=100))
        for name, case in cases.items():
            with self.subTest(name):
                case.check(agent, secure if "https" in name else target)
        self.assertTrue(agent.is_running)


class Target:
    """Answers a request with what the recorded target answered to the same request line."""

    def __init__(self, test, context=None):
        self.answers, self.heard, self.context = {}, {}, context
        for name in recorded.names():
            if name.startswith(recorded.FREE):
                continue
            waiting = None
            for block in recorded.blocks(name):
                if block.connection[0] == "T" and block.direction == ">" and block.data:
                    waiting = recorded.messages(block.data)[0][0].start
                elif block.connection[0] == "T" and block.data and waiting:
                    self.answers.setdefault(waiting, block.data)
                elif "https" in name and block.connection == "C2" and block.direction == ">":
                    # Not recorded, for it was over TLS: what was pushed tells it.
                    inside = recorded.inner(recorded.inner(block.data).body)
                    line = b"GET /echo?b=2&a=1 HTTP/1.1"
                    self.answers[line] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(
                        inside.body) + inside.body
        server = socket.create_server(("127.0.0.1", 0))
        test.addCleanup(server.close)
        self.port = server.getsockname()[1]
        serve_each(server, self.serve)

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            request = recorded.receive(connection)
            if request is None:
                return
            self.heard.setdefault(request.start, []).append(request)
            answer = self.answers.get(request.start)
            if answer is None:
                # As the slow one: it hangs until its client is gone.
                connection.recv(1)
                return
            connection.sendall(answer)
        except OSError:
            pass
        finally:
            connection.close()


class StandIn:
    """A proxy that answers polls and pushes with the bytes of a sample, and keeps what it hears."""

    def __init__(self, test, name, ours):
        self.test, self.name, self.ours = test, name, ours
        self.instructions, self.replies, self.wanted_polls, self.wanted_pushes = [], [], [], []
        #: What the target was asked and told.
        self.asked, self.told = [], []
        self.polls, self.pushes, self.ends = [], [], set()
        if name.startswith(recorded.FREE):
            self.instructions.append(recorded.answer(name))
        else:
            self.read(recorded.blocks(name))
        # Two connections of the real client fail before one is taken.
        self.refuses = name.startswith("19-")
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind(("127.0.0.1", 0))
        test.addCleanup(self.server.close)
        self.port = self.server.getsockname()[1]
        if not self.refuses:
            self.listen()

    def read(self, blocks):
        for index, block in enumerate(blocks):
            if block.data is None or block.connection[0] not in "CFT":
                continue
            found = recorded.messages(block.data)[0] or [recorded.inner(block.data)]
            if block.connection[0] == "T":
                (self.asked if block.direction == ">" else self.told).extend(found)
            elif block.direction == ">":
                for each in found:
                    kind = self.wanted_pushes if each.start.split(b" ")[1].endswith(b"/push") else self.wanted_polls
                    kind.append(each)
            else:
                is_push = any(each.connection == block.connection and each.direction == ">" and each.data and
                              b"/push HTTP" in each.data.split(b"\r\n")[0] for each in blocks[:index])
                (self.replies if is_push else self.instructions).append(block.data)
                later = [each for each in blocks[index + 1:] if each.connection == block.connection]
                if later and later[0].direction == "<" and later[0].data is None:
                    self.ends.add(block.data)

    def place(self):
        """The configuration of this proxy: with what the recorded client showed."""
        place = {"url": "http://127.0.0.1:%d" % self.port}
        shown = [each.all("authorization") for each in self.wanted_polls if each.all("authorization")]
        if shown:
            place.update(username="user", password="p@ss")
            place["url"] += self.wanted_polls[0].start.split(b" ")[1].decode().removesuffix("/poll")
        return place

    def listen(self):
        self.server.listen(16)
        serve_each(self.server, self.serve)

    def serve(self, connection):
        try:
            while (request := recorded.receive(connection)) is not None:
                is_push = request.start.split(b" ")[1].endswith(b"/push")
                (self.pushes if is_push else self.polls).append(request)
                queue = self.replies if is_push else self.instructions
                if queue:
                    answer = queue.pop(0)
                    connection.sendall(answer)
                    if answer in self.ends:
                        break
        except OSError:
            pass
        finally:
            connection.close()

    def figures(self, agent):
        return next(each for each in agent.status()["pushprox"]["client"]["polls"]
                    if ":%d" % self.port in each["proxy"])

    def check(self, agent, target):
        if self.refuses:
            wait_until(lambda: self.figures(agent)["errors"] >= 1, 30, "%s: a refused poll" % self.name)
            self.listen()
        if "trouble" in self.ours:
            return self.check_trouble(agent)
        wanted = self.wanted_pushes
        count = max(1, len(wanted))
        wait_until(lambda: len(self.pushes) >= count, 60, "%s: %d pushes" % (self.name, count))
        self.check_outer()
        for index, push in enumerate(self.pushes[:count]):
            # What the original did not push in time has no record.
            self.check_push(recorded.inner(push.body, self.is_head()), index)
        if self.ours.get("target", True) and self.asked:
            self.check_target(target)
        # Neither a refused push nor anything else is tried again.
        self.test.assertEqual(len(self.pushes), count, self.name)
        return None

    def is_head(self):
        return bool(self.asked) and self.asked[0].start.startswith(b"HEAD")

    def check_outer(self):
        polled = self.wanted_polls[0]
        for got, wanted in [(self.polls[0], polled)] + list(zip(self.pushes, self.wanted_pushes)):
            # nginx turns HTTP/1.1 into 1.0.
            self.test.assertEqual(got.start[:-1], wanted.start[:-1], self.name)
            self.test.assertEqual(self.test.headers(got, "polls and pushes"),
                                  self.test.headers(wanted, "polls and pushes", "connection"), self.name)
            self.test.assertEqual(got.all("content-length"), [str(len(got.body))], self.name)
        self.test.assertEqual(self.polls[0].body, polled.body, self.name)

    def check_push(self, got, index):
        recorded_push = self.wanted_pushes[index] if index < len(self.wanted_pushes) else None
        wanted = recorded.inner(recorded_push.body, self.is_head()) if recorded_push else None
        self.test.assertTrue(got.is_whole, self.name)
        if wanted:
            # Of two ids the last is the proxy's.
            ids = wanted.all("id") if wanted.all("id") != ["injected"] else self.asked[0].all("id")[-1:]
            self.test.assertEqual(got.all("id"), ids, self.name)
        left = got.all("x-prometheus-scrape-timeout-seconds")
        self.test.assertTrue(len(left) == 1 and float(left[0]) > 0, self.name)
        self.test.assertEqual(got.all("x-prometheus-scrape-timeout"), [], self.name)
        if "status" in self.ours:
            self.test.assertEqual(got.status, self.ours["status"], "%s: %r" % (self.name, got))
            if got.status >= 400:
                self.test.assertEqual(got.body.count(b"\n"), 1, self.name)
            return
        # An answer in HTTP/1.0 is one in 1.1 from us.
        self.test.assertEqual(got.start[8:], wanted.start[8:], self.name)
        of = "responses as the proxy gets them"
        if self.ours.get("page") == "target":
            wanted = self.told[0]
        self.test.assertEqual(got.body, wanted.body, self.name)
        self.test.assertEqual(self.test.headers(got, of), self.test.headers(wanted, of), self.name)
        if got.status not in (204, 304):
            length = wanted.all("content-length") if self.is_head() else [str(len(got.body))]
            self.test.assertEqual(got.all("content-length"), length, self.name)

    def check_target(self, target):
        wanted = self.asked[0]
        heard = target.heard.get(self.ours.get("line", wanted.start), [])
        self.test.assertTrue(heard, "%s: the target was not asked %r" % (self.name, wanted.start))
        of = "requests to targets"
        extra = self.ours.get("extra", ())
        wanted = self.test.headers(wanted, of, *extra)
        # Ours tells its own agent where the scraper tells none.
        own = ["user-agent"] if "user-agent" in extra else []
        # Several samples ask the same: one of the requests is this one's.
        self.test.assertIn(wanted, [self.test.headers(each, of, *own) for each in heard], self.name)

    def check_trouble(self, agent):
        wait_until(lambda: len(self.polls) > 1, 30, "%s: it polls again" % self.name)
        self.test.assertEqual(self.pushes, [], self.name)
        # The same poll again, whatever it was told.
        self.test.assertEqual((self.polls[1].start, self.polls[1].body), (b"POST /poll HTTP/1.1", NAME.encode()))
        figures = self.figures(agent)
        self.test.assertEqual(figures["errors"], 1, self.name)
        self.test.assertIn(self.ours["trouble"], figures["last_error"], self.name)
