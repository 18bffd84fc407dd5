"""Ends of series: what a page does not have any more ends at once in Prometheus and VictoriaMetrics, and nowhere else; and what
is told of metrics besides their samples."""
import json
import os
import time
import urllib.parse

from support import remote_write
from support.agent import table
from support.case import takes
from support.exporter import WithExporters, fetch
from support.influx import free_port
from support.processes import wait_until

PAGE = """# HELP a Things.
# TYPE a gauge
a{n="1"} 1
a{n="2"} 2
# TYPE s summary
s{quantile="0.5"} NaN
s_sum 0
s_count 0
"""


def write(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


class Staleness(WithExporters):
    def one(self, series, **labels):
        """The values of the series that have these labels."""
        return [value for key, value in series.items() if labels.items() <= dict(key).items()]

    @takes(30)
    def test_series_that_go_end_at_once_in_prometheus_and_victoriametrics_and_nowhere_else(self):
        prometheus, victoria = self.prometheus(), self.victoria("-search.latencyOffset=0s")
        database = self.server()
        exporter = self.exporter()
        exporter.page(PAGE)
        exporter.page("own 1 %d\nfleeting 1\n" % (time.time() * 1000), "/own")
        folder = self.folder()
        targets = os.path.join(folder, "targets.json")
        address = exporter.url[len("http://"):]
        both = json.dumps([{"targets": [address]},
                           {"targets": [address], "labels": {"__metrics_path__": "/own", "which": "own"}}])
        write(targets, both)
        port = free_port()
        outputs = [
            table("[[outputs.prometheus_remote_write]]", {"urls": [prometheus.url]}),
            table("[[outputs.prometheus_remote_write]]", {"alias": "victoria", "urls": [victoria.url + "/api/v1/write"]}),
            table("[[outputs.prometheus_client]]", {"listen": "127.0.0.1:%d" % port, "metric_version": 2}),
        ]
        agent = self.scraping(database, [], extra="\n".join(outputs), file_sd_files=[targets], url_tag="")

        def queried(selector):
            query = urllib.parse.urlencode({"query": selector, "nocache": 1})
            reply = json.loads(victoria.get("/api/v1/query?" + query))
            return {tuple(sorted(each["metric"].items())): each["value"][1] for each in reply["data"]["result"]}

        def page():
            return fetch("http://127.0.0.1:%d/metrics" % port)[0].decode()

        def everywhere(selector, count):
            def holds():
                found = (len(prometheus.series(selector)), len(queried(selector)))
                return found == (count, count)
            # Prometheus itself goes on for five minutes with a series that has no end.
            wait_until(holds, 60, "%d series of %s in both" % (count, selector))
        everywhere("a", 2)
        everywhere("own", 1)
        self.assertEqual(list(prometheus.series('s{quantile="0.5"}').values()), ["NaN"])
        self.assertIn('a{', page())
        self.assertIn('s{host="h",quantile="0.5"} NaN', page())

        exporter.page(PAGE.replace('a{n="2"} 2\n', ""))
        exporter.page("own 1 %d\n" % (time.time() * 1000), "/own")
        everywhere("a", 1)
        everywhere("fleeting", 0)
        wait_until(lambda: 'n="2"' not in page(), 30, "the page without it")
        self.assertEqual(self.one(prometheus.series("a"), n="1"), ["1"])
        self.assertTrue([key for key in prometheus.points("a") if ("n", "2") in key[0]], "what was stays")
        stored = victoria.points('a{n="2"}')
        self.assertIsNone(stored[max(stored, key=lambda each: each[1])], "the end is stored")

        exporter.pages.pop("/metrics")
        everywhere("a", 0)
        everywhere("s_sum", 0)
        # What has a time of its own has no end, as in Prometheus.
        everywhere("own", 1)
        self.assertEqual(sorted(set(prometheus.series("up").values())), ["0", "1"])
        exporter.page(PAGE)
        everywhere("a", 2)

        write(targets, json.dumps([{"targets": [address]}]))
        everywhere('up{which="own"}', 0)
        everywhere('scrape_series_added{which="own"}', 0)
        everywhere("up", 1)

        status = agent.status()
        for balance in ("influxdb", "prometheus_remote_write", "prometheus_remote_write::victoria", "prometheus_client"):
            self.assert_exact(agent.balance(balance))
            self.assertEqual(agent.balance(balance)["rejected"], 0, balance)
        self.assertEqual(status["batcher"]["dropped"].get("unencodable", 0), 0)
        text = b"\n".join(database.lines)
        for word in (b"Stale", b"NaN", b"nan", b"Inf"):
            self.assertNotIn(word, text)
        self.assertIn(b"s_sum=0", text)
        # A stop of the agent says nothing of what it watched.
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(len(prometheus.series("a")), 2)
        self.assertEqual(len(queried("a")), 2)

    @takes(10)
    def test_an_outage_of_the_destination_keeps_ends_on_disk_and_in_order(self):
        prometheus = self.prometheus()
        exporter = self.exporter()
        exporter.page(PAGE)
        agent = self.scraping(None, [exporter.url], extra=table("[[outputs.prometheus_remote_write]]", {
            "urls": [prometheus.url]}))
        wait_until(lambda: len(prometheus.series("a")) == 2, 30, "both series")
        prometheus.stop()
        exporter.page(PAGE.replace('a{n="2"} 2\n', ""))
        wait_until(lambda: any(b"a=Stale" in line for line in agent.spilled()), 30, "the end in the spill")
        agent.kill()
        prometheus.start()
        agent.start()
        wait_until(lambda: len(prometheus.series("a")) == 1, 60, "the end arrives")
        self.assertEqual(agent.balance()["rejected"], 0)

    def told(self, version, page, kind="text/plain; version=0.0.4", **output):
        exporter = self.exporter()
        exporter.page(page, kind=kind)
        receiver = remote_write.Receiver(version)
        self.addCleanup(receiver.close)
        receiver.answer = lambda found: (
            204, {"X-Prometheus-Remote-Write-Samples-Written": str(sum(len(each) for _, each in found))}, b"")
        options = dict({"urls": [receiver.url], "protocol": version}, **output)
        self.agent(inputs=[("prometheus", {"urls": [exporter.url], "metric_version": 2}), ("mem", {})],
                   extra=table("[[outputs.prometheus_remote_write]]", options), interval="200ms")
        wait_until(lambda: len(receiver.requests) > 5, 30, "requests")
        return receiver

    def test_kind_help_and_unit_go_along_in_1_0_now_and_then(self):
        page = "# TYPE t_seconds histogram\n# HELP t_seconds Time \\\\ of it.\n# UNIT t_seconds seconds\n" + (
            't_seconds_bucket{le="+Inf"} 1\nt_seconds_sum 1\nt_seconds_count 1\n# TYPE c counter\nc_total 1\n# EOF\n')
        receiver = self.told("1.0", page, "application/openmetrics-text; version=1.0.0", metadata_interval="1h")
        told = [each for message in receiver.metadata for each in message]
        self.assertEqual(told.count((3, "t_seconds", "Time \\ of it.", "seconds")), 1)
        self.assertEqual(told.count((1, "c_total", "", "")), 1)
        self.assertEqual([each[0] for each in told if each[1] == "mem_used_percent"], [2])
        self.assertIn("percent", [each[3] for each in told if each[1] == "mem_used_percent"])
        self.assertEqual(len(told), len(set(told)))
        silent = self.told("1.0", PAGE, metadata_interval="0s")
        self.assertEqual([each for message in silent.metadata for each in message], [])

    def test_kind_help_and_unit_go_along_in_2_0_with_each_series(self):
        receiver = self.told("2.0", PAGE)
        for message in receiver.metadata:
            told = dict((each[1], each) for each in message)
            if "a" in told:
                self.assertEqual(told["a"], (2, "a", "Things.", ""))
                self.assertEqual(told["s_count"][0], 5)
        self.assertIn("a", {each[1] for message in receiver.metadata for each in message})

    def test_a_real_prometheus_takes_samples_with_what_is_told_beside_them(self):
        prometheus = self.prometheus()
        exporter = self.exporter()
        exporter.page(PAGE)
        agent = self.scraping(None, [exporter.url], extra=table("[[outputs.prometheus_remote_write]]", {
            "urls": [prometheus.url], "metadata_interval": "1s"}))
        wait_until(lambda: len(prometheus.series("a")) == 2, 30, "both series")
        self.wait_balance(agent, lambda each: each["delivered"] > 50)
        self.assertEqual(agent.balance()["rejected"], 0)
        print("  /api/v1/metadata of this Prometheus: %s" % prometheus.get("/api/v1/metadata").decode()[:120])
