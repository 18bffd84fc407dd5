"""The two networks that cannot reach each other, and the ways in which the data and the operator get across: real sshd,
real influxd, a packet filter between them."""
import hashlib
import json
import os
import subprocess
import time

from support import agent as agents
from support import influx, oracle, processes, two_networks
from support.case import EndToEnd, takes
from support.processes import wait_until
from support.ssh import Echo, exchange, user
from support.two_networks import (DB, DB_PORT, METADATA, PROXY_A, PROXY_B, PUBLIC_A, PUBLIC_B, ROAD_PORT,
                                  SSH_PORT, VM_A, VM_B, TwoNetworks, answers, reaches, road)

SERIES = 5
STEP_MS = 500
DIRECT = "http://%s:%d" % (DB, DB_PORT)


class Pictures(EndToEnd):
    """One pair of networks for all; each picture has the daemons and the database of its own name."""

    @classmethod
    def setUpClass(cls):
        cls.reason = two_networks.missing()
        if cls.reason or not os.access(agents.BINARY, os.X_OK):
            return
        try:
            cls.net = TwoNetworks(processes.folder())
        except OSError as error:
            cls.reason = "needs network namespaces (%s)" % error
            return
        cls.addClassCleanup(cls.net.close)
        with cls.net.db:
            cls.database = influx.Influx(address=DB, port=DB_PORT)
        cls.addClassCleanup(cls.database.stop)
        cls.proxy_a = cls.net.sshd(cls.net.proxy_a, PUBLIC_A)
        cls.proxy_b = cls.net.sshd(cls.net.proxy_b, PUBLIC_B, names=[PROXY_B])

    def setUp(self):
        super().setUp()
        if self.reason:
            self.skipTest(self.reason)

    # What pictures are made of

    def daemon(self, *arguments, **options):
        made = self.net.daemon(*arguments, name=self._testMethodName[5:][:20], **options)
        self.addCleanup(self._end, made)
        return made

    def guest(self, *routes, tunnels=(), agent=None, **output):
        """The agent on VM B, with the database named after the picture."""
        made = self.daemon(
            self.net.vm_b, tunnels, url=DIRECT, agent=agent, interval="%dms" % STEP_MS, flush="%dms" % STEP_MS,
            output=dict({"urls": [DIRECT], "database": self._testMethodName}, **output),
            host_proc=self.proc(SERIES), more="".join(agents.table("[[outputs.influxdb.routes]]", each)
                                                      for each in routes + ({"via": "direct"},)))
        return made

    def assert_home(self, agent, route):
        """Each tick since the start is in the real database, with every series, and came by that route."""
        output = agent.status()["outputs"][0]
        self.assertEqual(output["active_route"], route)
        mark = time.time_ns()

        def lines():
            with self.net.db:
                found = self.database.points("net", self._testMethodName)
            return [b"%s x %d" % (repr(tags).encode().replace(b" ", b""), stamp) for tags, stamp in found]

        def is_whole():
            found = lines()
            stamps = sorted(oracle.ticks(found))
            return stamps[-1] > mark and oracle.is_whole(found, stamps[0], mark, SERIES, STEP_MS * 1_000_000,
                                                         agent.skipped())
        wait_until(is_whole, 60, "every point is in the database", 0.2)
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertEqual((balance["rejected"], balance["dropped"]), (0, 0))

    def wait_active(self, agent, route, seconds=30):
        wait_until(lambda: agent.status()["outputs"][0]["active_route"] == route, seconds, "points over " + route)

    def assert_apart(self):
        """Neither network reaches the other, nor the public side of the other's proxy."""
        net = self.net
        self.assertTrue(reaches(net.vm_a, DB, DB_PORT, 5))
        self.assertTrue(reaches(net.proxy_a, PUBLIC_B, SSH_PORT, 5))
        for node, host, port in ((net.vm_b, DB, DB_PORT), (net.vm_b, PUBLIC_A, SSH_PORT), (net.vm_a, VM_B, SSH_PORT),
                                 (net.db, VM_B, SSH_PORT), (net.vm_a, PUBLIC_B, SSH_PORT)):
            self.assertFalse(reaches(node, host, port, 0.3), "%s reaches %s" % (node.name, host))

    # The pictures

    def test_vm_a_reaches_a_port_of_vm_b(self):
        """`-L` on proxy A: the platform logs in to a guest that has no address of its own outside."""
        self.assert_apart()
        with self.net.vm_b:
            echo = Echo(host=VM_B)
        self.addCleanup(echo.close)
        guest = self.net.sshd(self.net.vm_b, VM_B)
        self.daemon(self.net.proxy_a, [self.proxy_b.tunnel("b")], [
            {"tunnel": "b", "kind": "local", "bind": PROXY_A + ":2201", "target": echo.address},
            {"tunnel": "b", "kind": "local", "bind": PROXY_A + ":2202", "target": guest.address}], inputs=[])
        wait_until(lambda: reaches(self.net.vm_a, PROXY_A, 2202), 20, "the forward listens")
        data = os.urandom(2_000_000)
        with self.net.vm_a:
            back = exchange(2201, data, 60, host=PROXY_A)
        self.assertEqual(hashlib.sha256(back).hexdigest(), hashlib.sha256(data + b".").hexdigest())
        with self.net.vm_a:
            done = subprocess.run(
                ["ssh", "-F", "none", "-p", "2202", "-i", guest.user_key, "-o", "BatchMode=yes",
                 "-o", "HostKeyAlias=[%s]:%d" % (VM_B, SSH_PORT), "-o", "UserKnownHostsFile=" + guest.known_hosts,
                 "%s@%s" % (user(), PROXY_A), "ip -brief address show eth0; sha256sum"],
                input=data, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(VM_B.encode(), done.stdout)
        self.assertIn(hashlib.sha256(data).hexdigest().encode(), done.stdout)
        self.assert_apart()

    @takes(30)
    def test_points_of_vm_b_get_home_by_a_port_of_proxy_b(self):
        """`-R` on proxy B, made by a relay on proxy A: what the agent sees is a server at proxy B."""
        self.assert_apart()
        agent = self.guest({"via": "proxy", "url": "http://%s:%d" % (PROXY_B, ROAD_PORT)})
        # The agent is there before the road is.
        wait_until(lambda: agent.balance()["pending"] >= 4 * SERIES, 30, "points wait")
        relay = self.daemon(self.net.proxy_a, [self.proxy_b.tunnel("b")], [road()], inputs=[])
        self.wait_active(agent, "proxy:%s:%d" % (PROXY_B, ROAD_PORT))
        self.assert_home(agent, "proxy:%s:%d" % (PROXY_B, ROAD_PORT))
        with self.net.vm_b:
            walks = json.loads(agent.run("route", "check", "--json").stdout)["walks"]
        self.assertEqual([(walk["ok"], walk["broken"]) for walk in walks], [(True, None), (False, "tcp")])
        forward, = relay.status()["tunnels"][0]["forwards"]
        self.assertGreater(forward["connections"], 0)
        self.assert_apart()

    def test_points_of_vm_b_through_a_session_of_its_own(self):
        """VM B logs in to proxy B, where a relay of network A listens on loopback only: no port is open to guests."""
        self.daemon(self.net.proxy_a, [self.proxy_b.tunnel("b")], [road(bind="127.0.0.1:8099")], inputs=[])
        near = self.proxy_b.tunnel("near", address="%s:%d" % (PROXY_B, SSH_PORT))
        agent = self.guest({"via": "proxy", "tunnel": "near", "target": "127.0.0.1:8099"}, tunnels=[near])
        self.wait_active(agent, "proxy:near/127.0.0.1:8099")
        self.assert_home(agent, "proxy:near/127.0.0.1:8099")
        self.assertFalse(reaches(self.net.vm_b, PROXY_B, 8099, 0.3))
        self.assert_apart()

    def test_points_of_vm_b_through_a_metadata_relay(self):
        """The host that VM B runs on stands in both networks, routes nothing, and vouches for who the guest is."""
        host = self.net.hypervisor()
        guests = os.path.join(self.folder(), "guests.toml")
        agents.replace(guests, agents.table("[[guests]]", {
            "addresses": [VM_B], "labels": {"vm_id": "0cb6d3f4", "vm_name": "web 1, blue", "tenant": "shop"}}))
        relay = self.daemon(host, inputs=[], more=agents.table("[metadata_relay]", {
            "listen": [METADATA + ":80"], "guests_file": guests, "urls": [DIRECT],
            "database": self._testMethodName}))
        agent = self.guest({"via": "metadata"}, agent={"hostname": "another"})
        self.wait_active(agent, "metadata")
        self.assert_home(agent, "metadata")
        with self.net.db:
            found = self.database.points("net", self._testMethodName)
        for tags, _ in found:
            tags = dict(tags)
            self.assertEqual((tags["vm_id"], tags["vm_name"], tags["tenant"], tags.get("host")),
                             ("0cb6d3f4", "web 1, blue", "shop", None))
        # Whoever is not in the table gets nothing written, and nobody gets at the database itself.
        self.assertEqual(answers(self.net.vm_b, "http://%s/monitor/query?q=SHOW+DATABASES" % METADATA), 404)
        self.net.vm_b.ip("address add 10.2.0.77/24 dev eth0")
        self.assertEqual(answers(self.net.vm_b, "http://%s/monitor/ping" % METADATA, source="10.2.0.77"), 503)
        self.assertEqual(relay.stop(), 0)
        self.assert_apart()

    def test_points_of_vm_b_through_two_jump_hosts(self):
        """VM B logs in to proxy B, through it to proxy A, and through that to VM A, which reaches the database."""
        last = self.net.sshd(self.net.vm_a, VM_A)
        near = self.proxy_b.tunnel("near", address="%s:%d" % (PROXY_B, SSH_PORT))
        far = self.proxy_a.tunnel("far", jump=["near"])
        home = last.tunnel("home", jump=["near", "far"])
        target = "%s:%d" % (DB, DB_PORT)
        agent = self.guest({"via": "proxy", "tunnel": "home", "target": target}, tunnels=[home, near, far])
        self.wait_active(agent, "proxy:home/" + target)
        self.assert_home(agent, "proxy:home/" + target)
        self.assertIn("Accepted publickey for %s from %s" % (user(), PROXY_A), last.log_text())
        self.assert_apart()
