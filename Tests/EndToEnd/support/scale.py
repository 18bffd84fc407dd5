"""Hosts of any size as made trees, and what a gather of them costs."""
import os
import time

from . import agent as agents
from . import fake_influx, processes

#: What grows: the input that reads it, its options, and the sizes at which its slope is taken.
KINDS = {
    "processes": ("processes", {}, (1250, 2500, 5000, 10000)),
    "mounts": ("disk", {}, (125, 250, 500, 1000)),
    "interfaces": ("net", {"ignore_protocol_stats": True}, (62, 125, 250, 500)),
    "disks": ("diskio", {}, (62, 125, 250, 500)),
}


def tree(folder, kind, size):
    """Makes a HOST_PROC tree with so many of one kind; returns its path."""
    proc = agents.proc_tree(os.path.join(folder, "proc"), size if kind == "interfaces" else 0)
    if kind == "processes":
        for pid in range(1000, 1000 + size):
            os.makedirs("%s/%d" % (proc, pid))
            agents.replace("%s/%d/stat" % (proc, pid), "%d (worker %d) S %s\n" % (pid, pid, " ".join(["1234"] * 49)))
    elif kind == "mounts":
        rows = []
        for number in range(size):
            path = os.path.join(folder, "mounts", str(number))
            os.makedirs(path)
            rows.append("%d 1 8:%d / %s rw - ext4 /dev/sd%d rw\n" % (100 + number, number, path, number))
        agents.replace(os.path.join(proc, "1", "mountinfo"), "".join(rows))
    elif kind == "disks":
        agents.replace(os.path.join(proc, "diskstats"), "".join(
            "   8 %7d sd%d %s\n" % (number, number, " ".join(str(number + column) for column in range(1, 18)))
            for number in range(size)))
    return proc


def cpu_ms(pid):
    """CPU of all threads in ms, by the scheduler's own count."""
    total = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as file:
                total += int(file.read().split()[0])
        except OSError:
            pass
    return total / 1e6


def cost(kind, size, ticks=25, interval_ms=100, environment=None, tree_of=tree):
    """CPU in ms of the whole agent for one tick with so many of a kind, encoded, kept and delivered."""
    name, options, _ = KINDS[kind]
    folder = processes.folder()
    with fake_influx.Server() as server:
        agent = agents.Agent(url=server.url, inputs=[(name, options)], host_proc=tree_of(folder, kind, size),
                             interval="%dms" % interval_ms, flush="%dms" % interval_ms, environment=environment)
        agent.start()
        try:
            # The first ticks open files and make series.
            time.sleep(5 * interval_ms / 1000)
            began, before, skipped = time.monotonic(), cpu_ms(agent.pid), agent.skipped()
            time.sleep(ticks * interval_ms / 1000)
            spent, elapsed = cpu_ms(agent.pid) - before, time.monotonic() - began
            return spent / max(1, elapsed * 1000 / interval_ms - (agent.skipped() - skipped))
        finally:
            agent.stop()
            processes.discard(agent.folder)
            processes.discard(folder)


def line(points):
    """Least squares through (size, cost): (cost of nothing, cost of one more)."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return mean_y - slope * mean_x, slope
