"""A real Prometheus in a scratch folder on a free loopback port."""
import json
import os
import subprocess
import urllib.parse
import urllib.request

from . import processes
from .influx import free_port
from .processes import wait_until


class Prometheus:
    """One server that takes remote writes and scrapes what `config` says; `start` after `stop` keeps its data."""

    def __init__(self, config=None):
        self.folder = processes.folder()
        self.port = free_port()
        self.process = None
        with open(os.path.join(self.folder, "prometheus.yml"), "w") as file:
            json.dump(config or {}, file)
        self.start()

    @property
    def url(self):
        return "http://127.0.0.1:%d/api/v1/write" % self.port

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = processes.spawn(
                ["prometheus", "--config.file=%s/prometheus.yml" % self.folder, "--web.enable-remote-write-receiver",
                 "--storage.tsdb.path=%s/data" % self.folder, "--web.listen-address=127.0.0.1:%d" % self.port],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self.answers, 60, "Prometheus answers")

    def answers(self):
        return b"Ready" in self.get("/-/ready")

    def stop(self):
        processes.end(self.process)

    def get(self, path):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.port, path), timeout=10) as reply:
            return reply.read()

    def series(self, selector):
        """{labels as sorted pairs: newest value as text} of the series that a selector matches."""
        reply = json.loads(self.get("/api/v1/query?" + urllib.parse.urlencode({"query": selector})))
        return {tuple(sorted(each["metric"].items())): each["value"][1] for each in reply["data"]["result"]}

    def points(self, selector, period="1h"):
        """{(labels as sorted pairs, time in ms): value} of the raw samples that a selector matches."""
        query = urllib.parse.urlencode({"query": "%s[%s]" % (selector, period)})
        reply = json.loads(self.get("/api/v1/query?" + query))
        found = {}
        for series in reply["data"]["result"]:
            labels = tuple(sorted(series["metric"].items()))
            for time, value in series["values"]:
                found[(labels, round(time * 1000))] = float(value)
        return found
