"""Pages that any reader takes: Prometheus' own names without a remark, hostile points, both formats, who may ask."""
import gzip
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from support.agent import table
from support.case import EndToEnd, is_long, takes
from support.influx import free_port
from support.processes import wait_until

OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
METRICS = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "metrics.md")


def fetch(port, path="/metrics", method="GET", **headers):
    """(status, headers, body) of a page."""
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, path), method=method,
                                     headers={name.replace("_", "-"): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def page(port, accept=None):
    return fetch(port, **({"Accept": accept} if accept else {}))[2].decode()


def promtool(text):
    """(exit status, remarks): 0 without one, 3 with remarks on names, 1 for a page that cannot be read."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode()


def series(text):
    """Name and labels of every sample."""
    found = []
    for line in text.split("\n"):
        if line and not line.startswith("#"):
            found.append(re.match(r'[^{ ]+(\{(?:[^"}]|"(?:\\.|[^"\\])*")*\})?', line).group(0))
    return found


def declared_lines():
    """A line for every measurement of docs/metrics.md, with all of its fields."""
    lines = []
    measurement, fields = "", []

    def close():
        numbers = [each for each in fields if "*" not in each]
        if measurement and "*" not in measurement and numbers:
            lines.append("%s %s" % (measurement, ",".join(numbers)))
    with open(METRICS) as file:
        for line in file:
            heading = re.match(r"### Measurement `(.+)`", line)
            row = re.match(r"\| `([^`]+)` \| (\w+) \| ", line)
            if heading:
                close()
                measurement, fields = heading.group(1), []
            elif row:
                number = {"int": "1i", "uint": "1u", "float": "1.5", "bool": "true", "string": '"x"'}[row.group(2)]
                if not any(each.startswith(row.group(1) + "=") for each in fields):
                    fields.append("%s=%s" % (row.group(1).replace("*", "Odd0"), number))
    close()
    return lines


class Judged(EndToEnd):
    """An agent with a listener for lines, and its page."""

    def running(self, inputs=(), extra="", listener=True, **options):
        self.port, self.lines_port = free_port(), free_port()
        listeners = [("influxdb_listener", {"service_address": "127.0.0.1:%d" % self.lines_port})] if listener else []
        made = self.agent(inputs=listeners + list(inputs), agent={"omit_hostname": True}, extra=extra + table(
            "[[outputs.prometheus_client]]", dict({"listen": "127.0.0.1:%d" % self.port}, **options)))
        wait_until(lambda: self.answers(), 30, "the page")
        return made

    def answers(self):
        try:
            return fetch(self.port)[0] > 0
        except OSError:
            return False

    def write(self, lines):
        """Writes lines of bytes or text; returns the status."""
        body = b"\n".join(each if isinstance(each, bytes) else each.encode() for each in lines)
        request = urllib.request.Request("http://127.0.0.1:%d/write?db=x" % self.lines_port, data=body, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code


class Names(Judged):
    @takes(30)
    def test_all_that_inputs_declare_has_names_without_a_remark(self):
        self.needs_program("promtool")
        plain = [(name, {}) for name in (
            "mem", "disk", "net", "system", "swap", "kernel_vmstat", "netstat", "nstat", "processes", "internal",
            "linux_sysctl_fs", "conntrack", "interrupts", "temp", "node")]
        plain += [("cpu", {"collect_cpu_time": True, "report_active": True}), ("diskio", {}), ("kernel", {"collect": ["*"]}),
                  ("procstat", {"pattern": "."})]
        agent = self.running(plain, names="prometheus")
        lines = declared_lines()
        self.assertGreater(len(lines), 30)
        self.assertEqual(self.write(lines), 204)
        wait_until(lambda: "nvidia_smi_power_draw_watts" in page(self.port) and "nstat_" in page(self.port), 60, "all")
        text = page(self.port)
        status, remarks = promtool(text)
        self.assertEqual((status, remarks), (0, ""))
        found = series(text)
        self.assertEqual(len(found), len(set(found)))
        for expected in ("# TYPE diskio_read_time_seconds_total counter", "# TYPE mem_used_ratio gauge",
                         "# TYPE cpu_time_user_seconds_total counter", "# TYPE mem_total_bytes gauge"):
            self.assertTrue(expected + "\n" in text, expected)
        for expected in ("ping_average_response_seconds 0.0015", "nvidia_smi_utilization_gpu_ratio 0.01"):
            name, _, value = expected.partition(" ")
            self.assertTrue(re.search(r"(?m)^%s(\{.*\})? %s$" % (name, re.escape(value)), text), expected)
        self.reads_open_metrics(page(self.port, OPEN))
        self.assertEqual(agent.balance()["rejected"], 0)

    def reads_open_metrics(self, text):
        """What the reference reader of OpenMetrics makes of a page."""
        sys.path.append("/usr/lib/python3/dist-packages")
        try:
            from prometheus_client.openmetrics.parser import text_string_to_metric_families
        except ImportError:
            return self.skipTest("needs python3-prometheus-client")
        families = list(text_string_to_metric_families(text))
        self.assertGreater(len(families), 5)
        return families

    def test_histograms_and_summaries_are_such_in_both_formats(self):
        self.needs_program("promtool")
        lines = ["delay,job=%s,le=%s took_bucket=%d" % (job, bound, count) for job in "ab"
                 for bound, count in (("10.0", 3), ("+Inf", 4), ("1.0", 0), ("5.0", 2))]
        lines += ["delay,job=a took_sum=5,took_count=4", "other,le=1,gt=0 took_bucket=1"]
        for names in ("telegraf", "prometheus"):
            self.running(names=names)
            self.assertEqual(self.write(lines), 204)
            text = wait_until(lambda: page(self.port) if "delay_took_count" in page(self.port) else None, 30, "all")
            self.assertIn("# TYPE delay_took histogram\n", text)
            bounds = re.findall(r'delay_took_bucket\{job="a",le="([^"]+)"\}', text)
            self.assertEqual([float(each) for each in bounds], [1, 5, 10, float("inf")])
            self.assertIn("# TYPE other_took_bucket untyped\n", text)
            self.assertEqual(promtool(text), (0, ""))
            self.assertIn("# TYPE delay_took histogram\n", page(self.port, OPEN))


def odd(draw):
    """A name or value as nobody should choose it."""
    pieces = ["le", "quantile", "__name__", "job", "x", "x_bucket", "x_sum", "x_count", "x_total", "x_created", "_", "9",
              "a b", "ü", "\U0001F600", "\\", "\\n", '"', "'", "\x01", "\x7f", "\t", "{", "}", "#", "=", ",", "HELP", "EOF", "NaN",
              "+Inf", "1e3", "0x1p3", ":", ".", "-", "A", "aB", "ms", "bytes", "seconds", "gauge", "counter", "info", " ", "\r"]
    return "".join(draw.choice(pieces) for _ in range(draw.randint(1, 3)))


def escaped(text, more=""):
    return re.sub(r"([, =%s])" % more, r"\\\1", text.rstrip("\\")) or "e"


class Hostile(Judged):
    PAGE = ("# TYPE x histogram\nx_bucket{le=\"1\"} 1\nx_bucket{le=\"+Inf\"} 2\nx_sum 3\nx_count 2\n"
            "# TYPE x_total counter\nx_total 4\n# TYPE x_bucket_count gauge\nx_bucket_count 5\n"
            "# TYPE y summary\ny{quantile=\"0.5\"} 1\ny_sum 2\ny_count 1\n# TYPE y_count histogram\n"
            "y_count_bucket{le=\"+Inf\"} 1\n# TYPE godwit_exposition_series histogram\n"
            "godwit_exposition_series_bucket{le=\"+Inf\"} 1\n# TYPE z gauge\nz{le=\"a\",quantile=\"b\"} 1\n")

    def lines(self, draw):
        lines = []
        for _ in range(60):
            name = draw.choice([odd(draw), "x", "y", "x_bucket", "x_sum", "y_count", "z", "godwit_exposition_series",
                                "node_x", "kernel_vmstat"])
            tags = "".join(",%s=%s" % (escaped(odd(draw)), escaped(odd(draw))) for _ in range(draw.randint(0, 3)))
            fields = []
            for _ in range(draw.randint(1, 3)):
                key = draw.choice([odd(draw), "value", "bucket", "sum", "count", "total", "0.5", "+Inf", "gauge"])
                text = odd(draw).replace("\\", "\\\\").replace('"', '\\"')
                value = draw.choice(["1i", "2", "-3.5", "true", "1e300", '"%s"' % text, '""'])
                fields.append("%s=%s" % (escaped(key), value))
            lines.append(("%s%s %s" % (escaped(name), tags, ",".join(fields))).encode())
        for index in range(0, len(lines), 9):
            # Bytes that are no text, a zero among them.
            lines[index] = lines[index].replace(b"x", bytes([draw.choice([0, 0x80, 0xC3, 0xFF, 0xED, 0xF5])]))
        return lines

    @takes(40)
    def test_no_points_make_a_page_that_cannot_be_read(self):
        self.needs_program("promtool", "prometheus")
        from support.exporter import Exporter
        seed = int(os.environ.get("GODWIT_SEED") or (random.randrange(1 << 30) if is_long() else 1))
        print("  GODWIT_SEED=%d" % seed)
        draw = random.Random(seed)
        ports = []
        statsd = free_port()
        exporter = Exporter()
        self.addCleanup(exporter.server_close)
        self.addCleanup(exporter.shutdown)
        exporter.page(self.PAGE.encode())
        outputs, modes = "", [("telegraf", 1), ("telegraf", 2), ("prometheus", 1), ("prometheus", 2), ("node_exporter", 1)]
        for index, (names, version) in enumerate(modes):
            ports.append(free_port())
            outputs += table("[[outputs.prometheus_client]]", {
                "alias": "o%d" % index, "listen": "127.0.0.1:%d" % ports[-1], "names": names, "metric_version": version,
                "expiration_interval": "0s", "export_timestamp": index % 2 == 1})
        self.lines_port = free_port()
        self.agent(inputs=[
            ("influxdb_listener", {"service_address": "127.0.0.1:%d" % self.lines_port}),
            ("statsd", {"service_address": "127.0.0.1:%d" % statsd}), ("cpu", {"collect_cpu_time": True}), ("mem", {}),
            ("prometheus", {"urls": [exporter.url], "metric_version": 1, "url_tag": ""})], extra=outputs)
        server = self.prometheus({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [
            {"job_name": "text", "static_configs": [{"targets": ["127.0.0.1:%d" % port for port in ports]}]}]})
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for round in range(40 if is_long() else 6):
            self.write(self.lines(draw))
            for _ in range(30):
                sender.sendto(("%s:%d|%s" % (odd(draw), draw.randint(0, 9), draw.choice(["c", "g", "ms", "h", "s"]))).encode(),
                              ("127.0.0.1", statsd))
            time.sleep(0.5)
            for port, mode in zip(ports, modes):
                text = page(port)
                status, remarks = promtool(text)
                if status not in (0, 3):
                    self.keep(text)
                self.assertIn(status, (0, 3), "%s %s: %s" % (mode, seed, remarks[:500]))
                found = series(text)
                self.assertEqual(len(found), len(set(found)), mode)
                self.assertEqual(len(re.findall("(?m)^# EOF$", page(port, OPEN))), 1)
            self.assertEqual(self.errors(server), set(), seed)
        # Prometheus asks for OpenMetrics, so it has read the other form all the time.
        wait_until(lambda: server.series("scrape_samples_scraped"), 60, "scrapes")
        self.assertEqual(self.errors(server), set())
        # A machine under load may make a scrape late, but none is refused for what it says.
        wait_until(lambda: [each["health"] for each in self.targets(server)] == ["up"] * len(ports), 60,
                   "all pages are read")
        self.assertEqual(self.errors(server), set())
        for name in ("duplicate_timestamp", "out_of_bounds"):
            counted = server.get("/metrics").decode()
            self.assertIn("prometheus_target_scrapes_sample_%s_total 0\n" % name, counted)

    def targets(self, server):
        return json.loads(server.get("/api/v1/targets"))["data"]["activeTargets"]

    def errors(self, server):
        """What Prometheus has to say of its targets, other than that they are slow."""
        errors = {each["lastError"] for each in self.targets(server)}
        return {each for each in errors if each and "deadline" not in each}

    def keep(self, text):
        with open("/tmp/godwit-page.prom", "w") as file:
            file.write(text)


class Asking(Judged):
    def test_formats_methods_and_places(self):
        self.running([("mem", {})], listener=False, bearer_token="open sesame")
        self.assertEqual(fetch(self.port)[0], 401)
        self.assertEqual(fetch(self.port, Authorization="Bearer wrong")[0], 401)
        known = {"Authorization": "Bearer open sesame"}
        wait_until(lambda: b"mem_total" in fetch(self.port, **known)[2], 30, "the page")
        for accept, kind in ((None, "text/plain; version=0.0.4"), (OPEN, "application/openmetrics-text; version=1.0.0"),
                             ("application/openmetrics-text;version=0.0.1;q=0.3,text/plain;q=0.7", "text/plain"),
                             ("application/openmetrics-text;q=0", "text/plain"), ("image/png", "text/plain")):
            status, headers, body = fetch(self.port, **dict(known, **({"Accept": accept} if accept else {})))
            self.assertEqual(status, 200)
            self.assertTrue(headers["Content-Type"].startswith(kind), (accept, headers["Content-Type"]))
            self.assertEqual(body.endswith(b"# EOF\n"), kind.startswith("application"))
            self.assertIn("Accept", headers["Vary"])
        for coding, packed in (("gzip", True), ("gzip;q=0", False), ("br, *;q=0.1", True), ("identity", False)):
            status, headers, body = fetch(self.port, Accept_Encoding=coding, **known)
            self.assertEqual(headers.get("Content-Encoding") == "gzip", packed, coding)
            self.assertIn(b"mem_total", gzip.decompress(body) if packed else body)
        status, headers, body = fetch(self.port, method="HEAD", **known)
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 500)
        status, headers, body = fetch(self.port, "/")
        self.assertEqual(status, 200)
        self.assertIn(b'<a href="/metrics">', body)
        self.assertEqual(fetch(self.port, "/none")[0], 404)
        status, headers, _ = fetch(self.port, method="POST", **known)
        self.assertEqual((status, headers["Allow"]), (405, "GET"))
