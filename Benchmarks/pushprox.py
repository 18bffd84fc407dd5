#!/usr/bin/env python3
"""What the scrape proxy costs: memory a waiting poll, scrapes a second, and pages of 100 MiB, on loopback.

Usage: Benchmarks/pushprox.py [--binary FILE] [--clients N,N,...] [--seconds N] [--json FILE] [--only PART]
Parts: memory, unknown, fleet, bodies, tls. Clients, scrapers and every byte they compare are of fleet.c; beside the proxy
stands bareproxy.c, which does the same exchanges and nothing else: its figures are the floor. Needs a C compiler.
The figures of the original proxy are those that once were measured on another machine: orders of magnitude.
"""
import argparse
import json
import os
import pathlib
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from support import agent as agents  # noqa: E402
from support import processes  # noqa: E402
from support.certificates import Authority  # noqa: E402
from support.fleet import Fleet, build, memory  # noqa: E402
from support.influx import free_port  # noqa: E402
from support.processes import wait_until  # noqa: E402
from support.pushprox import RawClient, Scrape, field, listens, proxy_config  # noqa: E402
from support.scale import cpu_ms  # noqa: E402

MIB = 1 << 20


class Proxy:
    """One proxy with a listener for everybody, and another one with TLS where wanted."""

    def __init__(self, tls=None, **options):
        self.port = free_port()
        listeners = [{"listen": "127.0.0.1:%d" % self.port, "max_connections": 40_000}]
        if tls:
            self.tls_port = free_port()
            listeners.append(dict(tls, listen="127.0.0.1:%d" % self.tls_port, max_connections=40_000))
        self.agent = agents.Agent(inputs=[], interval="10s", flush="10s", extra=proxy_config(listeners, **options)).start()
        wait_until(lambda: listens(self.port), 30, "the proxy listens")
        self.pid = self.agent.pid

    def figures(self):
        return self.agent.status()["pushprox"]["proxy"]

    def wait_polls(self, count, seconds=120):
        began = time.monotonic()
        wait_until(lambda: self.figures()["waiting_polls"] == count, seconds, "%d polls wait" % count)
        return time.monotonic() - began

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def stop(self):
        self.agent.stop()


class Table:
    def __init__(self):
        self.rows = {}

    def add(self, name, ours, floor="", original=""):
        self.rows[name] = ours
        print("%-44s %-58s %-40s %s" % (name, ours, floor, original), flush=True)


def mib(pair):
    return "%.1f resident, %.1f anonymous" % (pair[0] / MIB, pair[1] / MIB)


def settled(pid, seconds=2):
    time.sleep(seconds)
    return memory(pid)


def memory_rows(table, options):
    proxy = Proxy(registration_timeout="1s")
    try:
        idle, descriptors = settled(proxy.pid, 8), proxy.descriptors()
        table.add("idle, MiB", mib(idle), "", "8 resident")
        known = {1000: "27 resident", 5000: "92 resident; 17 KiB a poll"}
        for count in options.clients:
            before = cpu_ms(proxy.pid)
            fleet = Fleet(proxy.port, count)
            spent = proxy.wait_polls(count)
            cost = (cpu_ms(proxy.pid) - before) * 1e3 / count
            full = settled(proxy.pid)
            table.add("%d polls wait, MiB" % count, "%s; %.1f KiB a poll (%.1f of the heap)" % (
                mib(full), (full[0] - idle[0]) / 1024 / count, (full[1] - idle[1]) / 1024 / count), "", known.get(count, ""))
            table.add("%d polls come at once" % count, "%.2f s, %.0f us of CPU a poll" % (spent, cost))
            fleet.stop()
            spent = proxy.wait_polls(0)
            after = settled(proxy.pid, 6)
            table.add("%d have hung up, MiB" % count, "%s; %+d descriptors, after %.2f s" % (
                mib(after), proxy.descriptors() - descriptors, spent), "", "all descriptors kept")
        wait_until(lambda: proxy.figures()["clients"] == 0, 90, "the names are forgotten", 1)
        table.add("their names are forgotten, MiB", mib(settled(proxy.pid)))
    finally:
        proxy.stop()


def unknown_rows(table, _):
    proxy = Proxy(unknown_grace="0s")
    try:
        with Fleet(proxy.port, 1) as fleet:
            fleet.unknown(8, 1000)
            before = settled(proxy.pid, 6)
            spent = cpu_ms(proxy.pid)
            found = fleet.unknown(32, 20_000)
            spent = (cpu_ms(proxy.pid) - spent) * 1e3 / 20_000
            after = settled(proxy.pid, 6)
            table.add("20,000 scrapes of unknown names", "%d answered with 404, %.0f us of CPU each, %+.2f MiB stay" % (
                found["scrapes"], spent, (after[1] - before[1]) / MIB), "", "+7 MiB, for ever")
    finally:
        proxy.stop()


class Bare:
    """The floor."""

    def __init__(self):
        self.process = processes.spawn([build("bareproxy.c"), "-t", "600"], stdout=subprocess.PIPE)
        self.port, self.pid = int(self.process.stdout.readline()), self.process.pid

    def stop(self):
        processes.end(self.process)


def window(proxy, fleet, connections, rate, seconds):
    """A row's words, and the scrapes a second, CPU us a scrape."""
    before = cpu_ms(proxy.pid)
    found = fleet.scrape(connections, rate, seconds)
    each = (cpu_ms(proxy.pid) - before) * 1e3 / max(1, found["scrapes"])
    bad = found["failures"] + found["wrong"]
    return "%.0f/s, p50 %.2f p99 %.2f ms, %.0f us of CPU%s" % (
        found["scrapes"] / found["seconds"], found["p50_ms"], found["p99_ms"], each,
        ", %d FAILED" % bad if bad else ""), each


def fleet_rows(table, options):
    known = {(1000, 1, 0): "2,000/s, p50 0.23 ms", (1000, 32, 0): "2,400/s, p50 6.9 p99 116 ms"}
    for count in options.clients[::max(1, len(options.clients) - 1)]:
        proxy, bare = Proxy(), Bare()
        try:
            idle = settled(proxy.pid, 3)
            # Two processes hold both ends of everything: the clients share connections for pushes beyond so many.
            with Fleet(proxy.port, count, pushes=8000) as fleet, Fleet(bare.port, count, pushes=8000) as other:
                proxy.wait_polls(count)
                for connections, rate in ((1, 0), (32, 0), (32, 2000)):
                    fleet.scrape(connections, rate, 1)
                    ours, cost = window(proxy, fleet, connections, rate, options.seconds)
                    other.scrape(connections, rate, 1)
                    theirs, least = window(bare, other, connections, rate, options.seconds)
                    table.add("%d clients, 20 kB, %d scraper%s%s" % (
                        count, connections, "" if connections == 1 else "s", ", 2,000/s" if rate else ""),
                        "%s: %.1f x" % (ours, cost / least), theirs, known.get((count, connections, rate), ""))
                table.add("%d clients, memory then, MiB" % count, "%s (%.1f before)" % (
                    mib(memory(proxy.pid)), idle[1] / MIB), "", "84 to 96 resident" if count == 1000 else "")
            proxy.wait_polls(0)
            table.add("%d clients, when they are gone" % count, mib(settled(proxy.pid, 6)))
        finally:
            proxy.stop()
            bare.stop()


def bodies_rows(table, _):
    body = os.urandom(MIB) * 100
    for count in (1, 4):
        proxy = Proxy(max_body_size="128MiB")
        try:
            idle = settled(proxy.pid, 3)
            peak = [idle[0]]
            done = threading.Event()

            def sample():
                while not done.wait(0.02):
                    peak[0] = max(peak[0], memory(proxy.pid)[0])
            watcher = threading.Thread(target=sample, daemon=True)
            watcher.start()
            clients = [RawClient(proxy.port, "big%d.example" % number).poll() for number in range(count)]
            proxy.wait_polls(count)
            began, before = time.monotonic(), cpu_ms(proxy.pid)
            scrapes = [Scrape(proxy.port, "http://big%d.example:9100/metrics" % number, timeout="60")
                       for number in range(count)]

            def push(client):
                _, instruction = client.answer()
                client.push(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nId: %s\r\n\r\n" % (
                    len(body), field(instruction, "Id")[0])).encode() + body)
            threads = [threading.Thread(target=push, args=(client,), daemon=True) for client in clients]
            for each in threads:
                each.start()
            whole = sum(scrape.done(120).body == body for scrape in scrapes)
            spent, cost = time.monotonic() - began, (cpu_ms(proxy.pid) - before) / count
            done.set()
            watcher.join()
            for each in threads:
                each.join(10)
            for client in clients:
                client.close()
            table.add("%d pages of 100 MiB at once" % count if count > 1 else "a page of 100 MiB",
                      "%d whole, %.1f s, %.0f ms of CPU each, peak %.1f MiB resident (%.1f before)" % (
                          whole, spent, cost, peak[0] / MIB, idle[0] / MIB), "",
                      "2.5 s, peak 279 resident" if count == 1 else "peak 871 resident")
        finally:
            proxy.stop()


def tls_rows(table, _):
    folder = processes.folder()
    authority = Authority(folder)
    certificate, key = authority.issue("proxy")
    proxy = Proxy(tls={"tls_cert": certificate, "tls_key": key})
    try:
        idle = settled(proxy.pid, 8)
        context = ssl.create_default_context(cafile=authority.certificate)
        count = 2000
        held, before = [], cpu_ms(proxy.pid)
        for number in range(count):
            each = context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.tls_port), 30),
                                       server_hostname="localhost")
            name = "t%d.example.test" % number
            each.sendall(("POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name)).encode())
            held.append(each)
        proxy.wait_polls(count)
        cost = (cpu_ms(proxy.pid) - before) * 1e3 / count
        full = settled(proxy.pid)
        table.add("%d polls over TLS wait, MiB" % count, "%s; %.1f KiB a poll; %.0f us of CPU to come" % (
            mib(full), (full[0] - idle[0]) / 1024 / count, cost))
        for each in held:
            each.close()
        proxy.wait_polls(0)
        table.add("they have hung up, MiB", mib(settled(proxy.pid, 6)))
    finally:
        proxy.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / ".build/release/godwit"))
    parser.add_argument("--clients", default="1000,5000,10000", help="fleets; the first and the last one are scraped")
    parser.add_argument("--seconds", type=float, default=5, help="of each window of scrapes")
    parser.add_argument("--only", default="")
    parser.add_argument("--json")
    options = parser.parse_args()
    options.clients = [int(each) for each in options.clients.split(",")]
    agents.BINARY = os.path.abspath(options.binary)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    table = Table()
    print("load %.2f on %d CPUs, %d descriptors a process\n%-44s %-58s %-40s %s" % (
        os.getloadavg()[0], os.cpu_count(), most, "", "ours", "floor: the barest proxy", "the original, another machine"))
    for name, part in (("memory", memory_rows), ("unknown", unknown_rows), ("fleet", fleet_rows),
                       ("bodies", bodies_rows), ("tls", tls_rows)):
        if options.only in ("", name):
            part(table, options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table.rows, file, indent=1)


if __name__ == "__main__":
    main()
