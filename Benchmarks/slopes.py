#!/usr/bin/env python3
"""What one more process, mount, interface, disk or socket costs, and whether the cost is a straight line.

  slopes.py [--binary PATH] [--sockets 25000,50000,100000] [--only PART]

Processes, mounts, interfaces and disks stand in made HOST_PROC trees; the CPU is that of the whole agent a tick,
delivery included. Sockets are real: pairs on loopback in a network namespace of the script's own (root), read by
sock_diag and through the tables of /proc, which must give the same counts.
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Tests", "EndToEnd"))

from support import agent as agents  # noqa: E402
from support import cell, oracle, processes, scale  # noqa: E402

#: Pairs that one process holds: two descriptors each, below the limit that a process usually has.
PAIRS = 5000

HOLDER = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kept, listener = [], socket.create_server((sys.argv[1], 7), backlog=64)
try:
    for _ in range(int(sys.argv[2])):
        kept.append(socket.create_connection(listener.getsockname()))
        kept.append(listener.accept()[0])
except OSError as error:
    print(error, file=sys.stderr)
print(len(kept), flush=True)
sys.stdin.read()
"""


def print_line(name, points, unit="ms"):
    """The points and the line through them."""
    start, slope = scale.line(points)
    far = max(abs(cost - start - slope * size) / max(cost, 1e-9) for size, cost in points)
    print("%-34s %s   %.2f us each, %.2f ms without any, at most %.0f %% off the line" % (
        name, "  ".join("%d: %.2f %s" % (size, cost, unit) for size, cost in points), slope * 1000, start, far * 100),
        flush=True)


def trees():
    for kind, (_, _, sizes) in scale.KINDS.items():
        print_line(kind, [(size, scale.cost(kind, size)) for size in sizes])


class Sockets:
    """Established pairs on loopback, each end one of the sockets that are counted, held by processes of their own."""

    def __init__(self):
        self.holders = []
        self.count = 0

    def grow(self, count):
        """Until there are so many. Returns how many there are: the machine may have an end."""
        while self.count < count:
            pairs = min(PAIRS, (count - self.count) // 2)
            holder = processes.spawn([sys.executable, "-c", HOLDER, "127.0.%d.1" % (len(self.holders) + 1), str(pairs)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.holders.append(holder)
            made = int(holder.stdout.readline())
            self.count += made
            if made < 2 * pairs:
                break
        return self.count


def once(environment):
    """Counts and CPU in ms of one gather of netstat: half of what `once`, which gathers twice, takes beyond its start."""
    config = os.path.join(processes.folder(), "config.toml")
    spent = {}
    for name in ("netstat", "swap"):
        agents.replace(config, '[agent]\n[[inputs.%s]]\n' % name)
        costs = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run([agents.BINARY, "once", "--config", config], capture_output=True, text=True,
                                  env=dict(agents.CLEAN, **environment), check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        spent[name] = sorted(costs)[1] * 1000
        if name == "netstat":
            counts = oracle.parse(done.stdout.strip()).fields
    return {field: number for field, (_, number) in counts.items()}, (spent["netstat"] - spent["swap"]) / 2


def sockets(sizes):
    cell.enter()
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
        file.write("1024 65535")
    made, lines = Sockets(), {"sock_diag": [], "/proc tables": []}
    for size in sizes:
        have = made.grow(size)
        results = {}
        for way, environment in (("sock_diag", {}), ("/proc tables", {"HOST_PROC": "/proc"})):
            results[way], cost = once(environment)
            lines[way].append((have, cost))
        same = results["sock_diag"] == results["/proc tables"]
        print("%d sockets: %d established; both ways %s" % (
            have, results["sock_diag"]["tcp_established"], "agree" if same else "DIFFER: %s" % results), flush=True)
        if have < size:
            print("the machine gives no more")
            break
    for way, points in lines.items():
        print_line("sockets by " + way, points)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/godwit")
    parser.add_argument("--sockets", default="25000,50000,100000,200000")
    parser.add_argument("--only", default="", help="trees or sockets")
    options = parser.parse_args()
    agents.BINARY = os.path.abspath(options.binary)
    with open("/proc/loadavg") as file:
        print("load %s on %d CPUs" % (re.match(r"\S+", file.read()).group(), os.cpu_count()))
    if options.only in "trees":
        trees()
    if options.only in "sockets":
        thread = threading.Thread(target=sockets, args=([int(word) for word in options.sockets.split(",")],))
        thread.start()
        thread.join()
        processes.end_all()


if __name__ == "__main__":
    main()
