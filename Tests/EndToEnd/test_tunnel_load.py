"""Tunnels under load: transfers that never stop, a backlog replayed beside live data, a relay of many sessions."""
import os
import time

from support import agent as agents
from support import traffic
from support.case import EndToEnd, is_long, takes
from support.processes import wait_until
from support.relay import Relay, anonymous, spread
from support.ssh import SSHD, Echo, Sshd, free_port


class Load(EndToEnd):
    def setUp(self):
        super().setUp()
        self.needs_program("ssh-keygen")
        if not os.access(SSHD, os.X_OK):
            self.skipTest("needs %s" % SSHD)
        self.needs_root()
        self.files = self.folder()

    def sshd(self):
        server = Sshd(self.files)
        self.addCleanup(lambda: server.process and server.stop())
        return server


class Bulk(Load):
    @takes(20)
    def test_transfers_never_stop_and_every_byte_arrives(self):
        # What came in while one connection was read, for another that had its turn before, once waited for the next
        # event, up to a quarter of a minute. So the longest silence counts, not the rate.
        server = self.sshd().start()
        ports = {"local": free_port(), "remote": free_port()}
        with traffic.Target() as target:
            agent = self.agent(inputs=[], extra=agents.table("[[tunnels]]", server.tunnel()) + "".join(
                agents.table("[[forwards]]", {"tunnel": "b", "kind": kind, "bind": "127.0.0.1:%d" % port,
                                              "target": target.address}) for kind, port in ports.items()))
            for kind, port in ports.items():
                wait_until(lambda: traffic.answers(port), 30, "the forward answers")
                for download in (True, False):
                    for connections, size in ((1, 200_000_000), (30, 3_000_000)):
                        took = traffic.transfer(port, download, connections, size, patience=8)
                        print("  %-6s %-8s %2d at once: %.0f MB/s" % (
                            kind, "download" if download else "upload", connections,
                            connections * size / took / 1e6))
            wait_until(lambda: agent.status()["tunnels"][0]["open_connections"] == 0, 30, "all connections are gone")
            self.assertEqual(agent.status()["tunnels"][0]["restarts"], 0)
            self.assertNotIn("connection closed", agent.log_text())


class Backlog(Load):
    @takes(40)
    def test_a_backlog_goes_through_a_tunnel_while_live_data_stay_fresh(self):
        wanted, rate = (1_000_000, 1 << 20) if is_long() else (60_000, 256 << 10)
        rows, interval = 2_000, 2.0
        server, database = self.sshd(), self.server()
        target = "127.0.0.1:%s" % database.url.rpartition(":")[2]
        text = agents.table("[[outputs.influxdb]]", {
            "urls": ["http://127.0.0.1:%d" % free_port()], "database": "telegraf", "timeout": "5s"})
        text += agents.table("[[outputs.influxdb.routes]]", {"via": "proxy", "tunnel": "b", "target": target})
        text += agents.table("[[tunnels]]", server.tunnel(reconnect_max="2s"))
        proc = self.proc(rows)
        agent = self.agent(host_proc=proc, extra=text, interval="100ms", flush="1s",
                           spill={"replay_bytes_per_second": rate})
        wait_until(lambda: agent.balance()["sealed"] >= wanted, 300, "%d lines are kept" % wanted, 0.2)
        self.assertEqual(agent.stop(), 0)
        kept = agent.stop() or len(agent.spilled())
        # The same agent at a slower pace, and the server is there.
        agents.proc_tree(proc, 20)
        agent.parts["agent"].update(interval="%gs" % interval, flush_interval="%gs" % interval)
        agent.write_config()
        server.start()
        began = time.time()
        agent.start()
        wait_until(lambda: agent.balance()["pending"] <= 40 and agent.balance()["delivered"] >= kept, 600,
                   "the backlog is delivered", 0.2)
        took = time.time() - began
        # Live data with nothing beside them, for a while.
        time.sleep(interval)
        agent.stop()
        offset = time.time() - time.monotonic()
        lags, replayed = {}, 0
        for request in database.writes():
            times = {int(line.rpartition(b" ")[2]) for line in request.lines}
            scale = 1e9 if request.query.get("precision", "ns") in ("ns", "n") else 1e3
            for moment in times:
                if moment / scale > began + interval:
                    lags.setdefault(moment, request.time + offset - moment / scale)
            replayed += len(request.raw) if times and min(times) / scale < began else 0
        stored = database.stored()
        worst = max(lags.values())
        print("  %d lines (%.1f MB) replayed through a tunnel in %.1f s: %.0f kB/s of %.0f configured; %d live ticks, at "
              "most %.2f s old, half below %.2f s" % (kept, replayed / 1e6, took, replayed / took / 1e3, rate / 1e3,
                                                      len(lags), worst, sorted(lags.values())[len(lags) // 2]))
        self.assertGreaterEqual(len(stored), kept)
        self.assertEqual(max(stored.values()), 1)
        self.assertLess(worst, 2 * interval)
        self.assertLess(replayed / took, rate * 1.5)


class Scale(Load):
    SESSIONS, FORWARDS = (200, 1_000) if is_long() else (20, 100)

    @takes(40)
    def test_a_relay_of_many_sessions_and_forwards(self):
        echo = Echo()
        self.addCleanup(echo.close)
        relay = Relay(self.files, self.SESSIONS, self.FORWARDS, echo.address, reconnect_max="5s")
        self.addCleanup(relay.stop)
        relay.start(180)
        memory = anonymous(relay.agent.pid)
        for number in range(0, self.FORWARDS, 9):
            self.assertTrue(relay.works(number))
        moment = relay.cut()
        wait_until(lambda: len(relay.ups(moment)) >= self.SESSIONS, 120, "all sessions are back", 0.1)
        relay.wait_up(180)
        for number in range(0, self.FORWARDS, 9):
            wait_until(lambda: relay.works(number), 30, "a forward carries data again")
        print("  %d sessions, %d forwards: %.1f MB; all cut: %s" % (
            self.SESSIONS, self.FORWARDS, memory / 1e6, spread(relay.ups(moment))))
        self.assertLess(memory / self.SESSIONS, 1 << 20)
