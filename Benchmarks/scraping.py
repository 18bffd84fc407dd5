#!/usr/bin/env python3
"""Scraping: 200 targets of 1,000 series each, every second, beside Debian's Prometheus on the same targets.

  scraping.py [--binary PATH] [--targets 200] [--series 1000] [--seconds 20] [--gzip] [--only PATTERN] [--json FILE]

One static server on addresses of loopback answers both, from bytes made beforehand; a sink takes what is sent on. In turn:

  godwit               scrapes and sends by remote write
  prometheus --agent   the same work: scrapes, keeps a log on disk, sends by remote write
  prometheus           scrapes into its own database and sends nothing
  godwit, InfluxDB     scrapes and writes line protocol

For each: CPU of the whole process a sample (scheduler's accounting), resident memory, the part of the pages that were
asked for in time, and how the scrapes are spread: the largest part that falls into one tenth of the interval.
"""
import argparse
import gzip
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Behind our own folder: there is a run.py in both.
sys.path.append(os.path.join(HERE, "..", "Tests", "EndToEnd"))

from run import cpu_ms, memory_kb  # noqa: E402
from support import agent as agents  # noqa: E402
from support import processes  # noqa: E402
from support.influx import free_port  # noqa: E402

NO_CONTENT = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


def page(series):
    """A page as applications have it: half of it counters and gauges, half of it histograms."""
    out, left = [], series
    for number in range(series // 100 + 1):
        name = "app_requests_%d_total" % number
        out += ["# HELP %s Requests by method, path and code." % name, "# TYPE %s counter" % name]
        for each in range(min(50, left)):
            out.append('%s{method="GET",path="/api/v1/objects/%d",code="%d"} %d' % (name, each, 200 + each % 5, 1000003 * each))
        left -= min(50, left)
        name = "app_latency_%d_seconds" % number
        out += ["# HELP %s Time until the answer." % name, "# TYPE %s histogram" % name]
        for each in range(min(50, left) // 10):
            for bound in ("0.005", "0.01", "0.1", "0.5", "1", "2.5", "10", "+Inf"):
                out.append('%s_bucket{handler="/h%d",le="%s"} %d' % (name, each, bound, 4711 * each))
            out += ['%s_sum{handler="/h%d"} %.6f' % (name, each, 1234.5678 * (each + 1)),
                    '%s_count{handler="/h%d"} %d' % (name, each, 4711 * each)]
        left -= min(50, left) // 10 * 10
    return "\n".join(out) + "\n"


class Server(threading.Thread):
    """The targets, each on an address of its own, and the sink, in one loop."""

    def __init__(self, targets, body, packed):
        super().__init__(daemon=True)
        self.port = free_port()
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
        if packed:
            body = gzip.compress(body)
            head += "Content-Encoding: gzip\r\n"
        self.reply = (head + "Content-Length: %d\r\n\r\n" % len(body)).encode() + body
        self.times = []
        self.sent = self.posts = 0
        self.selector = selectors.DefaultSelector()
        self.addresses = ["127.0.%d.%d" % (1 + n // 250, 1 + n % 250) for n in range(targets)]
        for address in self.addresses + ["127.0.0.1"]:
            self.listen(address, self.port)

    def listen(self, address, port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, None)

    def run(self):
        while True:
            for key, events in self.selector.select():
                if key.data is None:
                    connection, _ = key.fileobj.accept()
                    connection.setblocking(False)
                    self.selector.register(connection, selectors.EVENT_READ, [bytearray(), memoryview(b"")])
                else:
                    try:
                        self.serve(key.fileobj, key.data, events)
                    except OSError:
                        self.selector.unregister(key.fileobj)
                        key.fileobj.close()

    def serve(self, connection, state, events):
        if events & selectors.EVENT_READ:
            data = connection.recv(1 << 18)
            if not data:
                raise OSError
            state[0] += data
            self.answer(state)
        if state[1]:
            try:
                state[1] = state[1][connection.send(state[1]):]
            except BlockingIOError:
                pass
        self.selector.modify(connection, selectors.EVENT_READ | (selectors.EVENT_WRITE if state[1] else 0), state)

    def answer(self, state):
        while True:
            end = state[0].find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(state[0][:end]).lower()
            if head.startswith(b"get"):
                self.times.append(time.monotonic())
                reply, length = self.reply, 0
            else:
                length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if b"content-length:" in head else 0
                if len(state[0]) < end + 4 + length:
                    return
                self.sent += length
                self.posts += 1
                reply = NO_CONTENT
            del state[0][:end + 4 + length]
            state[1] = memoryview(bytes(state[1]) + reply)


class Godwit:
    label = "godwit, remote write"
    output = "prometheus_remote_write"

    def __init__(self, server):
        options = {"urls": ["http://%s:%d/metrics" % (address, server.port) for address in server.addresses],
                   "metric_version": 2}
        sink = "http://127.0.0.1:%d" % server.port
        extra = agents.table("[[outputs.%s]]" % self.output, {
            "urls": [sink + ("/write" if self.output == "prometheus_remote_write" else "")]})
        self.agent = agents.Agent(inputs=[("prometheus", options)], interval="1s", flush="1s", extra=extra)
        self.agent.start()
        self.pid = self.agent.pid

    def close(self):
        balance = self.agent.balance()
        print("  %s: %s" % (self.label, balance))
        self.agent.stop()
        processes.discard(self.agent.folder)


class GodwitInflux(Godwit):
    label = "godwit, InfluxDB"
    output = "influxdb"


class Prometheus:
    label = "prometheus, own database"
    options = ["--storage.tsdb.path=%s/data"]

    def __init__(self, server):
        self.folder = processes.folder()
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                  "scrape_configs": [{"job_name": "bench", "static_configs": [
                      {"targets": ["%s:%d" % (address, server.port) for address in server.addresses]}]}]}
        config.update(self.more(server))
        with open(os.path.join(self.folder, "prometheus.yml"), "w") as file:
            json.dump(config, file)
        self.process = processes.spawn(
            ["prometheus", "--config.file=%s/prometheus.yml" % self.folder, "--log.level=error",
             "--web.listen-address=127.0.0.1:%d" % free_port()] + [each.replace("%s", self.folder) for each in self.options],
            stdin=subprocess.DEVNULL)
        self.pid = self.process.pid

    def more(self, server):
        return {}

    def close(self):
        processes.end(self.process)
        processes.discard(self.folder)


class PrometheusAgent(Prometheus):
    label = "prometheus, agent mode"
    options = ["--enable-feature=agent", "--storage.agent.path=%s/data"]

    def more(self, server):
        return {"remote_write": [{"url": "http://127.0.0.1:%d/write" % server.port}]}


def crowd(times):
    """The largest part of the scrapes that falls into one tenth of a second, whichever tenth that is."""
    tenths = [0] * 10
    for each in times:
        tenths[int(each * 10) % 10] += 1
    return max(tenths) / max(1, len(times))


def measure(side, server, seconds, series):
    made = side(server)
    try:
        # The first pages make all series; what follows is every day.
        time.sleep(8)
        begin, cpu, first = time.monotonic(), cpu_ms(made.pid)[0], len(server.times)
        sent = server.sent
        time.sleep(seconds)
        spent, cpu, times = time.monotonic() - begin, cpu_ms(made.pid)[0] - cpu, server.times[first:]
        samples = max(1, len(times) * series)
        memory = memory_kb(made.pid)
        return {"side": made.label, "us_a_sample": cpu * 1000 / samples, "cpu_percent": cpu / spent / 10,
                "rss_mb": memory["VmRSS"] / 1024, "peak_mb": memory["VmHWM"] / 1024,
                "complete": len(times) / (len(server.addresses) * spent), "crowd": crowd(times),
                "bytes_a_sample": (server.sent - sent) / samples}
    finally:
        made.close()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default=".build/release/godwit")
    options.add_argument("--targets", type=int, default=200)
    options.add_argument("--series", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--gzip", action="store_true", help="pages come compressed")
    options.add_argument("--only", default="", help="a part of a label")
    options.add_argument("--json", help="file for the rows")
    options = options.parse_args()
    agents.BINARY = os.path.abspath(options.binary)
    body = page(options.series)
    count = sum(1 for line in body.splitlines() if not line.startswith("#"))
    server = Server(options.targets, body.encode(), options.gzip)
    server.start()
    print("%d targets of %d series, %d bytes a page%s, every second; load %.1f" % (
        options.targets, count, len(body), ", gzip" if options.gzip else "", os.getloadavg()[0]))
    rows = []
    for side in (Godwit, PrometheusAgent, Prometheus, GodwitInflux):
        if options.only not in side.label:
            continue
        if side.__name__.startswith("Prometheus") and shutil.which("prometheus") is None:
            print("left out: %s (not installed)" % side.label)
            continue
        rows.append(measure(side, server, options.seconds, count))
    print("%-26s %12s %8s %10s %10s %10s %12s %10s" % (
        "", "us a sample", "CPU %", "RSS MB", "peak MB", "pages", "most in 0.1s", "B sent"))
    for row in rows:
        print("%(side)-26s %(us_a_sample)12.2f %(cpu_percent)8.0f %(rss_mb)10.1f %(peak_mb)10.1f" % row
              + " %9.0f%% %11.0f%% %10.1f" % (row["complete"] * 100, row["crowd"] * 100, row["bytes_a_sample"]))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
