"""Several roads to one database, each in a network of the test's own: who carries the data when one of them breaks."""
import json
import socket
import subprocess
import threading
import time

from support import certificates, fake_influx, oracle
from support.agent import table
from support.case import EndToEnd, takes
from support.processes import wait_until

METADATA = "169.254.169.254"
SERIES = 10


def lines_of(*servers):
    """The lines that any of the servers holds."""
    return [line for server in servers for line in server.stored()]


class Roads(EndToEnd):
    """Servers share one database name; a road is a server of its own here, so that one sees who carried what."""

    def roads(self, *routes, **output):
        options = dict({"urls": [self.direct.url], "database": "telegraf", "timeout": "2s"}, **output)
        extra = table("[[outputs.influxdb]]", options)
        for route in routes:
            extra += table("[[outputs.influxdb.routes]]", route)
        return self.agent(host_proc=self.proc(SERIES), extra=extra)

    def plant(self, *addresses):
        self.net = self.network(METADATA + "/32", "192.0.2.1/32", "192.0.2.2/32", *addresses)
        self.direct = self.server(host="192.0.2.1", port=8086)
        self.metadata = self.server(host=METADATA, port=80, prefix="/monitor")

    def active(self, agent):
        return agent.status()["outputs"][0]["active_route"]

    def filter(self, rules):
        done = subprocess.run(["nft", "-f", "-"], input=rules, text=True, capture_output=True)
        if done.returncode != 0:
            self.skipTest("needs nftables in the kernel")

    def judge(self, agent, *servers):
        """Nothing is lost, nothing was sent as two different bodies, nothing is out of order."""
        mark = time.time_ns()
        wait_until(lambda: max(oracle.ticks(lines_of(*servers))) > mark, 30, "live points")
        wait_until(lambda: not oracle.gaps([line for line in lines_of(*servers) if int(line.rpartition(b" ")[2]) < mark],
                                           100_000_000, agent.skipped()), 60, "no tick is missing", 0.1)
        digests = {}
        for server in servers:
            for identity, found in server.batches.items():
                digests.setdefault(identity, set()).update(found)
        self.assertEqual([each for each, found in digests.items() if len(found) > 1], [], "batches with two bodies")
        self.assert_in_order(*servers)
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertEqual((balance["rejected"], balance["dropped"]), (0, 0))

    @takes(110)
    def test_a_refused_road_is_left_within_5_s_and_taken_again_when_it_has_been_good_for_a_while(self):
        self.plant()
        self.direct.authorization = "Basic dTpw"
        agent = self.roads({"via": "metadata"}, username="u", password="p", http_headers={"X-Secret": "s"})
        self.wait_for_lines(self.direct, 50)
        self.assertEqual(self.active(agent), "direct")
        self.assertEqual(self.metadata.requests, [], "nobody asks a road that is not needed")
        began = time.monotonic()
        self.direct.refuse()
        wait_until(lambda: self.metadata.lines, 20, "points by the metadata service")
        took = time.monotonic() - began
        self.assertLess(took, 5)
        first = self.metadata.requests[0]
        self.assertEqual((first.method, first.path), ("GET", "/ping"), "sent before the probe")
        for request in self.metadata.requests:
            self.assertNotIn("authorization", request.headers)
            self.assertNotIn("x-secret", request.headers)
        report = agent.status()["outputs"][0]
        self.assertEqual((report["active_route"], report["last_switch_from"], report["last_switch_to"]),
                         ("metadata", "direct", "metadata"))
        self.assertIn("unreachable", report["last_switch_cause"])
        self.assertEqual(report["route_switches"], 1)
        metrics = agent.request("/metrics")[2].decode()
        self.assertIn('godwit_route_active{output="influxdb",route="metadata"} 1', metrics)
        self.assertIn('godwit_route_switches_total{output="influxdb"} 1', metrics)
        self.assertIn("direct to metadata", agent.run("status").stdout)
        self.judge(agent, self.direct, self.metadata)
        back = time.monotonic()
        self.direct.resume()
        before = len(self.direct.lines)
        wait_until(lambda: len(self.direct.lines) > before, 110, "points by the direct road again", 0.2)
        stayed = time.monotonic() - began
        self.assertGreater(stayed, 58, "left the backup before its minimum stay")
        self.assertEqual(self.active(agent), "direct")
        self.assertIn("preferred route is back", agent.status()["outputs"][0]["last_switch_cause"])
        self.judge(agent, self.direct, self.metadata)
        print("      away after %.1f s, back %.1f s after the return" % (took, time.monotonic() - back), flush=True)

    @takes(45)
    def test_a_black_hole_is_left_within_35_s(self):
        self.needs_program("nft")
        self.plant()
        agent = self.roads({"via": "metadata"})
        self.wait_for_lines(self.direct, 50)
        began = time.monotonic()
        self.filter("add table inet gw\nadd chain inet gw in { type filter hook input priority 0; }\n"
                    "add rule inet gw in ip daddr 192.0.2.1 drop\n")
        wait_until(lambda: self.metadata.lines, 60, "points by the metadata service", 0.1)
        took = time.monotonic() - began
        self.assertLess(took, 35)
        self.judge(agent, self.direct, self.metadata)
        print("      away after %.1f s" % took, flush=True)

    @takes(80)
    def test_a_road_that_is_busy_for_a_minute_is_left(self):
        self.plant()
        agent = self.roads({"via": "metadata"})
        self.wait_for_lines(self.direct, 50)
        began = time.monotonic()
        self.direct.fault = fake_influx.refuse_with(503, b"busy", Retry_After=3)
        wait_until(lambda: self.metadata.lines, 100, "points by the metadata service", 0.1)
        took = time.monotonic() - began
        self.assertGreater(took, 45, "a busy server was left too soon")
        self.assertLess(took, 80)
        self.assertIn("503", agent.status()["outputs"][0]["last_switch_cause"])
        self.judge(agent, self.direct, self.metadata)

    @takes(30)
    def test_a_lossy_road_does_not_flap(self):
        self.needs_program("nft")
        self.plant()
        agent = self.roads({"via": "metadata"})
        self.wait_for_lines(self.direct, 50)
        self.filter("add table inet gw\nadd chain inet gw in { type filter hook input priority 0; }\n"
                    "add rule inet gw in ip daddr 192.0.2.1 numgen random mod 100 < 30 drop\n")
        time.sleep(20)
        self.assertLessEqual(agent.status()["outputs"][0]["route_switches"], 1)
        subprocess.run(["nft", "flush", "chain", "inet", "gw", "in"], check=True)
        self.judge(agent, self.direct, self.metadata)

    @takes(20)
    def test_nothing_is_sent_to_a_stranger_at_the_metadata_address(self):
        self.plant()
        proxy = self.server(host="192.0.2.2", port=12345)
        for code in (404, 200, 401, 302):
            self.metadata.fault = fake_influx.refuse_with(code, b"<html>another cloud</html>")
            self.direct.resume()
            agent = self.roads({"via": "metadata"}, {"via": "proxy", "url": proxy.url})
            self.wait_for_lines(self.direct, len(self.direct.lines) + 50)
            self.direct.refuse()
            before = len(proxy.lines)
            wait_until(lambda: len(proxy.lines) > before, 20, "points by the proxy")
            self.assertEqual(self.active(agent), "proxy:192.0.2.2:12345")
            agent.stop()
        self.assertEqual([each.target for each in self.metadata.requests if each.method != "GET"], [])

    @takes(20)
    def test_a_port_without_anything_behind_it_is_no_road(self):
        self.plant()
        listener = socket.socket()
        listener.bind(("192.0.2.2", 12345))
        listener.listen(16)
        self.addCleanup(listener.close)
        received = []

        def serve():
            # As sshd does for a forward whose target is dead: takes the connection and closes it.
            while True:
                try:
                    client, _ = listener.accept()
                    client.settimeout(2)
                    received.append(client.recv(65536))
                    client.close()
                except OSError:
                    if listener.fileno() < 0:
                        return
        threading.Thread(target=serve, daemon=True).start()
        agent = self.roads({"via": "proxy", "url": "http://192.0.2.2:12345"}, {"via": "metadata"})
        self.wait_for_lines(self.direct, 50)
        began = time.monotonic()
        self.direct.refuse()
        wait_until(lambda: self.metadata.lines, 20, "points by the metadata service")
        self.assertLess(time.monotonic() - began, 5)
        self.assertTrue(received and all(each.startswith(b"GET /ping ") for each in received), received[:1])
        self.judge(agent, self.direct, self.metadata)

    @takes(15)
    def test_a_mute_proxy_costs_no_more_than_its_probe(self):
        self.plant()
        proxy = self.server(host="192.0.2.2", port=12345)
        proxy.fault = fake_influx.hang
        agent = self.roads({"via": "proxy", "url": proxy.url}, {"via": "metadata"})
        self.wait_for_lines(self.direct, 50)
        began = time.monotonic()
        self.direct.refuse()
        wait_until(lambda: self.metadata.lines, 20, "points by the metadata service")
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(proxy.writes(), [])
        self.judge(agent, self.direct, self.metadata)

    def test_ipv6_everywhere(self):
        self.plant("fd00:ec2::254/128", "2001:db8::1/128")
        direct = self.server(host="2001:db8::1", port=8086)
        metadata = self.server(host="fd00:ec2::254", port=80, prefix="/monitor")
        agent = self.roads({"via": "metadata", "url": "http://[fd00:ec2::254]/monitor"}, urls=[direct.url])
        self.wait_for_lines(direct, 50)
        direct.refuse()
        wait_until(lambda: metadata.lines, 20, "points by the metadata service")
        self.judge(agent, direct, metadata)

    @takes(60)
    def test_all_roads_down_and_back_in_another_order(self):
        self.plant()
        proxy = self.server(host="192.0.2.2", port=12345)
        servers = (self.direct, self.metadata, proxy)
        agent = self.roads({"via": "metadata"}, {"via": "proxy", "url": proxy.url})
        self.wait_for_lines(self.direct, 50)
        for server in servers:
            server.refuse()
        wait_until(lambda: agent.balance()["pending"] > SERIES * 20, 30, "a backlog")
        proxy.resume()
        wait_until(lambda: proxy.lines, 60, "points by the proxy")
        proxy.refuse()
        self.metadata.resume()
        wait_until(lambda: self.metadata.lines, 60, "points by the metadata service")
        self.judge(agent, *servers)

    def test_a_new_token_is_used_at_once(self):
        self.plant()
        folder = self.folder()

        def rotate(text):
            with open(folder + "/new", "w") as file:
                file.write(text)
            subprocess.run(["chmod", "600", folder + "/new"], check=True)
            subprocess.run(["mv", folder + "/new", folder + "/token"], check=True)
        rotate("first")
        self.direct.authorization = "Token first"
        agent = self.roads(token_file=folder + "/token")
        self.wait_for_lines(self.direct, 20)
        self.direct.authorization = "Token second"
        wait_until(lambda: any(each.code == 401 for each in self.direct.writes()), 20, "a refused write")
        time.sleep(2)
        before = len(self.direct.lines)
        rotated = time.monotonic()
        rotate("second")
        wait_until(lambda: len(self.direct.lines) > before, 30, "deliveries with the new token")
        self.assertLess(time.monotonic() - rotated, 8, "waited for the next probe")
        self.assertEqual((agent.balance()["rejected"], agent.balance()["dropped"]), (0, 0))


class Check(EndToEnd):
    """`godwit route check` names the first broken hop."""

    def walks(self, output, *routes, words=(), code=None):
        extra = table("[[outputs.influxdb]]", dict({"database": "telegraf"}, **output))
        for route in routes:
            extra += table("[[outputs.influxdb.routes]]", route)
        agent = self.agent(start=False, extra=extra)
        done = agent.run("route", "check", "--json", *words)
        found = json.loads(done.stdout)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return found["walks"]

    def test_a_good_road_ends_with_a_written_point(self):
        server = self.server()
        walk, = self.walks({"urls": [server.url]}, code=0)
        self.assertEqual([hop["hop"] for hop in walk["hops"]], ["name", "route", "tcp", "ping", "write"])
        self.assertTrue(walk["ok"])
        line, = [line for line in server.stored() if line.startswith(b"godwit_route_check,")]
        self.assertIn(b"route=direct", line)
        writes = len(server.writes())
        self.walks({"urls": [server.url]}, words=("--no-write",), code=0)
        self.assertEqual(len(server.writes()), writes)

    def test_each_broken_hop_is_named(self):
        server, closed = self.server(), self.server()
        closed.refuse()
        denied, lost, stranger = self.server(), self.server(), self.server()
        denied.authorization = "Token t"
        lost.fault = fake_influx.refuse_with(502, b"bad gateway")
        stranger.fault = fake_influx.refuse_with(200, b"hello")
        for urls, hop in ((["http://no-such-name.invalid:1"], "name"), ([closed.url], "tcp"), ([lost.url], "ping"),
                          ([denied.url], "write"), (["https" + server.url[4:]], "tls")):
            walk, = self.walks({"urls": urls}, code=69)
            self.assertEqual(walk["broken"], hop, walk)
            self.assertEqual(walk["hops"][-1]["hop"], hop)
        walks = self.walks({"urls": [server.url]}, {"via": "proxy", "url": stranger.url}, code=1)
        self.assertEqual([walk["broken"] for walk in walks], [None, "ping"])
        self.assertIn("wanted 204", walks[1]["hops"][-1]["detail"])
        self.assertEqual([each.method for each in stranger.requests], ["GET"])

    def test_an_output_without_ping_is_asked_in_its_own_way(self):
        closed = self.server()
        closed.refuse()
        options = {"urls": [closed.url + "/api/v1/write"]}
        agent = self.agent(start=False, extra=table("[[outputs.prometheus_remote_write]]", options))
        walk, = json.loads(agent.run("route", "check", "--json").stdout)["walks"]
        self.assertEqual(walk["broken"], "tcp")

    def test_a_proxy_for_http_is_walked_in_the_place_of_the_server(self):
        server, closed = self.server(prefix="http://db.invalid:8086"), self.server()
        closed.refuse()
        extra = table("[[outputs.influxdb]]", {"urls": ["http://db.invalid:8086"], "database": "telegraf"})
        # A proxy is asked for the whole URL.
        for place, code, hops in ((server, 0, ["name", "route", "tcp", "ping", "write"]),
                                  (closed, 69, ["name", "route", "tcp"])):
            agent = self.agent(start=False, extra=extra, environment={
                "http_proxy": "http://127.0.0.1:%d" % place.port})
            done = agent.run("route", "check", "--json")
            walk, = json.loads(done.stdout)["walks"]
            self.assertEqual((done.returncode, [hop["hop"] for hop in walk["hops"]]), (code, hops), done.stdout)
            self.assertIn("proxy for HTTP", walk["hops"][0]["detail"])

    def test_certificates_are_checked_and_the_kernel_without_a_way_is_named(self):
        authority = certificates.Authority(self.folder())
        server = self.server(context=certificates.server_context(*authority.issue("server")))
        walk, = self.walks({"urls": [server.url]}, code=69)
        self.assertEqual(walk["broken"], "tls")
        walk, = self.walks({"urls": [server.url], "tls_ca": authority.certificate}, code=0)
        self.assertEqual([hop["hop"] for hop in walk["hops"]], ["name", "route", "tcp", "tls", "ping", "write"])
        self.network()
        walk, = self.walks({"urls": ["http://192.0.2.77:8086"]}, code=69)
        self.assertEqual(walk["broken"], "route")
        text = self.agent(start=False, extra=table("[[outputs.influxdb]]", {"urls": ["http://192.0.2.77:8086"]}))
        done = text.run("route", "check")
        self.assertIn("first broken hop: route", done.stdout)
