"""Other agents beside ours in one window: Debian's collectd and prometheus-node-exporter, set to read what our inputs
read. A peer that is not installed is left out by name."""
import http.server
import os
import shutil
import subprocess
import sys
import threading
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Tests", "EndToEnd"))

from support import influx, processes  # noqa: E402
from support.processes import wait_until  # noqa: E402

COLLECTD = """Hostname "bench"
FQDNLookup false
BaseDir "%(folder)s"
PIDFile "%(folder)s/pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
%(plugins)s
LoadPlugin write_http
<Plugin cpu>
  ReportByCpu true
  ValuesPercentage true
</Plugin>
<Plugin vmem>
  Verbose true
</Plugin>
<Plugin tcpconns>
  AllPortsSummary true
</Plugin>
<Plugin write_http>
  <Node "sink">
    URL "http://127.0.0.1:%(port)d/"
    Format "JSON"
    BufferSize 65536
    StoreRates true
  </Node>
</Plugin>
"""
PLUGINS = ("cpu df disk interface load memory vmem processes contextswitch entropy swap uptime users protocols "
           "tcpconns").split()
COLLECTORS = ("cpu diskstats filesystem meminfo vmstat netdev netstat sockstat tcpstat loadavg stat time entropy filefd "
              "processes").split()


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Collectd:
    """collectd with its HTTP output; it sends when its buffer is full or after a second's flush."""

    program = "collectd"
    label = "collectd, write_http"

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        folder = processes.folder()
        config = os.path.join(folder, "collectd.conf")
        with open(config, "w") as file:
            file.write(COLLECTD % {"folder": folder, "port": self.server.server_address[1],
                                   "plugins": "\n".join("LoadPlugin " + name for name in PLUGINS)})
        self.process = processes.spawn(["/usr/sbin/collectd", "-f", "-C", config], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)

    def stop(self):
        processes.end(self.process)
        self.server.shutdown()
        self.server.server_close()


class NodeExporter:
    """node_exporter, asked once a second; what asks it is not counted."""

    program = "prometheus-node-exporter"
    label = "node_exporter, scraped"

    def __init__(self):
        port = influx.free_port()
        self.url = "http://127.0.0.1:%d/metrics" % port
        self.process = processes.spawn(
            [self.program, "--web.listen-address=127.0.0.1:%d" % port, "--log.level=error",
             "--collector.disable-defaults", "--collector.vmstat.fields=.*", "--collector.netstat.fields=.*"]
            + ["--collector." + name for name in COLLECTORS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.scrape, 20, "node_exporter answers")
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.every_second, daemon=True)
        self.thread.start()

    def scrape(self):
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            return len(answer.read())

    def every_second(self):
        while not self.ends.wait(1):
            self.scrape()

    def stop(self):
        self.ends.set()
        self.thread.join(10)
        processes.end(self.process)


def start():
    """The peers that this machine has."""
    started = []
    for kind in (Collectd, NodeExporter):
        if shutil.which(kind.program) or os.path.exists("/usr/sbin/" + kind.program):
            started.append(kind())
        else:
            print("%s is not installed: left out" % kind.program)
    return started


def calls(pid, seconds):
    """System calls a second of all threads; None without perf or its tracepoints."""
    try:
        done = subprocess.run(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(pid), "sleep",
                               str(seconds)], capture_output=True, text=True, timeout=seconds + 60)
        return int(done.stderr.split(",")[0]) / seconds
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
