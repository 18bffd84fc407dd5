"""Two outputs at once, one of them dead: the other one does not notice."""
import itertools
import os
import socket
import time

from support import agent as agents
from support import fake_influx
from support.case import EndToEnd, takes
from support.influx import free_port
from support.processes import wait_until

SERIES = 20
KINDS = ("influxdb", "influxdb_v2", "file", "prometheus_client")


class Kind:
    """One output of a kind: alive, or dead in its own way."""

    def __init__(self, kind, folder, is_dead):
        self.kind = kind
        self.is_dead = is_dead
        self.closing = []
        self.server = None
        if kind.startswith("influxdb"):
            self.server = fake_influx.Server()
            self.closing.append(self.server.close)
            if is_dead:
                # What hurts most: it takes connections and never answers.
                self.server.fault = fake_influx.hang
            self.options = {"urls": [self.server.url], "timeout": "2s"}
            self.options.update({"organization": "o", "bucket": "b"} if kind == "influxdb_v2" else {})
        elif kind == "file":
            path = os.path.join(folder, "metrics")
            self.options = {"directory": path}
            if is_dead:
                with open(path, "w") as file:
                    file.write("no folder")
        else:
            holder = socket.socket()
            self.closing.append(holder.close)
            if is_dead:
                holder.bind(("127.0.0.1", 0))
                holder.listen(1)
            self.port = holder.getsockname()[1] if is_dead else free_port()
            self.options = {"listen": "127.0.0.1:%d" % self.port}

    def close(self):
        for close in self.closing:
            close()


class Pairs(EndToEnd):
    def pair(self, live, dead):
        folder = self.folder()
        alive, gone = Kind(live, folder, False), Kind(dead, folder, True)
        self.addCleanup(alive.close)
        self.addCleanup(gone.close)
        extra = "".join(agents.table("[[outputs.%s]]" % each.kind, each.options) for each in (alive, gone))
        return alive, gone, self.agent(host_proc=self.proc(SERIES), extra=extra)

    def judge(self, live, dead):
        _, _, agent = self.pair(live, dead)
        wait_until(lambda: agent.balance(live)["delivered"] > SERIES * 5, 30, "%s begins" % live)
        began, before, skipped = time.monotonic(), agent.balance(live), agent.skipped()
        latest = 0
        while time.monotonic() - began < 6:
            latest = max(latest, agent.balance(live)["pending"])
            time.sleep(0.1)
        took, after, missed = time.monotonic() - began, agent.balance(live), agent.skipped() - skipped
        other = agent.balance(dead)
        self.assert_exact(after)
        self.assert_exact(other)
        self.assertEqual((after["dropped"], after["rejected"]), (0, 0), "%s lost points beside %s" % (live, dead))
        self.assertEqual((other["delivered"], other["rejected"], other["dropped"]), (0, 0, 0), dead)
        rate = (after["delivered"] - before["delivered"]) / took
        wanted = SERIES * (took * 10 - missed) / took
        self.assertGreater(rate, wanted * 0.85, "%s beside a dead %s: %.0f points/s of %.0f" % (live, dead, rate, wanted))
        self.assertLess(latest, SERIES * 30, "%s waited beside a dead %s" % (live, dead))
        with open("/proc/%d/status" % agent.pid) as file:
            anonymous = next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
        self.assertLess(anonymous, 40 << 10, "anonymous memory in KiB")
        self.assertEqual(agent.stop(), 0)
        print("      %s beside a dead %s: %.0f of %.0f points/s, at most %d waiting, %d KiB anonymous" % (
            live, dead, rate, wanted, latest, anonymous), flush=True)

    @takes(15)
    def test_a_dead_one_that_comes_back_gets_everything(self):
        _, gone, agent = self.pair("influxdb", "influxdb_v2")
        wait_until(lambda: agent.balance("influxdb_v2")["pending"] > SERIES * 20, 30, "a backlog")
        sealed = agent.balance("influxdb_v2")["sealed"]
        gone.server.resume()
        wait_until(lambda: agent.balance("influxdb_v2")["delivered"] >= sealed, 90, "the backlog drains")
        for output in ("influxdb", "influxdb_v2"):
            self.assert_exact(agent.balance(output))
            self.assertEqual(agent.balance(output)["dropped"], 0)


def add(live, dead):
    def test(self):
        self.judge(live, dead)
    test.__name__ = "test_%s_beside_a_dead_%s" % (live, dead)
    setattr(Pairs, test.__name__, takes(9)(test))


for _live, _dead in itertools.permutations(KINDS, 2):
    add(_live, _dead)
