"""Inputs that ask servers and run programs, against real ones: http_response, net_response, ping, smart, nvidia_smi."""
import http.server
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time

from support import oracle
from support.case import EndToEnd
from support.certificates import Authority, server_context
from support.processes import wait_until


class Pages(http.server.BaseHTTPRequestHandler):
    """Answers by path; `seen` keeps what was asked."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.seen.append((self.command, self.path, dict(self.headers), body, self.client_address[1]))
        path = self.path.split("?")[0]
        if path == "/hang":
            time.sleep(5)
            return
        if path == "/reset":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"part")
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        code = {"/moved": 302, "/loop": 302, "/missing": 404}.get(path, 200)
        text = b"x" * 5000 if path == "/long" else b'{"service_status": "up"}'
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/loop" if path == "/loop" else "/target")
        self.send_header("X-Cache", "HIT")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = do_OPTIONS = answer

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, address="127.0.0.1", context=None):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Pages)
        self.seen = []
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = "%s://%s:%d" % ("https" if context else "http", "[%s]" % address if ":" in address else address,
                                   self.server_address[1])
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_):
        pass


class Probes(EndToEnd):
    """`godwit once` prints what the inputs found: the second of two gathers."""

    def once(self, plugin, options, status=0, **more):
        """The points of one input: [oracle.Line]."""
        agent = self.agent(start=False, inputs=[(plugin, options)], url=None, interval="10s", **more)
        done = agent.run("once", seconds=60)
        self.assertEqual(done.returncode, status, done.stderr)
        self.stderr = done.stderr
        return [oracle.parse(line) for line in done.stdout.splitlines()]

    def one(self, plugin, options, **more):
        points = self.once(plugin, options, **more)
        self.assertEqual(len(points), 1, points)
        return points[0]

    def values(self, point):
        return {key: value for key, (_, value) in point.fields.items()}

    def web(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    # http_response

    def test_http_answers_over_both_families(self):
        for address in ("127.0.0.1", "::1"):
            server = self.web(address)
            point = self.one("http_response", {
                "urls": [server.url + "/"], "response_string_match": "\"service_status\": *\"up\"",
                "response_status_code": 200, "http_header_tags": {"X-Cache": "cache"}})
            self.assertEqual(point.tags["result"], "success")
            self.assertEqual((point.tags["status_code"], point.tags["cache"], point.tags["method"]),
                             ("200", "HIT", "GET"))
            found = self.values(point)
            self.assertEqual((found["http_response_code"], found["content_length"], found["response_string_match"],
                              found["response_status_code_match"], found["result_code"]), (200, 24, 1, 1, 0))
            self.assertTrue(0 < found["response_time"] < 5)
            self.assertEqual({key: kind for key, (kind, _) in point.fields.items()}, {
                "http_response_code": "integer", "content_length": "integer", "response_string_match": "integer",
                "response_status_code_match": "integer", "result_code": "integer", "result_type": "string",
                "response_time": "float"})
            connections = {each[4] for each in server.seen}
            self.assertEqual(len(connections), len(server.seen), "each look has a connection of its own")

    def test_http_methods_bodies_and_redirects(self):
        server = self.web()
        self.once("http_response", {"urls": [server.url + "/put"], "method": "PUT", "body": "{}",
                                    "headers": {"X-A": "b", "Host": "other.example"}})
        method, _, headers, body, _ = server.seen[-1]
        self.assertEqual((method, body, headers["X-A"], headers["Host"]), ("PUT", b"{}", "b", "other.example"))
        self.assertNotIn("Content-Type", headers)
        head = self.one("http_response", {"urls": [server.url + "/head"], "method": "HEAD"})
        self.assertEqual((head.tags["result"], self.values(head)["content_length"]), ("success", 0))
        self.once("http_response", {"urls": [server.url + "/form"], "method": "POST", "body_form": {"a": ["b c"]}})
        self.assertEqual((server.seen[-1][0], server.seen[-1][3]), ("POST", b"a=b+c"))
        self.assertEqual(self.one("http_response", {"urls": [server.url + "/moved"]}).tags["status_code"], "302")
        followed = self.one("http_response", {"urls": [server.url + "/moved"], "follow_redirects": True})
        self.assertEqual((followed.tags["status_code"], server.seen[-1][1]), ("200", "/target"))
        loop = self.one("http_response", {"urls": [server.url + "/loop"], "follow_redirects": True})
        self.assertEqual(loop.tags["result"], "connection_failed")

    def test_http_failures(self):
        server = self.web()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            refused = "http://127.0.0.1:%d" % closed.getsockname()[1]
            cases = [(server.url + "/hang", "timeout", {}), (refused, "connection_failed", {}),
                     ("http://no.such.host.invalid", "dns_error", {}),
                     (server.url + "/reset", "body_read_error", {}),
                     (server.url + "/long", "body_read_error", {"response_body_max_size": "1KB"}),
                     (server.url + "/", "response_string_mismatch", {"response_string_match": "down"}),
                     (server.url + "/missing", "response_status_code_mismatch", {"response_status_code": 200}),
                     (server.url + "/missing", "success", {})]
            for url, result, options in cases:
                with self.subTest(url=url, result=result):
                    point = self.one("http_response", dict(options, urls=[url], response_timeout="1s"))
                    self.assertEqual(point.tags["result"], result)
                    self.assertEqual("response_time" in point.fields,
                                     result not in ("timeout", "connection_failed", "dns_error"))

    def test_http_over_tls(self):
        self.needs_program("openssl")
        authority = Authority(self.folder())
        server = self.web(context=server_context(*authority.issue("server")))
        trusted = self.one("http_response", {"urls": [server.url], "tls_ca": authority.certificate})
        self.assertEqual(trusted.tags["result"], "success")
        self.assertEqual(self.one("http_response", {"urls": [server.url]}).tags["result"], "connection_failed")
        blind = self.one("http_response", {"urls": [server.url], "insecure_skip_verify": True})
        self.assertEqual(blind.tags["result"], "success")

    def test_http_credentials(self):
        server = self.web()
        token = os.path.join(self.folder(), "token")
        with open(token, "w") as file:
            file.write("t0ken\n")
        self.once("http_response", {"urls": [server.url], "bearer_token": token})
        self.assertEqual(server.seen[-1][2]["Authorization"], "Bearer t0ken")
        point = self.one("http_response", {"urls": [server.url.replace("//", "//me:secret@")]})
        self.assertTrue(server.seen[-1][2]["Authorization"].startswith("Basic "))
        self.assertNotIn("secret", str(point.tags) + self.stderr)

    # net_response

    def test_net_response_of_tcp_and_udp(self):
        for address in ("127.0.0.1", "::1"):
            server = self.web(address)
            shown = server.url.split("//")[1]
            tcp = self.one("net_response", {"protocol": "tcp", "address": shown,
                                            "send": "GET / HTTP/1.0\r\n\r\n", "expect": "^HTTP/1\\.[01] 200"})
            self.assertEqual((tcp.tags["result"], tcp.tags["server"]), ("success", address))
            self.assertEqual(self.values(tcp)["string_found"], True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
            echo.bind(("127.0.0.1", 0))

            def answer():
                try:
                    for _ in range(2):
                        data, peer = echo.recvfrom(100)
                        echo.sendto(b"re: " + data, peer)
                except OSError:
                    pass
            threading.Thread(target=answer, daemon=True).start()
            udp = self.one("net_response", {"protocol": "udp", "address": "127.0.0.1:%d" % echo.getsockname()[1],
                                            "send": "ping", "expect": "re: ping"})
        self.assertEqual((udp.tags["result"], udp.tags["protocol"]), ("success", "udp"))

    # ping, in a network of its own

    def silent_network(self):
        """A network with a neighbour that takes every packet and never says a word: 10.99.0.2, fd99::2."""
        net = self.network()
        net.ip("link", "add", "gw0", "type", "veth", "peer", "name", "gw1")
        for name in ("gw0", "gw1"):
            net.ip("link", "set", name, "up")
        net.ip("address", "add", "10.99.0.1/24", "dev", "gw0")
        net.ip("address", "add", "fd99::1/64", "dev", "gw0", "nodad")
        for address in ("10.99.0.2", "10.99.0.3", "fd99::2"):
            net.ip("neigh", "add", address, "lladdr", "02:00:00:00:00:99", "dev", "gw0")
        return net

    def test_native_ping_of_loopback_black_holes_and_nobody(self):
        self.silent_network()
        began = time.monotonic()
        points = {point.tags["url"]: self.values(point) for point in self.once("ping", {
            "urls": ["127.0.0.1", "::1", "10.99.0.2", "fd99::2", "10.55.0.1"], "method": "native", "count": 2,
            "ping_interval": "200ms", "deadline": "1s"}, status=1)}
        self.assertLess(time.monotonic() - began, 8, "two gathers end with their deadlines")
        for url in ("127.0.0.1", "::1"):
            self.assertEqual((points[url]["packets_received"], points[url]["result_code"], points[url]["ttl"]),
                             (2, 0, 64), url)
            self.assertLess(points[url]["maximum_response_ms"], 1000)
        for url in ("10.99.0.2", "fd99::2"):
            self.assertEqual(points[url], {"packets_transmitted": 2, "packets_received": 0,
                                           "percent_packet_loss": 100.0, "result_code": 1}, url)
        self.assertEqual(points["10.55.0.1"], {"result_code": 2})
        self.assertIn("10.55.0.1: connect: ", self.stderr)

    def test_native_ping_without_privileges(self):
        self.network()
        with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
            file.write("0 2147483647")
        for address in ("127.0.0.1", "::1"):
            point = self.one("ping", {"urls": [address], "method": "native", "privileged": False})
            self.assertEqual(self.values(point)["result_code"], 0)
            self.assertEqual(self.values(point)["ttl"], 64)
        # Without a way to a socket there is one clear error, and the point says so.
        with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
            file.write("1 0")
        self.needs_program("setpriv")
        agent = self.agent(start=False, inputs=[("ping", {"urls": ["127.0.0.1"], "method": "native"})], url=None)
        os.chmod(agent.config, 0o644)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + agent.command("once")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=agent.environment)
        if "cannot execute" in done.stderr or "Permission denied" in done.stderr and "ICMP" not in done.stderr:
            self.skipTest("the binary is not for others to run")
        self.assertIn("net.ipv4.ping_group_range", done.stderr)
        self.assertIn("result_code=2i", done.stdout)

    def test_connections_into_a_black_hole_end_with_their_timeout(self):
        self.silent_network()
        tcp = self.one("net_response", {"protocol": "tcp", "address": "10.99.0.2:80", "timeout": "500ms"})
        self.assertEqual(self.values(tcp), {"result_code": 1, "result_type": "timeout"})
        web = self.one("http_response", {"urls": ["http://10.99.0.2"], "response_timeout": "500ms"})
        self.assertEqual(web.tags["result"], "timeout")

    def test_a_resolver_that_is_silent_holds_up_nobody(self):
        self.silent_network()
        server = self.server()
        resolver = os.path.join(self.folder(), "resolv.conf")
        with open(resolver, "w") as file:
            file.write("nameserver 10.99.0.3\noptions timeout:20 attempts:1\n")
        slow = [(plugin, dict(options, interval="1s")) for plugin, options in [
            ("net_response", {"protocol": "tcp", "address": "slow.example:80"}),
            ("ping", {"urls": ["slow.example"], "method": "native"}),
            ("http_response", {"urls": ["http://slow.example"], "response_timeout": "500ms"})]]
        agent = self.agent(url=server.url, start=False, host_proc=self.proc(1), interval="200ms",
                           inputs=[("net", {"interfaces": ["if*"], "ignore_protocol_stats": True})] + slow)
        agent.wrapper = ["unshare", "--mount", "sh", "-ec", 'mount --bind "$0" /etc/resolv.conf; exec "$@"', resolver]
        agent.start()

        def slow_ones():
            heads = {line.split(b" ")[0].split(b",")[0] for line in server.lines}
            return {b"net_response", b"ping", b"http_response"} <= heads
        wait_until(slow_ones, 30, "a point of each slow input")
        net = [entry for entry in agent.status()["inputs"] if entry["id"] == "net"][0]
        self.assertLessEqual(net["ticks_skipped"], 2, "the other input went on")
        self.assertGreater(net["points"], 3)
        results = {line.split(b",")[0]: line for line in server.lines}
        self.assertIn(b"result=timeout", results[b"net_response"])
        self.assertIn(b"result_code=1i", results[b"ping"])
        self.assertEqual(agent.stop(), 0)

    # Programs

    def program(self, name, text):
        """A program of that name in a folder of its own; the environment to find it."""
        folder = self.folder()
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
        return {"environment": {"PATH": folder + ":/usr/sbin:/usr/bin:/sbin:/bin"}}

    def test_smartctl_is_run_with_its_bits_and_killed_at_its_deadline(self):
        found = self.program("smartctl", """
case "$*" in
  "--scan --device=nvme") ;;
  "--scan") echo "/dev/sda -d sat # /dev/sda [SAT], ATA device"; echo "/dev/sdb -d sat # b" ;;
  *sda) printf 'Device Model: M 1\\nSMART overall-health self-assessment test result: PASSED\\n'
        echo "194 Temperature_Celsius -O---K 064 059 000 - 36 (Min/Max 24/46)"; exit 4 ;;
  *) sleep 60 ;;
esac
""")
        points = self.once("smart", {"timeout": "1s"}, status=1, **found)
        self.assertEqual([(point.tags, self.values(point)) for point in points], [
            ({"device": "sda", "model": "M 1", "host": "h"}, {"exit_status": 4, "health_ok": True, "temp_c": 36})])
        self.assertIn("sdb: smartctl: did not end", self.stderr)

    def test_programs_that_are_absent_are_one_clear_error(self):
        nowhere = {"environment": {"PATH": self.folder()}}
        for plugin, options, text in [("smart", {}, "the program smartctl is not there"),
                                      ("nvidia_smi", {"bin_path": "/nowhere/nvidia-smi"}, "nvidia-smi is not there"),
                                      ("ping", {"urls": ["127.0.0.1"]}, "No such file or directory")]:
            points = self.once(plugin, options, status=1, **nowhere)
            self.assertEqual(len(points), 1 if plugin == "ping" else 0)
            self.assertEqual(len([line for line in self.stderr.splitlines() if text in line]), 1, self.stderr)

    def test_nvidia_smi_through_a_stand_in(self):
        found = self.program("nvidia-smi", """
[ "$*" = "-q -x" ] || exit 3
cat <<'END'
<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log><driver_version>1.2</driver_version><gpu id="0"><uuid>GPU-1</uuid><product_name>A &amp; B</product_name>
<fb_memory_usage><total>10240 MiB</total></fb_memory_usage></gpu></nvidia_smi_log>
END
""")
        point = self.one("nvidia_smi", {"bin_path": "/nowhere/nvidia-smi"}, **found)
        self.assertEqual(point.tags, {"index": "0", "uuid": "GPU-1", "name": "A & B", "host": "h"})
        self.assertEqual(self.values(point), {"driver_version": "1.2", "memory_total": 10240})

    def test_the_real_ping_program(self):
        if shutil.which("ping") is None:
            self.skipTest("needs the program ping (apt install iputils-ping)")
        self.silent_network()
        for address in ("127.0.0.1", "::1"):
            found = self.values(self.one("ping", {"urls": [address], "count": 2, "ping_interval": "200ms"}))
            self.assertEqual((found["packets_received"], found["result_code"], found["ttl"]), (2, 0, 64))
            self.assertGreater(found["average_response_ms"], 0)
        lost = self.values(self.one("ping", {"urls": ["10.99.0.2"], "deadline": "1s"}))
        self.assertEqual((lost["percent_packet_loss"], lost["result_code"]), (100.0, 1))
