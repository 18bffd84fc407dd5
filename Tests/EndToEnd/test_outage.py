"""The server is away in five ways; afterwards every point of the outage is there once."""
import os
import subprocess
import sys
import threading
import time
import traceback

from support import agent as agents
from support import fake_influx, oracle, processes
from support.case import EndToEnd, is_long, takes
from support.processes import wait_until

SERIES = 10
STEP_MS = 250


class Outage(EndToEnd):
    """All outages run at the same time, each with a daemon of its own; each test looks at its own result."""

    #: The runner keeps the tests of this class in one process.
    together = True
    results = {}
    threads = None

    MODES = {
        "refused": lambda server: server.refuse(),
        "black_hole": lambda server: server.black_hole(),
        "unavailable": lambda server: setattr(server, "fault", fake_influx.refuse_with(503, b"down")),
        "throttled": lambda server: setattr(server, "fault", fake_influx.refuse_with(429, b"slow", Retry_After=5)),
        "hang": lambda server: setattr(server, "fault", fake_influx.hang),
    }
    #: Without --long one mode gets the full minute.
    FULL = "black_hole"

    def setUp(self):
        super().setUp()
        if Outage.threads is None:
            Outage.threads = {}
            for mode in self.MODES:
                thread = threading.Thread(target=self.one, args=(mode,), daemon=True)
                Outage.threads[mode] = thread
                thread.start()

    def one(self, mode):
        try:
            Outage.results[mode] = self.outage(mode, 60 if is_long() or mode == self.FULL else 15)
        except BaseException:
            Outage.results[mode] = traceback.format_exc()

    def outage(self, mode, seconds):
        """Runs one outage; returns what the tests judge."""
        server = fake_influx.Server()
        agent = agents.Agent(url=server.url, host_proc=agents.proc_tree(processes.folder() + "/proc", SERIES),
                             interval="%dms" % STEP_MS, flush="%dms" % (2 * STEP_MS), output={"timeout": "3s"})
        try:
            agent.start()
            wait_until(lambda: len(server.lines) >= SERIES * 8, 30, "points before the outage")
            began = time.time_ns()
            self.MODES[mode](server)
            time.sleep(seconds)
            during = agent.status()
            ended = time.time_ns()
            server.resume()
            returned = time.monotonic()
            # Everything up to the end of the outage must come; what is collected later flows beside it.
            wait_until(lambda: oracle.is_whole(list(server.lines), began, ended, SERIES, STEP_MS * 1_000_000,
                                               agent.skipped()),
                       240, "every point of the outage", 0.2)
            wait_until(lambda: max(oracle.ticks(list(server.lines))) > ended, 60, "live points after the outage")
            drained = time.monotonic() - returned
            balance = agent.balance()
            skipped = agent.skipped()
            code = agent.stop()
            return {"server": server, "began": began, "ended": ended, "drained": drained, "balance": balance,
                    "skipped": skipped, "code": code, "during": during, "left": agent.spilled(),
                    "log": agent.log_text()}
        finally:
            if agent.is_running:
                agent.kill()
            server.close()

    def judge(self, mode):
        self.threads[mode].join(600)
        result = self.results.get(mode)
        self.assertIsInstance(result, dict, "the outage did not finish:\n%s" % result)
        server = result["server"]
        lines = server.stored()
        inside = {line: count for line, count in lines.items()
                  if result["began"] < int(line.rpartition(b" ")[2]) < result["ended"]}
        expected = (result["ended"] - result["began"]) / 1e6 / STEP_MS * SERIES
        self.assertGreater(len(inside), expected * 0.8, "too few points of the outage: did collection stop?")
        self.assertEqual(oracle.incomplete_ticks(inside, SERIES), [], "ticks of the outage miss points")
        holes = oracle.gaps(inside, STEP_MS * 1_000_000, result["skipped"])
        self.assertEqual(holes, [], "ticks of the outage are missing")
        twice = [line for line, count in inside.items() if count > 1]
        self.assertEqual(twice, [], "%d points of the outage were stored more than once" % len(twice))
        self.assertTrue(result["balance"]["dropped"] == 0 and result["balance"]["rejected"] == 0, result["balance"])
        self.assert_exact(result["balance"])
        self.assert_identical_tries(server)
        self.assertEqual(result["code"], 0)
        print("      %d points of the outage, drained %.1f s after the return, %d requests" % (
            len(inside), result["drained"], len(server.writes())), flush=True)
        return result

    def test_refused(self):
        self.judge("refused")

    @takes(110)
    def test_black_hole(self):
        self.judge("black_hole")

    def test_503(self):
        self.judge("unavailable")

    def test_429_with_retry_after_is_obeyed(self):
        result = self.judge("throttled")
        tries = [each.time for each in result["server"].writes() if each.code == 429]
        # With Retry-After 5 there is room for a probe now and then, not for a storm.
        self.assertTrue(tries)
        self.assertLessEqual(len(tries), 2 + (tries[-1] - tries[0]) / 4, "Retry-After was not obeyed")

    def test_hang(self):
        self.judge("hang")

    @classmethod
    def tearDownClass(cls):
        for thread in (cls.threads or {}).values():
            thread.join(600)


class Filtered(EndToEnd):
    """A black hole made by the packet filter in a namespace of its own: not one packet passes."""

    @takes(40)
    def test_dropped_packets_in_a_namespace(self):
        self.needs_root()
        self.needs_program("ip", "nft")
        name = "gw-e2e-%d" % os.getpid()
        if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
            self.skipTest("needs network namespaces")
        self.addCleanup(subprocess.run, ["ip", "netns", "del", name])
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "filtered.py")
        done = subprocess.run(["ip", "netns", "exec", name, sys.executable, script, agents.BINARY],
                              capture_output=True, text=True, timeout=300)
        if done.returncode == 77:
            self.skipTest(done.stdout.strip().splitlines()[-1])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
