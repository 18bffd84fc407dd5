"""A long run at one second with a reload every ten: memory flat, no tick missed, the books exact.

A minute by default, half an hour with --long. Every second reload changes an input (its collector starts anew), the
other one gives the change back.
"""
import collections
import os
import signal
import statistics
import time

from support.case import SECOND, EndToEnd, is_long, takes

#: All inputs that need no program.
INPUTS = [("cpu", {}), ("disk", {}), ("diskio", {}), ("kernel", {}), ("kernel_vmstat", {}), ("mem", {}), ("net", {}),
          ("netstat", {}), ("nstat", {}), ("processes", {}), ("swap", {}), ("system", {}), ("internal", {})]
EVERY = 10
WARM_UP = 30


def anonymous(pid):
    """kB of memory that is this process's own."""
    with open("/proc/%d/status" % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))


def slope(points):
    """Least squares: how much the second number grows while the first grows by one."""
    middle = [statistics.fmean(column) for column in zip(*points)]
    spread = sum((x - middle[0]) ** 2 for x, _ in points)
    return sum((x - middle[0]) * (y - middle[1]) for x, y in points) / spread


class LongRun(EndToEnd):
    """One agent with the whole set of inputs."""

    @takes(1900 if is_long() else 90)
    def test_memory_is_flat_no_tick_is_missed_and_the_balance_is_exact(self):
        seconds = 1800 if is_long() else 60
        server = self.server()
        agent = self.agent(url=server.url, inputs=list(INPUTS), interval="1s", flush="1s", precision="1s")
        self.wait_for_lines(server, 1)
        began = time.monotonic()
        memory, reloads, load = [], 0, []
        while time.monotonic() - began < seconds:
            passed = time.monotonic() - began
            if passed >= (reloads + 1) * EVERY:
                reloads += 1
                agent.parts["inputs"][5] = ("mem", {"collect_extended": reloads % 2 == 1})
                agent.write_config()
                agent.signal(signal.SIGHUP)
            memory.append((passed, anonymous(agent.pid)))
            load.append(os.getloadavg()[0])
            self.assert_exact(agent.balance())
            time.sleep(0.5)
        report = agent.status()
        skipped = agent.skipped()
        failures = {each["id"]: each["errors"] for each in report["inputs"] if each["errors"]}
        with open("/proc/%d/status" % agent.pid) as file:
            resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        balance = self.wait_balance(agent, lambda numbers: numbers["delivered"] > 0 and numbers["pending"] <= 100, 30)
        self.assert_exact(balance)
        self.assertEqual((balance["dropped"], balance["rejected"]), (0, 0))
        agent.stop()
        self.judge_ticks(server, skipped)
        late = [point for point in memory if point[0] >= min(WARM_UP, seconds / 2)]
        grown = slope(late) * 60
        print("  %d s, %d reloads, load %.1f: anonymous %d to %d kB (%+.1f kB a minute), resident %d kB, %d ticks "
              "skipped, errors %s, balance %s" % (
                  seconds, reloads, statistics.fmean(load), late[0][1], late[-1][1], grown, resident, skipped,
                  failures, {name: balance[name] for name in ("sealed", "delivered", "pending")}))
        # A minute says little: the allocator takes its last pages late.
        self.assertLess(grown, 10 if is_long() else 600, "kB of anonymous memory a minute")

    def judge_ticks(self, server, skipped):
        """Every input has every second, but for ticks that the daemon says it did not get to run in."""
        times = collections.defaultdict(set)
        for line in server.stored():
            name = line.partition(b" ")[0].partition(b",")[0]
            times[name.decode()].add(int(line.rpartition(b" ")[2]))
        for name, _ in INPUTS:
            name = "internal_agent" if name == "internal" else name
            self.assertIn(name, times)
            found = sorted(times[name])
            absent = (found[-1] - found[0]) // SECOND + 1 - len(found)
            self.assertLessEqual(absent, skipped, "ticks of %s that are nowhere" % name)
