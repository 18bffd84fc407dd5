"""The metadata relay: guests report through it to a real influxd, known by their addresses and by nothing they say."""
import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest
import zlib

from support import agent as agents
from support import processes
from support.case import EndToEnd
from support.certificates import Authority
from support.influx import free_port
from support.processes import wait_until

#: Guests by name: source address and labels. Any address of 127/8 can be bound, so one machine plays many guests.
GUESTS = {
    "a": (["127.0.0.11", "::1"], {"vm_id": "id-a", "vm_name": "web 1, a=b", "tenant_id": "t-a", "tenant": "shop",
                                  "host": "hv-1", "host_id": "h1", "zone": "z1", "domain_id": ""}),
    "b": (["127.0.0.12"], {"vm_id": "id-b", "vm_name": "db", "tenant_id": "t-b"}),
}
STRANGER = "127.0.0.99"
LIMIT = 16 << 20


def guests_text(guests):
    parts = []
    for addresses, labels in guests.values():
        parts.append(agents.table("[[guests]]", {"addresses": addresses, "labels": labels,
                                                 "metadata": {"mac": "00:22:d9:00:00:01"}}))
    return "\n".join(parts)


def talk(port, data, source="127.0.0.11", seconds=20, host="127.0.0.1", shut=False):
    """Raw bytes to the relay from an address, and everything that comes back until it closes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(seconds)
        if source:
            connection.bind((source, 0))
        connection.connect((host, port))
        try:
            connection.sendall(data)
            if shut:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = b""
        try:
            while True:
                chunk = connection.recv(65536)
                if not chunk:
                    break
                got += chunk
        except OSError:
            pass
        return got


def status_of(reply):
    """The status of the last response in raw bytes; 0 without any."""
    codes = [line.split()[1] for line in reply.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    return int(codes[-1]) if codes else 0


class Relay(EndToEnd):
    """What the tests share: a daemon that is nothing but the relay."""

    def relay(self, url, options=None, guests=None, extra=""):
        self.port = free_port()
        self.guests = os.path.join(self.folder(), "guests.toml")
        self.write_guests(guests_text(GUESTS if guests is None else guests))
        self.options = dict({"listen": ["127.0.0.1:%d" % self.port, "[::1]:%d" % self.port],
                             "guests_file": self.guests, "urls": [url], "database": "telegraf",
                             "guest_requests_per_second": 1000}, **(options or {}))
        made = self.agent(inputs=[], extra=self.section(extra))
        wait_until(lambda: all(each["state"] == "up" for each in self.state(made)["listeners"]), 20, "it listens")
        return made

    def section(self, extra=""):
        return agents.table("[metadata_relay]", self.options) + extra

    def write_guests(self, text, mode=0o644):
        with open(self.guests + ".new", "w") as file:
            file.write(text)
        os.chmod(self.guests + ".new", mode)
        os.rename(self.guests + ".new", self.guests)

    def state(self, agent):
        return agent.status()["metadata_relay"]

    def request(self, method, target, body=b"", headers=None, source="127.0.0.11", host="127.0.0.1", seconds=20):
        """One request of a well-behaved client: (status, headers, body)."""
        lines = {"Host": "169.254.169.254", "Connection": "close"}
        if body or method == "POST":
            lines["Content-Length"] = len(body)
        lines.update(headers or {})
        head = "%s %s HTTP/1.1\r\n" % (method, target)
        head += "".join("%s: %s\r\n" % pair for pair in lines.items()) + "\r\n"
        reply = talk(self.port, head.encode("latin-1") + body, source, seconds, host)
        return agents.parse_response(reply) if reply else (0, {}, b"")

    def write(self, lines, query="?db=telegraf", zipped=False, source="127.0.0.11", **options):
        """A write as Telegraf sends it."""
        body = lines if isinstance(lines, bytes) else lines.encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "Telegraf/1.19.0"}
        if zipped:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        return self.request("POST", "/monitor/write" + query, body, headers, source, **options)

    def rows(self, measurement):
        """[(tags, fields)] of a measurement in the database."""
        try:
            points = self.database.points(measurement)
        except ValueError:
            return []
        return [(dict(tags), fields) for (tags, _), fields in sorted(points.items())]


class Identity(Relay):
    """Every line is that of the guest whose address asked."""

    def setUp(self):
        super().setUp()
        self.database = self.influx()

    def test_lines_get_the_labels_of_the_source_address_whatever_they_claim(self):
        self.relay(self.database.url)
        line = "m,vm_id=%s,vm_name=mine,tenant_id=stolen,tenant=x,zone=q,domain_id=d,keep=1 f=1 %d"
        self.assertEqual(self.write(line % ("id-a", 1))[0], 204)
        self.assertEqual(self.write("m f=2 2\n" + line % ("id-b", 3), zipped=True)[0], 204)
        self.assertEqual(self.write(line % ("id-a", 4), source="127.0.0.12")[0], 204)
        self.assertEqual(self.write("m,six=6 f=5 5", source=None, host="::1")[0], 204)
        own = {key: text for key, text in GUESTS["a"][1].items() if text}
        other = {"vm_id": "id-b", "vm_name": "db", "tenant_id": "t-b"}
        found = {fields["f"]: [] for _, fields in self.rows("m")}
        by_time = {time: dict(tags) for (tags, time) in self.database.points("m")}
        self.assertEqual(by_time, {1: dict(own, keep="1"), 2: own, 3: dict(own, keep="1"), 4: dict(other, keep="1"),
                                   5: dict(own, six="6")}, found)

    def test_other_spellings_of_a_label_are_gone_too(self):
        self.relay(self.database.url)
        tricks = ["vm-id=x", "vm.id=x", "vm\\ id=x", "vm\\,id=x", "vm_id=x,vm_id=y", "vm\u00e9id=x", "tenant-id=x"]
        for time, trick in enumerate(tricks, 1):
            self.assertEqual(self.write("m,%s f=1 %d" % (trick, time))[0], 204, trick)
        own = {key: text for key, text in GUESTS["a"][1].items() if text}
        for (tags, _) in self.database.points("m"):
            self.assertEqual(dict(tags), own)
        self.assertEqual(len(self.database.points("m")), len(tricks))

    def test_a_line_cannot_hide_another_one(self):
        made = self.relay(self.database.url)
        tricks = [
            b"m,a=1\nm,vm_id=id-b f=1 1", b"m,a=1\\\nm,vm_id=id-b f=1 2", b"m f=\"x\nm,vm_id=id-b f=9 9\n\" 3",
            b"#c\rm,vm_id=id-b f=1 4", b"m,a=1\x00,vm_id=id-b f=1 5", b"m\x00,vm_id=id-b f=1 6",
            b"m\\\\,vm_id=id-b f=1 7", b"m,a=x\\\\,vm_id=id-b f=1 8", b"m,a=b\\ c,vm_id=id-b f=1 10",
            b"\x00#x\nm,vm_id=id-b f=1 11", b"m, vm_id=id-b f=1 12", b"m,vm_id\\=id-b f=1 13",
            b"m,a=\"q ,vm_id=id-b f=1 14", b"m,a=1 f=1,vm_id=\"id-b\" 15", b"m,a=1 f=1 16\rm,vm_id=id-b f=1 17",
            b"m,a=1 f=1 18 m,vm_id=id-b f=1 19", b"\xef\xbb\xbfm,vm_id=id-b f=1 20", b"m,vm_id=id-b,=x f=1 21",
        ]
        for trick in tricks:
            self.assertIn(self.write(trick)[0], (204, 400), trick)
        for series in self.database.query("SHOW SERIES")[0]["values"]:
            self.assertIn("vm_id=id-a", series[0])
            self.assertNotIn("id-b", series[0])
        self.assertGreater(self.state(made)["total"]["foreign_lines"], 0)

    def test_bad_lines_cost_themselves_and_are_counted(self):
        made = self.relay(self.database.url)
        code, _, body = self.write("m f=1 1\nbroken\nm f=2 2\nm f= 3\n\n# remark\nm f=4 4\n")
        self.assertEqual(code, 400)
        self.assertIn("partial write", json.loads(body)["error"])
        self.assertIn("dropped=2", json.loads(body)["error"])
        self.assertEqual(len(self.rows("m")), 3)
        self.assertIn("unable to parse", json.loads(self.write("nonsense\n")[2])["error"])
        self.assertEqual(self.state(made)["total"]["rejected_lines"], 3)
        self.assertEqual(self.write("m " + "x" * (1 << 20) + "=1 1\nm f=5 5\n")[0], 400)
        self.assertEqual(len(self.rows("m")), 4)

    def test_foreign_lines_can_be_refused_instead(self):
        self.relay(self.database.url, {"foreign_vm_id": "reject"})
        code, _, body = self.write("m,vm_id=id-b f=1 1\nm,vm_id=id-a f=2 2\n")
        self.assertEqual(code, 400)
        self.assertIn("somebody else", json.loads(body)["error"])
        self.assertEqual([fields for _, fields in self.rows("m")], [{"f": 2}])

    def test_strangers_wait_until_the_table_knows_them_and_a_bad_table_changes_nothing(self):
        made = self.relay(self.database.url)
        code, headers, _ = self.write("m f=1 1", source=STRANGER)
        self.assertEqual((code, "retry-after" in headers), (503, True))
        self.assertEqual(self.request("GET", "/monitor/ping", source=STRANGER)[0], 503)
        self.assertEqual(self.state(made)["strangers"], [STRANGER])
        more = dict(GUESTS, c=([STRANGER], {"vm_id": "id-c"}))
        self.write_guests(guests_text(more))
        wait_until(lambda: self.write("m f=1 1", source=STRANGER)[0] == 204, 20, "the new guest is known")
        for text, mode in (("[[guests]]\naddresses = [\"x\"]\n", 0o644), ("[[guests", 0o644),
                           (guests_text({}), 0o666),
                           (guests_text(dict(more, d=(["127.0.0.11"], {"vm_id": "id-d"}))), 0o644)):
            self.write_guests(text, mode)
            wait_until(lambda: self.state(made)["guests"]["reason"], 20, "the status says what is wrong")
            self.assertEqual(self.write("m f=2 2", source=STRANGER)[0], 204)
            self.assertEqual(made.status()["health"]["state"], "degraded")
            self.write_guests(guests_text(more))
            wait_until(lambda: not self.state(made)["guests"]["reason"], 20, "the good file is taken")
        os.unlink(self.guests)
        wait_until(lambda: self.state(made)["guests"]["reason"], 20, "the status says that it is gone")
        self.assertEqual(self.write("m f=3 3", source=STRANGER)[0], 204)
        self.write_guests(guests_text(GUESTS))
        wait_until(lambda: self.write("m f=4 4", source=STRANGER)[0] == 503, 20, "who is gone is a stranger")

    def test_headers_say_nothing_about_who_asks_and_nothing_of_them_goes_on(self):
        server = self.server()
        self.relay(server.url)
        lies = {"X-Forwarded-For": "127.0.0.12", "Forwarded": "for=127.0.0.12", "X-Real-IP": "127.0.0.12",
                "Authorization": "Basic Z3Vlc3Q6cHc=", "Cookie": "a=b", "X-Secret": "s", "X-Godwit-Batch": "evil-1",
                "Proxy-Authorization": "Basic x", "TE": "trailers", "Keep-Alive": "1"}
        code, _, _ = self.request("POST", "/monitor/write?db=other&u=me&p=pw&q=DROP&precision=s&rp=r&epoch=ns",
                                  b"m,vm_id=id-b f=1 1\n", lies)
        self.assertEqual(code, 204)
        sent = [each for each in server.requests if each.path.startswith("/write")][-1]
        for name in ("x-forwarded-for", "forwarded", "x-real-ip", "authorization", "cookie", "x-secret",
                     "x-godwit-batch", "proxy-authorization", "te"):
            self.assertNotIn(name, sent.headers)
        self.assertEqual(dict(sent.query), {"db": "telegraf", "precision": "s", "rp": "r"})
        self.assertIn(b"vm_id=id-a", b"\n".join(server.lines))

    def test_a_name_with_every_odd_character_arrives_unchanged(self):
        name = "a b,c=d\"e'f\\g 中文 \\n"
        self.relay(self.database.url, guests={"a": (["127.0.0.11"], {"vm_id": "id-a", "vm_name": name})})
        self.assertEqual(self.write("m,vm_name=old f=1 1")[0], 204)
        self.assertEqual(self.rows("m")[0][0]["vm_name"], name)


class Paths(Relay):
    """Nothing but the list is let through."""

    def setUp(self):
        super().setUp()
        self.database = self.server()

    def test_paths_outside_of_the_list_reach_nobody(self):
        self.relay(self.database.url)
        targets = [
            "/", "/write", "/query?q=SHOW%20DATABASES", "/monitor", "/monitor/", "/monitor/writes", "/monitor/write/",
            "/monitor/../write", "/monitor/./write", "/monitor//write", "//monitor/write", "/monitor/%2e%2e/write",
            "/monitor%2fwrite", "/monitor%2f..%2fwrite", "/monitor/write%00", "/monitor/write;x=y", "/Monitor/write",
            "/monitor/write%20", "/monitor/debug/vars", "/monitor/api/v2/write", "/monitor/api/v2/delete",
            "http://127.0.0.1:%d/monitor/write" % self.port, "https://evil/monitor/write", "monitor/write", "*",
            "/monitor/write#f", "/monitor\\write", "/..%5cmonitor/write", "/monitor/write/../query",
            "/latest/../monitor/write", "/latest/meta-data/../../monitor/write", "/2016-09-02/../monitor/query",
        ]
        for target in targets:
            for method in ("GET", "POST"):
                code = self.request(method, target, b"m f=1 1\n" if method == "POST" else b"")[0]
                self.assertIn(code, (400, 404), (method, target))
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "GET", "HEAD", "TRACE"):
            self.assertIn(self.request(method, "/monitor/write?db=telegraf")[0], (405, 400), method)
        for target in ("CONNECT 127.0.0.1:8086", "CONNECT /monitor/write"):
            reply = talk(self.port, ("%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target).encode())
            self.assertIn(status_of(reply), (0, 400, 404, 405), target)
        self.assertEqual([each for each in self.database.requests if each.path != "/ping"], [])

    def test_of_queries_only_the_creation_of_the_database_is_answered(self):
        self.relay(self.database.url)
        good = ["CREATE DATABASE \"telegraf\"", "create database telegraf", " CREATE  DATABASE \"telegraf\" ; "]
        bad = ["SELECT * FROM cpu", "DROP DATABASE telegraf", "CREATE DATABASE \"telegraf\"; DROP DATABASE telegraf",
               "CREATE DATABASE other", "CREATE DATABASE \"telegraf\" WITH DURATION 1h", "", "SHOW DATABASES",
               "CREATE DATABASE \"telegraf\"\n;DROP MEASUREMENT m", "CREATEDATABASE telegraf", "CREATE DATABASE"]
        import urllib.parse
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for statements, wanted in ((good, 200), (bad, 404)):
            for statement in statements:
                body = urllib.parse.urlencode({"q": statement})
                code, _, reply = self.request("POST", "/monitor/query", body.encode(), form)
                self.assertEqual(code, wanted, statement)
                self.assertEqual(self.request("GET", "/monitor/query?" + body)[0], wanted, statement)
                if wanted == 200:
                    self.assertIn("results", json.loads(reply))
        self.assertEqual([each for each in self.database.requests if each.path != "/ping"], [])

    def test_two_readings_of_one_request_are_refused(self):
        self.relay(self.database.url)
        body = b"m f=1 1\n"
        inner = b"POST /monitor/write?db=telegraf HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\ns f=1 1\n"
        chunk = b"8\r\n" + body + b"\r\n0\r\n\r\n"
        cases = {
            "length and chunks": (b"Content-Length: 8\r\nTransfer-Encoding: chunked\r\n", chunk),
            "chunks and length": (b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunk + inner),
            "two lengths": (b"Content-Length: 8\r\nContent-Length: 0\r\n", body + inner),
            "two equal lengths in one": (b"Content-Length: 8, 9\r\n", body),
            "a length with a sign": (b"Content-Length: +8\r\n", body),
            "a length in hexadecimal": (b"Content-Length: 0x8\r\n", body),
            "a negative length": (b"Content-Length: -1\r\n", body),
            "a huge length": (b"Content-Length: 99999999999999999999\r\n", body),
            "a folded header": (b"X-A: b\r\n Content-Length: 8\r\n", body),
            "a folded length": (b"Content-Length:\r\n 8\r\n", body),
            "a blank before the colon": (b"Content-Length : 8\r\n", body),
            "an unknown coding": (b"Transfer-Encoding: xchunked\r\n", chunk),
            "a coding behind chunks": (b"Transfer-Encoding: chunked, identity\r\n", chunk),
            "a chunk size that is none": (b"Transfer-Encoding: chunked\r\n", b"zz\r\n" + body + b"\r\n0\r\n\r\n"),
            "a chunk size that overflows": (b"Transfer-Encoding: chunked\r\n",
                                            b"fffffffffffffffff\r\n" + body + b"\r\n0\r\n\r\n"),
            "a negative chunk size": (b"Transfer-Encoding: chunked\r\n", b"-8\r\n" + body + b"\r\n0\r\n\r\n"),
            "a NUL in a header": (b"X-A: a\x00b\r\nContent-Length: 8\r\n", body),
            "a bare CR in a header": (b"X-A: a\rContent-Length: 8\r\n", body),
        }
        for name, (headers, payload) in cases.items():
            before = len(self.database.lines)
            data = b"POST /monitor/write?db=telegraf HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + payload
            reply = talk(self.port, data, seconds=15, shut=True)
            self.assertIn(status_of(reply), (0, 400, 413, 501), (name, reply[:200]))
            self.assertEqual(reply.count(b"HTTP/1.1 204"), 0, name)
            self.assertEqual(len(self.database.lines), before, name)

    def test_chunks_of_telegraf_and_pipelined_requests_are_served(self):
        self.relay(self.database.url)
        body = gzip.compress(b"m f=1 1\nm f=2 2\n")
        head = (b"POST /monitor/write?db=telegraf HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
                b"Transfer-Encoding: chunked\r\n")
        chunks = b"".join(b"%x\r\n%s\r\n" % (1, body[n:n + 1]) for n in range(len(body))) + b"0\r\n\r\n"
        last = b"GET /monitor/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        reply = talk(self.port, head + b"\r\n" + chunks + head + b"Expect: 100-continue\r\n\r\n" + chunks + last)
        self.assertEqual(reply.count(b"HTTP/1.1 204"), 3, reply)
        self.assertEqual(len(self.database.lines), 2)

    def test_meta_data_is_that_of_the_guest_and_read_only(self):
        self.relay(self.database.url)
        self.assertEqual(self.request("GET", "/latest/meta-data/instance-id")[2], b"id-a")
        self.assertEqual(self.request("GET", "/latest/meta-data/instance-id", source="127.0.0.12")[2], b"id-b")
        self.assertEqual(self.request("GET", "/2016-09-02/meta-data/hostname")[2].decode(), "web 1, a=b")
        self.assertEqual(self.request("GET", "/latest/meta-data/placement/availability-zone")[2], b"z1")
        self.assertIn(b"placement/\n", self.request("GET", "/latest/meta-data/")[2])
        self.assertEqual(self.request("GET", "/latest")[2], b"meta-data/\nuser-data\n")
        code, _, body = self.request("GET", "/latest/user-data")
        self.assertEqual((code, body), (200, b""))
        self.assertEqual(self.request("HEAD", "/latest/meta-data/mac")[0], 200)
        for target in ("tenant", "meta-data/tenant_id", "meta-data/nothing", "meta-data/instance-id/x"):
            self.assertEqual(self.request("GET", "/latest/" + target)[0], 404, target)
        self.assertEqual(self.request("PUT", "/latest/api/token")[0], 405)
        self.assertEqual(self.request("GET", "/latest/meta-data/instance-id", source=STRANGER)[0], 503)


class Bounds(Relay):
    """What is too large, too slow or too much."""

    def setUp(self):
        super().setUp()
        self.database = self.server()

    def test_bodies_beyond_the_limit_get_413_before_and_after_inflating(self):
        made = self.relay(self.database.url)
        self.assertEqual(self.write(b"#" * (LIMIT + 1), seconds=60)[0], 413)
        head = b"POST /monitor/write?db=telegraf HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        piece = b"10000\r\n" + b"#" * 65536 + b"\r\n"
        reply = talk(self.port, head + piece * 260 + b"0\r\n\r\n", seconds=60)
        self.assertEqual(status_of(reply), 413, reply[:100])
        maker = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(maker.compress(b"\n" * (1 << 20)) for _ in range(1024)) + maker.flush()
        self.assertLess(len(bomb), 2 << 20)
        rss = self.peak(made)
        code = self.request("POST", "/monitor/write?db=telegraf", bomb, {"Content-Encoding": "gzip"}, seconds=60)[0]
        self.assertEqual(code, 413)
        self.assertLess(self.peak(made) - rss, 64 << 20, "a bomb of 1 GiB was inflated")
        for body in (b"no gzip", gzip.compress(b"m f=1 1\n")[:-5], gzip.compress(b"m f=1 1\n") + b"x"):
            self.assertEqual(self.request("POST", "/monitor/write", body, {"Content-Encoding": "gzip"})[0], 400)
        self.assertEqual(self.request("POST", "/monitor/write", b"x", {"Content-Encoding": "br"})[0], 415)
        self.assertEqual(self.write(b"m f=1 1\n" + b"\n" * (LIMIT - 8), seconds=60)[0], 204)
        self.assertEqual(list(self.database.lines)[0].count(b"vm_id=id-a"), 1)

    def peak(self, agent):
        with open("/proc/%d/status" % agent.pid) as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

    def test_many_short_lines_go_on_in_pieces(self):
        made = self.relay(self.database.url)
        count = 100_000
        body = "".join("m f=%d %d\n" % (n, n + 1) for n in range(count))
        self.assertEqual(self.write(body, zipped=True, seconds=120)[0], 204)
        self.assertEqual(len(self.database.lines), count)
        self.assertEqual(self.state(made)["total"]["lines"], count)

    def test_slow_clients_are_closed_and_harm_nobody(self):
        self.relay(self.database.url, {"read_timeout": "2s", "max_connections_per_guest": 30})
        slow = []
        for number in range(20):
            connection = socket.create_connection(("127.0.0.1", self.port), 20, ("127.0.0.12", 0))
            connection.sendall(b"POST /monitor/write HTTP/1.1\r\nHost: x\r\nX-Slow: " if number % 2 else
                               b"POST /monitor/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nm")
            slow.append(connection)
        began = time.monotonic()
        self.assertEqual(self.write("m f=1 1")[0], 204)
        for connection in slow:
            connection.settimeout(20)
            data = b""
            while True:
                try:
                    chunk = connection.recv(4096)
                except OSError:
                    break
                if not chunk:
                    break
                data += chunk
            self.assertIn(status_of(data), (0, 408, 503), data)
            connection.close()
        self.assertLess(time.monotonic() - began, 19)

    def test_one_guest_cannot_take_the_places_of_others(self):
        made = self.relay(self.database.url, {"max_connections_per_guest": 4, "max_requests_per_guest": 2,
                                              "guest_requests_per_second": 2})
        held = []
        for _ in range(6):
            connection = socket.create_connection(("127.0.0.1", self.port), 20, ("127.0.0.12", 0))
            connection.settimeout(20)
            connection.sendall(b"POST /monitor/write HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            held.append(connection)
        wait_until(lambda: self.state(made)["refusals"].get("guest_requests", 0) >= 2, 20, "two of four are refused")
        reply = held[5].recv(4096)
        self.assertEqual(status_of(reply), 503)
        self.assertIn(b"Retry-After", reply)
        self.assertEqual(self.write("m f=1 1")[0], 204)
        for connection in held:
            connection.close()
        codes = [self.request("GET", "/monitor/ping")[0] for _ in range(40)]
        self.assertIn(503, codes)
        self.assertGreaterEqual(codes.count(204), 10)
        self.assertGreater(self.state(made)["refusals"]["guest_rate"], 0)
        self.assertEqual(self.request("GET", "/monitor/ping", source="127.0.0.12")[0], 204)

    def test_a_guest_that_sends_too_much_is_told_to_wait(self):
        made = self.relay(self.database.url, {"guest_bytes_per_second": "100KB"})
        codes = [self.write(b"#" * 900_000)[0] for _ in range(4)]
        self.assertEqual(codes[:2], [204, 204])
        self.assertEqual(codes[2:], [503, 503])
        self.assertEqual(self.state(made)["refusals"]["guest_bytes"], 2)
        self.assertEqual(self.write("m f=1 1", source="127.0.0.12")[0], 204)

    def test_a_database_that_is_away_is_answered_with_5xx_at_once(self):
        made = self.relay(self.database.url, {"timeout": "2s"})
        self.assertEqual(self.request("GET", "/monitor/ping")[0], 204)
        self.database.refuse()
        codes = set()
        for _ in range(6):
            code, headers, _ = self.write("m f=1 1")
            codes.add(code)
            if code == 503:
                self.assertIn("retry-after", headers)
        self.assertLessEqual(codes, {502, 503, 504})
        self.assertIn(503, codes)
        self.assertNotEqual(self.state(made)["upstream"]["state"], "closed")
        wait_until(lambda: self.request("GET", "/monitor/ping")[0] == 503, 20, "a ping says so too", 0.2)
        self.database.resume()
        wait_until(lambda: self.write("m f=1 1")[0] == 204, 40, "it is taken again", 0.2)
        self.assertEqual(self.state(made)["upstream"]["state"], "closed")


class Secure(Relay):
    """Guests that come over TLS."""

    def ask(self, context, lines=b"m f=1 1\n"):
        """The status of a write."""
        client = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context,
                                             source_address=("127.0.0.11", 0))
        self.addCleanup(client.close)
        client.request("POST", "/monitor/write?db=telegraf", lines)
        return client.getresponse().status

    def test_guests_need_a_certificate_and_files_are_renewed(self):
        self.needs_program("openssl")
        files = self.folder()
        authority = Authority(files)
        pair = authority.issue("server")
        database = self.server()
        options = {"listen_tls_cert": pair[0], "listen_tls_key": pair[1],
                   "listen_tls_allowed_cacerts": [authority.certificate], "listen_tls_max_handshakes": 4}
        agent = self.relay(database.url, options)
        none, guest = authority.context(), authority.context(authority.issue("guest"))
        self.assertEqual(self.ask(guest), 204)
        wait_until(lambda: any(line.startswith(b"m,") and b"vm_id=id-a" in line for line in database.lines), 30, "it")
        with self.assertRaises(OSError):
            self.ask(none)
        self.assertEqual(self.write("m f=2 2")[0], 400)

        def listener():
            return self.state(agent)["listeners"][0]["tls"]
        wait_until(lambda: listener()["failures"] == {"no_certificate": 1, "plain_http": 1}, 30, "they are counted")
        kept = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=guest,
                                           source_address=("127.0.0.11", 0))
        self.addCleanup(kept.close)
        kept.request("GET", "/monitor/ping")
        self.assertEqual(kept.getresponse().read(), b"")
        before = listener()["certificate_expiry"]
        for old, new in zip(pair, authority.issue("renewed", days=20)):
            shutil.copy(new, old)
        os.kill(agent.pid, signal.SIGHUP)
        wait_until(lambda: listener()["certificate_expiry"] > before + 86400, 30, "the new certificate")
        kept.request("GET", "/monitor/ping")
        self.assertEqual(kept.getresponse().status, 204)
        self.assertEqual(self.ask(guest), 204)
        self.assertIn('godwit_relay_tls_failures_total{listener="127.0.0.1:%d",reason="no_certificate"} 1' % self.port,
                      agent.request("/metrics")[2].decode())
        broken = self.agent(start=False, inputs=[], extra=agents.table(
            "[metadata_relay]", dict(self.options, listen_tls_key=authority.issue("else")[1])))
        done = broken.run("check")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("metadata_relay.listen_tls_cert", done.stderr)


class Reports(Relay):
    """Agents report through it."""

    def test_an_agent_reports_through_it_and_survives_its_absence(self):
        self.database = self.influx()
        relay = self.relay(self.database.url, guests={"me": (["127.0.0.1"], {"vm_id": "id-me", "vm_name": "me too"})})
        route = "\n[[outputs.influxdb.routes]]\nvia = \"metadata\"\nurl = \"http://127.0.0.1:%d/monitor\"\n" % self.port
        # Tables of an output must follow it.
        made = self.agent(url="http://127.0.0.1:%d" % free_port(), host_proc=self.proc(), start=False,
                          agent={"interval": "500ms", "flush_interval": "1s"})
        text = made.text()
        made.write_config(text.replace("[[inputs.net]]", route + "\n[[inputs.net]]"))
        made.start()
        wait_until(lambda: self.rows("net"), 60, "points in the database", 0.2)
        for tags, _ in self.rows("net"):
            self.assertEqual((tags["vm_id"], tags["vm_name"]), ("id-me", "me too"))
            self.assertNotIn("host", tags)
        self.assertEqual(made.status()["outputs"][0]["active_route"], "metadata")
        relay.stop()
        mark = time.time_ns()
        wait_until(lambda: made.balance()["pending"] > 20, 60, "a backlog", 0.2)
        relay.start()
        wait_until(lambda: max(time for _, time in self.database.points("net")) > mark + 5 * 10**9, 60,
                   "points again", 0.3)
        balance = self.wait_drained(made)
        self.assert_exact(balance)
        self.assertEqual((balance["rejected"], balance["dropped"]), (0, 0))

    def test_a_reload_keeps_connections_whose_part_did_not_change(self):
        self.database = self.server()
        made = self.relay(self.database.url)
        with socket.create_connection(("127.0.0.1", self.port), 20, ("127.0.0.11", 0)) as kept:
            def ping():
                kept.sendall(b"GET /monitor/ping HTTP/1.1\r\nHost: x\r\n\r\n")
                return status_of(kept.recv(4096))
            kept.settimeout(20)
            self.assertEqual(ping(), 204)
            other = self.server()
            second = free_port()
            self.options.update({"urls": [other.url], "foreign_vm_id": "reject",
                                 "listen": ["127.0.0.1:%d" % self.port, "127.0.0.1:%d" % second]})
            made.extra = self.section()
            made.write_config()
            self.assertEqual(made.run("reload").returncode, 0)
            self.assertEqual(ping(), 204, "the connection was dropped")
            self.assertEqual(self.write("m f=1 1")[0], 204)
            self.assertEqual((len(self.database.lines), len(other.lines)), (0, 1))
            wait_until(lambda: [each["state"] for each in self.state(made)["listeners"]] == ["up", "up"], 20, "both up")
            with self.assertRaises(OSError):
                socket.create_connection(("::1", self.port), 5)
        made.extra = ""
        made.parts["inputs"] = [agents.NET]
        made.write_config(made.text() + "[[outputs.file]]\n")
        self.assertEqual(made.run("reload").returncode, 0, made.log_text())
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", self.port), 5)
        self.assertIsNone(made.status()["metadata_relay"])

    def test_an_address_that_is_not_there_is_a_state_and_comes_later(self):
        net = self.network("198.51.100.1/32")
        del net
        self.database = self.server(host="198.51.100.1", port=8086)
        self.port = 8187
        self.guests = os.path.join(self.folder(), "guests.toml")
        self.write_guests(guests_text(GUESTS))
        self.options = {"listen": ["198.51.100.7:8187", "127.0.0.1:8187"], "guests_file": self.guests,
                        "urls": ["http://198.51.100.1:8086"]}
        made = self.agent(inputs=[], extra=self.section())
        wait_until(lambda: "reason" in self.state(made)["listeners"][0]
                   and "assign" in (self.state(made)["listeners"][0]["reason"] or ""), 20, "the reason")
        self.assertEqual(self.request("GET", "/monitor/ping")[0], 204)
        self.assertEqual(made.status()["health"]["state"], "degraded")
        check = made.run("check")
        self.assertEqual(check.returncode, 78, "a check refuses what is not there")
        self.assertRegex(check.stderr, r"config.toml:\d+: metadata_relay.listen: 198.51.100.7:8187")
        self.options["await_addresses"] = True
        awaited = self.agent(inputs=[], extra=self.section(), start=False).run("check")
        self.assertEqual(awaited.returncode, 0, awaited.stderr)
        subprocess.run(["ip", "address", "add", "198.51.100.7/32", "dev", "lo"], check=True)
        wait_until(lambda: self.state(made)["listeners"][0]["state"] == "up", 20, "it listens there too")

    def test_metrics_and_the_page_show_it(self):
        self.database = self.server()
        made = self.relay(self.database.url)
        self.assertEqual(self.write("m,vm_id=id-b f=1 1\nm f=2 2")[0], 204)
        self.write("m f=1 1", source=STRANGER)
        metrics = made.request("/metrics")[2].decode()
        for wanted in ("godwit_relay_guests 2", "godwit_relay_lines_total 2", "godwit_relay_foreign_lines_total 1",
                       'godwit_relay_refused_total{reason="unknown_guest"} 1',
                       'godwit_relay_requests_total{kind="write"} 1', 'godwit_relay_guest_lines_total{vm_id="id-a"} 2'):
            self.assertIn(wanted, metrics)
        page = made.run("status").stdout
        self.assertIn("metadata relay", page)
        self.assertIn(STRANGER, page)
        self.assertEqual([each["vm_id"] for each in self.state(made)["top_guests"]], ["id-a"])

    def test_mistakes_are_named_with_file_and_line(self):
        made = self.agent(inputs=[], extra="[metadata_relay]\nlisten = [\"nowhere\"]\nurls = [\"ftp://x\"]\n"
                          "max_memory = \"1MiB\"\nguest_file = \"x\"\nforeign_vm_id = \"keep\"\n", start=False)
        check = made.run("check")
        self.assertEqual(check.returncode, 78)
        for wanted in ("metadata_relay.listen", "metadata_relay.urls", "metadata_relay.max_memory",
                       "nearest: \"guests_file\"", "metadata_relay.foreign_vm_id"):
            self.assertIn(wanted, check.stderr)
        self.assertRegex(check.stderr, r"config.toml:\d+: ")


if __name__ == "__main__":
    unittest.main()
