"""Stopping, signals, a second instance, a host that sleeps."""
import os
import signal
import time

from support import fake_influx, oracle
from support.case import EndToEnd, takes
from support.processes import wait_until

SERIES = 20


class Stopping(EndToEnd):
    """A stop is quick whatever is down, and loses nothing."""

    def stop_with(self, break_server):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES), flush="1s")
        self.wait_for_lines(server, SERIES * 5)
        break_server(server)
        time.sleep(3)
        skipped = agent.skipped()
        began = time.monotonic()
        stopped = time.time_ns()
        self.assertEqual(agent.stop(signal.SIGTERM, 40), 0, "SIGTERM must end with 0")
        took = time.monotonic() - began
        self.assertLess(took, 15, "the stop took %.1f s" % took)
        sealed = set(agent.spilled()) | set(server.lines)
        newest = max(int(line.rpartition(b" ")[2]) for line in sealed)
        self.assertLess(stopped - newest, 400_000_000, "what was collected before the stop was not sealed")
        self.assertEqual(oracle.gaps(sealed, 100_000_000, skipped), [])
        self.assertEqual(oracle.incomplete_ticks(sealed, SERIES), [])
        server.resume()
        agent.start()
        self.wait_arrived(server, sealed)
        self.assert_exact(agent.balance())
        self.assertEqual(agent.balance()["dropped"], 0)

    @takes(30)
    def test_sigterm_with_the_server_refusing(self):
        self.stop_with(lambda server: server.refuse())

    @takes(30)
    def test_sigterm_with_the_server_hanging(self):
        self.stop_with(lambda server: setattr(server, "fault", fake_influx.hang))

    @takes(30)
    def test_sigterm_with_the_server_in_a_black_hole(self):
        self.stop_with(lambda server: server.black_hole())

    def test_a_second_sigterm_skips_the_drain_and_loses_nothing(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES))
        self.wait_for_lines(server, SERIES * 5)
        server.fault = fake_influx.hang
        time.sleep(1)
        agent.signal(signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        self.assertEqual(agent.stop(signal.SIGTERM, 20), 0)
        self.assertLess(time.monotonic() - began, 5)
        sealed = set(agent.spilled()) | set(server.lines)
        server.resume()
        agent.start()
        self.wait_arrived(server, sealed)

    def test_a_storm_of_sighup_does_not_hold_up_the_stop(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES))
        self.wait_for_lines(server, SERIES)
        for turn in range(400):
            agent.signal(signal.SIGHUP)
            if turn == 200:
                agent.signal(signal.SIGTERM)
            time.sleep(0.005)
            if not agent.is_running:
                break
        self.assertEqual(agent.process.wait(5), 0)

    def test_two_signals_at_once_lose_nothing(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES), flush="30s")
        time.sleep(2)
        stopped = time.time_ns()
        agent.signal(signal.SIGTERM)
        agent.signal(signal.SIGINT)
        self.assertEqual(agent.process.wait(15), 0)
        sealed = set(agent.spilled()) | set(server.lines)
        newest = max(int(line.rpartition(b" ")[2]) for line in sealed)
        self.assertLess(stopped - newest, 400_000_000, "what was collected before the stop was not sealed")

    def test_a_storm_of_sigint_is_a_clean_stop(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES))
        self.wait_for_lines(server, SERIES)
        for _ in range(200):
            if not agent.is_running:
                break
            agent.signal(signal.SIGINT)
            time.sleep(0.002)
        self.assertEqual(agent.process.wait(20), 0)

    def test_the_signal_of_a_closed_pipe_and_user_signals_do_not_kill(self):
        agent = self.agent(url=self.server().url, host_proc=self.proc(SERIES))
        agent.signal(signal.SIGPIPE)
        agent.signal(signal.SIGHUP)
        time.sleep(0.5)
        self.assertEqual(agent.request("/healthz")[0], 200)

    def test_a_stopped_process_goes_on_without_a_burst(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES))
        self.wait_for_lines(server, SERIES * 5)
        agent.signal(signal.SIGSTOP)
        began = time.time_ns()
        time.sleep(5)
        agent.signal(signal.SIGCONT)
        ended = time.time_ns()
        wait_until(lambda: max(oracle.ticks(list(server.lines))) > ended + 2_000_000_000, 60, "points afterwards")
        inside = [t for t in oracle.ticks(list(server.lines)) if began + 300_000_000 < t < ended - 300_000_000]
        self.assertLessEqual(len(inside), 2, "missed ticks were made up for: %d" % len(inside))


class Descriptors(EndToEnd):
    """A daemon that somebody starts without standard input, output and error."""

    def test_closed_ones_are_filled_so_that_no_line_goes_into_a_file_of_ours(self):
        agent = self.agent(url=self.server().url, start=False)
        agent.wrapper = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
        agent.start()
        for number in range(3):
            self.assertEqual(os.readlink("/proc/%d/fd/%d" % (agent.pid, number)), "/dev/null")


class SecondInstance(EndToEnd):
    """Two daemons on one state directory: the second goes, naming the first."""

    def test_second_instance_exits_75_naming_the_holder(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(SERIES))
        self.wait_for_lines(server, SERIES)
        second = agent.run("run")
        self.assertEqual(second.returncode, 75, second.stdout + second.stderr)
        self.assertIn(str(agent.pid), second.stdout + second.stderr)
        before = len(server.lines)
        self.wait_for_lines(server, before + SERIES)
        self.assertEqual(agent.request("/healthz")[0], 200, "the first one's socket is gone")

    def test_a_backlog_of_its_own_does_not_let_it_in(self):
        agent = self.agent(url=self.server().url)
        agent.write_config(agent.text().replace(agent.spill, agent.spill + "-2"))
        second = agent.run("run")
        self.assertEqual(second.returncode, 75, second.stdout + second.stderr)
        self.assertIn(str(agent.pid), second.stdout + second.stderr)

    def test_a_stale_socket_file_is_replaced(self):
        agent = self.agent(url=self.server().url, host_proc=self.proc(SERIES))
        agent.kill()
        self.assertTrue(os.path.exists(agent.socket))
        agent.start()
        self.assertEqual(agent.request("/healthz")[0], 200)
