"""The disk is full, broken, gone or full of junk: never an exit, never a wipe, always counted."""
import os
import random
import shutil
import signal
import subprocess
import time

from support import agent as agents
from support import oracle, processes
from support.case import EndToEnd, takes
from support.processes import wait_until

SERIES = 50


def files(agent, suffix):
    """The regular files of the spill whose names end so, sorted by path."""
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(agent.spill) for name in names
                  if name.endswith(suffix))


class Full(EndToEnd):
    """A small tmpfs that fills up."""

    def mounted(self, size):
        self.needs_root()
        self.needs_program("mount", "umount")
        folder = self.folder()
        point = os.path.join(folder, "disk")
        os.mkdir(point)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s" % size, "tmpfs", point],
                          capture_output=True).returncode != 0:
            self.skipTest("needs to mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", point])
        return point

    def test_enospc_drops_the_oldest_and_keeps_collecting(self):
        point = self.mounted("2m")
        server = self.server()
        server.refuse()
        agent = self.agent(url=server.url, host_proc=self.proc(400), interval="20ms", flush="60ms",
                           output={"content_encoding": "identity"},
                           spill={"directory": point + "/spill", "min_free_bytes": "64KiB", "min_free_percent": 0,
                                  "segment_bytes": "256KiB", "max_bytes": "64MiB"})

        def dropping():
            balance = agent.balance()
            return balance if balance["dropped"] > 0 else None
        balance = wait_until(dropping, 60, "the oldest is dropped")
        self.assert_exact(balance)
        self.assertTrue(agent.is_running)
        before = agent.balance()["sealed"]
        wait_until(lambda: agent.balance()["sealed"] > before + 400, 20, "collection goes on")
        free = os.statvfs(point)
        self.assertGreaterEqual(free.f_bavail * free.f_bsize, 0)
        newest = time.time_ns()
        server.resume()
        wait_until(lambda: max(oracle.ticks(list(server.lines)), default=0) > newest, 120, "live points")
        balance = self.wait_balance(agent, lambda numbers: numbers["pending"] < 8000, 180)
        self.assert_exact(balance)
        # A batch is delivered or counted as dropped; none vanished between the two.
        self.assertGreaterEqual(len(server.stored()), balance["delivered"] - 8000)
        self.assertEqual(agent.stop(), 0)

    def test_others_fill_the_disk_and_space_returns(self):
        point = self.mounted("16m")
        server = self.server()
        server.refuse()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES),
                           spill={"directory": point + "/spill", "min_free_bytes": "1MiB", "min_free_percent": 0,
                                  "segment_bytes": "256KiB"})
        wait_until(lambda: agent.balance()["sealed"] > SERIES * 5, 20, "points are sealed")
        with open(point + "/other", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                pass
        filled = agent.balance()["sealed"]
        wait_until(lambda: agent.balance()["sealed"] > filled + SERIES * 20, 30, "collection goes on")
        self.assert_exact(agent.balance())
        self.assertTrue(agent.is_running)
        os.unlink(point + "/other")
        server.resume()
        mark = time.time_ns()
        wait_until(lambda: max(oracle.ticks(list(server.lines)), default=0) > mark, 120, "live points")
        self.assert_exact(agent.balance())
        self.assertEqual(agent.stop(), 0)

    def test_start_on_a_full_disk(self):
        point = self.mounted("1m")
        with open(point + "/other", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES), spill={"directory": point + "/spill"})
        self.wait_for_lines(server, SERIES * 5)
        self.assert_exact(agent.balance())


class Caps(EndToEnd):
    """The bound in bytes."""

    def test_the_cap_drops_the_oldest_segment_and_keeps_the_newest(self):
        server = self.server()
        server.refuse()
        agent = self.agent(url=server.url, host_proc=self.proc(300), interval="20ms", flush="40ms",
                           output={"content_encoding": "identity"},
                           spill={"max_bytes": "1MiB", "segment_bytes": "128KiB"})
        wait_until(lambda: agent.balance()["dropped"] > 3000, 60, "the oldest is dropped")
        size = sum(os.stat(path).st_size for path in files(agent, ".seg"))
        self.assertLess(size, (1 << 20) + 2 * (128 << 10) + 65536)
        balance = agent.balance()
        self.assert_exact(balance)
        skipped = agent.skipped()
        self.assertEqual(agent.stop(), 0)
        kept = sorted(oracle.ticks(agent.spilled()))
        self.assertLess(time.time_ns() - kept[-1], 5_000_000_000, "the newest points are gone")
        # Dropped by whole segments from the old end: what is left has no hole.
        holes = oracle.gaps(agent.spilled(), 20_000_000, skipped)
        self.assertEqual(holes, [])

    def test_the_balance_survives_a_restart(self):
        server = self.server()
        server.refuse()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES))
        wait_until(lambda: agent.balance()["sealed"] > SERIES * 10, 30, "points are sealed")
        self.assertEqual(agent.stop(), 0)
        pending = len(set(agent.spilled()))
        agent.start()
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertGreaterEqual(balance["pending"], pending)
        server.resume()
        self.wait_for_lines(server, pending, 120)
        balance = self.wait_balance(agent, lambda numbers: numbers["delivered"] >= pending, 60)
        self.assert_exact(balance)


class Damaged(EndToEnd):
    """Directories as crashes, other programs and operators leave them."""

    def spilling(self):
        """An agent that has a backlog, stopped; its sealed lines, its server (away)."""
        server = self.server()
        server.refuse()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES), flush="200ms")
        wait_until(lambda: agent.balance()["sealed"] > SERIES * 20, 30, "points are sealed")
        self.assertEqual(agent.stop(), 0)
        return agent, server, set(agent.spilled())

    def arrive_again(self, agent, server, lines):
        agent.start()
        server.resume()
        self.wait_arrived(server, lines)
        self.assert_exact(agent.balance())

    @takes(30)
    def test_a_torn_tail_keeps_every_record_before_it(self):
        agent, server, lines = self.spilling()
        newest = files(agent, ".seg")[-1]
        with open(newest, "ab") as file:
            file.write(b"GDBK" + os.urandom(60))
        self.arrive_again(agent, server, lines)

    @takes(30)
    def test_a_missing_cursor_costs_nothing(self):
        agent, server, lines = self.spilling()
        for path in files(agent, "cursor"):
            os.unlink(path)
        self.arrive_again(agent, server, lines)

    @takes(30)
    def test_a_random_cursor_costs_nothing(self):
        agent, server, lines = self.spilling()
        for path in [each for each in files(agent, "") if "cursor" in os.path.basename(each)]:
            with open(path, "wb") as file:
                file.write(os.urandom(64))
        self.arrive_again(agent, server, lines)

    @takes(30)
    def test_junk_is_left_alone_and_never_followed(self):
        agent, server, lines = self.spilling()
        folder = os.path.dirname(files(agent, ".seg")[0])
        secret = os.path.join(agent.folder, "victim")
        agents.replace(secret, "untouched")
        os.symlink(secret, os.path.join(folder, "fffffffffffffff0.seg"))
        os.mkfifo(os.path.join(folder, "fffffffffffffff1.seg"))
        os.mkdir(os.path.join(folder, "fffffffffffffff2.seg"))
        agents.replace(os.path.join(folder, "notes.txt"), "hello")
        agents.replace(os.path.join(folder, "0000000000000000.seg"), "")
        self.arrive_again(agent, server, lines)
        with open(secret) as file:
            self.assertEqual(file.read(), "untouched")
        self.assertTrue(os.path.exists(os.path.join(folder, "notes.txt")))
        self.assertTrue(os.path.islink(os.path.join(folder, "fffffffffffffff0.seg")))

    def test_a_damaged_header_is_set_aside_and_counted(self):
        agent, server, lines = self.spilling()
        newest = files(agent, ".seg")[-1]
        with open(newest, "r+b") as file:
            file.write(b"\0" * 64)
        agent.start()
        server.resume()
        mark = time.time_ns()
        wait_until(lambda: max(oracle.ticks(list(server.lines)), default=0) > mark, 120, "live points")
        self.assert_exact(agent.balance())
        self.assertTrue([name for folder, _, names in os.walk(agent.spill) if "quarantine" in folder for name in names])

    def test_random_damage_never_stops_the_start(self):
        seed = random.randrange(1 << 32)
        print("      seed %d" % seed, flush=True)
        dice = random.Random(seed)
        agent, server, lines = self.spilling()
        original = agent.spill + ".original"
        shutil.copytree(agent.spill, original, symlinks=True)
        for _ in range(10):
            shutil.rmtree(agent.spill)
            shutil.copytree(original, agent.spill, symlinks=True)
            for path in files(agent, ""):
                with open(path, "r+b") as file:
                    data = bytearray(file.read())
                    for _ in range(dice.randrange(0, 6)):
                        if data:
                            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
                    file.seek(0)
                    file.write(data[:dice.randrange(len(data) + 1)] if dice.random() < 0.3 else data)
            checked = agent.run("spill", "check")
            self.assertIn(checked.returncode, (0, 1, 65), checked.stderr)
            agent.start()
            self.assert_exact(agent.balance())
            self.assertEqual(agent.stop(), 0)

    def test_the_directory_is_deleted_under_the_daemon(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES))
        self.wait_for_lines(server, SERIES * 3)
        shutil.rmtree(agent.spill)
        mark = time.time_ns()
        wait_until(lambda: max(oracle.ticks(list(server.lines))) > mark + 2_000_000_000, 60, "live points")
        self.assert_exact(agent.balance())
        wait_until(lambda: files(agent, ".seg"), 90, "the directory is made again", 0.2)

    def test_drop_by_the_operator_is_counted(self):
        server = self.server()
        server.refuse()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES))
        wait_until(lambda: agent.balance()["sealed"] > SERIES * 10, 30, "points are sealed")
        self.assertEqual(agent.stop(), 0)
        done = agent.run("spill", "drop", "--yes")
        if done.returncode == 64:
            done = agent.run("spill", "drop")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(agent.spilled(), [])
        agent.start()
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertGreater(balance["dropped"], 0)


class Failing(EndToEnd):
    """System calls that fail, injected by strace."""

    def daemon_of(self, agent):
        """The pid of the daemon below strace."""
        with open("/proc/%d/task/%d/children" % (agent.pid, agent.pid)) as file:
            return int(file.read().split()[0])

    def finish(self, agent):
        os.kill(self.daemon_of(agent), signal.SIGTERM)
        return agent.process.wait(30)

    def inject(self, expression):
        self.needs_program("strace")
        if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
            self.skipTest("needs strace with ptrace allowed")
        # Only the spill uses fdatasync and pwritev, so no filter by path is needed.
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES), start=False)
        with open(agent.log, "ab") as log:
            agent.process = processes.spawn(
                ["strace", "-f", "-qq", "-o", os.path.join(agent.folder, "trace"), "-e",
                 "trace=" + expression.split(":")[0], "-e", "inject=" + expression, agents.BINARY, "run", "--config",
                 agent.config], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=agent.environment,
                cwd=agent.folder)
        agent.wait_ready(30)

        def injected():
            with open(os.path.join(agent.folder, "trace")) as file:
                text = file.read()
                return "INJECTED" in text or "DELAYED" in text
        wait_until(injected, 30, "the call that fails")
        self.wait_for_lines(server, len(server.lines) + SERIES * 20, 60)
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertEqual(oracle.gaps(server.stored(), 100_000_000, agent.skipped()), [], "ticks are missing")
        self.assertEqual(self.finish(agent), 0)
        return agent, server

    def test_eio_on_the_nth_sync_loses_nothing(self):
        for turn in (1, 2, 3, 5):
            with self.subTest(nth=turn):
                self.inject("fdatasync:error=EIO:when=%d" % turn)

    def test_eio_on_every_sync_goes_to_memory_without_an_exit(self):
        self.inject("fdatasync:error=EIO")

    def test_eio_on_a_write_loses_nothing(self):
        for turn in (2, 3, 5):
            with self.subTest(nth=turn):
                self.inject("pwritev:error=EIO:when=%d" % turn)

    def test_enospc_on_a_write_loses_nothing_that_was_sent(self):
        self.inject("pwritev:error=ENOSPC:when=5+5")

    def test_a_sync_that_takes_five_seconds_stops_nobody(self):
        began = time.monotonic()
        self.inject("fdatasync:delay_enter=5000000:when=2+3")
        self.assertLess(time.monotonic() - began, 60)
