"""Roads through a tunnel of the agent's own: a real sshd, a real influxd behind it, and what happens when either breaks."""
import os
import time

from support import agent as agents
from support.case import EndToEnd
from support.processes import wait_until
from support.ssh import SSHD, Sshd, free_port


class TunnelRoads(EndToEnd):
    """An agent whose direct road is closed, a proxy host, and a database behind it."""

    def setUp(self):
        super().setUp()
        self.needs_program("ssh-keygen")
        if not os.access(SSHD, os.X_OK):
            self.skipTest("needs %s" % SSHD)
        self.needs_root()
        self.files = self.folder()
        #: Nobody listens there.
        self.closed = free_port()

    def sshd(self, name="b", **options):
        folder = os.path.join(self.files, name)
        os.makedirs(folder, exist_ok=True)
        server = Sshd(folder, **options).start()
        self.addCleanup(lambda: server.process and server.stop())
        return server

    def road(self, target, **more):
        return dict({"via": "proxy", "tunnel": "b", "target": target}, **more)

    def with_roads(self, routes, tunnels, url=None, extra="", start=True, **output):
        """An agent that has these routes and tunnels."""
        options = dict({"urls": [url or "http://127.0.0.1:%d" % self.closed], "database": "telegraf",
                        "timeout": "2s"}, **output)
        text = agents.table("[[outputs.influxdb]]", options)
        text += "\n".join(agents.table("[[outputs.influxdb.routes]]", each) for each in routes)
        text += "\n".join(agents.table("[[tunnels]]", each) for each in tunnels)
        return self.agent(host_proc=self.proc(10), extra=text + extra, start=start)

    @staticmethod
    def output(agent):
        return agent.status()["outputs"][0]

    @staticmethod
    def tunnel(agent, index=0):
        return agent.status()["tunnels"][index]

    def test_an_agent_whose_direct_road_is_closed_delivers_through_its_own_session(self):
        server, database = self.sshd(), self.influx()
        target = "127.0.0.1:%d" % database.port
        agent = self.with_roads([self.road(target)], [server.tunnel()])
        wait_until(lambda: database.databases() and database.points("net"), 40, "points through the tunnel")
        route = "proxy:b/" + target
        self.assertEqual(self.output(agent)["active_route"], route)
        entry = [each for each in self.output(agent)["routes"] if each["name"] == route][0]
        self.assertEqual((entry["tunnel"], entry["target"]), ("b", target))
        forward = self.tunnel(agent)["forwards"][0]
        self.assertTrue(forward["internal"])
        path = forward["bind"].removeprefix("unix://")
        self.assertTrue(path.startswith(agent.state), path)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700)
        self.assertEqual(agent.stop(), 0)
        self.assertFalse(os.path.exists(path))
