#!/usr/bin/env python3
"""Runs the end-to-end and fault tests against the built binary.

  run.py [--binary PATH] [--only PATTERN]... [--jobs N] [--long] [--list] [--keep]

Each test is printed with its duration; a test that cannot run here is skipped by name with the reason. --only takes
parts of names (`test_kill.KillLoop.test_x`); --long asks for the thorough sizes (2,000 kills, every outage 60 s).
Tests share nothing, so N of them run at once, each in a process of its own: most of them wait most of the time.
What fails among the others is tried once more with the machine to itself, and named when it passes then: a test of
real time may miss a deadline on a busy machine, a defect fails twice.
The last line is `N passed, N failed, N skipped`; the exit status is 1 when one failed.
"""
import argparse
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from support import agent, case, processes  # noqa: E402


class Lines(unittest.TestResult):
    """Prints one line a test."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.skips = []
        self.failed = []
        self.started = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def line(self, word, test, text=""):
        name = test.id() if hasattr(test, "id") else str(test)
        print("%-5s %7.2f s  %s%s" % (word, time.monotonic() - self.started, name, "  " + text if text else ""),
              flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.skips.append(test)
        self.line("skip", test, "(%s)" % reason)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.problem("FAIL", test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self.problem("ERROR", test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.problem("FAIL", subtest, error)

    def problem(self, word, test, error):
        self.failed.append(test)
        self.line(word, test)
        text = "".join(traceback.format_exception(*error))
        print("\n".join("      " + each for each in text.splitlines()), flush=True)


def every(suite):
    """The tests of a suite, flat."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from every(each)
        else:
            yield each


def units(tests):
    """What may run beside one another, longest first: a test, or a class whose tests share something."""
    found = {}
    for test in tests:
        shares = getattr(test, "together", False) or "setUpClass" in vars(type(test))
        key = test.id().rpartition(".")[0] if shares else test.id()
        found.setdefault(key, []).append(test)

    def seconds(group):
        return max(getattr(getattr(test, test._testMethodName, None), "seconds", 5) for test in group)
    return sorted(found.values(), key=seconds, reverse=True)


#: Seconds that a unit may take at most: every wait has a deadline below it, so that only a hung one gets there.
UNIT_LIMIT = 900


class Pool:
    """Runs units in processes of their own, so many at once, and prints each one's lines when it has ended."""

    def __init__(self, options):
        self.options = options
        self.counts = [0, 0, 0]
        self.failed = []
        self.lock = threading.Lock()
        self.running = set()

    def one(self, unit):
        command = [sys.executable, os.path.abspath(__file__), "--jobs", "1", "--binary", self.options.binary]
        for flag in ("long", "keep"):
            command += ["--" + flag] if getattr(self.options, flag) else []
        for test in unit:
            command += ["--exactly", test.id()]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace")
        self.running.add(process)
        try:
            text, _ = process.communicate(timeout=None if self.options.long else UNIT_LIMIT)
        except subprocess.TimeoutExpired:
            # It ends its own children when it is told to end.
            process.terminate()
            text, _ = process.communicate()
        self.running.discard(process)
        lines = text.rstrip("\n").split("\n")
        ending = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", lines[-1])
        with self.lock:
            print("\n".join(lines[:-2] if ending else lines), flush=True)
            if not ending:
                print("FAIL  %s  (its process ended with %s)" % (unit[0].id(), process.returncode), flush=True)
            counts = [int(number) for number in ending.groups()] if ending else [0, len(unit), 0]
            if counts[1]:
                self.failed.append((unit, counts))
            self.counts = [sum(pair) for pair in zip(self.counts, counts)]

    def again(self):
        """Tries what failed once more, one after the other; more than a few failures are no accident."""
        failed, self.failed = self.failed, []
        if len(failed) > 8:
            return
        for unit, counts in failed:
            print("==> once more, alone: %s" % ", ".join(test.id() for test in unit), flush=True)
            self.counts = [total - number for total, number in zip(self.counts, counts)]
            self.one(unit)

    def run(self, tests):
        began = time.monotonic()
        try:
            with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as threads:
                try:
                    list(threads.map(self.one, units(tests)))
                    self.again()
                except BaseException:
                    threads.shutdown(wait=False, cancel_futures=True)
                    raise
        finally:
            # Each ends its own children when it is told to end.
            for process in list(self.running):
                process.terminate()
        print("%.0f s" % (time.monotonic() - began))
        print("%d passed, %d failed, %d skipped" % tuple(self.counts))
        return 1 if self.counts[1] else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/godwit")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--exactly", action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=6, metavar="N", help="how many tests run at once (6)")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folders")
    options = parser.parse_args()
    agent.BINARY = os.path.abspath(options.binary)
    if options.long:
        os.environ["GODWIT_LONG"] = "1"
    if options.keep:
        os.environ["GODWIT_KEEP"] = "1"
    # An ended run must end its children: the registry does it at exit, so exit in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tests = list(every(unittest.defaultTestLoader.discover(HERE, "test_*.py", HERE)))
    if options.only:
        tests = [test for test in tests if any(part in test.id() for part in options.only)]
    if options.exactly:
        tests = [test for test in tests if test.id() in options.exactly]
    if options.list:
        print("\n".join(test.id() for test in tests))
        return 0
    if options.jobs > 1 and len(tests) > 1:
        return Pool(options).run(tests)
    return here(tests)


def here(tests):
    """Runs the tests one after the other in this process."""
    case.chosen = {test.id() for test in tests}
    result = Lines()
    began = time.monotonic()
    try:
        # One suite, so that class fixtures run once a class.
        unittest.TestSuite(tests).run(result)
    finally:
        processes.end_all()
    print("%.0f s" % (time.monotonic() - began))
    print("%d passed, %d failed, %d skipped" % (result.passed, len(result.failed), len(result.skips)))
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
