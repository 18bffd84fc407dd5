"""What real PushProx programs said on the wire, replayed from both sides: recorded bytes go to our proxy and our client,
and what these answer must mean what the record means. Headers may stand in another order; where ours is better on
purpose, the test says how."""
import os
import re
import socket
import threading

from support.case import EndToEnd
from support.influx import free_port
from support.processes import wait_until
from support.pushprox import client_config, field, listens, proxy_config

FOLDER = os.environ.get("GODWIT_PUSHPROX_SAMPLES", "../shared/fixtures/pushprox")
ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|[rnt\\])")


def unescape(text):
    """The bytes that a line of a sample stands for."""
    plain = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}
    return ESCAPE.sub(lambda match: plain.get(match.group(1)) or bytes([int(match.group(1)[1:], 16)]), text)


def read(name):
    """{(connection, direction): bytes} of a sample; each block is as long as it says."""
    streams, wanted, block = {}, None, b""
    with open(os.path.join(FOLDER, name), "rb") as file:
        lines = file.read().split(b"\n")
    for line in lines + [b"@ +0s X ! end"]:
        if line.startswith(b"@ "):
            if wanted is not None:
                assert len(block) == wanted[1], "%s: a block of %d bytes, not %d" % (name, len(block), wanted[1])
                streams[wanted[0]] = streams.get(wanted[0], b"") + block
            parts = line.decode().split()
            wanted = ((parts[2], parts[3]), int(parts[4])) if len(parts) > 5 and parts[5] == "bytes" else None
            block = b""
        elif wanted is not None and line[:1] in (b"<", b">"):
            block += unescape(line[3:] if line[1:2] == b"+" else line[2:])
    return streams


def unchunk(data):
    """(body, how many bytes it took); None while it is not whole."""
    body, at = b"", 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at:end].split(b";")[0], 16)
        if len(data) < end + 4 + size:
            return None
        if size == 0:
            return body, end + 4
        body += data[end + 2:end + 2 + size]
        at = end + 4 + size


def messages(data, closed=True):
    """[(whole bytes, head, body)] of a stream of requests or responses."""
    found = []
    while b"\r\n\r\n" in data:
        head, rest = data.split(b"\r\n\r\n", 1)
        head += b"\r\n\r\n"
        length = field(head, "Content-Length")
        if [each.lower() for each in field(head, "Transfer-Encoding")] == ["chunked"]:
            whole = unchunk(rest)
            if whole is None:
                break
            body, taken = whole
        elif length:
            if len(rest) < int(length[0]):
                break
            body, taken = rest[:int(length[0])], int(length[0])
        else:
            body, taken = (rest, len(rest)) if head.startswith(b"HTTP/") and closed else (b"", 0)
        found.append((head + rest[:taken], head, body))
        data = rest[taken:]
    return found


def inner_body(message):
    """The body inside of a push, as its reader gets it; None for one that is cut."""
    head, rest = message.split(b"\r\n\r\n", 1)
    if [each.lower() for each in field(head, "Transfer-Encoding")] == ["chunked"]:
        whole = unchunk(rest)
        return whole[0] if whole else None
    length = field(head, "Content-Length")
    return None if length and len(rest) < int(length[0]) and rest else rest


def receive(connection, count=1):
    """The next response or request of a connection."""
    data = b""
    while len(messages(data, closed=False)) < count:
        piece = connection.recv(65536)
        if not piece:
            return messages(data)
        data += piece
    return messages(data, closed=False)


class Samples(EndToEnd):
    def setUp(self):
        super().setUp()
        if not os.path.isdir(FOLDER):
            self.skipTest("no samples at %s" % FOLDER)
        self.names = sorted(name for name in os.listdir(FOLDER) if name.endswith(".txt"))

    def connect(self, port):
        made = socket.create_connection(("127.0.0.1", port), 30)
        made.settimeout(30)
        self.addCleanup(made.close)
        return made

    def scrape_of(self, streams):
        """The recorded scrape, poll, instruction, push and answer of a sample; None where there are not all of them."""
        polls, instructions, pushes = [], [], []
        for (name, direction), data in streams.items():
            if name[0] != "C":
                continue
            for whole, head, body in messages(data):
                if direction == ">" and b"/poll HTTP" in head.split(b"\r\n")[0]:
                    polls.append(whole)
                elif direction == ">" and b"/push HTTP" in head.split(b"\r\n")[0] and field(body, "Id"):
                    pushes.append((whole, body))
                elif direction == "<" and body.split(b"\r\n")[0].endswith(b"HTTP/1.1"):
                    instructions.append(body)
        scrapes = [each for each in messages(streams.get(("P1", ">"), b"")) if not each[1].startswith(b"GET /")]
        answers = messages(streams.get(("P1", "<"), b""))
        return (scrapes, polls, instructions, pushes, answers) if scrapes and polls and instructions and pushes else None

    def test_our_proxy_and_what_real_clients_and_scrapers_sent(self):
        replayed = 0
        for name in self.names:
            streams = read(name)
            parts = self.scrape_of(streams)
            # No timeout is a scrape of its own rules, a CONNECT is refused by us, two ids are one with us; and what was
            # answered too late has no answer to compare with.
            if not parts or name[:2] in ("12", "17", "18", "19", "20", "29") and "https" not in name:
                continue
            scrapes, polls, instructions, pushes, answers = parts
            with self.subTest(name):
                self.replay(name, scrapes[0], polls[0], instructions[0], pushes[0], answers)
                replayed += 1
        self.assertGreaterEqual(replayed, 18)

    def replay(self, name, scrape, poll, instruction, push, answers):
        port = free_port()
        agent = self.agent(inputs=[], extra=proxy_config([{"listen": "127.0.0.1:%d" % port}]))
        wait_until(lambda: listens(port), 30, "the proxy listens")
        client, scraper, pusher = (self.connect(port) for _ in range(3))
        client.sendall(poll)
        wait_until(lambda: agent.status()["pushprox"]["proxy"]["waiting_polls"] == 1, 30, "the poll waits")
        scraper.sendall(scrape[0])
        got = receive(client)[0][2]
        self.assertEqual(got.split(b"\r\n")[0], instruction.split(b"\r\n")[0])
        for header in ("Host", "User-Agent", "Accept", "Accept-Encoding", "Authorization", "Cookie"):
            self.assertEqual(field(got, header), field(instruction, header), header)
        self.assertEqual(got.split(b"\r\n\r\n", 1)[1], instruction.split(b"\r\n\r\n", 1)[1])
        self.assertEqual(len(field(got, "Id")), 1)
        whole, body = push
        recorded, ours = field(body, "Id")[0].encode(), field(got, "Id")[0].encode()
        self.assertEqual(len(recorded), len(ours))
        pusher.sendall(whole.replace(b"Id: " + recorded, b"Id: " + ours, 1))
        pushed = receive(pusher)[0]
        status = int(body.split(b" ")[1])
        wanted = inner_body(body)
        reply = b""
        while True:
            try:
                piece = scraper.recv(65536)
            except OSError:
                break
            reply += piece
            found = messages(reply, closed=not piece)
            if not piece or found or b"HEAD " in scrape[0][:5] and b"\r\n\r\n" in reply:
                break
        self.assertEqual(field(reply, "Id"), [])
        self.assertEqual(field(reply, "X-Prometheus-Scrape-Timeout"), [])
        if wanted is None:
            # The original passes the part on, with chunks even as a whole.
            self.assertEqual((reply[9:12], pushed[0][9:12]), (b"502", b"400"))
            return
        self.assertEqual(pushed[0][9:12], b"200", pushed)
        self.assertEqual(pushed[2], b"")
        self.assertEqual(int(reply[9:12]), status)
        if b"HEAD " in scrape[0][:5]:
            self.assertEqual(field(reply, "Content-Length"), field(body, "Content-Length"))
        elif status not in (204, 304):
            self.assertEqual(messages(reply)[0][2], wanted)
            # What the scraper got from the original, byte for byte.
            if answers and messages(streams_body(answers)):
                self.assertEqual(messages(reply)[0][2], messages(streams_body(answers))[0][2])
            self.assertEqual(field(reply, "Content-Encoding"), field(body, "Content-Encoding"))

    def test_our_proxy_and_pushes_that_nobody_waits_for(self):
        port = free_port()
        self.agent(inputs=[], extra=proxy_config([{"listen": "127.0.0.1:%d" % port}]))
        wait_until(lambda: listens(port), 30, "the proxy listens")
        for name in (each for each in self.names if each.startswith("14-")):
            for whole, _, body in messages(read(name)[("C1", ">")]):
                with self.subTest(name):
                    connection = self.connect(port)
                    connection.sendall(whole)
                    reply = receive(connection)[0]
                    # At once and without a body: the original holds it for 15 s, and its body costs the connection.
                    self.assertIn(reply[0][9:12], (b"400", b"410"), name)
                    self.assertEqual(reply[2], b"")

    def test_our_client_and_what_real_proxies_and_targets_sent(self):
        replayed = 0
        for name in self.names:
            streams = read(name)
            parts = self.scrape_of(streams)
            target = streams.get(("T1", "<"))
            # A POST and what a redirect leads to are not for our client.
            if not parts or not target or name[:2] in ("11", "18", "20", "29") or "post" in name:
                continue
            with self.subTest(name):
                self.play(name, parts, target)
                replayed += 1
        self.assertGreaterEqual(replayed, 12)

    def stand_in(self, answer):
        """A proxy that answers the first poll with these bytes, lets others hang, and keeps what is pushed."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        heard = {"polls": [], "pushes": []}

        def serve(connection):
            try:
                while True:
                    got = receive(connection)
                    if not got:
                        return
                    whole, head, body = got[0]
                    if b"/push HTTP" in head.split(b"\r\n")[0]:
                        heard["pushes"].append(body)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        continue
                    heard["polls"].append(whole)
                    if len(heard["polls"]) == 1:
                        connection.sendall(answer)
            except OSError:
                pass

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return server.getsockname()[1], heard

    def play(self, name, parts, target):
        _, polls, _, pushes, _ = parts
        heard_at_target = []
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def serve():
            try:
                connection, _ = server.accept()
                heard_at_target.append(connection.recv(65536))
                # Only the first response of a connection that carried several.
                first = messages(target)
                connection.sendall(first[0][0] if first and len(first) > 1 else target)
                connection.close()
            except OSError:
                pass
        threading.Thread(target=serve, daemon=True).start()
        answers = [whole for key, data in read(name).items() if key[0][0] == "C" and key[1] == "<"
                   for whole, _, body in messages(data) if body.split(b"\r\n")[0].endswith(b"HTTP/1.1")]
        port, heard = self.stand_in(answers[0])
        polled = messages(polls[0])[0][2].strip().decode()
        self.agent(inputs=[], extra=client_config(
            ["http://127.0.0.1:%d" % port],
            [{"name": polled, "url": "http://127.0.0.1:%d" % server.getsockname()[1]}]))
        push = wait_until(lambda: heard["pushes"], 30, "%s: a push" % name)[0]
        # Name, method and the empty kind of content are those of a real client.
        poll = heard["polls"][0]
        self.assertTrue(poll.startswith(b"POST /poll HTTP/1.1\r\n"), poll)
        self.assertEqual(messages(poll)[0][2], polled.encode())
        recorded = pushes[0][1]
        self.assertEqual(field(push, "Id"), field(recorded, "Id"))
        self.assertTrue(push.startswith(b"HTTP/1.1 "))
        self.assertEqual(field(push, "X-Prometheus-Scrape-Timeout"), [])
        self.assertEqual(len(field(push, "X-Prometheus-Scrape-Timeout-Seconds")), 1)
        if name.startswith("10-truncated") or name.startswith("13-bad-origin"):
            self.assertEqual(push[9:12], b"502")
            return
        self.assertEqual(push[9:12], recorded[9:12])
        for header in ("Content-Type", "Content-Encoding"):
            if name[:2] != "25":
                self.assertEqual(field(push, header), field(recorded, header), header)
        # The original asks for gzip by itself where the scraper did not; ours does not.
        if name[:2] not in ("25", "09", "13"):
            self.assertEqual(inner_body(push), inner_body(recorded))
        asked = messages(read(name)[("T1", ">")])[0][0]
        self.assertEqual(heard_at_target[0].split(b"\r\n")[0], asked.split(b"\r\n")[0])
        self.assertEqual(field(heard_at_target[0], "Host"), field(asked, "Host"))

    def test_our_client_and_answers_that_are_no_scrape_or_may_not_be_one(self):
        for name in (each for each in self.names if each.startswith("21-client-")):
            streams = read(name)
            answer = messages(streams[("F1", "<")])
            if not answer or "push-refused" in name or "any-port" in name:
                continue
            with self.subTest(name):
                port, heard = self.stand_in(answer[0][0])
                self.agent(inputs=[], extra=client_config(
                    ["http://127.0.0.1:%d" % port], [{"name": "client-a.example.test", "url": "http://127.0.0.1:1"}],
                    retry_initial_wait="50ms"))
                wait_until(lambda: len(heard["polls"]) > 1, 30, "%s: it polls again" % name)
                if "-poll-" in name:
                    self.assertEqual(heard["pushes"], [])
                    continue
                push = wait_until(lambda: heard["pushes"], 30, "%s: a push" % name)[0]
                # Case does not count with us; the target is not there.
                self.assertIn(push[9:12], (b"400", b"403", b"502"), name)


def streams_body(answers):
    """The first answer of a list."""
    return answers[0][0]
