"""The harness itself: a scripted server or oracle that is wrong would make every other test worthless."""
import gzip
import socket
import time
import unittest
import urllib.error
import urllib.request

from support import agent, fake_influx, influx, oracle, recorder
from support.processes import Timeout, wait_until

BODY = b"net,interface=if0 bytes=1i 1\nnet,interface=if1 bytes=2i 1\n"


def post(server, body=BODY, headers=None, database="telegraf", seconds=2):
    """One write by a plain client: (code, body)."""
    request = urllib.request.Request("%s/write?db=%s" % (server.url, database), data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class ScriptedServer(unittest.TestCase):
    """The scripted server keeps what it acknowledged, and nothing else."""

    def setUp(self):
        self.server = fake_influx.Server()
        self.addCleanup(self.server.close)

    def test_counts_every_line_exactly(self):
        self.assertEqual(post(self.server)[0], 204)
        self.assertEqual(post(self.server, gzip.compress(BODY), {"Content-Encoding": "gzip"})[0], 204)
        self.assertEqual(dict(self.server.lines), {line: 2 for line in BODY.splitlines()})

    def test_refuses_with_a_code_and_header(self):
        self.server.fault = fake_influx.refuse_with(429, b"busy", Retry_After=7)
        self.assertEqual(post(self.server), (429, b"busy"))
        self.assertFalse(self.server.lines)
        self.server.resume()
        self.assertEqual(post(self.server)[0], 204)

    def test_refuses_connections_and_comes_back_on_the_same_port(self):
        port = self.server.port
        self.server.refuse()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1).close()
        self.server.resume()
        self.assertEqual(self.server.port, port)
        self.assertEqual(post(self.server)[0], 204)

    def test_black_hole_swallows_connections(self):
        self.server.black_hole()
        begun = time.monotonic()
        with self.assertRaises(TimeoutError):
            socket.create_connection(("127.0.0.1", self.server.port), 0.5).close()
        self.assertGreater(time.monotonic() - begun, 0.4)
        self.server.resume()
        self.assertEqual(post(self.server)[0], 204)

    def test_hang_and_lost_replies(self):
        self.server.fault = fake_influx.hang
        with self.assertRaises(OSError):
            post(self.server, seconds=0.3)
        self.assertFalse(self.server.lines)
        self.server.resume()
        self.server.fault = fake_influx.reset_after_store
        with self.assertRaises(OSError):
            post(self.server)
        self.assertEqual(len(self.server.lines), 2)

    def test_poison_line_partial_or_whole(self):
        self.server.poison = lambda line: b"if1" in line
        code, body = post(self.server)
        self.assertEqual(code, 400)
        self.assertIn(b"partial write", body)
        self.assertEqual(list(self.server.lines), [BODY.splitlines()[0]])
        self.server.lines.clear()
        self.server.rejects_all = True
        self.assertIn(b"unable to parse", post(self.server)[1])
        self.assertFalse(self.server.lines)

    def test_missing_database_until_created(self):
        self.assertEqual(post(self.server, database="other")[0], 404)
        urllib.request.urlopen(self.server.url + "/query", data=b"q=CREATE+DATABASE+%22other%22", timeout=2).close()
        self.assertEqual(self.server.created, ["other"])
        self.assertEqual(post(self.server, database="other")[0], 204)


class RealServer(unittest.TestCase):
    """The real server's helper reads back what a plain client wrote."""

    def test_points_types_and_restart(self):
        if not influx.is_installed():
            self.skipTest("needs the program influxd (apt install influxdb)")
        server = influx.Influx()
        self.addCleanup(server.stop)
        server.query('CREATE DATABASE "telegraf"', method="POST")
        self.assertIn("telegraf", server.databases())
        self.assertEqual(server.write(b"m,host=a,k=v\\ w i=5i,f=1.5,s=\"x\",b=true 1000000000")[0], 204)
        server.restart()
        self.assertEqual(server.points("m"), {((("host", "a"), ("k", "v w")), 10**9):
                                              {"i": 5, "f": 1.5, "s": "x", "b": True}})
        self.assertEqual(server.types("m"), {"i": "integer", "f": "float", "s": "string", "b": "boolean"})
        code, body = server.write(b"m,host=a,k=v\\ w i=5.5 2000000000\nm,host=a,k=v\\ w i=6i 3000000000")
        self.assertEqual(code, 400)
        self.assertIn(b"partial write", body)
        self.assertEqual(len(server.points("m")), 2)


class Front(unittest.TestCase):
    """The front of a real server notes what that has taken, and nothing else."""

    def test_notes_what_the_database_took(self):
        if not influx.is_installed():
            self.skipTest("needs the program influxd (apt install influxdb)")
        server = influx.Influx()
        self.addCleanup(server.stop)
        front = recorder.Recorder(server, prefix="/monitor")
        self.addCleanup(front.close)
        self.assertEqual(post(front)[0], 404)
        urllib.request.urlopen(front.url + "/query", data=b"q=CREATE+DATABASE+telegraf", timeout=10).close()
        self.assertEqual(post(front, gzip.compress(BODY), {"Content-Encoding": "gzip"})[0], 204)
        self.assertEqual(post(front, b"net,interface=if0 bytes=\"text\" 1\n")[0], 400)
        front.fault = fake_influx.refuse_with(503, b"busy")
        self.assertEqual(post(front, b"net,interface=if2 bytes=3i 1\n")[0], 503)
        self.assertEqual(dict(front.lines), {line: 1 for line in BODY.splitlines()})
        self.assertEqual([(each.peer, each.target) for each in front.taken],
                         [("127.0.0.1", "/monitor/write?db=telegraf")])
        self.assertEqual(server.points("net"), {((("interface", "if0"),), 1): {"bytes": 1},
                                                ((("interface", "if1"),), 1): {"bytes": 2}})


class Oracles(unittest.TestCase):
    """Parsing and gap arithmetic."""

    def test_parses_escapes(self):
        line = oracle.parse(b'a\\,b,k\\ 1=v\\=w f="x \\" y",n=-5i,g=0.5,t=false 12')
        self.assertEqual((line.measurement, line.tags, line.time), ("a,b", {"k 1": "v=w"}, 12))
        self.assertEqual(line.fields, {"f": ("string", 'x " y'), "n": ("integer", -5), "g": ("float", 0.5),
                                       "t": ("boolean", False)})
        for bad in (b"a 1", b"a b= 1", b"a b=1", b"a b=1 x", b",k=v b=1 1"):
            with self.assertRaises(ValueError, msg=bad):
                oracle.parse(bad)

    def test_finds_gaps_cut_ticks_and_holes(self):
        lines = [b"n,i=%d v=1i %d" % (i, t) for t in (100, 200, 400) for i in (1, 2)][:-1]
        self.assertEqual(oracle.incomplete_ticks(lines, 2), [400])
        self.assertEqual(oracle.gaps(lines, 100), [(200, 400)])
        self.assertEqual(oracle.sequences(["ab-1", "ab-3"]), {"ab": [1, 3]})
        self.assertEqual(oracle.holes([1, 3]), [2])

    def test_finds_points_with_two_contents(self):
        self.assertEqual(oracle.conflicts([b"n,i=1 v=1i 5", b"n,i=1 v=1i 6", b"n,i=2 v=2i 5", b"n,i=1 v=1i 5"]), [])
        self.assertEqual(oracle.conflicts([b"n,i=1 v=1i 5", b"n,i=1 v=2i 5"]), [(b"n,i=1", b"5")])

    def test_two_lanes_in_order_are_told_from_disorder(self):
        def proof(*numbers):
            return oracle.disorder(["a-b-%s" % number for number in numbers])
        self.assertIsNone(proof(1, 2, 3))
        self.assertIsNone(proof(1, 9, 2, 10, 3, 4, 11, 5))
        self.assertIsNone(proof(5, 6, 5, 7, 1, 2, 5))
        self.assertIsNone(proof("1.0-4", "1.5-9", 2))
        self.assertIsNone(oracle.disorder(["a-5", "b-4", "a-3", "b-2"]))
        self.assertIn("3 came after", proof(5, 4, 3))
        self.assertIn("8 came after", proof(1, 10, 9, 8))
        self.assertIn("1.2-3 came after", proof(3, 2, "1.2-3"))

    def test_balances_sum_the_reasons_of_drops(self):
        balance = {"sealed": 9, "delivered": 5, "rejected": 1, "dropped": {"age": 1, "bytes": 1}, "pending": 1}
        found = agent.balances({"outputs": [{"id": "x", "balance": balance}]})
        self.assertEqual(found["x"]["dropped"], 2)
        self.assertTrue(agent.is_exact(found["x"]))
        self.assertFalse(agent.is_exact(dict(found["x"], pending=2)))

    def test_waiting_has_a_deadline(self):
        with self.assertRaises(Timeout):
            wait_until(lambda: False, 0.05)
