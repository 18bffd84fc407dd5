"""The failover matrix: an agent in a closed network with several roads to one real database, and each thing that may
happen to a road. Each row tells how long it took to leave the road, to mend it, and to take it again, and an oracle
proves that nothing was lost, changed or put out of order.

Rows that stand elsewhere: 503 for a minute, a direct road with 30 % loss, all roads down and back in another order
without tunnels (`test_routes.py`); an agent's own session killed, away, frozen, refused or with another host key, and a
dead database behind it (`test_tunnel_routes.py`); how a relay's session and ports come back (`test_tunnels.py`).
"""
import os
import re
import signal
import threading
import time
import traceback
import unittest

from support import case, influx, two_networks
from support.case import EndToEnd, is_long, takes
from support.processes import wait_until
from support.stage import Stage
from support.two_networks import GATEWAY, PROXY_B

#: Seconds to a road that refuses, that swallows packets, and until a frozen tunnel works again.
HARD, HOLE, FROZEN = 5, 35, 65
#: Seconds that a fault lasts beyond the switch, and within which a road mends whose fault is gone.
HOLD, MEND = (30, 65) if is_long() else (2, 30)
#: Seconds of a bad line.
LASTS = 60 if is_long() else 15


class Row:
    """What happens, and what must come of it.

    fault, repair  functions of the stage; without a repair the road mends itself
    expect, ended  functions of the stage that wait for what the relay says of it, and look whether the fault was real
    leave          seconds within which another road carries the data; None when the road need not be left
    silent         seconds that may pass without any delivery
    mend           seconds from the repair, or from the fault where there is none, until the road works again
    hold           seconds that the fault lasts beyond the switch
    flaps          how often the road may change in all
    stage          what else the stage is to be made with
    """

    def __init__(self, roads, fault, repair=None, expect=None, ended=None, leave=None, silent=None, mend=MEND,
                 hold=HOLD, flaps=2, **stage):
        self.roads, self.fault, self.repair, self.expect, self.ended = roads, fault, repair, expect, ended
        self.leave, self.silent, self.mend, self.hold, self.flaps = leave, silent, mend, hold, flaps
        self.stage = stage

    def run(self, name, database):
        """Plays the row; returns its times and what is wrong."""
        stage = Stage(name, database, self.roads, **self.stage)
        is_well = False
        try:
            result = self.play(stage)
            is_well = not result[2]
            return result
        finally:
            stage.close()
            for daemon in stage.net.daemons:
                if not is_well:
                    print("  log of %s (last lines):\n%s" % (daemon.folder, daemon.log_text()[-3000:]), flush=True)

    def play(self, stage):
        first = self.roads[0]
        stage.wait_taken([first], 0, 60, count=8)
        times = {}
        began = time.monotonic()
        self.fault(stage)
        if self.leave is not None:
            times["away"] = stage.wait_taken(self.roads[1:], began, 90) - began
        if self.expect:
            self.expect(stage)
        time.sleep(self.hold if self.repair else 0)
        away = began + times.get("away", 0)
        if self.ended:
            self.ended(stage)
        repaired = began
        if self.repair:
            repaired = time.monotonic()
            self.repair(stage)
        times["mended"] = stage.wait_mended(first, 150) - repaired
        times["back"] = max(0, stage.wait_settled(first, max(away, repaired), 300) - repaired)
        times["silence"] = stage.silence(began)
        report = stage.agent.status()["outputs"][0]
        problems = stage.judge()
        for what, limit in (("away", self.leave), ("silence", self.silent), ("mended", self.mend)):
            if limit is not None and times[what] > limit:
                problems.append("%s %.1f s, more than %d" % (what, times[what], limit))
        if report["route_switches"] > self.flaps:
            problems.append("%d switches" % report["route_switches"])
        return times, report, problems


def refill(stage):
    """The guest gets another address and the routes that come with it."""
    stage.net.vm_b.ip("address flush dev eth0", "address add 10.2.0.9/24 dev eth0",
                      "route add default via %s" % PROXY_B)


def freeze(stage):
    for pid in stage.sshd.sessions():
        os.kill(pid, signal.SIGSTOP)


def kill_sessions(stage):
    for pid in stage.sshd.sessions():
        os.kill(pid, signal.SIGKILL)


def rebuild(stage):
    stage.sshd.stop()
    stage.sshd.renew()
    stage.restart_sshd()


def lose(stage):
    # nftables rather than netem, which not every kernel has.
    try:
        for hook, side in (("input", "iifname"), ("output", "oifname")):
            stage.filter("%s public numgen random mod 100 < 30 counter drop" % side, hook)
    except RuntimeError as error:
        raise unittest.SkipTest("needs numgen of nftables (%s)" % error)


def narrow(stage):
    """A slow line, and on it a backlog beside the live data."""
    try:
        for node in (stage.net.proxy_a, stage.net.proxy_b):
            node.run("tc", "qdisc", "add", "dev", "public", "root", "tbf", "rate", "16kbit", "burst", "1600",
                     "latency", "2s")
    except RuntimeError as error:
        raise unittest.SkipTest("needs the packet scheduler tbf (%s)" % error)
    stage.front.refuse()
    wait_until(lambda: stage.agent.balance()["pending"] > 20, 60, "a backlog")
    with stage.net.db:
        stage.front.resume()


def drained(stage):
    wait_until(lambda: stage.agent.balance()["pending"] <= 10, 150, "the backlog goes over the slow line", 0.5)


def was_narrow(stage):
    """The line was too narrow for some packets at least."""
    text = stage.net.proxy_b.run("tc", "-s", "qdisc", "show", "dev", "public")
    assert int(re.search(r"overlimits (\d+)", text).group(1)) > 0, text


def lost_some(stage):
    text = stage.net.proxy_b.run("nft", "list", "table", "inet", "fault")
    lost = [int(number) for number in re.findall(r"counter packets (\d+)", text)]
    assert min(lost) > 0, text


def reject(stage):
    stage.filter("ip daddr 10.1.0.3 meta l4proto tcp reject with tcp reset")


def all_down(stage):
    reject(stage)
    stage.metadata.refuse()
    stage.sshd.stop()
    stage.front.refuse()


def back_in_another_order(stage):
    """The last road first, then the tunnel, whose target is dead at first, then the first."""
    with stage.net.proxy_b:
        stage.metadata.resume()
    stage.wait_taken(["metadata"], time.monotonic(), 90)
    stage.restart_sshd()
    stage.wait_reason("target-refused")
    with stage.net.db:
        stage.front.resume()
    stage.unfilter()


def says(reason):
    return lambda stage: stage.wait_reason(reason)


def logged(text):
    return lambda stage: wait_until(lambda: text in stage.relay.log_text(), 90, text, 0.1)


def resume(name, node):
    def do(stage):
        with getattr(stage.net, node):
            getattr(stage, name).resume()
    return do


DIRECT, TUNNEL = ("direct", "proxy"), ("proxy", "metadata")

ROWS = {
    "direct_rejected": Row(DIRECT, reject, Stage.unfilter, leave=HARD),
    "direct_dropped": Row(DIRECT, lambda stage: stage.filter("ip daddr 10.1.0.3 drop"), Stage.unfilter, leave=HOLE),
    "metadata_gone": Row(("metadata", "proxy"), lambda stage: stage.metadata.refuse(), resume("metadata", "proxy_b"),
                         leave=HARD),
    "session_killed": Row(TUNNEL, kill_sessions, silent=HARD),
    "sshd_killed": Row(TUNNEL, lambda stage: stage.sshd.stop(), Stage.restart_sshd, leave=HARD),
    "sshd_frozen": Row(TUNNEL, freeze, expect=logged("session-frozen"), leave=HOLE, mend=FROZEN),
    "other_host_key": Row(TUNNEL, rebuild, lambda stage: stage.sshd.trust(), says("hostkey-changed"), leave=HARD,
                          mend=65),
    "forwarding_denied": Row(TUNNEL, lambda stage: stage.reconfigure("AllowTcpForwarding no"),
                             lambda stage: stage.reconfigure(GATEWAY), says("forward-denied"), leave=HARD),
    "gateway_ports_no": Row(TUNNEL, lambda stage: stage.reconfigure("GatewayPorts no"),
                            lambda stage: stage.reconfigure(GATEWAY), says("bound-loopback"), leave=HARD),
    "stale_child": Row(TUNNEL, Stage.cut_silently, expect=logged("port-in-use"), leave=HOLE, mend=FROZEN + 60),
    "database_dead": Row(TUNNEL, lambda stage: stage.front.refuse(), resume("front", "db"), says("target-refused"),
                         leave=HOLE),
    "loss_of_30_percent": Row(TUNNEL, lose, Stage.unfilter, ended=lost_some, hold=LASTS, mend=65),
    "line_of_16_kbit": Row(("proxy",), narrow, expect=drained, ended=was_narrow, flaps=0, hold=0, mend=120,
                           step_ms=2000, tunnel={}, timeout="5s", content_encoding="identity"),
    "another_address": Row(("direct", "metadata"), refill, silent=10),
    "all_down": Row(("direct", "proxy", "metadata"), all_down, back_in_another_order, hold=LASTS / 3),
}


class Matrix(EndToEnd):
    """All rows run at the same time, each in networks of its own; each test looks at its own result."""

    #: The runner keeps the tests of this class in one process.
    together = True
    results = {}
    threads = None
    database = None

    def setUp(self):
        super().setUp()
        reason = two_networks.missing()
        if reason:
            self.skipTest(reason)
        if Matrix.threads is None:
            Matrix.threads = {}
            Matrix.database = influx.Influx()
            for name in ROWS:
                if "test_failover.Matrix.test_" + name in case.chosen:
                    Matrix.threads[name] = threading.Thread(target=self.one, args=(name,), daemon=True)
                    Matrix.threads[name].start()

    def one(self, name):
        try:
            Matrix.results[name] = ROWS[name].run(name, Matrix.database)
        except unittest.SkipTest as reason:
            Matrix.results[name] = str(reason)
        except OSError as error:
            Matrix.results[name] = "needs network namespaces (%s)" % error
        except BaseException:
            Matrix.results[name] = AssertionError(traceback.format_exc())

    def judge(self, name):
        Matrix.threads[name].join(900)
        result = Matrix.results.get(name)
        if isinstance(result, AssertionError):
            raise result
        if isinstance(result, str):
            self.skipTest(result)
        times, report, problems = result
        print("      %-20s %s  (%s)" % (name, "  ".join("%s %5.1f s" % item for item in times.items()),
                                        report["last_switch_cause"]), flush=True)
        self.assertEqual(problems, [])

    @classmethod
    def tearDownClass(cls):
        for thread in (cls.threads or {}).values():
            thread.join(900)
        if cls.database:
            cls.database.stop()


def row(name):
    @takes(110)
    def test(self):
        self.judge(name)
    return test


for each in ROWS:
    setattr(Matrix, "test_" + each, row(each))
