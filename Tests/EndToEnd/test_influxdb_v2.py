"""The second write API: a real VictoriaMetrics, and a scripted server for what InfluxDB 2 and 3 document."""
import time

from support import fake_influx, oracle
from support.agent import table
from support.case import EndToEnd, takes
from support.processes import wait_until


class Bucket(EndToEnd):
    SERIES = 10

    def running(self, url, **output):
        options = dict({"urls": [url], "organization": "o", "bucket": "b", "token": "t0k"}, **output)
        return self.agent(host_proc=self.proc(self.SERIES), extra=table("[[outputs.influxdb_v2]]", options))

    @takes(20)
    def test_a_real_victoriametrics_holds_every_point_and_an_outage_costs_none(self):
        server = self.victoria()
        agent = self.running(server.url)
        wait_until(lambda: agent.balance()["delivered"] >= 100, 30, "100 delivered points")
        server.stop()
        sealed = agent.balance()["sealed"]
        wait_until(lambda: agent.balance()["pending"] >= 100, 30, "a backlog")
        server.start()
        wait_until(lambda: agent.balance()["delivered"] > sealed + 200, 60, "the backlog drains")
        drained = time.time_ns() // 1_000_000
        self.wait_drained(agent, 60)
        skipped = agent.skipped()
        self.assertEqual(agent.stop(), 0)
        points = server.points('{__name__="net_bytes_recv"}')
        times = sorted({moment for _, moment in points if moment < drained})
        self.assertGreater(len(times), 30)
        for moment in times:
            count = sum(1 for _, each in points if each == moment)
            self.assertEqual(count, self.SERIES, "a tick has %d of %d points" % (count, self.SERIES))
        missing = sum(round((b - a) / 100) - 1 for a, b in zip(times, times[1:]))
        self.assertLessEqual(missing, skipped, "ticks are missing")

    def test_writes_carry_organization_bucket_precision_and_token(self):
        server = self.server()
        server.authorization = "Token t0k"
        self.running(server.url)
        self.wait_for_lines(server, 50)
        write = server.writes()[-1]
        self.assertEqual(write.path, "/api/v2/write")
        self.assertEqual(write.query, {"org": "o", "bucket": "b", "precision": "ns"})
        self.assertEqual(write.headers["content-encoding"], "gzip")
        self.assertEqual(server.created, [])

    def test_refused_lines_are_counted_in_the_words_of_each_version(self):
        for dialect in ("v2", "v3"):
            server = self.server()
            server.dialect = dialect
            server.poison = lambda line: b"interface=if3 " in line or b"interface=if3," in line
            agent = self.running(server.url)
            wait_until(lambda: agent.balance()["rejected"] >= 5, 30, "5 rejected points")
            balance = agent.balance()
            self.assert_exact(balance)
            refused = sum(1 for write in server.writes() for line in write.body.split(b"\n") if server.poison(line))
            self.assertLessEqual(abs(balance["rejected"] - refused), 5, dialect)
            self.assertEqual([line for line, count in server.stored().items() if count > 1], [])
            agent.stop()

    def test_one_line_that_cannot_be_parsed_costs_that_line_only(self):
        server = self.server()
        server.poison = lambda line: b"interface=if3 " in line or b"interface=if3," in line
        server.rejects_all = True
        agent = self.running(server.url)
        wait_until(lambda: len(oracle.ticks(server.stored())) >= 10, 60, "10 ticks stored")
        self.assert_exact(agent.balance())
        self.assertGreater(agent.balance()["rejected"], 0)
        whole = [each for each in oracle.ticks(server.stored()).values() if len(each) == self.SERIES - 1]
        self.assertGreaterEqual(len(whole), 8)

    @takes(30)
    def test_a_busy_server_and_one_without_the_bucket_cost_nothing(self):
        server = self.server()
        agent = self.running(server.url)
        self.wait_for_lines(server, 20)
        server.fault = fake_influx.refuse_with(429, b'{"code":"too many requests","message":"slow"}', Retry_After=2)
        wait_until(lambda: any(each.code == 429 for each in server.writes()), 20, "a refused write")
        time.sleep(3)
        server.resume()
        self.wait_for_lines(server, len(server.lines) + 30, 60)
        server.buckets.clear()
        wait_until(lambda: any(each.code == 404 for each in server.writes()), 20, "a write without a bucket")
        wait_until(lambda: "bucket \"b\" not found" in (agent.status()["outputs"][0]["routes"][0]["last_error"] or ""),
                   20, "the reason in the status")
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertEqual((balance["rejected"], balance["dropped"]), (0, 0))
        wait_until(lambda: not oracle.gaps(list(server.lines), 100_000_000, agent.skipped()), 60, "no tick is missing")

    @takes(15)
    def test_the_rate_limit_holds(self):
        server = self.server()
        self.running(server.url, rate_limit="4KB", rate_limit_period="2s")
        began = time.monotonic()
        wait_until(lambda: len(server.writes()) >= 4, 30, "four writes")
        time.sleep(8)
        took = time.monotonic() - began
        sent = sum(len(write.body) for write in server.writes())
        self.assertLess(sent, 4000 * (took / 2 + 2), "%d bytes in %.1f s" % (sent, took))

    def test_a_missing_bucket_option_is_an_error(self):
        agent = self.agent(start=False, extra=table("[[outputs.influxdb_v2]]", {"urls": ["http://127.0.0.1:1"]}))
        done = agent.run("check")
        self.assertEqual(done.returncode, 78)
        self.assertIn("outputs.influxdb_v2.bucket: a bucket is needed", done.stderr)
