"""One row of the failover matrix: two networks, an agent on VM B with several roads to one real database, a fault, and
what an oracle says afterwards."""
import os
import re
import time

from . import agent as agents
from . import oracle, processes
from .case import is_long
from .processes import wait_until
from .recorder import Recorder
from .two_networks import (DB, DB_PORT, METADATA, PROXY_A, PROXY_B, PUBLIC_A, PUBLIC_B, ROAD_PORT,
                           TwoNetworks, answers, road)

SERIES = 5
#: Where a /ping over each road goes to.
PINGS = {"direct": "http://%s:%d/ping" % (DB, DB_PORT), "proxy": "http://%s:%d/ping" % (PROXY_B, ROAD_PORT),
         "metadata": "http://%s/monitor/ping" % METADATA}
ROUTES = {"direct": {"via": "direct"}, "proxy": {"via": "proxy", "url": PINGS["proxy"][:-5]},
          "metadata": {"via": "metadata"}}
#: What shortens a row unless the run is a long one.
QUICK_TUNNEL = {"probe_interval": "1s", "reconnect_max": "2s"}
QUICK_OUTPUT = {"timeout": "2s"}


class Stage:
    """Everything of one row; `close` takes it away."""

    def __init__(self, name, influx, roads, step_ms=500, series=SERIES, tunnel=None, **output):
        """`output` are options of the agent's output, `tunnel` those of the relay's session."""
        self.series = series
        self.name = name
        self.influx = influx
        self.roads = roads
        self.step_ms = step_ms
        self.folder = processes.folder()
        self.net = TwoNetworks(self.folder)
        try:
            self._furnish(tunnel, output)
        except BaseException:
            self.net.close()
            raise

    def _furnish(self, tunnel, output):
        """Puts everything where it belongs: fronts of the database, sshd and relay, the agent."""
        roads = self.roads
        if "direct" in roads:
            self.net.open()
        with self.net.db:
            self.front = Recorder(self.influx, host=DB, port=DB_PORT)
        self.fronts = [self.front]
        if "metadata" in roads:
            self.net.proxy_b.ip("address add %s/32 dev lo" % METADATA)
            with self.net.proxy_b:
                self.metadata = Recorder(self.influx, host=METADATA, port=80, prefix="/monitor")
            self.fronts.append(self.metadata)
        if "proxy" in roads:
            self.sshd = self.net.sshd(self.net.proxy_b, PUBLIC_B)
            tunnel = ({} if is_long() else QUICK_TUNNEL) if tunnel is None else tunnel
            self.relay = self.net.relay(self.sshd, road(), **tunnel)
            wait_until(lambda: answers(self.net.vm_b, PINGS["proxy"]) == 204, 30, "the road through the proxy")
        routes = [ROUTES[each] for each in roads]
        # An output's own address is the first of its roads where nothing else is said.
        routes += [] if "direct" in roads else [ROUTES["direct"]]
        output = dict({} if is_long() else QUICK_OUTPUT, urls=[PINGS["direct"][:-5]], database=self.name, **output)
        self.agent = self.net.daemon(
            self.net.vm_b, name="agent", url=output["urls"], output=output, interval="%dms" % self.step_ms,
            flush="%dms" % self.step_ms, host_proc=agents.proc_tree(os.path.join(self.folder, "proc"), self.series),
            more="".join(agents.table("[[outputs.influxdb.routes]]", each) for each in routes))

    def close(self):
        self.net.close()
        for front in self.fronts:
            front.close()

    # Who carried what

    @staticmethod
    def road_of(request):
        """The road that a write came by."""
        if request.target.startswith("/monitor"):
            return "metadata"
        return "proxy" if request.peer == PROXY_A else "direct"

    def taken(self, roads=None, after=0.0):
        """The writes that the database took over one of these roads, in order."""
        found = []
        for front in self.fronts:
            for request in list(front.taken):
                if request.time > after and (roads is None or self.road_of(request) in roads):
                    found.append(request)
        return sorted(found, key=lambda request: request.time)

    def wait_taken(self, roads, after, seconds, count=1):
        """Waits for so many writes over one of the roads; returns when the first came."""
        found = wait_until(lambda: len(self.taken(roads, after)) >= count and self.taken(roads, after), seconds,
                           "%s: points over %s" % (self.name, " or ".join(roads or self.roads)), 0.05)
        return found[0].time

    def wait_settled(self, name, after, seconds):
        """Waits until all that comes since `after` comes over one road, three writes at least; returns when that began.
        (What a connection that was given up had still under way may come late.)"""
        def began():
            last = None
            count = 0
            for request in reversed(self.taken(None, after)):
                if self.road_of(request) != name:
                    break
                last, count = request.time, count + 1
            return last if count >= 3 and self.agent.status()["outputs"][0]["active_route"].startswith(name) else None
        return wait_until(began, seconds, "%s: the data are back on %s" % (self.name, name), 0.1)

    def silence(self, after):
        """The longest time without an accepted write since `after`."""
        times = [after] + [request.time for request in self.taken(None, after)]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def wait_mended(self, name, seconds):
        """Waits until a /ping over the road is answered as it should be; returns when."""
        wait_until(lambda: answers(self.net.vm_b, PINGS[name]) == 204, seconds,
                   "%s: a ping over %s" % (self.name, name), 0.1)
        return time.monotonic()

    # Faults

    def filter(self, rule, hook="forward", node=None):
        """Adds a rule to the packet filter of proxy B, or of another node."""
        (node or self.net.proxy_b).nft(
            "add table inet fault\nadd chain inet fault %s { type filter hook %s priority 0; }\n"
            "add rule inet fault %s %s\n" % (hook, hook, hook, rule))

    def unfilter(self, node=None):
        (node or self.net.proxy_b).nft("delete table inet fault\n")

    def reconfigure(self, *options):
        """Starts the sshd anew with other options, which ends its sessions."""
        self.sshd.stop()
        self.sshd.configure(options)
        self.restart_sshd()

    def restart_sshd(self):
        with self.net.proxy_b:
            self.sshd.start()

    def cut_silently(self):
        """Makes every packet of the relay's present connection vanish; a new one is free to pass."""
        port = re.findall(r"Accepted publickey for \S+ from %s port (\d+)" % re.escape(PUBLIC_A),
                          self.sshd.log_text())[-1]
        self.filter("ip saddr %s tcp sport %s drop" % (PUBLIC_A, port), "input")
        self.filter("ip daddr %s tcp dport %s drop" % (PUBLIC_A, port), "output")

    def wait_reason(self, reason, seconds=60):
        """Waits until the relay gives this reason for its tunnel or its forward."""
        def gives():
            tunnel = self.relay.status()["tunnels"][0]
            return reason in [tunnel["reason"]] + [each["reason"] for each in tunnel["forwards"]]
        wait_until(gives, seconds, "%s: the relay says %s" % (self.name, reason), 0.1)

    # What must be true

    def judge(self, seconds=120):
        """Waits for the backlog, stops the agent, and returns what is wrong: lost, changed or disordered."""
        mark = time.time_ns()
        step = self.step_ms * 1_000_000

        def lines():
            return [line for front in self.fronts for line in front.stored()]

        def numbers():
            return [request.headers["x-godwit-batch"] for request in self.taken()]

        def is_whole():
            stamps = sorted(oracle.ticks(lines()))
            return (stamps[-1] > mark + 4 * step
                    and not any(oracle.holes(each) for each in oracle.sequences(numbers()).values())
                    and oracle.is_whole(lines(), stamps[0], mark, self.series, step, self.agent.skipped()))
        problems = []
        try:
            wait_until(is_whole, seconds, "%s: every point" % self.name, 0.25)
        except processes.Timeout:
            gaps = oracle.gaps(lines(), step, self.agent.skipped())
            problems.append("not whole: gaps %s, incomplete %s, missing batches %s" % (
                gaps[:3], oracle.incomplete_ticks(lines(), self.series)[:3],
                [oracle.holes(each)[:5] for each in oracle.sequences(numbers()).values()]))
        balance = self.agent.balance()
        if not agents.is_exact(balance) or balance["rejected"] or balance["dropped"]:
            problems.append("balance: %s" % balance)
        if self.agent.stop() != 0:
            problems.append("the agent did not end well")
        return problems + self.compare(lines(), numbers())

    def compare(self, lines, numbers):
        """What the database holds beside what it took."""
        problems = []
        digests = {}
        for front in self.fronts:
            for identity, found in front.batches.items():
                digests.setdefault(identity, set()).update(found)
        twice = [identity for identity, found in digests.items() if len(found) > 1]
        if twice or oracle.conflicts(lines):
            problems.append("sent as different bodies: %s %s" % (twice[:3], oracle.conflicts(lines)[:3]))
        if oracle.disorder(numbers):
            problems.append("out of order: " + oracle.disorder(numbers))
        wanted = {}
        for line in map(oracle.parse, lines):
            wanted[tuple(sorted(line.tags.items())), line.time] = {key: each for key, (_, each) in line.fields.items()}
        stored = self.influx.points("net", self.name)
        if stored != wanted:
            problems.append("the database holds %d points, %d of which were not sent so; it took %d" % (
                len(stored), sum(wanted.get(key) != each for key, each in stored.items()), len(wanted)))
        return problems
