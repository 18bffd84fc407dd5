"""A collector that traps the process: restarts, attribution, parking."""
import json
import os
import time

from support.case import EndToEnd
from support.processes import wait_until


class Attribution(EndToEnd):
    """Three crashes with one name park that collector at the next start; the rest flows."""

    INPUTS = [("net", {"interfaces": ["if*"], "ignore_protocol_stats": True}), ("mem", {}), ("cpu", {})]

    def crash(self, agent):
        agent.start(ready=False)
        code = agent.process.wait(20)
        self.assertLess(code, 0, "the collector should have trapped the process")

    def test_three_crashes_park_the_collector(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(3), inputs=self.INPUTS, start=False,
                           environment={"GODWIT_TEST_TRAP_COLLECTOR": "mem"})
        for _ in range(3):
            self.crash(agent)
        agent.start()
        self.wait_for_lines(server, 20)
        wait_until(lambda: any(line.startswith(b"net") for line in server.lines), 10, "net flows")
        time.sleep(1)
        self.assertTrue(agent.is_running)
        self.assertFalse(any(line.startswith(b"mem") for line in server.lines))
        text = json.dumps(agent.status())
        self.assertIn("parked", text)
        self.assertIn("mem", agent.log_text())
        # Its blame must not stick to the healthy ones.
        self.assertEqual(agent.stop(), 0)

    def test_two_crashes_do_not(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(3), inputs=self.INPUTS, start=False,
                           environment={"GODWIT_TEST_TRAP_COLLECTOR": "mem"})
        for _ in range(2):
            self.crash(agent)
        del agent.environment["GODWIT_TEST_TRAP_COLLECTOR"]
        agent.start()
        wait_until(lambda: any(line.startswith(b"mem") for line in server.lines), 20, "mem flows")

    def test_kills_from_outside_blame_nobody(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(3), inputs=self.INPUTS, start=False)
        for _ in range(5):
            agent.start()
            self.wait_for_lines(server, len(server.lines) + 5)
            agent.kill()
        agent.start()
        mark = time.time_ns()
        for name in (b"mem", b"net"):
            wait_until(lambda: any(line.startswith(name) and int(line.rpartition(b" ")[2]) > mark
                                   for line in list(server.lines)), 20, "%s flows" % name.decode())
        self.assertNotIn('"parked"', json.dumps(agent.status()))

    def test_a_restart_after_a_trap_takes_under_a_second(self):
        agent = self.agent(url=self.server().url, host_proc=self.proc(3), inputs=self.INPUTS, start=False,
                           environment={"GODWIT_TEST_TRAP_COLLECTOR": "mem"})
        self.crash(agent)
        del agent.environment["GODWIT_TEST_TRAP_COLLECTOR"]
        began = time.monotonic()
        agent.start()
        self.assertLess(time.monotonic() - began, 1)
        self.assertTrue(os.path.exists(agent.socket))
