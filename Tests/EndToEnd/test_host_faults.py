"""The host fails the agent: no descriptors left, the power is cut, somebody sets the clock."""
import os
import random
import resource
import shutil
import subprocess
import time

from support import agent as agents
from support import oracle
from support.case import EndToEnd, is_long, takes
from support.clock import WallClock
from support.processes import wait_until

SERIES = 10
STEP_MS = 100


class Descriptors(EndToEnd):
    """Nothing can be opened any more: what is open goes on, and everything comes back with the descriptors."""

    @takes(30)
    def test_without_descriptors_collection_goes_on_and_nothing_is_lost(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES), interval="%dms" % STEP_MS, flush="200ms")
        self.wait_for_lines(server, SERIES * 10)
        began = time.time_ns()
        before = agent.balance()
        _, hard = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
        # Below every number in use: each further socket, segment or kernel file fails.
        resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (3, hard))
        # The connection goes away too, so that a new one is needed.
        server.refuse()
        time.sleep(3)
        self.assertTrue(agent.is_running)
        self.assertRaises(OSError, agent.request, "/healthz", seconds=1)
        server.resume()
        resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (hard, hard))
        ended = time.time_ns()
        wait_until(lambda: oracle.is_whole(list(server.lines), began, ended, SERIES, STEP_MS * 1_000_000,
                                           agent.skipped()), 120, "every point of that time", 0.2)
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertGreater(balance["sealed"], before["sealed"])
        self.assertEqual(balance["dropped"], 0)
        self.assertEqual(agent.stop(), 0)


class PowerCut(EndToEnd):
    """The spill is on a file system of its own, in a file. A copy of that file, taken while the agent writes, holds what
    a disk would after a power cut: only what was synced is sure to be in it."""

    #: The sync interval of the spill is a second; as much again for a sync that takes its time.
    SYNCED_AFTER = 2_500_000_000

    def mounted(self, image, point):
        os.makedirs(point, exist_ok=True)
        done = subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, text=True)
        if done.returncode != 0:
            return done.stderr
        self.addCleanup(subprocess.run, ["umount", "-l", point], capture_output=True)
        return None

    @takes(90)
    def test_a_power_cut_costs_only_what_was_not_synced(self):
        self.needs_root()
        self.needs_program("mkfs.ext4", "mount", "umount")
        folder = self.folder()
        image, point = os.path.join(folder, "disk.img"), os.path.join(folder, "disk")
        with open(image, "wb") as file:
            file.truncate(48 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        reason = self.mounted(image, point)
        if reason:
            self.skipTest("needs loop devices (%s)" % reason.strip())
        server = self.server()
        server.refuse()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES), interval="50ms", flush="100ms",
                           spill={"directory": point + "/spill", "min_free_bytes": "1MiB", "min_free_percent": 0})
        # Older than a sync.
        wait_until(lambda: agent.balance()["sealed"] > SERIES * 80, 60, "points are sealed")
        seed = random.randrange(1 << 32)
        print("      seed %d" % seed, flush=True)
        dice = random.Random(seed)
        for turn in range(100 if is_long() else 8):
            with self.subTest(turn=turn):
                time.sleep(0.5 + dice.random() * 2)
                self.cut(agent, image, os.path.join(folder, "cut%d" % turn))
        self.assertTrue(agent.is_running)

    def cut(self, agent, image, place):
        os.mkdir(place)
        copy, point = place + "/disk.img", place + "/disk"
        sealed = agent.spilled()
        before = time.time_ns()
        shutil.copyfile(image, copy)
        self.assertIsNone(self.mounted(copy, point))
        sure = {line for line in sealed if int(line.rpartition(b" ")[2]) < before - self.SYNCED_AFTER}
        self.assertGreater(len(sure), 0)
        survivor = self.agent(url="http://127.0.0.1:9", host_proc=self.proc(1), interval="10s", start=False,
                              spill={"directory": point + "/spill", "min_free_bytes": "1MiB", "min_free_percent": 0})
        left = set(survivor.spilled())
        self.assertEqual([line for line in sure if line not in left], [], "synced points are missing")
        # The agent takes it up as it is.
        survivor.start()
        balance = survivor.balance()
        self.assert_exact(balance)
        self.assertGreaterEqual(balance["pending"], len(sure))
        self.assertEqual(survivor.stop(), 0)
        subprocess.run(["umount", point], check=True)
        os.unlink(copy)


class Clock(EndToEnd):
    """The wall clock is set while the agent runs."""

    def start_with_clock(self, server):
        made = WallClock(self)
        self.set_clock = made.set
        return self.agent(url=server.url, interval="%dms" % STEP_MS, flush="200ms", inputs=[("cpu", {}), ("net", {})],
                          environment=made.environment)

    def newest(self, server):
        return max((int(line.rpartition(b" ")[2]) for line in list(server.lines)), default=0)

    @takes(40)
    def test_an_hour_ahead_and_back_stops_nothing_and_drops_nothing(self):
        server = self.server()
        agent = self.start_with_clock(server)
        self.wait_for_lines(server, 50)
        server.refuse()
        time.sleep(2)
        for seconds in (3600, -3600):
            with self.subTest(clock=seconds):
                self.set_clock(seconds)
                received = agent.status()["batcher"]["received"]
                wait_until(lambda: agent.status()["batcher"]["received"] > received + 50, 30,
                           "collection after the step of the clock")
                self.assertEqual(agent.balance()["dropped"], 0, "an hour is no age at which points expire")
        server.resume()
        goal = time.time_ns() - 3_600_000_000_000
        moment = time.time_ns()
        wait_until(lambda: any(goal < int(line.rpartition(b" ")[2]) < moment - 3_000_000_000_000
                               for line in list(server.lines)), 120, "points with the clock's new time")
        wait_until(lambda: self.newest(server) > moment + 3_000_000_000_000, 120, "points of the hour ahead")
        for line in list(server.lines):
            for key, (_, number) in oracle.parse(line).fields.items():
                self.assertFalse(isinstance(number, float) and number < 0, "%s of %r is below zero" % (key, line))
                if key.startswith("usage_"):
                    self.assertLessEqual(number, 100.001, line)
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertEqual((balance["dropped"], balance["rejected"]), (0, 0))
        self.assertEqual(agent.stop(), 0)
