"""A real influxd 1.x in a scratch folder on free loopback ports."""
import json
import os
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from . import processes
from .processes import wait_until

CONFIG = """reporting-disabled = true
bind-address = "127.0.0.1:%(rpc)d"
[meta]
  dir = "%(folder)s/meta"
[data]
  dir = "%(folder)s/data"
  wal-dir = "%(folder)s/wal"
  index-version = "inmem"
  query-log-enabled = false
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[http]
  bind-address = "%(address)s:%(port)d"
  auth-enabled = %(auth)s
  log-enabled = false
  https-enabled = %(https)s
  https-certificate = "%(certificate)s"
  unix-socket-enabled = true
  bind-socket = "%(folder)s/http.sock"
[logging]
  level = "warn"
"""


def free_port():
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_installed():
    return shutil.which("influxd") is not None


class Influx:
    """One server; `restart` keeps its data."""

    def __init__(self, auth=False, certificate=None, address="127.0.0.1", port=None):
        self.folder = processes.folder()
        self.address = address
        self.port = port or free_port()
        self.rpc = free_port()
        self.certificate = certificate
        self.admin = None
        self.process = None
        #: The same interface on a unix socket, which can be reached from every network namespace.
        self.socket = os.path.join(self.folder, "http.sock")
        self.config = os.path.join(self.folder, "influxdb.conf")
        with open(self.config, "w") as file:
            file.write(CONFIG % {"folder": self.folder, "address": self.address, "port": self.port, "rpc": self.rpc,
                                 "auth": "true" if auth else "false", "https": "true" if certificate else "false",
                                 "certificate": certificate or ""})
        self.start()

    @property
    def url(self):
        host = "localhost" if self.certificate and self.address == "127.0.0.1" else self.address
        return "%s://%s:%d" % ("https" if self.certificate else "http", host, self.port)

    def start(self):
        """Starts and waits for /ping."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = processes.spawn(["influxd", "-config", self.config], stdout=log, stderr=subprocess.STDOUT,
                                           stdin=subprocess.DEVNULL,
                                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.folder})
        wait_until(self.answers, 60, "influxd answers")

    def answers(self):
        with socket.create_connection((self.address, self.port), 2):
            return True

    def stop(self):
        processes.end(self.process)

    def restart(self):
        self.stop()
        self.start()

    def open(self, path, body=None):
        """One request by a plain client: (code, body)."""
        context = ssl._create_unverified_context() if self.certificate else None
        request = urllib.request.Request(self.url + path, data=body)
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def query(self, text, database="telegraf", method="GET"):
        """Runs InfluxQL; returns the series of the first statement: [{name, tags, columns, values}]."""
        fields = {"q": text, "db": database, "epoch": "ns"}
        if self.admin:
            fields["u"], fields["p"] = self.admin
        path = "/query?" + urllib.parse.urlencode(fields)
        code, body = self.open(path, b"" if method == "POST" else None)
        reply = json.loads(body)
        if code != 200 or "error" in reply or "error" in reply.get("results", [{}])[0]:
            raise ValueError("%s: %d %s" % (text, code, body[:300]))
        return reply["results"][0].get("series", [])

    def write(self, lines, database="telegraf"):
        """Writes line protocol: (code, body)."""
        return self.open("/write?" + urllib.parse.urlencode({"db": database, "precision": "ns"}), lines)

    def databases(self):
        return [row[0] for row in self.query("SHOW DATABASES")[0].get("values", [])]

    def points(self, measurement, database="telegraf"):
        """Every point of a measurement: {(tags as sorted pairs, time ns): {field: value}}."""
        found = {}
        for series in self.query('SELECT * FROM "%s" GROUP BY *' % measurement, database):
            tags = tuple(sorted((key, each) for key, each in series.get("tags", {}).items() if each))
            for row in series["values"]:
                fields = {name: each for name, each in zip(series["columns"][1:], row[1:]) if each is not None}
                found[(tags, row[0])] = fields
        return found

    def types(self, measurement, database="telegraf"):
        """{field key: float|integer|string|boolean}."""
        found = self.query('SHOW FIELD KEYS FROM "%s"' % measurement, database)
        return dict(found[0]["values"]) if found else {}
