"""SIGHUP: checked first, applied as a difference, harmless in any number."""
import json
import os
import signal
import time

from support import agent as agents
from support import oracle
from support.case import EndToEnd
from support.processes import wait_until


class Reload(EndToEnd):
    """What did not change keeps running with its counters; a bad file changes nothing."""

    def changing_cpu(self, path, tick):
        """Changes /proc/stat so that a usage needs the previous reading: in place and in one write, as the collector
        keeps the file open."""
        rows = "".join("cpu%s %s\n" % (name, " ".join(str(10000 + tick * 7 + column) for column in range(10)))
                       for name in [" "] + list(range(2)))
        file = os.open(os.path.join(path, "stat"), os.O_WRONLY | os.O_CREAT)
        os.pwrite(file, (rows + "btime 1700000000\n").encode(), 0)
        os.close(file)

    def test_unchanged_collectors_keep_their_counters(self):
        proc = self.proc(3)
        server = self.server()
        inputs = [("cpu", {}), ("net", {"interfaces": ["if*"], "ignore_protocol_stats": True})]
        agent = self.agent(url=server.url, inputs=inputs, host_proc=proc, start=False)
        ticks = 0
        os.unlink(os.path.join(proc, "stat"))
        self.changing_cpu(proc, 0)
        agent.start()

        def usage():
            return {int(line.rpartition(b" ")[2]) for line in server.stored()
                    if line.startswith(b"cpu") and b"usage_idle" in line}
        reloaded = []
        for turn in range(60):
            ticks += 1
            self.changing_cpu(proc, ticks)
            time.sleep(0.1)
            if turn in (20, 40):
                # The net input changes, cpu does not.
                agent.parts["inputs"][1] = ("net", {"interfaces": ["if%d" % (turn // 20)],
                                                    "ignore_protocol_stats": True})
                agent.write_config()
                agent.signal(signal.SIGHUP)
                reloaded.append(time.time_ns())
        wait_until(lambda: any(b"interface=if2" in line and int(line.rpartition(b" ")[2]) > reloaded[-1]
                               for line in server.stored()), 20, "the changed input runs")
        times = sorted(usage())
        gaps = [(a, b) for a, b in zip(times, times[1:]) if b - a > 350_000_000]
        self.assertGreater(len(times), 30)
        self.assertEqual(gaps, [], "usage has a gap: the cpu collector lost its previous reading")
        self.assert_exact(agent.balance())

    def test_a_log_file_that_was_rotated_is_opened_anew(self):
        server = self.server()
        log = os.path.join(self.folder(), "agent.log")
        agent = self.agent(url=server.url, host_proc=self.proc(1), agent={"logfile": log})
        os.rename(log, log + ".1")
        self.assertEqual(agent.run("reload").returncode, 0)
        wait_until(lambda: os.path.exists(log), 10, "a new log file")
        self.assertEqual(os.stat(log).st_mode & 0o777, 0o600)
        with open(log + ".1") as old, open(log) as new:
            self.assertIn("running", old.read())
            self.assertIn("reloaded", new.read())

    def test_a_bad_file_changes_nothing_and_shows(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(5))
        self.wait_for_lines(server, 20)
        agent.write_config(agent.text().replace("[[inputs.net]]", "[[inputs.nett]]"))
        agent.signal(signal.SIGHUP)
        wait_until(lambda: "nett" in agent.log_text(), 10, "the log names the bad key")
        wait_until(lambda: "nett" in json.dumps(agent.status()), 10, "the status shows the rejected file")
        before = len(server.lines)
        self.wait_for_lines(server, before + 20)
        agent.write_config()
        agent.signal(signal.SIGHUP)
        wait_until(lambda: "nett" not in json.dumps(agent.status()), 10, "a good file clears it")

    def test_the_reload_command_answers_with_the_verdict(self):
        agent = self.agent(url=self.server().url, host_proc=self.proc(5))
        done = agent.run("reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        agent.write_config("[agent]\nintervall = \"1s\"\n")
        done = agent.run("reload")
        self.assertNotEqual(done.returncode, 0, "a refused reload must not look like a success")
        self.assertIn("intervall", done.stdout + done.stderr)

    def test_a_hundred_sighups_a_second_are_harmless(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(10))
        self.wait_for_lines(server, 50)
        began = time.time_ns()
        for _ in range(300):
            agent.signal(signal.SIGHUP)
            time.sleep(0.01)
        ended = time.time_ns()
        wait_until(lambda: max(oracle.ticks(list(server.lines))) > ended + 500_000_000, 30, "points afterwards")
        self.assertTrue(agent.is_running)
        lines = [line for line in server.stored() if int(line.rpartition(b" ")[2]) > began - 500_000_000]
        wait_until(lambda: not oracle.gaps(list(server.lines), 100_000_000, agent.skipped()), 30, "no tick is missing")
        self.assertTrue(lines)
        self.assert_exact(agent.balance())

    def test_the_file_is_replaced_in_mid_read(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(10))
        good = agent.text()
        for turn in range(60):
            # Not by rename: a reader may see any prefix.
            with open(agent.config, "w") as file:
                file.write(good[:len(good) * turn // 60])
                file.flush()
                agent.signal(signal.SIGHUP)
                time.sleep(0.02)
        agent.write_config()
        agent.signal(signal.SIGHUP)
        before = len(server.lines)
        self.wait_for_lines(server, before + 50)
        self.assertTrue(agent.is_running)

    def test_the_backlog_stays_over_a_changed_output(self):
        server, other = self.server(), self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(10))
        self.wait_for_lines(server, 50)
        server.refuse()
        time.sleep(2)
        mark = time.time_ns()
        agent.parts["output"]["urls"] = [other.url]
        agent.write_config()
        agent.signal(signal.SIGHUP)
        wait_until(lambda: other.lines and max(oracle.ticks(list(other.lines))) > mark, 60, "the new url is used")
        both = lambda: set(server.lines) | set(other.lines)  # noqa: E731
        wait_until(lambda: not oracle.gaps(both(), 100_000_000, agent.skipped()), 120, "no tick is missing", 0.1)
        self.assert_exact(agent.balance())

    def test_a_stream_that_nobody_reads_any_more_shows_as_orphaned(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(10), output={"namedrop": ["nothing"]})
        self.wait_for_lines(server, 50)
        server.refuse()
        time.sleep(2)
        del agent.parts["output"]["namedrop"]
        agent.write_config()
        self.assertEqual(agent.run("reload").returncode, 0)

        def orphans():
            return {reader["name"]: reader for stream in agent.status()["streams"] if stream["name"] != "default"
                    for reader in stream["readers"] if reader["orphaned"]}
        wait_until(orphans, 10, "the old stream is an orphan")
        self.assertEqual(agent.stop(), 0)
        agent.start()
        wait_until(orphans, 10, "it still is after a restart")
        agent.parts["output"]["namedrop"] = ["nothing"]
        agent.write_config()
        server.resume()
        self.assertEqual(agent.run("reload").returncode, 0)
        wait_until(lambda: not orphans(), 10, "it is read again")

    def test_an_output_that_gets_a_stream_of_its_own_loses_no_point(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(10), flush="3s")
        self.wait_for_lines(server, 50)
        time.sleep(1.5)
        for turn in range(2):
            # A filter of its own gives the output a stream of its own; without it, it goes back to the shared one.
            agent.parts["output"].update({"namedrop": ["nothing"]} if turn == 0 else {})
            if turn == 1:
                del agent.parts["output"]["namedrop"]
            agent.write_config()
            mark = time.time_ns()
            self.assertEqual(agent.run("reload").returncode, 0)
            wait_until(lambda: max(oracle.ticks(list(server.lines))) > mark + 2_000_000_000, 30, "points afterwards")
        self.assertEqual(oracle.gaps(list(server.lines), 100_000_000, agent.skipped()), [])
        self.assert_exact(agent.balance())
