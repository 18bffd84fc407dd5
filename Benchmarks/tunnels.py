#!/usr/bin/env python3
"""Throughput and CPU time of forwards of the agent beside those of `ssh`, on loopback, in one run, sshd for sshd.

Usage: Benchmarks/tunnels.py [--binary FILE] [--megabytes N] [--rounds N] [--only PATTERN] [--ssh-options TEXT] [--markdown]
Prints a row a case, medians of the rounds, in which the agent and ssh take turns: MB/s, milliseconds of CPU a MB of the
client and of the process of sshd that serves it, and the ratio. Every byte is checked by its hash at the far end. Targets
and clients are processes of their own; all of them share the processors, so the rates are of the whole chain.
Needs root, openssh-server and openssh-client.
"""
import argparse
import os
import pathlib
import resource
import shlex
import signal
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from support import agent as agents  # noqa: E402
from support import processes, traffic  # noqa: E402
from support.scale import cpu_ms  # noqa: E402
from support.ssh import Sshd, free_port, user  # noqa: E402


class Side:
    """Who forwards, with the server that it forwards through."""

    def __init__(self, name, target):
        self.name = name
        folder = os.path.join(processes.folder(), name)
        os.makedirs(folder)
        self.server = Sshd(folder).start()
        self.ports = {"-L": free_port(), "-R": free_port()}
        self.daemon = None
        self.start(target)
        for port in self.ports.values():
            processes.wait_until(lambda: traffic.answers(port), 30, "%s forwards" % name)
        self.session = self.server.sessions()[0]

    def transfer(self, kind, download, connections, size):
        """MB/s, and ms of CPU a MB: ours and the server's."""
        before = cpu_ms(self.pid), cpu_ms(self.session)
        seconds = traffic.transfer(self.ports[kind], download, connections, size // connections)
        after = cpu_ms(self.pid), cpu_ms(self.session)
        megabytes = size / 1e6
        return (megabytes / seconds, (after[0] - before[0]) / megabytes, (after[1] - before[1]) / megabytes)


class Godwit(Side):
    def start(self, target):
        text = agents.table("[[tunnels]]", self.server.tunnel()) + "".join(
            agents.table("[[forwards]]", {"tunnel": "b", "kind": kind, "bind": "127.0.0.1:%d" % port, "target": target})
            for kind, port in (("local", self.ports["-L"]), ("remote", self.ports["-R"])))
        self.daemon = agents.Agent(inputs=[], extra=text).start()
        self.pid = self.daemon.pid

    def stop(self):
        self.daemon.stop()
        self.server.stop()


class SSH(Side):
    options = ""

    def start(self, target):
        self.process = processes.spawn(
            ["ssh", "-F", "none", "-N", "-p", str(self.server.port), "-i", self.server.user_key, "-o", "BatchMode=yes",
             "-o", "UserKnownHostsFile=" + self.server.known_hosts] + shlex.split(self.options) +
            ["-L", "127.0.0.1:%d:%s" % (self.ports["-L"], target), "-R", "127.0.0.1:%d:%s" % (self.ports["-R"], target),
             "%s@%s" % (user(), self.server.host)], stdin=subprocess.DEVNULL)
        self.pid = self.process.pid

    def stop(self):
        processes.end(self.process)
        self.server.stop()


def middle(rows):
    """The median of each column."""
    return [statistics.median(column) for column in zip(*rows)]


def case(sides, kind, download, connections, size, rounds):
    """The medians of each side, and of the ratios of the rounds."""
    rows = {side.name: [] for side in sides}
    for number in range(rounds):
        # Who goes first changes, so that what slows the machine for a while slows both.
        for side in sides if number % 2 == 0 else sides[::-1]:
            rows[side.name].append(side.transfer(kind, download, connections, size))
    ours, theirs = (rows[side.name] for side in sides)
    ratios = [own[0] / other[0] for own, other in zip(ours, theirs)]
    return middle(ours), middle(theirs), statistics.median(ratios), min(ratios), max(ratios)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / ".build/release/godwit"))
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="of the rows, as '-L download 50'")
    parser.add_argument("--ssh-options", default="", help="as '-c aes128-ctr -m hmac-sha2-256'")
    options = parser.parse_args()
    agents.BINARY = os.path.abspath(options.binary)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    SSH.options = options.ssh_options
    with traffic.Target() as target:
        sides = [Godwit("godwit", target.address), SSH("ssh", target.address)]
        try:
            print("load %.2f on %d CPUs; %d MB a transfer, medians of %d" % (
                os.getloadavg()[0], os.cpu_count(), options.megabytes, options.rounds))
            print("%-4s %-9s %5s   %-30s  %-30s  %5s" % (
                "kind", "direction", "conns", "godwit MB/s, ms/MB own, sshd", "ssh MB/s, ms/MB own, sshd", "ratio"))
            for kind in ("-L", "-R"):
                for download in (True, False):
                    for connections in (1, 50):
                        name = "%s %s %d" % (kind, "download" if download else "upload", connections)
                        if options.only not in name:
                            continue
                        own, other, ratio, least, most = case(
                            sides, kind, download, connections, options.megabytes * 1_000_000, options.rounds)
                        print("%-4s %-9s %5d   %8.0f %10.2f %10.2f  %8.0f %10.2f %10.2f  %5.2f (%.2f to %.2f)" % (
                            kind, "download" if download else "upload", connections, *own, *other, ratio, least, most),
                            flush=True)
        finally:
            for side in sides:
                side.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
