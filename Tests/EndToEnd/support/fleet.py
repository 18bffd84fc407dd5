"""Thousands of clients of a scrape proxy and their scrapers: Benchmarks/fleet.c, compiled where it is needed."""
import json
import os
import subprocess

from . import processes

SOURCES = os.path.join(os.path.dirname(__file__), "../../../Benchmarks")


def build(source):
    """The path of a program of Benchmarks, compiled into a scratch folder."""
    path = os.path.join(processes.folder(), source.removesuffix(".c"))
    subprocess.run(["cc", "-O2", "-o", path, os.path.join(SOURCES, source)], check=True, timeout=120)
    return path


def memory(pid):
    """(resident, anonymous) bytes of a process."""
    found = {}
    with open("/proc/%d/smaps_rollup" % pid) as file:
        for line in file:
            word, _, rest = line.partition(":")
            if word in ("Rss", "Anonymous"):
                found[word] = int(rest.split()[0]) * 1024
    return found["Rss"], found["Anonymous"]


class Fleet:
    """`count` clients that poll at `port`; scrapes when it is told to."""

    def __init__(self, port, count, body=20_000, pushes=0, seconds=600):
        self.process = processes.spawn(
            [build("fleet.c"), "-p", str(port), "-n", str(count), "-b", str(body), "-k", str(pushes), "-t", str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the fleet has ended: %s" % processes.end(self.process))
        return json.loads(line)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def scrape(self, connections, rate, seconds):
        """Figures of a window: rate 0 asks again at once, else so many scrapes a second in all."""
        return self.tell("scrape %d %g %g" % (connections, rate, seconds))

    def unknown(self, connections, count):
        """So many scrapes of names that nobody polls under."""
        return self.tell("unknown %d %d" % (connections, count))

    def stop(self):
        self.process.stdin.close()
        processes.end(self.process)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
