"""The agent under test: one daemon in a scratch folder of its own, with its own state directory and socket."""
import json
import os
import signal
import socket
import subprocess

from . import processes
from .processes import wait_until

BINARY = ".build/release/godwit"

#: The environment the daemon runs under: nothing of the caller's leaks into the daemon.
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "SWIFT_BACKTRACE": "enable=no"}

#: What a binary under a sanitizer is told, by scripts/sanitize; its memory says nothing of ours.
SANITIZER = {name: os.environ[name] for name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS") if name in os.environ}
CLEAN.update(SANITIZER)

#: The input that turns each row of a made net/dev into a point.
NET = ("net", {"interfaces": ["if*"], "ignore_protocol_stats": True})


def value(item):
    """A Python value as TOML."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, (int, float)):
        return str(item)
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(value(each) for each in item) + "]"
    if isinstance(item, dict):
        return "{ " + ", ".join("%s = %s" % (json.dumps(key), value(each)) for key, each in item.items()) + " }"
    return json.dumps(item)


def table(name, options):
    """A TOML table; `name` comes with its brackets. Sub-tables (dict values of list type) are not needed here."""
    return "\n".join([name] + ["%s = %s" % (key, value(each)) for key, each in options.items()]) + "\n"


def proc_tree(path, interfaces=20, cpus=2):
    """Makes a HOST_PROC tree whose net/dev has `interfaces` rows of distinct counters, so that each tick of the net
    input makes that many distinct points. Returns its path."""
    os.makedirs(os.path.join(path, "net"), exist_ok=True)
    os.makedirs(os.path.join(path, "1"), exist_ok=True)
    os.makedirs(os.path.join(path, "self"), exist_ok=True)
    head = ("Inter-|   Receive                                                |  Transmit\n"
            " face |bytes    packets errs drop fifo frame compressed multicast|"
            "bytes    packets errs drop fifo colls carrier compressed\n")
    rows = ["%6s: %d %d 0 0 0 0 0 0 %d %d 0 0 0 0 0 0\n" % ("if%d" % n, 1000 + n, 100 + n, 2000 + n, 200 + n)
            for n in range(interfaces)]
    replace(os.path.join(path, "net", "dev"), head + "".join(rows))
    stat = "cpu  %s\n" % " ".join(["100"] * 10)
    stat += "".join("cpu%d %s\n" % (n, " ".join(str(100 + n) for _ in range(10))) for n in range(cpus))
    replace(os.path.join(path, "stat"), stat + "btime 1700000000\n")
    replace(os.path.join(path, "loadavg"), "0.10 0.20 0.30 1/100 4242\n")
    replace(os.path.join(path, "uptime"), "1000.00 900.00\n")
    replace(os.path.join(path, "meminfo"), "MemTotal: 1000 kB\nMemFree: 500 kB\nMemAvailable: 600 kB\n")
    for each in ("1", "self"):
        replace(os.path.join(path, each, "mountinfo"), "")
    return path


def replace(path, text):
    """Writes a whole file."""
    with open(path, "w") as file:
        file.write(text)


class Agent:
    """One daemon with its config, state directory, socket and log.

    agent = Agent(url=server.url); agent.start(); …; agent.stop()
    """

    def __init__(self, url=None, inputs=None, agent=None, output=None, spill=None, status=None, extra="",
                 host_proc=None, environment=None, precision="1ms", interval="100ms", flush="200ms", root=None):
        self.folder = root or processes.folder()
        self.state = os.path.join(self.folder, "state")
        self.spill = os.path.join(self.state, "spill")
        self.socket = os.path.join(self.folder, "godwit.sock")
        self.config = os.path.join(self.folder, "config.toml")
        self.log = os.path.join(self.folder, "log")
        self.process = None
        #: Words in front of the daemon's own, such as those of `unshare`.
        self.wrapper = []
        #: Options of `run` beside --config.
        self.options = []
        self.environment = dict(CLEAN, HOME=self.folder, STATE_DIRECTORY=self.state)
        if host_proc:
            self.environment["HOST_PROC"] = host_proc
        self.environment.update(environment or {})
        self.parts = {
            "agent": dict({"interval": interval, "flush_interval": flush, "precision": precision, "hostname": "h",
                           "round_interval": True, "flush_jitter": "0s", "collection_jitter": "0s"}, **(agent or {})),
            "spill": dict({"directory": self.spill}, **(spill or {})),
            "status": dict({"socket": self.socket}, **(status or {})),
            "output": dict({"urls": [url] if isinstance(url, str) else list(url or []), "database": "telegraf",
                            "timeout": "5s"}, **(output or {})),
            "inputs": [NET] if inputs is None else inputs,
        }
        self.has_output = url is not None
        self.extra = extra
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.write_config()

    def text(self):
        """The config as TOML."""
        out = [table("[agent]", self.parts["agent"]), table("[spill]", self.parts["spill"]),
               table("[status]", self.parts["status"])]
        if self.has_output:
            out.append(table("[[outputs.influxdb]]", self.parts["output"]))
        for name, options in self.parts["inputs"]:
            out.append(table("[[inputs.%s]]" % name, options))
        return "\n".join(out) + "\n" + self.extra

    def write_config(self, text=None):
        """Replaces the config file at once, as an operator's deployment does."""
        with open(self.config + ".new", "w") as file:
            file.write(self.text() if text is None else text)
        os.chmod(self.config + ".new", 0o600)
        os.rename(self.config + ".new", self.config)

    # Life

    def start(self, ready=True, seconds=20):
        """Starts the daemon; with `ready`, waits until its socket answers."""
        with open(self.log, "ab") as log:
            self.process = processes.spawn(self.wrapper + [BINARY, "run", "--config", self.config] + self.options,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                                           cwd=self.folder)
        if ready:
            self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=20):
        """Waits until the status answers; fails at once with the log when the daemon has ended."""
        def answers():
            if self.process.poll() is not None:
                raise AssertionError("the daemon ended with %s:\n%s" % (self.process.returncode,
                                                                        self.log_text()[-4000:]))
            return self.request("/healthz")[0] > 0
        wait_until(answers, seconds, "the status socket answers")

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Stops with a signal; returns the exit status (-9 when it had to be killed)."""
        return processes.end(self.process, number, seconds) if self.process else None

    def kill(self):
        """SIGKILL, and waits for the end."""
        return self.stop(signal.SIGKILL)

    def signal(self, number):
        os.kill(self.process.pid, number)

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def log_text(self):
        """Everything the daemon wrote to standard output and error so far."""
        try:
            with open(self.log, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    # Asking

    def request(self, path, method="GET", seconds=5):
        """One HTTP request over the unix socket: (status code, headers, body bytes)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(self.socket)
            head = "%s %s HTTP/1.1\r\nHost: godwit\r\nConnection: close\r\n\r\n" % (method, path)
            connection.sendall(head.encode())
            data = b""
            while True:
                chunk = connection.recv(65536)
                if not chunk:
                    break
                data += chunk
        return parse_response(data)

    def status(self):
        """The parsed /status."""
        code, _, body = self.request("/status")
        if code != 200:
            raise ValueError("/status answered %d" % code)
        return json.loads(body)

    def command(self, name, *arguments):
        """The words of a subcommand: those that talk to the daemon get its socket, the others the config."""
        talks = name in ("status", "top", "tap", "reload")
        target = ["--socket", self.socket] if talks else ["--config", self.config]
        return [BINARY, name] + list(arguments) + target

    def run(self, *arguments, seconds=30):
        """Runs a subcommand of the binary for this agent: CompletedProcess with text output."""
        return subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="surrogateescape", timeout=seconds, env=self.environment, cwd=self.folder)

    def spilled(self):
        """The lines that the spill holds, read by `godwit spill cat` (read-only, the daemon may run or not)."""
        done = self.run("spill", "cat")
        if done.returncode != 0:
            raise AssertionError("spill cat: exit %d\n%s" % (done.returncode, done.stderr))
        return [line for line in done.stdout.encode(errors="surrogateescape").split(b"\n") if line]

    def skipped(self):
        """Ticks that the inputs of the running daemon have skipped, because it did not get to run in time."""
        return sum(each["ticks_skipped"] for each in self.status()["inputs"])

    def balance(self, output=None):
        """The balance of one output (the only one when not named) out of the status."""
        found = balances(self.status())
        if output is None:
            if len(found) != 1:
                raise ValueError("%d balances in the status: %s" % (len(found), sorted(found)))
            return next(iter(found.values()))
        return found[output]


def parse_response(data):
    """Raw HTTP/1.1 response bytes as (code, headers in lower case, body); chunked bodies are joined."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise ValueError("not HTTP: %r" % data[:80])
    headers = {}
    for line in lines[1:]:
        name, _, text = line.partition(b":")
        headers[name.strip().lower().decode()] = text.strip().decode()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = join_chunks(body)
    return int(words[1]), headers, body


def join_chunks(body):
    """The content of a chunked body; a body cut short gives what is there."""
    out = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            return out
        if length == 0:
            return out
        out += rest[:length]
        body = rest[length + 2:]
    return out


def balances(report):
    """The balance of every output of a status report: {id: {sealed, delivered, rejected, dropped, pending}}; `dropped`
    is the sum of its reasons, which stand under `reasons`."""
    found = {}
    for output in report["outputs"]:
        numbers = dict(output["balance"])
        numbers["reasons"] = numbers["dropped"]
        numbers["dropped"] = sum(numbers["reasons"].values())
        found[output["id"]] = numbers
    return found


def is_exact(balance):
    """sealed = delivered + rejected + dropped + pending, to the point."""
    return balance["sealed"] == (balance["delivered"] + balance["rejected"] + balance["dropped"] + balance["pending"])
