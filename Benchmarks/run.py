#!/usr/bin/env python3
"""`make bench`: what the agent costs, each row a ratio taken in one run on this machine.

  run.py [--binary PATH] [--micro PATH] [--seconds 60] [--only PATTERN] [--json FILE] [--check FILE]

Rows: CPU of a cycle against a bare C reader of the same files (floor.c) in the same window; the same with all inputs, and
system calls and memory, beside collectd and node_exporter (peers.py); encode, gzip, spill append
and scan against a memory copy or zlib in the same process (MicroBench); memory; context switches; time from start to
the first delivered point. --seconds is the length of the steady run (600 for the figures in BASELINE.md). --check
compares with the figures of a file written by --json and fails when a row is worse by more than its tolerance.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Tests", "EndToEnd"))

import peers  # noqa: E402
from support import agent as agents  # noqa: E402
from support import fake_influx, processes  # noqa: E402
from support.processes import wait_until  # noqa: E402

INPUTS = [("cpu", {}), ("mem", {}), ("disk", {}), ("net", {}), ("system", {})]
#: All inputs but ntpq, which is another program.
ALL_INPUTS = INPUTS + [(name, {}) for name in (
    "diskio", "internal", "kernel", "kernel_vmstat", "netstat", "nstat", "processes", "swap")]


def cpu_ms(pid):
    """CPU of all threads in ms: (run time by the scheduler, user + system by ticks)."""
    scheduled = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as file:
                scheduled += int(file.read().split()[0])
        except OSError:
            pass
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return scheduled / 1e6, (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def switches(pid):
    """Context switches of all threads: (voluntary = wake-ups, involuntary)."""
    voluntary = forced = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, thread)) as file:
            for line in file:
                if line.startswith("voluntary_ctxt"):
                    voluntary += int(line.split()[1])
                elif line.startswith("nonvoluntary"):
                    forced += int(line.split()[1])
    return voluntary, forced


def memory_kb(pid):
    """{VmRSS, RssAnon, VmHWM, Threads, Pss} of a process."""
    found = {}
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            name, _, text = line.partition(":")
            if name in ("VmRSS", "RssAnon", "VmHWM", "Threads"):
                found[name] = int(text.split()[0])
    try:
        with open("/proc/%d/smaps_rollup" % pid) as file:
            found["Pss"] = next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        pass
    return found


class Table:
    """The rows, printed as they come."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, floor=None, floor_name="", budget=None, less_is_better=True,
            budget_of_value=False):
        """One row; `floor` in the same unit gives the ratio, `budget` what design asks for (of the ratio when there is
        a floor and nothing else is said, else of the value)."""
        ratio = value / floor if floor else None
        judged = value if ratio is None or budget_of_value else ratio
        met = None if budget is None else (judged <= budget if less_is_better else judged >= budget)
        self.rows.append({"name": name, "value": value, "unit": unit, "floor": floor, "floor_name": floor_name,
                          "ratio": ratio, "budget": budget, "met": met, "less_is_better": less_is_better})
        print("%-46s %12.3f %-9s %10s %-34s %8s %s" % (
            name, value, unit, "%.3f" % floor if floor else "", floor_name, "%.2f x" % ratio if ratio else "",
            "" if met is None else "%s %g" % ("within" if met else "MISSES", budget)), flush=True)


def steady(table, floor, seconds, interval_ms=1000, label="at 1 s"):
    """The agent beside the floor in one window, delivering to a server on loopback."""
    with fake_influx.Server() as server:
        agent = agents.Agent(url=server.url, inputs=INPUTS, interval="%dms" % interval_ms, flush="%dms" % interval_ms,
                             precision="1ms" if interval_ms < 1000 else "1s")
        agent.start()
        try:
            wait_until(lambda: server.lines, 30, "a first delivery")
            time.sleep(max(3, 3 * interval_ms / 1000))
            cycles = max(5, int(seconds * 1000 / interval_ms))
            before, woken, lines = cpu_ms(agent.pid), switches(agent.pid), len(server.lines)
            bytes_before = sum(len(each.raw) for each in server.writes())
            first = memory_kb(agent.pid)
            began = time.monotonic()
            reader = processes.spawn([floor, "-n", str(cycles), "-i", str(interval_ms)], stdout=subprocess.PIPE)
            bare = json.loads(reader.communicate(timeout=seconds * 3 + 60)[0])
            elapsed = time.monotonic() - began
            after, awake = cpu_ms(agent.pid), switches(agent.pid)
            memory = memory_kb(agent.pid)
            ticks = elapsed * 1000 / interval_ms
            cost = (after[0] - before[0]) / ticks
            table.add("cycle CPU, 5 inputs, delivered, " + label, cost, "ms", bare["kept"]["mean_us"] / 1000,
                      "bare reads, kept descriptors", 3)
            table.add("  the same against open+read+close", cost, "ms", bare["opened"]["mean_us"] / 1000,
                      "bare open, read, close")
            table.add("  the same by utime + stime", (after[1] - before[1]) / ticks, "ms")
            table.add("context switches a cycle, " + label,
                      (awake[0] - woken[0] + awake[1] - woken[1]) / ticks, "switches", budget=10)
            table.add("  voluntary (wake-ups) a second", (awake[0] - woken[0]) / elapsed, "per s")
            made = len(server.lines) - lines
            values = sum(line.split(b" ")[-2].count(b",") + 1 for line in list(server.lines)[-max(1, made):])
            sent = sum(len(each.raw) for each in server.writes()) - bytes_before
            table.add("body bytes a value on the wire, " + label, sent / max(1, values), "bytes", budget=4)
            if interval_ms >= 1000:
                table.add("resident memory after %d s" % elapsed, memory["VmRSS"] / 1024, "MB")
                table.add("  anonymous", memory["RssAnon"] / 1024, "MB", budget=4)
                table.add("  growth of anonymous in the run", (memory["RssAnon"] - first["RssAnon"]) / 1024, "MB")
                table.add("  threads", memory["Threads"], "threads")
        finally:
            agent.stop()
            processes.discard(agent.folder)


def whole(table, floor, seconds):
    """A cycle of all inputs at 1 s beside the floor and the peers, all in one window; then their system calls."""
    with fake_influx.Server() as server:
        agent = agents.Agent(url=server.url, inputs=ALL_INPUTS, interval="1s", flush="1s", precision="1s")
        agent.start()
        others = []
        try:
            wait_until(lambda: server.lines, 30, "a first delivery")
            others = peers.start()
            # Start-up code is dropped after a while, and peers fill their buffers.
            time.sleep(10)
            pids = [("godwit, delivered", agent.pid)] + [(each.label, each.process.pid) for each in others]
            before = {pid: (cpu_ms(pid)[0], sum(switches(pid))) for _, pid in pids}
            began = time.monotonic()
            reader = processes.spawn([floor, "-a", "-n", str(max(5, int(seconds))), "-i", "1000"],
                                     stdout=subprocess.PIPE)
            bare = json.loads(reader.communicate(timeout=seconds * 3 + 60)[0])
            elapsed = time.monotonic() - began
            for label, pid in pids:
                ours = pid == agent.pid
                cost = (cpu_ms(pid)[0] - before[pid][0]) / elapsed
                table.add("cycle CPU, all inputs: " + label, cost, "ms", bare["kept"]["mean_us"] / 1000,
                          "bare reads, kept descriptors", 2 if ours else None)
                table.add("  against open+read+close", cost, "ms", bare["opened"]["mean_us"] / 1000,
                          "bare open, read, close, tables")
                table.add("  context switches a cycle", (sum(switches(pid)) - before[pid][1]) / elapsed, "switches",
                          budget=10 if ours else None)
                memory = memory_kb(pid)
                table.add("  resident memory", memory["VmRSS"] / 1024, "MB")
                table.add("  anonymous", memory["RssAnon"] / 1024, "MB", budget=4 if ours else None)
                rate = peers.calls(pid, 10)
                if rate is not None:
                    table.add("  system calls a cycle", rate, "calls")
        finally:
            for each in others:
                each.stop()
            agent.stop()
            processes.discard(agent.folder)


def idle(table):
    """Wake-ups when nothing is collected."""
    with fake_influx.Server() as server:
        agent = agents.Agent(url=server.url, inputs=[("mem", {})], interval="1h", flush="1h")
        agent.start()
        try:
            # Within the first ten seconds start-up code is dropped once, for some 10 ms.
            time.sleep(12)
            before, spent = switches(agent.pid), cpu_ms(agent.pid)[0]
            time.sleep(10)
            table.add("wake-ups a second when idle", (switches(agent.pid)[0] - before[0]) / 10, "per s", budget=2)
            table.add("CPU a second when idle", (cpu_ms(agent.pid)[0] - spent) / 10, "ms")
        finally:
            agent.stop()
            processes.discard(agent.folder)


def first_point(table, rounds=10):
    """Start to the first delivered point, and the part of it after the first tick."""
    total, behind = [], []
    for _ in range(rounds):
        with fake_influx.Server() as server:
            agent = agents.Agent(url=server.url, inputs=[("mem", {})], interval="50ms", flush="10ms", precision="1ns")
            began, wall = time.monotonic(), time.time_ns()
            agent.start(ready=False)
            try:
                wait_until(lambda: server.first_stored, 20, "a first delivery", 0.001)
                total.append((server.first_stored - began) * 1000)
                tick = min(int(line.rpartition(b" ")[2]) for line in server.lines)
                behind.append((server.first_stored - began) * 1000 - (tick - wall) / 1e6)
            finally:
                agent.stop()
                processes.discard(agent.folder)
    table.add("start to first delivered point", statistics.median(total), "ms")
    table.add("  after the first tick", statistics.median(behind), "ms", budget=50)


def micro(table, path):
    """Rows of the Swift program: each line of its output is one JSON object as `Table.add` wants it."""
    done = subprocess.run([path], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        print("godwit-bench failed: %s" % done.stderr[-500:])
    for line in done.stdout.splitlines():
        row = json.loads(line)
        table.add(row["name"], row["value"], row["unit"], row.get("floor"), row.get("floor_name", ""),
                  row.get("budget"), row.get("less_is_better", False), row.get("budget_of_value", False))


def compare(rows, path, tolerance=1.25):
    """Rows that are worse than in a file of an earlier run, by ratio where there is one."""
    with open(path) as file:
        earlier = {row["name"]: row for row in json.load(file)}
    worse = []
    for row in rows:
        old = earlier.get(row["name"])
        if old is None or old["ratio"] is None or row["ratio"] is None:
            continue
        factor = row["ratio"] / old["ratio"] if row["less_is_better"] else old["ratio"] / row["ratio"]
        if factor > tolerance:
            worse.append("%s: %.2f x, was %.2f x" % (row["name"], row["ratio"], old["ratio"]))
    return worse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/godwit")
    parser.add_argument("--micro", default=".build/release/godwit-bench")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", default="", help="part of: cycle, all, fast, idle, start, micro")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--check", metavar="FILE")
    options = parser.parse_args()
    agents.BINARY = os.path.abspath(options.binary)
    floor = os.path.join(tempfile.mkdtemp(prefix="gw-floor-"), "floor")
    subprocess.run(["cc", "-O2", "-o", floor, os.path.join(HERE, "floor.c")], check=True)
    table = Table()
    with open("/proc/loadavg") as file:
        print("load %s on %d CPUs; ratios hold, absolute times follow the machine" % (file.read().split()[0],
                                                                                     os.cpu_count()))
    print("%-46s %12s %-9s %10s %-34s %8s %s" % ("", "measured", "", "floor", "", "ratio", "budget"))
    steps = [("cycle", lambda: steady(table, floor, options.seconds)),
             ("all", lambda: whole(table, floor, options.seconds)),
             ("fast", lambda: steady(table, floor, min(20, options.seconds), 100, "at 100 ms")),
             ("idle", lambda: idle(table)), ("start", lambda: first_point(table))]
    if os.access(options.micro, os.X_OK):
        steps.append(("micro", lambda: micro(table, os.path.abspath(options.micro))))
    else:
        print("no %s: the rows of encode, gzip and spill are left out" % options.micro)
    for name, step in steps:
        if options.only in name:
            step()
    os.unlink(floor)
    os.rmdir(os.path.dirname(floor))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table.rows, file, indent=1)
            file.write("\n")
    worse = compare(table.rows, options.check) if options.check else []
    for each in worse:
        print("worse than the baseline: " + each)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
