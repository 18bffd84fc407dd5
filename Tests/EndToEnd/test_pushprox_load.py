"""The scrape proxy with many clients: every page is right, and memory is small and comes back. Benchmarks/pushprox.py has
the figures; here only what is wrong by a multiple fails."""
import os
import resource
import unittest

from support import agent as agents
from support.case import EndToEnd
from support.fleet import Fleet, memory
from support.influx import free_port
from support.processes import wait_until
from support.pushprox import listens, proxy_config

CLIENTS = 1_500
#: Four times what a waiting poll costs in a debug build.
KIB_A_POLL = 24


class Load(EndToEnd):
    def test_many_clients_are_served_and_cost_little(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 3 * CLIENTS:
            raise unittest.SkipTest("a process may have %d descriptors only" % hard)
        port = free_port()
        agent = self.agent(inputs=[], interval="10s", flush="10s", start=False,
                           extra=proxy_config([{"listen": "127.0.0.1:%d" % port}]))
        # The usual limit of a service, which the proxy must lift.
        agent.wrapper = ["sh", "-ec", 'ulimit -S -n 1024; exec "$@"', "sh"]
        agent.start()
        wait_until(lambda: listens(port), 30, "the proxy listens")
        idle, descriptors = memory(agent.pid), self.descriptors(agent)
        with Fleet(port, CLIENTS, seconds=120) as fleet:
            self.waits(agent, CLIENTS)
            full = memory(agent.pid)
            each = (full[1] - idle[1]) / 1024 / CLIENTS
            if not agents.SANITIZER:
                self.assertLess(each, KIB_A_POLL, "KiB of memory a waiting poll")
            found = fleet.scrape(16, 0, 2)
            self.assertEqual((found["failures"], found["wrong"], found["reconnects"]), (0, 0, 0), found)
            self.assertGreater(found["scrapes"], 20, found)
            found = fleet.unknown(200, 400)
            self.assertEqual((found["failures"], found["scrapes"]), (0, 400), found)
            self.waits(agent, CLIENTS)
            busy = memory(agent.pid)
            if not agents.SANITIZER:
                self.assertLess((busy[1] - idle[1]) / 1024 / CLIENTS, 2 * KIB_A_POLL,
                                "KiB of memory a client with an idle connection for pushes beside its poll")
        self.waits(agent, 0)
        wait_until(lambda: self.descriptors(agent) <= descriptors + 2, 30, "their descriptors are closed")
        if not agents.SANITIZER:
            wait_until(lambda: memory(agent.pid)[1] - idle[1] < (busy[1] - idle[1]) / 2, 60,
                       "at least half of the memory is given back", 0.5)
        self.assertEqual(self.figures(agent)["connections"], 0)

    def figures(self, agent):
        return agent.status()["pushprox"]["proxy"]

    def waits(self, agent, count):
        wait_until(lambda: self.figures(agent)["waiting_polls"] == count, 60, "%d polls wait" % count)

    def descriptors(self, agent):
        return len(os.listdir("/proc/%d/fd" % agent.pid))


if __name__ == "__main__":
    unittest.main()
