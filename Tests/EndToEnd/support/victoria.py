"""A real VictoriaMetrics in a scratch folder on a free loopback port."""
import json
import os
import subprocess
import urllib.parse
import urllib.request

from . import processes
from .influx import free_port
from .processes import wait_until


class Victoria:
    """One server; `start` after `stop` keeps its data. `options` are words of its command line."""

    def __init__(self, *options):
        self.options = list(options)
        self.folder = processes.folder()
        self.port = free_port()
        self.process = None
        self.start()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = processes.spawn(
                ["victoria-metrics", "-httpListenAddr=127.0.0.1:%d" % self.port, "-retentionPeriod=100y",
                 "-storageDataPath=%s/data" % self.folder] + self.options, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: self.get("/health") == b"OK", 60, "VictoriaMetrics answers")

    def stop(self):
        processes.end(self.process)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as reply:
            return reply.read()

    def points(self, match):
        """{(labels as sorted pairs, time in ms): value} of the series that match a selector; None is the end of one."""
        self.get("/internal/force_flush")
        text = self.get("/api/v1/export?" + urllib.parse.urlencode({"match[]": match})).decode()
        found = {}
        for line in filter(None, text.split("\n")):
            series = json.loads(line)
            labels = tuple(sorted(series["metric"].items()))
            for value, time in zip(series["values"], series["timestamps"]):
                found[(labels, time)] = value
        return found
