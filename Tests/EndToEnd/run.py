#!/usr/bin/env python3
"""Runs the end-to-end and fault tests against the built binary.

  run.py [--binary PATH] [--only PATTERN]... [--long] [--list] [--keep]

Each test is printed with its duration; a test that cannot run here is skipped by name with the reason. --only takes
parts of names (`test_kill.KillLoop.test_x`); --long asks for the thorough sizes (2,000 kills, every outage 60 s).
The last line is `N passed, N failed, N skipped`; the exit status is 1 when one failed.
"""
import argparse
import os
import signal
import sys
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from support import agent, processes  # noqa: E402


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/godwit")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN")
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
    if options.list:
        print("\n".join(test.id() for test in tests))
        return 0
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
