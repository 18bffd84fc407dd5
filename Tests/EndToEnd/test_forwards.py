"""Forwards as an operator sees them: probes by connection and by HTTP, listeners that a server masks, ports taken over
after a restart, reloads under load, and what `godwit check` refuses before anything starts."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import test_tunnels
from support import agent as agents
from support.processes import wait_until
from support.ssh import Echo, exchange, free_port, keygen, user


class Http:
    """A server of small HTTP answers; `code` 0 takes connections and says nothing."""

    def __init__(self, code=204):
        self.code = code
        self.heads = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.port = self.listener.getsockname()[1]
        self.address = "127.0.0.1:%d" % self.port
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        try:
            connection.settimeout(20)
            data = b""
            while b"\r\n\r\n" not in data:
                chunk = connection.recv(4096)
                if not chunk:
                    return
                data += chunk
            self.heads.append(data.decode())
            if self.code == 0:
                connection.recv(1)
            else:
                connection.sendall(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % self.code)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


class Relays(test_tunnels.Tunnels):
    def http(self, code=204):
        server = Http(code)
        self.addCleanup(server.close)
        return server

    def wait_forwards(self, agent, *reasons, seconds=30):
        """Waits until the forwards have these reasons; None stands for one that is up and was seen to work."""
        def reached():
            forwards = self.state(agent)["forwards"]
            is_good = all(each["reason"] == reason and (reason or each["state"] == "up"
                                                        and each["last_ok_age_seconds"] is not None)
                          for each, reason in zip(forwards, reasons))
            return is_good and len(forwards) == len(reasons) and forwards
        return wait_until(reached, seconds, "the forwards have the reasons %s" % (reasons,))


class Probes(Relays):
    def test_a_target_that_answers_with_an_error_is_told_apart_from_a_dead_tunnel(self):
        server, target = self.sshd(), self.http()
        options = {"probe": "http", "probe_every": "1s"}
        lport, local = self.local(target.address, **options)
        _, remote = self.remote(target.address, **options)
        _, plain = self.local(target.address, probe_every="1s")
        agent = self.relay([server.tunnel()], [local, remote, plain])
        self.wait_forwards(agent, None, None, None)
        self.assertIn("GET /ping HTTP/1.1\r\nHost: %s\r\n" % target.address, target.heads[0])
        target.code = 503
        forwards = self.wait_forwards(agent, "probe-failed", "probe-failed", None)
        self.assertEqual([each["state"] for each in forwards], ["degraded", "degraded", "up"])
        self.assertIn("GET /ping gave 503, expected 204", forwards[0]["message"])
        self.assertEqual(self.state(agent)["state"], "up")
        self.assertIn("probe-failed", agent.request("/healthz")[2].decode())
        # A client gets through, and that hides nothing.
        exchange(lport, b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(self.state(agent)["forwards"][0]["reason"], "probe-failed")
        target.code = 204
        self.wait_forwards(agent, None, None, None)
        since = self.state(agent)["forwards"][0]["since_seconds"]
        self.assertLess(since, 10)
        target.close()
        self.wait_forwards(agent, "target-refused", "target-refused", "target-refused")
        self.assertEqual(self.state(agent)["restarts"], 0)

    def test_a_target_that_takes_connections_and_says_nothing(self):
        server, target = self.sshd(), self.http(0)
        options = {"probe": "http", "probe_every": "1s"}
        _, local = self.local(target.address, **options)
        _, remote = self.remote(target.address, **options)
        agent = self.relay([server.tunnel(target_timeout="1s")], [local, remote])
        for each in self.wait_forwards(agent, "probe-failed", "probe-failed"):
            self.assertIn("did not answer", each["message"])
        target.code = 204
        self.wait_forwards(agent, None, None)

    def test_path_and_status_of_the_probe(self):
        server, target = self.sshd(), self.http(401)
        _, local = self.local(target.address, probe="http", probe_path="/health?deep=1", probe_status=401)
        agent = self.relay([server.tunnel()], [local])
        self.wait_forwards(agent, None)
        self.assertIn("GET /health?deep=1 HTTP/1.1", target.heads[0])

    def test_without_a_probe_nothing_is_asked(self):
        server, target = self.sshd(), self.http()
        _, local = self.local(target.address, probe="none")
        _, other = self.local(target.address, probe="http", probe_every="1s")
        agent = self.relay([server.tunnel()], [local, other])
        wait_until(lambda: len(target.heads) >= 3, 20, "three probes")
        self.assertIsNone(self.state(agent)["forwards"][0]["last_ok_age_seconds"])

    def test_a_masked_wildcard_address_is_found_out(self):
        address = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
        if not address or ":" in address[0]:
            self.skipTest("needs an IPv4 address beside loopback")
        target = self.http()
        options = {"probe_every": "1s"}
        server = self.sshd(host=address[0], options=["GatewayPorts no"])
        forward = dict({"tunnel": "b", "kind": "remote", "bind": "0.0.0.0:%d" % free_port(),
                        "target": target.address}, **options)
        agent = self.relay([server.tunnel()], [forward])
        self.wait_forwards(agent, "bound-loopback")
        # A client at loopback gets through; that is not what was asked for.
        exchange(int(forward["bind"].split(":")[1]), b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(self.state(agent)["forwards"][0]["reason"], "bound-loopback")
        server.configure(["GatewayPorts clientspecified"])
        server.process.send_signal(signal.SIGHUP)
        for child in server.sessions():
            os.kill(child, signal.SIGKILL)
        self.wait_forwards(agent, None)

    def test_a_stranger_at_the_servers_port_does_not_count_as_ours(self):
        """The server masks the address, and somebody else answers there: a probe must not be content with that."""
        address = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
        if not address or ":" in address[0]:
            self.skipTest("needs an IPv4 address beside loopback")
        target = self.http()
        server = self.sshd(options=["GatewayPorts no"])
        port = free_port()
        stranger = Echo(host=address[0])
        self.addCleanup(stranger.close)
        port = stranger.port
        agent = self.relay([server.tunnel(target_timeout="1s")], [
            {"tunnel": "b", "kind": "remote", "bind": "%s:%d" % (address[0], port), "target": target.address,
             "probe": "http"}])
        self.assertIn("does not come here", self.wait_forwards(agent, "probe-failed")[0]["message"])


class Restarts(Relays):
    def test_a_killed_relay_takes_its_ports_back(self):
        """The server's process hangs and holds the port; the relay that knew it is killed; a new one must know it too."""
        server, echo = self.sshd(), Echo()
        self.addCleanup(echo.close)
        rport, remote = self.remote(echo.address)
        agent = self.relay([server.tunnel(probe_interval="1s")], [remote])
        self.wait_up(agent)
        kept = os.path.join(agent.state, "tunnel-holders")
        wait_until(lambda: os.path.exists(kept), 10, "the server's process is written down")
        self.assertEqual(os.stat(kept).st_mode & 0o777, 0o600)
        frozen = server.sessions()
        for child in frozen:
            os.kill(child, signal.SIGSTOP)
        self.addCleanup(lambda: [self._kill(child) for child in frozen])
        agent.kill()
        agent.start()
        started = time.monotonic()

        def works():
            try:
                return exchange(rport, seconds=5) == b"hello."
            except OSError:
                return False
        wait_until(works, 60, "the port is taken back")
        print("  port of a killed relay, held by a frozen process: back after %.1f s" % (time.monotonic() - started))
        self.assertIn("ended what an earlier session left", agent.log_text())
        with open(kept) as file:
            self.assertEqual(len(file.read().splitlines()), 2)

    @staticmethod
    def _kill(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def test_a_damaged_or_foreign_file_of_holders_stops_nobody(self):
        server, echo = self.sshd(), Echo()
        self.addCleanup(echo.close)
        _, remote = self.remote(echo.address)
        agent = self.relay([server.tunnel()], [remote], start=False)
        kept = os.path.join(agent.state, "tunnel-holders")
        with open(kept, "wb") as file:
            file.write(b"godwit tunnel holders 1\nb x 1 2 3\n" + os.urandom(5_000))
        os.chmod(kept, 0o600)
        agent.start()
        self.wait_up(agent)

        def is_rewritten():
            with open(kept, "rb") as file:
                return len(file.read().splitlines()) == 2
        wait_until(is_rewritten, 10, "the file is whole again")

    def test_reloads_add_and_remove_forwards_while_others_carry_data(self):
        server, echo = self.sshd(), Echo()
        self.addCleanup(echo.close)
        lport, local = self.local(echo.address)
        rport, remote = self.remote(echo.address)
        agent = self.relay([server.tunnel()], [local, remote])
        self.wait_up(agent)
        outcome, mib = {}, 24

        def stream(port):
            """One connection that lasts over all reloads, every byte checked."""
            block = os.urandom(65536)
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.settimeout(30)
                good = True
                for _ in range(mib * 16):
                    connection.sendall(block)
                    received = b""
                    while len(received) < len(block):
                        chunk = connection.recv(65536)
                        if not chunk:
                            break
                        received += chunk
                    good = good and received == block
                    if not good:
                        break
                    time.sleep(0.004)
                outcome[port] = good
        threads = [threading.Thread(target=stream, args=(port,), daemon=True) for port in (lport, rport)]
        for thread in threads:
            thread.start()
        more = [self.local(echo.address)[1] for _ in range(3)] + [self.remote(echo.address)[1] for _ in range(3)]
        reloads = 0
        while any(thread.is_alive() for thread in threads) and reloads < 8:
            count = (reloads * 2 + 2) % 8
            agent.extra = self.text([server.tunnel()], [local, remote] + more[:count])
            agent.write_config()
            agent.signal(signal.SIGHUP)
            wait_until(lambda: len(self.state(agent)["forwards"]) == 2 + min(count, len(more))
                       and all(each["state"] == "up" for each in self.state(agent)["forwards"]), 30, "reload %d" % reloads)
            reloads += 1
        for thread in threads:
            thread.join(90)
        self.assertEqual(outcome, {lport: True, rport: True})
        self.assertEqual(self.state(agent)["restarts"], 0)
        self.assertGreaterEqual(reloads, 3)
        print("  %d reloads while 2 connections carried %d MiB each way" % (reloads, 2 * mib))

    def test_another_probe_leaves_connections_alone(self):
        server, echo = self.sshd(), Echo()
        self.addCleanup(echo.close)
        port, local = self.local(echo.address, probe="http", probe_every="1s")
        agent = self.relay([server.tunnel(target_timeout="1s")], [local])
        self.wait_forwards(agent, "probe-failed")
        with socket.create_connection(("127.0.0.1", port)) as kept:
            kept.settimeout(15)
            for options, reason in (({"probe": "tcp"}, None), ({"probe": "http"}, "probe-failed")):
                agent.extra = self.text([server.tunnel(target_timeout="1s")], [dict(local, **options)])
                agent.write_config()
                agent.signal(signal.SIGHUP)
                self.wait_forwards(agent, reason)
                kept.sendall(b"x")
                self.assertEqual(kept.recv(1), b"x")
            agent.extra = self.text([server.tunnel(target_timeout="1s")], [dict(local, probe="none")])
            agent.write_config()
            agent.signal(signal.SIGHUP)
            wait_until(lambda: self.state(agent)["forwards"][0]["state"] == "up", 20)
            kept.sendall(b"y")
            self.assertEqual(kept.recv(1), b"y")

    def test_an_idle_relay_sleeps(self):
        server = self.sshd()
        tunnels = [server.tunnel("t%d" % number) for number in range(10)]
        agent = self.relay(tunnels, interval="1h", flush="1h")
        wait_until(lambda: all(each["state"] == "up" for each in agent.status()["tunnels"]), 60, "all are up")
        time.sleep(1)

        def switches():
            process = agent.status()["process"]
            return process["voluntary_switches"]
        before, started = switches(), time.monotonic()
        time.sleep(6)
        rate = (switches() - before) / (time.monotonic() - started)
        print("  %.1f wake-ups a second with 10 idle sessions" % rate)
        # One a second and session would be 10 alone.
        self.assertLess(rate, 5)


class KeyboardInteractive(Relays):
    def test_pam_asks_and_the_password_answers(self):
        self.needs_program("unshare", "openssl")
        if not os.path.exists("/etc/pam.d/sshd"):
            self.skipTest("needs PAM")
        digest = subprocess.run(["openssl", "passwd", "-6", "correct horse"], capture_output=True, text=True).stdout
        for name, content in (("shadow", "root:%s:19000:0:99999:7:::\nsshd:!:19000::::::\n" % digest.strip()),
                              ("pam", "auth required pam_unix.so\naccount required pam_permit.so\n"
                                      "session required pam_permit.so\n")):
            with open(os.path.join(self.files, name), "w") as file:
                file.write(content)
        # Only this sshd sees the other files.
        script = 'mount --bind "$0/shadow" /etc/shadow && mount --bind "$0/pam" /etc/pam.d/sshd && exec "$@"'
        server = self.sshd(prefix=["unshare", "-m", "sh", "-c", script, self.files],
                           options=["UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication no",
                                    "PubkeyAuthentication no"])
        password = os.path.join(self.files, "password")
        for text, reason in (("wrong\n", "auth-failed"), ("correct horse\n", None)):
            with open(password, "w") as file:
                file.write(text)
            os.chmod(password, 0o600)
            agent = self.relay([server.tunnel(identity_file="", password_file=password)])
            if reason:
                self.assertIn("keyboard-interactive", self.wait_reason(agent, reason)["message"])
            else:
                self.assertEqual(self.wait_up(agent)["method"], "keyboard-interactive")
            self.assertNotIn(text.strip(), agent.log_text() + str(agent.status()))
            agent.stop()


class Check(Relays):
    """What `godwit check` refuses, each with file, line and reason."""

    def refusal(self, text):
        agent = self.agent(inputs=[], extra=text, start=False)
        with open(agent.config) as file:
            lines = file.read().split("\n")
        done = agent.run("check")
        return done, lines

    def assert_refused(self, text, marker, message):
        """It is refused, and the line that is named holds `marker`."""
        done, lines = self.refusal(text)
        self.assertEqual(done.returncode, 78, done.stdout + done.stderr)
        found = [each for each in done.stderr.splitlines() if re.search(message, each)]
        self.assertTrue(found, done.stderr)
        number = int(re.match(r".*config\.toml:(\d+): ", found[0]).group(1))
        self.assertIn(marker, lines[number - 1])

    def test_each_mistake_is_refused_at_its_line(self):
        server = self.sshd(start=False)
        good = server.tunnel()
        forward = {"tunnel": "b", "kind": "local", "bind": "127.0.0.1:2222", "target": "192.0.2.7:22"}

        def refused(marker, message, tunnel=None, forwards=()):
            self.assert_refused(self.text([dict(good, **(tunnel or {}))], forwards), marker, message)
        refused('tunnel = "bb"', r'there is no tunnel "bb" \(nearest: "b"\)', forwards=[dict(forward, tunnel="bb")])
        refused("jump =", r'there is no tunnel "x"', tunnel={"jump": ["x"]})
        refused("jump =", "go in a circle", tunnel={"jump": ["b"]})
        refused("bind =", "192.0.2.77:2222: this machine has no such address",
                forwards=[forward, dict(forward, bind="192.0.2.77:2222")])
        refused("bind =", "another forward listens", forwards=[forward, dict(forward, name="again")])
        refused("probe_path =", "expected a path", forwards=[dict(forward, probe="http", probe_path="ping")])
        refused("probe_path =", 'needs probe = "http"', forwards=[dict(forward, probe_path="/ping")])
        refused("probe_every =", "out of range", forwards=[dict(forward, probe_every="10ms")])
        refused("identity_file =", "cannot open .*No such file", tunnel={"identity_file": "/nonexistent/key"})
        refused("identity_file =", "no regular file", tunnel={"identity_file": self.files})
        key = keygen(os.path.join(self.files, "key"), "-t", "ed25519")
        for mode in (0o640, 0o604, 0o666):
            os.chmod(key, mode)
            refused("identity_file =", "mode 0600", tunnel={"identity_file": key})
        with open(key, "w") as file:
            file.write("no key at all\n")
        os.chmod(key, 0o600)
        refused("identity_file =", "no private key", tunnel={"identity_file": key})
        hosts = os.path.join(self.files, "hosts")
        with open(hosts, "w") as file:
            file.write("x")
        os.chmod(hosts, 0o666)
        refused("known_hosts_file =", "written by others", tunnel={"known_hosts_file": hosts})

    def test_what_only_the_daemons_user_can_judge_is_a_warning(self):
        server = self.sshd(start=False)
        os.chown(server.user_key, 65534, 65534)
        done, _ = self.refusal(self.text([server.tunnel()], []))
        self.assertEqual(done.returncode, 0)
        self.assertIn("warning: tunnels.identity_file: ", done.stderr)
        self.assertIn("belongs to user 65534", done.stderr)


class Import(Relays):
    """The platform's records become a configuration that check takes and that works."""

    def write(self, name, content):
        path = os.path.join(self.files, name)
        with open(path, "w") as file:
            file.write(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path

    def records(self, server, echo):
        with open(server.user_key) as file:
            key = file.read()
        return {
            "proxy_endpoints": [{"id": "e1", "name": "proxy $HOME \"b\"", "user": user(), "host": server.host,
                                 "port": server.port, "private_key": key, "intranet_ip_addr": "127.0.0.1"}],
            "forwards": [
                {"id": "f1", "name": "db\n[agent]", "type": "remote", "proxy_endpoint_id": "e1",
                 "remote_addr": "127.0.0.1", "remote_port": echo.port, "bind_port": free_port(), "bind_port_req": 0},
                {"id": "f2", "type": "local", "proxy_endpoint_id": "e1", "remote_addr": "127.0.0.1",
                 "remote_port": echo.port, "bind_port_req": free_port(), "bind_addr": "192.0.2.9"}]}

    def run_import(self, *arguments):
        return subprocess.run([agents.BINARY, "relay", "import"] + list(arguments), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30)

    def test_what_is_written_is_checked_and_runs(self):
        server, echo = self.sshd(), Echo()
        self.addCleanup(echo.close)
        records = self.records(server, echo)
        path, keys = self.write("records.json", records), os.path.join(self.files, "keys")
        options = [path, "--keys", keys, "--known-hosts", server.known_hosts, "--bind", "127.0.0.1"]
        secret = records["proxy_endpoints"][0]["private_key"].split("\n")[2]
        dry = self.run_import(*options)
        self.assertEqual(dry.returncode, 0, dry.stderr)
        self.assertIn("not written", dry.stderr)
        self.assertFalse(os.path.exists(keys))
        # check names the key that is not there.
        agent = self.agent(inputs=[], extra=dry.stdout, start=False)
        self.assertRegex(agent.run("check").stderr, r"config.toml:\d+: tunnels.identity_file: .*No such file")
        for _ in range(2):
            done = self.run_import("--write-keys", *options)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        (key,) = os.listdir(keys)
        self.assertEqual(os.stat(os.path.join(keys, key)).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(keys).st_mode & 0o777, 0o700)
        shown = self.run_import("--json", *options)
        self.assertEqual(len(json.loads(shown.stdout)["forwards"]), 2)
        for each in (dry, done, shown):
            self.assertNotIn(secret, each.stdout + each.stderr)
        agent = self.agent(inputs=[], extra=done.stdout, start=False)
        checked = agent.run("check")
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        agent.start()
        self.wait_up(agent)
        self.assertEqual(self.state(agent)["name"], 'proxy-$HOME-"b"')
        for each in records["forwards"]:
            self.assertEqual(exchange(each["bind_port_req"] or each["bind_port"]), b"hello.")

    def test_a_bad_record_is_told_with_its_line_and_nothing_is_written(self):
        server, echo = self.sshd(start=False), Echo()
        self.addCleanup(echo.close)
        records = self.records(server, echo)
        records["forwards"].append(dict(records["forwards"][0], id="f3", remote_port="many"))
        path, keys = self.write("records.json", records), os.path.join(self.files, "keys")
        options = [path, "--write-keys", "--keys", keys, "--bind", "127.0.0.1"]
        refused = self.run_import(*options)
        self.assertEqual((refused.returncode, refused.stdout), (65, ""))
        with open(path) as file:
            line = [number for number, text in enumerate(file, 1) if '"f3"' in text][0] - 1
        self.assertIn("records.json:%d: forward.remote_port: " % line, refused.stderr)
        self.assertFalse(os.path.exists(keys))
        skipped = self.run_import("--skip", *options)
        self.assertEqual(skipped.returncode, 0)
        self.assertEqual(skipped.stdout.count("[[forwards]]"), 2)
        # Another key is never overwritten.
        (key,) = os.listdir(keys)
        with open(os.path.join(keys, key), "w") as file:
            file.write("precious")
        self.assertEqual(self.run_import("--skip", *options).returncode, 73)
        with open(os.path.join(keys, key)) as file:
            self.assertEqual(file.read(), "precious")

    def test_what_is_no_file_of_records(self):
        for content, code in (("", 65), ("[", 65), ("{}", 65), ("\0" * 100, 65), ("[" * 10_000, 65)):
            done = self.run_import(self.write("x.json", content))
            self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
            self.assertIn("x.json", done.stderr)
        self.assertEqual(self.run_import(os.path.join(self.files, "nothing")).returncode, 66)
        self.assertEqual(self.run_import(self.files).returncode, 66)
        records = {"proxy_endpoints": [{"id": "e", "user": "u", "host": "h", "private_key": "no key"}]}
        done = self.run_import(self.write("y.json", records))
        self.assertEqual(done.returncode, 65)
        self.assertIn("proxy_endpoint.private_key: no private key", done.stderr)
        self.assertNotIn("no key", done.stderr)
        self.assertEqual(self.run_import(self.write("z.json", records), "--bind", "here").returncode, 64)
