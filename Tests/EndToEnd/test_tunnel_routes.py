"""Roads through a tunnel of the agent's own: a real sshd, a database behind it, and what happens when either breaks."""
import json
import os
import signal
import socket
import time

from support import agent as agents
from support import certificates, fake_influx, oracle
from support.case import EndToEnd, takes
from support.gate import Gate
from support.processes import wait_until
from support.ssh import SSHD, Echo, Sshd, free_port, keygen

STEP = 100_000_000
SERIES = 10


class TunnelRoads(EndToEnd):
    """An agent, a proxy host that it has a session with, and a database behind that host."""

    def setUp(self):
        super().setUp()
        self.needs_program("ssh-keygen")
        if not os.access(SSHD, os.X_OK):
            self.skipTest("needs %s" % SSHD)
        self.needs_root()
        self.files = self.folder()
        #: Nobody listens there.
        self.closed = "http://127.0.0.1:%d" % free_port()

    # What a test makes

    def sshd(self, name="b", **options):
        folder = os.path.join(self.files, name)
        os.makedirs(folder, exist_ok=True)
        server = Sshd(folder, **options).start()
        self.addCleanup(lambda: server.process and server.stop())
        return server

    def gate(self, server, is_open=True):
        gate = Gate(("127.0.0.1", server.port), is_open)
        self.addCleanup(gate.shut)
        return gate

    @staticmethod
    def road(target, **more):
        target = target if isinstance(target, str) else "127.0.0.1:%d" % target.port
        return dict({"via": "proxy", "tunnel": "b", "target": target}, **more)

    def text(self, routes, tunnels, url=None, **output):
        options = dict({"urls": [url or self.closed], "database": "telegraf", "timeout": "2s"}, **output)
        text = agents.table("[[outputs.influxdb]]", options)
        text += "".join(agents.table("[[outputs.influxdb.routes]]", each) for each in routes)
        return text + "".join(agents.table("[[tunnels]]", dict({"reconnect_max": "2s"}, **each)) for each in tunnels)

    def with_roads(self, routes, tunnels, extra="", start=True, **output):
        """An agent that has these routes and tunnels."""
        return self.agent(host_proc=self.proc(SERIES), extra=self.text(routes, tunnels, **output) + extra, start=start)

    # What it says

    @staticmethod
    def output(agent):
        return agent.status()["outputs"][0]

    def active(self, agent):
        return self.output(agent)["active_route"] or ""

    def error(self, agent):
        """What the road through the tunnel says."""
        found, = [each for each in self.output(agent)["routes"] if each["tunnel"]]
        return found["last_error"] or ""

    @staticmethod
    def tunnel(agent, index=0):
        return agent.status()["tunnels"][index]

    def wait_tunnel(self, agent, state="up", seconds=30):
        return wait_until(lambda: self.tunnel(agent)["state"] == state and self.tunnel(agent), seconds, state)

    def wait_error(self, agent, *words, seconds=30):
        wait_until(lambda: all(word in self.error(agent) for word in words), seconds, "last error %s" % (words,))

    def wait_active(self, agent, prefix, seconds=30):
        wait_until(lambda: self.active(agent).startswith(prefix), seconds, "route %s" % prefix)

    @staticmethod
    def lines(database):
        """What a scripted or a real database holds."""
        if isinstance(database, fake_influx.Server):
            return list(database.stored())
        if "telegraf" not in database.databases():
            return []
        return [b"net,%s v=1 %d" % (repr(tags).replace(" ", "").encode(), stamp)
                for tags, stamp in database.points("net")]

    def wait_live(self, database, seconds=40):
        """A point of now is there."""
        mark = time.time_ns()
        wait_until(lambda: max(oracle.ticks(self.lines(database)), default=0) > mark, seconds, "live points", 0.1)

    def judge(self, agent, database, lanes=2):
        """Nothing is lost, no try of a batch differs from another, and no series goes back in time in a lane."""
        self.wait_live(database)
        mark = time.time_ns()
        self.wait_live(database)

        def whole():
            old = [line for line in self.lines(database) if int(line.rpartition(b" ")[2]) < mark]
            return not oracle.gaps(old, STEP, agent.skipped()) and not oracle.incomplete_ticks(old, SERIES)
        wait_until(whole, 60, "no tick is missing", 0.2)
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertEqual((balance["rejected"], balance["dropped"]), (0, 0))
        if isinstance(database, fake_influx.Server):
            self.assert_identical_tries(database)
            self.assert_ordered(database, lanes)

    def assert_ordered(self, server, lanes):
        """Live data and backlog are two lanes, and batches go in order in each: of the first arrivals no three go
        backwards."""
        seen, order = set(), []
        for request in server.writes():
            identity = request.headers.get("x-godwit-batch", "")
            if request.code == 204 and identity not in seen:
                seen.add(identity)
                order.append(int(identity.rpartition("-")[2].partition(".")[0]))
        tops = []
        for number in order:
            lane = next((index for index, top in enumerate(tops) if top < number), None)
            if lane is None:
                tops.append(number)
            else:
                tops[lane] = number
        self.assertLessEqual(len(tops), lanes, "batches in another order than that of %d lanes: %s" % (lanes, order))


class Delivery(TunnelRoads):
    """The road as it should be."""

    def test_an_agent_whose_direct_road_is_closed_delivers_through_its_own_session(self):
        server, database = self.sshd(), self.influx()
        agent = self.with_roads([self.road(database)], [server.tunnel()])
        self.wait_live(database)
        route = "proxy:b/127.0.0.1:%d" % database.port
        self.assertEqual(self.active(agent), route)
        entry, = [each for each in self.output(agent)["routes"] if each["name"] == route]
        self.assertEqual((entry["tunnel"], entry["target"]), ("b", "127.0.0.1:%d" % database.port))
        forward = self.tunnel(agent)["forwards"][0]
        self.assertTrue(forward["internal"])
        path = forward["bind"].removeprefix("unix://")
        self.assertTrue(path.startswith(agent.state), path)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700)
        self.assertIn("through tunnel b", agent.run("status").stdout)
        metrics = agent.request("/metrics")[2].decode()
        self.assertIn('godwit_route_active{output="influxdb",route="%s"} 1' % route, metrics)
        self.assertIn('godwit_forward_state{tunnel="b",forward="route 127.0.0.1:%d",state="up"' % database.port,
                      metrics)
        self.judge(agent, database)
        self.assertEqual(agent.stop(), 0)
        self.assertFalse(os.path.exists(path))

    def test_tls_through_the_tunnel_checks_the_name_of_the_database(self):
        authority = certificates.Authority(self.files)
        context = certificates.server_context(*authority.issue("server", "db", "DNS:db.example"))
        server, database = self.sshd(), self.server(context=context)
        # Nobody here knows the name: only the target is connected to.
        options = {"tls_ca": authority.certificate, "url": "https://db.example:8086"}
        agent = self.with_roads([self.road(database)], [server.tunnel()], **options)
        self.wait_for_lines(database, 50)
        self.assertEqual(database.requests[-1].headers["host"], "db.example:8086")
        agent.stop()
        count = len(database.requests)
        options["url"] = "https://other.example:8086"
        agent = self.with_roads([self.road(database)], [server.tunnel()], **options)
        self.wait_error(agent, "tls")
        self.assertEqual(len(database.requests), count)
        agent.stop()
        # The route's own URL and name go before those of the output.
        route = self.road(database, url="https://third.example", tls_server_name="db.example")
        agent = self.with_roads([route], [server.tunnel()], **options)
        wait_until(lambda: len(database.requests) > count, 30)
        self.assertEqual(database.requests[-1].headers["host"], "third.example")

    def test_outputs_share_a_road_and_a_reload_leaves_the_session_alone(self):
        server, first, second, echo = self.sshd(), self.server(), self.server(), Echo()
        self.addCleanup(echo.close)
        port = free_port()
        forward = agents.table("[[forwards]]", {
            "tunnel": "b", "bind": "127.0.0.1:%d" % port, "target": echo.address})
        one = self.text([self.road(first)], [], alias="one")
        two = self.text([self.road(first)], [], alias="two")
        tunnel = self.text([], [server.tunnel()]).partition("[[tunnels]]")
        tunnel = tunnel[1] + tunnel[2]
        agent = self.agent(host_proc=self.proc(SERIES), extra=one + two + tunnel + forward)
        self.wait_for_lines(first, 50)
        self.assertEqual([each["internal"] for each in self.tunnel(agent)["forwards"]], [False, True])
        with socket.create_connection(("127.0.0.1", port), 10) as kept:
            kept.settimeout(10)
            for texts, count in (([one, self.text([self.road(second)], [], alias="two")], 3),
                                 ([self.text([self.road(second)], [], alias="two")], 2),
                                 ([self.text([], [], alias="two", url=first.url)], 1), ([one], 2)):
                agent.extra = "".join(texts) + tunnel + forward
                agent.write_config()
                done = agent.run("reload")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                wait_until(lambda: len(self.tunnel(agent)["forwards"]) == count, 10)
                kept.sendall(b"x")
                self.assertEqual(kept.recv(1), b"x")
            self.assertEqual(self.tunnel(agent)["restarts"], 0)
        self.wait_for_lines(second, 1)
        self.wait_live(first)


class Failures(TunnelRoads):
    """The road breaks: who carries the data then, and does the operator see why."""

    @takes(25)
    def test_a_killed_session_costs_nothing(self):
        server, database = self.sshd(), self.influx()
        agent = self.with_roads([self.road(database)], [server.tunnel()])
        self.wait_live(database)
        for _ in range(2):
            restarts = self.tunnel(agent)["restarts"]
            for child in server.sessions():
                os.kill(child, signal.SIGKILL)
            wait_until(lambda: self.tunnel(agent)["restarts"] > restarts, 30, "another session")
            self.wait_live(database)
        self.judge(agent, database)

    @takes(30)
    def test_a_server_that_is_away_gives_the_data_to_the_next_road_and_gets_them_back(self):
        server, database = self.sshd(), self.server()
        agent = self.with_roads([self.road(database)], [server.tunnel()])
        self.wait_live(database)
        server.stop()
        self.wait_error(agent, "tunnel b is down", "dial-failed")
        self.assertEqual(self.tunnel(agent)["state"], "down")
        server.start()
        self.wait_tunnel(agent)
        up = time.monotonic()
        self.wait_live(database)
        took = time.monotonic() - up
        print("  data %.1f s after the tunnel was back, the only road" % took)
        # The breaker of a closed road waits up to minutes; the tunnel says that it is back.
        self.assertLess(took, 10)
        self.judge(agent, database)

    def test_a_frozen_server_is_left_within_the_configured_time(self):
        server, database = self.sshd(), self.server()
        gate = self.gate(database, is_open=False)
        agent = self.with_roads([self.road(database), {"via": "direct"}],
                                [server.tunnel(probe_interval="1s", probes_missed=2, connect_timeout="2s",
                                               auth_timeout="2s", target_timeout="2s")], url=gate.url)
        self.wait_active(agent, "proxy")
        gate.open()
        self.wait_live(database)
        frozen = server.sessions() + [server.process.pid]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            self.wait_active(agent, "direct")
            took = time.monotonic() - began
            print("  left a frozen server after %.1f s" % took)
            # Three missed questions, or three requests of 2 s that time out.
            self.assertLess(took, 15)
            self.wait_error(agent, "tunnel b is down")
            self.assertIn("b", self.output(agent)["last_switch_from"])
        finally:
            for pid in frozen:
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
        self.wait_tunnel(agent)
        # What the frozen process had taken in may arrive when it goes on: a copy behind newer data.
        self.judge(agent, database, lanes=3)

    @takes(30)
    def test_a_dead_database_is_told_from_a_dead_tunnel(self):
        server, database = self.sshd(), self.influx()
        agent = self.with_roads([self.road(database)], [server.tunnel()])
        self.wait_live(database)
        database.stop()
        self.wait_error(agent, "tunnel b is up", "target-refused")
        self.assertEqual(self.tunnel(agent)["state"], "up")
        self.assertEqual(self.tunnel(agent)["restarts"], 0)
        database.start()
        self.judge(agent, database)
        self.assertEqual(self.tunnel(agent)["restarts"], 0)

    def test_a_stranger_behind_the_tunnel_gets_no_point(self):
        server, database, stranger = self.sshd(), self.server(), self.server()
        stranger.fault = fake_influx.refuse_with(200, b"hello")
        agent = self.with_roads([self.road(stranger), {"via": "direct"}], [server.tunnel()], url=database.url)
        self.wait_active(agent, "direct")
        self.wait_error(agent, "/ping answered 200")
        self.assertEqual({each.method for each in stranger.requests}, {"GET"})
        self.assertEqual((self.tunnel(agent)["state"], self.tunnel(agent)["forwards"][0]["state"]), ("up", "up"))

    def test_what_the_server_refuses_is_named_and_the_next_road_carries(self):
        stranger = keygen(os.path.join(self.files, "stranger"), "-t", "ed25519")
        denied = self.sshd("denied", options=["AllowTcpForwarding no"])
        for server, more, words in ((denied, {}, ("tunnel b is up", "forward-denied")),
                                    (denied, {"identity_file": stranger}, ("tunnel b is down", "auth-failed"))):
            database = self.server()
            agent = self.with_roads([self.road(database), {"via": "direct"}], [server.tunnel(**more)],
                                    url=database.url)
            self.wait_active(agent, "direct")
            self.wait_error(agent, *words)
            self.judge(agent, database)
            agent.stop()

    def test_another_host_key_after_a_reboot_is_refused_and_the_data_go_another_road(self):
        server, database = self.sshd(), self.server()
        gate = self.gate(database, is_open=False)
        agent = self.with_roads([self.road(database), {"via": "direct"}], [server.tunnel()], url=gate.url)
        self.wait_active(agent, "proxy")
        gate.open()
        self.wait_live(database)
        server.stop()
        for path in (server.host_key, server.host_key + ".pub"):
            os.unlink(path)
        keygen(server.host_key, "-t", "ed25519")
        server.start()
        self.wait_error(agent, "hostkey-changed")
        self.wait_active(agent, "direct")
        self.assertEqual(self.tunnel(agent)["reason"], "hostkey-changed")
        self.assertIn("hostkey-changed", agent.run("status").stdout)
        self.judge(agent, database)

    @takes(60)
    def test_everything_down_and_back_in_another_order_loses_nothing(self):
        server, database = self.sshd(), self.server()
        gate = self.gate(database)
        agent = self.with_roads([{"via": "direct"}, self.road(database)], [server.tunnel()], url=gate.url)
        self.wait_active(agent, "direct")
        self.wait_live(database)
        gate.shut()
        self.wait_active(agent, "proxy")
        server.stop()
        database.refuse()
        self.wait_error(agent, "tunnel b is down")
        wait_until(lambda: agent.balance()["pending"] > 5 * SERIES, 20)
        # The proxy host first, with nothing behind it, then the database; the direct road last.
        server.start()
        self.wait_tunnel(agent)
        self.wait_error(agent, "target-refused", seconds=60)
        database.resume()
        self.wait_live(database)
        gate.open()
        self.judge(agent, database)
        # Once more, the other way round.
        server.stop()
        gate.shut()
        database.refuse()
        wait_until(lambda: agent.balance()["pending"] > 5 * SERIES, 20)
        database.resume()
        gate.open()
        self.wait_live(database)
        server.start()
        self.wait_tunnel(agent)
        self.judge(agent, database)
        print("  switches: %d" % self.output(agent)["route_switches"])


class Refused(TunnelRoads):
    """`godwit check` says file, line and reason."""

    def test_what_cannot_work_is_refused_with_its_line(self):
        server = Sshd(self.files)
        good = self.text([self.road("127.0.0.1:8086")], [server.tunnel()])
        for old, new, line, words in (
                ('tunnel = "b"', 'tunnel = "c"', 'tunnel = "c"', 'there is no tunnel "c"'),
                ('target = "127.0.0.1:8086"', 'target = "127.0.0.1"', 'target = "127.0.0.1"', "expected host:port"),
                ('target = "127.0.0.1:8086"\n', "", "[[outputs.influxdb.routes]]", "needs a target"),
                ('tunnel = "b"\n', "", 'target = "127.0.0.1:8086"', "needs the name of the tunnel"),
                ('via = "proxy"', 'via = "direct"', 'tunnel = "b"', 'via "proxy"'),
                ('name = "b"', 'name = "b"\njump = ["b"]', 'jump = ["b"]', "circle"),
                (self.closed, "unix:///run/x.sock", "[[outputs.influxdb.routes]]", "needs a url")):
            self.assertIn(old, good)
            agent = self.agent(extra=good.replace(old, new, 1), start=False)
            done = agent.run("check")
            self.assertNotEqual(done.returncode, 0, new)
            text = agent.text().splitlines()
            place = "%s:%d" % (agent.config, text.index(line) + 1)
            found = [each for each in (done.stdout + done.stderr).splitlines() if place in each and words in each]
            self.assertTrue(found, (new, place, done.stdout + done.stderr))
        self.assertEqual(self.agent(extra=good, start=False).run("check").returncode, 0)


class Check(TunnelRoads):
    """`godwit route check` walks through every server on the way and names the first broken hop."""

    def walk(self, route, tunnels, *words, code=None, **output):
        agent = self.with_roads([route], tunnels, start=False, **output)
        done = agent.run("route", "check", "--json", *words, seconds=60)
        walk, = [each for each in json.loads(done.stdout)["walks"] if each["route"].startswith("proxy:")]
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return walk

    def test_a_good_road_through_two_jumps_ends_with_a_written_point(self):
        first, second, third, database = self.sshd("x"), self.sshd("y"), self.sshd("z"), self.server()
        tunnels = [first.tunnel("x"), second.tunnel("y", jump=["x"]), third.tunnel("b", jump=["x", "y"])]
        walk = self.walk(self.road(database), tunnels, code=1)
        hops = [(each["tunnel"], each["hop"]) for each in walk["hops"]]
        session = ["ssh", "hostkey", "auth"]
        self.assertEqual(hops, [("x", each) for each in ["name", "route", "tcp"] + session]
                         + [("y", each) for each in ["tcp"] + session] + [("b", each) for each in ["tcp"] + session]
                         + [(None, each) for each in ("target", "ping", "write")])
        self.assertTrue(walk["ok"], walk)
        self.assertIn("SHA256:", walk["hops"][4]["detail"])
        self.assertIn("publickey", walk["hops"][5]["detail"])
        line, = [line for line in database.stored() if line.startswith(b"godwit_route_check,")]
        self.assertIn(b"route=proxy:b/127.0.0.1:%d" % database.port, line)
        count = len(database.writes())
        self.assertTrue(self.walk(self.road(database), tunnels, "--no-write")["ok"])
        self.assertEqual(len(database.writes()), count)
        wait_until(lambda: not (first.sessions() + second.sessions() + third.sessions()), 20, "no session is left")
        # A jump host that is not there, in the middle.
        second.stop()
        walk = self.walk(self.road(database), tunnels, code=69)
        self.assertEqual((walk["broken"], walk["broken_tunnel"]), ("tcp", "y"), walk)

    def test_each_broken_hop_is_named_with_its_reason(self):
        server, database = self.sshd(), self.server()
        denied, silent = self.sshd("d", options=["AllowTcpForwarding no"]), socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        stranger = keygen(os.path.join(self.files, "stranger"), "-t", "ed25519")
        locked = keygen(os.path.join(self.files, "locked"), "-t", "ed25519", passphrase="secret")
        known = os.path.join(self.files, "known")
        with open(known, "w") as file:
            file.write("[%s]:%d %s\n" % (server.host, server.port,
                                         open(stranger + ".pub").read().rsplit(" ", 1)[0]))
        mute = "127.0.0.1:%d" % silent.getsockname()[1]
        for options, target, hop, words in (
                (server.tunnel(address="no-such-name.invalid:22"), database, "name", ""),
                (server.tunnel(address=self.closed[7:]), database, "tcp", "refused"),
                (server.tunnel(address=mute, auth_timeout="1s"), database, "ssh", "longer than"),
                (server.tunnel(known_hosts_file=known), database, "hostkey", "hostkey-changed"),
                (server.tunnel(identity_file=stranger), database, "auth", "auth-failed"),
                (server.tunnel(identity_file=locked), database, "auth", "key-unusable"),
                (server.tunnel(), self.closed[7:], "target", "target-refused"),
                (denied.tunnel(), database, "target", "forward-denied")):
            walk = self.walk(self.road(target), [options], code=69)
            self.assertEqual((walk["broken"], walk["hops"][-1]["hop"]), (hop, hop), walk)
            self.assertIn(words, walk["hops"][-1]["detail"])
        database.fault = fake_influx.refuse_with(200, b"hello")
        self.assertEqual(self.walk(self.road(database), [server.tunnel()])["broken"], "ping")
        agent = self.with_roads([self.road(self.closed[7:])], [server.tunnel()], start=False)
        done = agent.run("route", "check")
        self.assertIn("hostkey ok     tunnel b: SHA256:", done.stdout)
        self.assertIn("first broken hop: target", done.stdout)

    def test_a_new_host_key_is_not_kept_by_a_check(self):
        server, database = self.sshd(), self.server()
        path = os.path.join(self.files, "none")
        tunnel = server.tunnel(known_hosts_file=path, host_key_policy="accept-new")
        self.assertTrue(self.walk(self.road(database), [tunnel])["ok"])
        self.assertFalse(os.path.exists(path))
