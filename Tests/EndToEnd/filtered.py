#!/usr/bin/env python3
"""Runs inside a network namespace of its own: an outage by a packet filter that drops everything for the server.

Exit status: 0 every point of the outage arrived, 1 not, 77 the kernel lacks nftables.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from support import agent, fake_influx, oracle, processes  # noqa: E402
from support.processes import wait_until  # noqa: E402


def main():
    agent.BINARY = sys.argv[1]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = fake_influx.Server()
    rules = "add table inet gw\nadd chain inet gw in { type filter hook input priority 0; }\n"
    if subprocess.run(["nft", "-f", "-"], input=rules, text=True, capture_output=True).returncode != 0:
        print("needs nftables in the kernel")
        return 77
    series = 10
    daemon = agent.Agent(url=server.url, host_proc=agent.proc_tree(processes.folder() + "/proc", series),
                         interval="250ms", flush="500ms", output={"timeout": "3s"})
    daemon.start()
    wait_until(lambda: len(server.lines) >= series * 8, 30, "points before the outage")
    began = time.time_ns()
    drop = "add rule inet gw in tcp dport %d drop\n" % server.port
    subprocess.run(["nft", "-f", "-"], input=drop, text=True, check=True)
    time.sleep(12)
    ended = time.time_ns()
    subprocess.run(["nft", "flush", "chain", "inet", "gw", "in"], check=True)
    wait_until(lambda: max(oracle.ticks(list(server.lines)), default=0) > ended, 120, "live points after the outage")
    wait_until(lambda: oracle.is_whole(list(server.lines), began, ended, series, 250_000_000, daemon.skipped()),
               180, "every point of the outage", 0.2)
    inside = oracle.between(server.stored(), began, ended)
    skipped = daemon.skipped()
    code = daemon.stop()
    missing = oracle.incomplete_ticks(inside, series) + oracle.gaps(inside, 250_000_000, skipped)
    print("%d points of the outage, missing: %s, exit %d" % (len(inside), missing[:5], code))
    return 1 if missing or code or len(inside) < 12 * 4 * series * 0.9 else 0


if __name__ == "__main__":
    sys.exit(main())
