"""The base of every end-to-end test: makes agents and servers that end with the test."""
import os
import shutil
import unittest

from . import agent as agents
from . import fake_influx, influx, network, oracle, processes, prometheus, victoria
from .processes import wait_until

SECOND = 1_000_000_000

#: The tests that this process runs, by id, for classes that begin all of theirs at once.
chosen = set()


class EndToEnd(unittest.TestCase):
    """Gives tests their processes, and says by name what is missing on this machine."""

    def setUp(self):
        if not os.access(agents.BINARY, os.X_OK):
            self.skipTest("no binary at %s (make build)" % agents.BINARY)

    # What a test needs

    def needs_root(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")

    def needs_program(self, *names):
        for name in names:
            if shutil.which(name) is None:
                self.skipTest("needs the program %s" % name)

    # What a test makes

    def folder(self):
        path = processes.folder()
        self.addCleanup(lambda: os.environ.get("GODWIT_KEEP") or processes.discard(path))
        return path

    def proc(self, interfaces=20, cpus=2):
        """A HOST_PROC tree of its own."""
        return agents.proc_tree(os.path.join(self.folder(), "proc"), interfaces, cpus)

    def agent(self, *arguments, start=True, **options):
        """An agent in a scratch folder, started unless told otherwise; at the test's end it must not have crashed."""
        made = agents.Agent(*arguments, root=self.folder(), **options)
        self.addCleanup(self._end, made)
        if start:
            made.start()
        return made

    def _end(self, agent):
        if agent.is_running:
            agent.stop()
        failed = any(problem for _, problem in getattr(self._outcome, "errors", []) if problem) or not \
            getattr(self._outcome, "success", True)
        if failed:
            print("  log of the daemon (last lines):")
            print("\n".join("  | " + line for line in agent.log_text().splitlines()[-25:]))

    def server(self, **options):
        """A scripted InfluxDB."""
        made = fake_influx.Server(**options)
        self.addCleanup(made.close)
        return made

    def influx(self, **options):
        """A real influxd."""
        if not influx.is_installed():
            self.skipTest("needs the program influxd (apt install influxdb)")
        made = influx.Influx(**options)
        self.addCleanup(made.stop)
        return made

    def network(self, *addresses):
        """A network namespace for the rest of this test, with these addresses on its loopback device."""
        self.needs_root()
        self.needs_program("ip")
        try:
            made = network.Network(*addresses)
        except OSError as error:
            self.skipTest("needs network namespaces (%s)" % error)
        self.addCleanup(made.leave)
        return made

    def prometheus(self, config=None):
        """A real Prometheus; `config` is what its file says."""
        self.needs_program("prometheus")
        made = prometheus.Prometheus(config)
        self.addCleanup(made.stop)
        return made

    def victoria(self, *options):
        """A real VictoriaMetrics."""
        self.needs_program("victoria-metrics")
        made = victoria.Victoria(*options)
        self.addCleanup(made.stop)
        return made

    # What tests wait for

    def wait_for_lines(self, server, count, seconds=30):
        """Waits until the server holds this many distinct lines."""
        wait_until(lambda: len(server.lines) >= count, seconds, "%d lines at the server" % count)

    def wait_drained(self, agent, seconds=180):
        """Waits until nothing is pending beyond what the newest ticks add, and returns the balance."""
        def drained():
            balance = agent.balance()
            return balance if balance["pending"] <= 0 else None
        return wait_until(drained, seconds, "the backlog drains", 0.05)

    def wait_balance(self, agent, condition, seconds=30):
        """Waits until the balance is as `condition` wants it, and returns that balance."""
        def reached():
            balance = agent.balance()
            return balance if condition(balance) else None
        return wait_until(reached, seconds, "the balance comes to what is expected", 0.05)

    def wait_arrived(self, server, lines, seconds=180, what="every sealed point"):
        """Waits until all these lines are at the server."""
        owed = oracle.Oracle()
        owed.owe(lines)
        try:
            wait_until(lambda: not owed.missing(server.lines), seconds, "%s is at the server" % what, 0.2)
        except processes.Timeout as error:
            missing = owed.missing(server.lines)
            self.fail("%s; %d of %d missing, first: %r" % (error, len(missing), len(owed.obligations), missing[:3]))

    def assert_exact(self, balance):
        """The balance equation holds."""
        self.assertTrue(agents.is_exact(balance), "sealed != delivered + rejected + dropped + pending: %s" % balance)

    def assert_identical_tries(self, server):
        """Every try of a batch was the same bytes."""
        for identity, digests in server.batches.items():
            self.assertEqual(len(digests), 1, "batch %s was sent as %d different bodies" % (identity, len(digests)))

    def assert_in_order(self, *servers):
        """Each lane delivered its batches in order, whichever server they went to."""
        taken = [each for server in servers for each in server.writes() if each.code == 204]
        taken.sort(key=lambda each: each.time)
        problem = oracle.disorder([each.headers["x-godwit-batch"] for each in taken])
        self.assertIsNone(problem, problem)

    def assert_whole_ticks(self, lines, series, starts=1):
        """Every timestamp has all series; `starts` runs may each have one cut tick at their end (a batch is sealed
        between two ticks as a rule, but may fall into one)."""
        cut = oracle.incomplete_ticks(lines, series)
        self.assertLessEqual(len(cut), starts, "ticks that miss points: %s" % cut[:5])


def takes(seconds):
    """Marks a test that runs about so long: the runner begins with the longest."""
    def mark(test):
        test.seconds = seconds
        return test
    return mark


def is_long():
    """Whether the run was asked to be thorough."""
    return bool(os.environ.get("GODWIT_LONG"))
