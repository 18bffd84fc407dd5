"""SIGKILL at random moments: 0 sealed points lost, the balance exact."""
import os
import random
import time

from support import oracle
from support.case import EndToEnd, is_long, takes
from support.processes import wait_until


class KillLoop(EndToEnd):
    """The agent is killed again and again; an oracle knows what was sealed and checks that all of it arrives."""

    def loop(self, kills, series, longest, server_fails):
        seed = int(os.environ.get("GODWIT_SEED", random.randrange(1 << 32)))
        print("      seed %d (GODWIT_SEED replays the moments)" % seed, flush=True)
        dice = random.Random(seed)
        server = self.server()
        owed = oracle.Oracle()
        agent = self.agent(url=server.url, host_proc=self.proc(series), interval="20ms", flush="60ms", start=False,
                           output={"timeout": "2s"})
        for turn in range(kills):
            if server_fails and dice.random() < 0.3:
                server.refuse()
            # Every other kill falls into start-up and recovery, the rest into the running daemon.
            agent.start(ready=dice.random() < 0.7)
            time.sleep(dice.random() * longest)
            agent.kill()
            # What the disk holds now was sealed: written before anything else happened to it.
            if dice.random() < 0.25 or turn == kills - 1:
                owed.owe(agent.spilled())
            owed.owe(server.stored())
            if server_fails and server.listener is None:
                server.resume()
        agent.start()
        self.wait_arrived(server, owed.obligations)
        # After the faults one fresh tick must pass (liveness), then the books must close.
        fresh = len(server.lines) + series
        self.wait_for_lines(server, fresh)
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertEqual(balance["dropped"], 0, balance)
        self.assertEqual(balance["rejected"], 0, balance)
        self.assertEqual(agent.stop(), 0)
        self.check_records(server, kills, series)
        return server

    def check_records(self, server, kills, series):
        """Integrity and conservation, from what the server saw alone."""
        lines = list(server.lines)
        for line in lines:
            point = oracle.parse(line)
            self.assertEqual(point.measurement, "net")
            number = int(point.tags["interface"][2:])
            self.assertEqual(point.fields["bytes_recv"], ("integer", 1000 + number))
        self.assert_identical_tries(server)
        # A number that was given to a batch and never came is a batch that was sealed and lost.
        for instance, numbers in oracle.sequences(server.batches).items():
            self.assertFalse(oracle.holes(numbers), "instance %s misses batches" % instance)
        # A tick may be cut where a batch ended at a kill; whole ticks may be absent (killed before sealing).
        self.assert_whole_ticks(lines, series, kills)
        print("      %d distinct points, %d lines in %d requests, %d batches" % (
            len(lines), sum(server.lines.values()), len(server.writes()), len(server.batches)), flush=True)

    @takes(150)
    def test_200_kills_lose_no_sealed_point(self):
        server = self.loop(2000 if is_long() else 200, 25, 0.35, False)
        self.assertGreaterEqual(len(server.lines), 10_000)

    @takes(80)
    def test_kills_while_the_server_comes_and_goes_lose_no_sealed_point(self):
        self.loop(400 if is_long() else 40, 25, 0.35, True)

    def test_restart_repeats_at_most_a_second_of_acknowledgements(self):
        series = 20
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(series), interval="50ms", flush="100ms")
        self.wait_for_lines(server, series * 60)
        agent.kill()
        before = server.stored()
        agent.start()
        self.wait_for_lines(server, len(before) + series * 10)
        repeated = sum(1 for line, count in server.stored().items() if count > 1)
        # One second of 20 ticks and one batch of a few ticks.
        self.assertLessEqual(repeated, series * (20 + 8), "%d points came twice" % repeated)

    @takes(40)
    def test_kill_in_an_outage_loses_at_most_the_cycle_in_progress(self):
        series, step = 20, 100
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(series), interval="%dms" % step, flush="%dms" % step)
        self.wait_for_lines(server, series * 5)
        server.refuse()
        time.sleep(3)
        skipped = agent.skipped()
        agent.kill()
        killed = time.time_ns()
        agent.start()
        ready = time.time_ns()
        time.sleep(3)
        server.resume()
        started = time.time_ns()
        wait_until(lambda: max(oracle.ticks(list(server.lines))) > started, 180, "live points after the outage")
        wait_until(lambda: oracle.is_whole(list(server.lines), ready, started, series, step * 1_000_000,
                                           agent.skipped()),
                   180, "every point of the outage after the kill", 0.2)
        wait_until(lambda: agent.balance()["pending"] <= 2 * series, 180, "the backlog drains", 0.2)
        # What is live may still be on its way.
        lines = oracle.between(list(server.lines), 0, started)
        times = sorted(oracle.ticks(lines))
        # The only gap is the one around the kill: the cycle in progress and the restart itself.
        for name, part, absent in (("before", lambda moment: moment <= killed, skipped),
                                   ("after", lambda moment: moment > killed, agent.skipped())):
            inside = [line for line in lines if part(int(line.rpartition(b" ")[2]))]
            self.assertEqual(oracle.gaps(inside, step * 1_000_000, absent), [], "points %s the kill are missing" % name)
        last = max(time for time in times if time <= killed)
        self.assertLess(killed - last, 4 * step * 1_000_000, "more than the cycle in progress was lost")
