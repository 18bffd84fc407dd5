"""Remote write: into a real Prometheus and a real VictoriaMetrics, and 2.0 into a scripted receiver."""
import re

from support import remote_write
from support.agent import table
from support.case import EndToEnd, takes
from support.processes import wait_until


class RemoteWrite(EndToEnd):
    SERIES = 10

    def running(self, url, **output):
        options = dict({"urls": [url]}, **output)
        return self.agent(host_proc=self.proc(self.SERIES),
                          extra=table("[[outputs.prometheus_remote_write]]", options))

    def receiver(self, version="2.0"):
        made = remote_write.Receiver(version)
        self.addCleanup(made.close)
        return made

    def assert_whole(self, points, skipped):
        """Every tick has each series with the value that the tree of files has, and no tick is absent."""
        times = sorted({time for _, time in points})[:-1]
        self.assertGreater(len(times), 30)
        for time in times:
            found = {labels: value for (labels, each), value in points.items() if each == time}
            self.assertEqual(len(found), self.SERIES, "a tick has %d series" % len(found))
            for labels, value in found.items():
                number = int(re.search(r"if(\d+)", dict(labels)["interface"]).group(1))
                self.assertEqual(value, 1000 + number)
        missing = sum(round((b - a) / 100) - 1 for a, b in zip(times, times[1:]))
        self.assertLessEqual(missing, skipped, "ticks are missing")

    def outage(self, server, agent):
        wait_until(lambda: agent.balance()["delivered"] >= 100, 30, "100 delivered points")
        server.stop()
        sealed = agent.balance()["sealed"]
        wait_until(lambda: agent.balance()["pending"] >= 100, 30, "a backlog")
        server.start()
        wait_until(lambda: agent.balance()["delivered"] > sealed + 200, 60, "the backlog drains")
        balance = self.wait_drained(agent, 60)
        skipped = agent.skipped()
        self.assertEqual(agent.stop(), 0)
        self.assertEqual((balance["rejected"], balance["dropped"]), (0, 0))
        return skipped

    @takes(25)
    def test_a_real_prometheus_holds_every_sample_and_an_outage_costs_none(self):
        server = self.prometheus()
        skipped = self.outage(server, self.running(server.url))
        self.assert_whole(server.points("net_bytes_recv"), skipped)

    @takes(25)
    def test_a_real_victoriametrics_holds_every_sample_and_an_outage_costs_none(self):
        server = self.victoria()
        skipped = self.outage(server, self.running(server.url + "/api/v1/write", in_order=False))
        self.assert_whole(server.points('{__name__="net_bytes_recv"}'), skipped)

    def test_samples_that_prometheus_refuses_are_counted_with_its_words(self):
        server = self.prometheus()
        agent = self.running(server.url)
        wait_until(lambda: agent.balance()["delivered"] >= 100, 30, "100 delivered points")
        agent.stop()
        old = self.agent(inputs=[("exec", {"commands": ["/bin/echo 'late v=1 1000000000'"], "data_format": "influx"})],
                         extra=table("[[outputs.prometheus_remote_write]]", {"urls": [server.url]}))
        balance = self.wait_balance(old, lambda each: each["rejected"] >= 3)
        self.assert_exact(balance)
        self.assertEqual(balance["delivered"], 0)
        self.assertRegex(old.log_text(), "out of bounds|too old|out of order")

    def test_the_message_of_2_0_and_its_headers(self):
        receiver = self.receiver()
        receiver.answer = lambda found: (
            204, {"X-Prometheus-Remote-Write-Samples-Written": str(sum(len(each) for _, each in found))}, b"")
        agent = self.running(receiver.url, protocol="2.0", bearer_token="s3cret")
        balance = self.wait_balance(agent, lambda each: each["delivered"] >= 400)
        self.assert_exact(balance)
        headers, path, _ = receiver.requests[0]
        self.assertEqual(path, "/api/v1/push")
        self.assertEqual(headers["Content-Type"], "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        self.assertEqual(headers["Content-Encoding"], "snappy")
        self.assertEqual(headers["X-Prometheus-Remote-Write-Version"], "2.0.0")
        self.assertEqual(headers["Authorization"], "Bearer s3cret")
        skipped = agent.skipped()
        self.assertEqual(agent.stop(), 0)
        self.assert_whole({key: value for key, value in receiver.points().items()
                           if dict(key[0])["__name__"] == "net_bytes_recv"}, skipped)
        for labels in {labels for labels, _ in receiver.stored}:
            self.assertEqual(list(labels), sorted(labels))
        self.assertNotIn("s3cret", agent.log_text())

    def test_a_server_that_knows_only_1_0_is_not_taken_for_one_of_2_0(self):
        receiver = self.receiver()
        agent = self.running(receiver.url, protocol="2.0")
        wait_until(lambda: "does not confirm samples" in agent.log_text(), 30, "the reason in the log")
        balance = agent.balance()
        self.assertEqual((balance["delivered"], balance["rejected"]), (0, 0))
        self.assert_exact(balance)

    def test_a_poisoned_series_costs_its_own_points_only(self):
        receiver = self.receiver("1.0")

        def answer(found):
            if any(("interface", "if3") in labels for labels, _ in found):
                return 400, {}, b"series if3 is not wanted\n"
            return 204, {}, b""
        receiver.answer = answer
        agent = self.running(receiver.url)
        balance = self.wait_balance(agent, lambda each: each["rejected"] >= 5 and each["delivered"] >= 45)
        self.assert_exact(balance)
        agent.stop()
        names = {dict(labels)["interface"] for labels, _ in receiver.stored}
        self.assertEqual(names, {"if%d" % each for each in range(self.SERIES) if each != 3})

    def test_live_samples_wait_for_the_backlog(self):
        receiver = self.receiver("1.0")
        receiver.answer = lambda found: (503, {}, b"")
        agent = self.running(receiver.url)
        wait_until(lambda: agent.balance()["pending"] >= 300, 30, "a backlog")
        receiver.answer = lambda found: (204, {}, b"")
        self.wait_balance(agent, lambda each: each["delivered"] >= 600)
        agent.stop()
        times = {}
        for labels, points in receiver.stored:
            times.setdefault(labels, []).extend(time for time, _ in points)
        for labels, each in times.items():
            self.assertEqual(each, sorted(each), "%s is out of order" % (labels,))

    def test_check_refuses_what_cannot_work(self):
        output = table("[[outputs.prometheus_remote_write]]",
                       {"urls": ["unix:///run/x.sock"], "bearer_token": "a", "username": "b"})
        route = table("[[outputs.prometheus_remote_write.routes]]", {"via": "metadata"})
        agent = self.agent(start=False, inputs=[("mem", {})], extra=output + "\n" + route)
        done = agent.run("check")
        self.assertEqual(done.returncode, 78)
        text = done.stdout + done.stderr
        for words in ("unix:// has no room", "username and bearer_token exclude", "for InfluxDB only"):
            self.assertIn(words, text)
