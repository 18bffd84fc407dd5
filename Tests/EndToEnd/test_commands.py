"""The commands as a user meets them."""
import json
import os
import re
import subprocess
import time

from support import agent as agents
from support import oracle, processes
from support.case import EndToEnd
from support.processes import wait_until


class Once(EndToEnd):
    """`once` prints one gather as line protocol."""

    def test_prints_lines_of_every_input(self):
        agent = self.agent(inputs=[("cpu", {}), ("mem", {}), ("disk", {}), ("net", {}), ("system", {})], start=False)
        done = agent.run("once")
        self.assertEqual(done.returncode, 0, done.stderr)
        names = set()
        for text in done.stdout.splitlines():
            names.add(oracle.parse(text[2:] if text.startswith("> ") else text).measurement)
        self.assertLessEqual({"cpu", "mem", "net", "system"}, names)
        self.assertFalse(os.path.exists(agent.socket))

    def test_a_broken_source_is_an_error_and_the_rest_flows(self):
        proc = self.proc(3)
        agents.replace(os.path.join(proc, "net", "dev"), "a\nb\nif0: x y z 1 2 3 4 5 6 7 8 9 0 1 2 3\n")
        inputs = [("net", {"ignore_protocol_stats": True}), ("mem", {})]
        done = self.agent(inputs=inputs, host_proc=proc, start=False).run("once")
        self.assertIn("mem", done.stdout)
        self.assertIn("net", done.stderr)


class Check(EndToEnd):
    """`check` prints every error at once and starts nothing."""

    BAD = """[agent]
intervall = "1s"
flush_interval = "soon"
[[inputs.cpu]]
percpuu = true
[[inputs.memm]]
[[outputs.influxdb]]
urls = [7]
"""

    def test_all_errors_at_once_with_place_and_nearest_name(self):
        agent = self.agent(start=False)
        agent.write_config(self.BAD)
        done = agent.run("check")
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, 78, text)
        for word in ("intervall", "interval", "flush_interval", "percpuu", "percpu", "memm", "mem", "urls"):
            self.assertIn(word, text)
        self.assertIn("config.toml", text)
        for line in (2, 3, 5, 6, 8):
            self.assertRegex(text, r"config\.toml:%d\b" % line)
        self.assertEqual(os.listdir(agent.state), [])

    def test_run_refuses_the_same_file_with_78_and_starts_nothing(self):
        agent = self.agent(start=False)
        agent.write_config(self.BAD)
        done = agent.run("run")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertFalse(os.path.exists(agent.socket))

    def test_syntax_errors_name_the_line(self):
        agent = self.agent(start=False)
        agent.write_config("[agent]\ninterval = \n")
        done = agent.run("check")
        self.assertEqual(done.returncode, 78)
        self.assertRegex(done.stdout + done.stderr, r"config\.toml:2\b")

    def test_a_good_file_is_0_and_a_missing_one_is_78(self):
        agent = self.agent(url="http://127.0.0.1:1", start=False)
        self.assertEqual(agent.run("check").returncode, 0)
        os.unlink(agent.config)
        self.assertNotEqual(agent.run("check").returncode, 0)

    def test_the_config_directory_is_read(self):
        agent = self.agent(start=False)
        folder = os.path.join(agent.folder, "conf.d")
        os.mkdir(folder)
        agents.replace(os.path.join(folder, "a.conf"), "[[inputs.cpu]]\nperrcpu = true\n")
        done = agent.run("check", "--config-directory", folder)
        self.assertEqual(done.returncode, 78, done.stdout + done.stderr)
        self.assertIn("a.conf:2", done.stdout + done.stderr)

    def test_environment_variables_in_strings(self):
        agent = self.agent(url="http://${GW_HOST}:1", environment={"GW_HOST": "127.0.0.1"}, start=False)
        self.assertEqual(agent.run("check").returncode, 0)

    def test_the_repository_config_is_good(self):
        config = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config.toml")
        if not os.path.exists(config):
            self.skipTest("needs config.toml")
        done = subprocess.run([agents.BINARY, "check", "--config", config], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Asking(EndToEnd):
    """status, top, tap and their exit codes."""

    def test_status_prints_the_tree_balance_and_routes(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(5))
        self.wait_for_lines(server, 20)
        text = agent.run("status")
        self.assertEqual(text.returncode, 0, text.stderr)
        for word in ("net", "influxdb", "delivered", "pending", "127.0.0.1:%d" % server.port):
            self.assertIn(word, text.stdout)
        for word in ("batcher", "egress", "spill"):
            self.assertIn(word, text.stdout.lower())
        self.assertNotIn("\x1b[", text.stdout, "colours belong on a terminal only")
        parsed = agent.run("status", "--json")
        self.assertEqual(parsed.returncode, 0)
        self.assert_exact(next(iter(agents.balances(json.loads(parsed.stdout)).values())))

    def test_status_without_a_daemon_is_69(self):
        agent = self.agent(url="http://127.0.0.1:1", start=False)
        for command in ("status", "tap", "reload", "top"):
            self.assertEqual(agent.run(command).returncode, 69, command)

    def test_tap_streams_points_by_name(self):
        server = self.server()
        inputs = [("net", {"interfaces": ["if*"], "ignore_protocol_stats": True}), ("mem", {})]
        agent = self.agent(url=server.url, inputs=inputs, host_proc=self.proc(3))
        tap = processes.spawn(agent.command("tap", "--name", "mem"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=agent.environment, cwd=agent.folder)
        self.addCleanup(lambda: (tap.stdout.close(), tap.stderr.close()))
        time.sleep(2)
        processes.end(tap)
        lines = [line[2:] if line.startswith(b"> ") else line for line in tap.stdout.read().split(b"\n")[:-1] if line]
        self.assertGreater(len(lines), 5)
        self.assertEqual({oracle.parse(line).measurement for line in lines}, {"mem"})
        wait_until(lambda: set(lines) <= set(server.lines), 20, "what tap showed is what was stored")

    def test_top_draws_on_a_terminal_and_ends_on_q(self):
        import pty
        agent = self.agent(url=self.server().url, host_proc=self.proc(3))
        master, slave = pty.openpty()
        top = processes.spawn(agent.command("top"), stdin=slave, stdout=slave, stderr=slave,
                              env=dict(agent.environment, TERM="xterm", COLUMNS="100", LINES="40"))
        os.close(slave)
        self.addCleanup(os.close, master)
        os.set_blocking(master, False)
        screen = bytearray()

        def drawn():
            try:
                screen.extend(os.read(master, 65536))
            except BlockingIOError:
                pass
            return b"net" in screen
        wait_until(drawn, 10, "top draws the inputs")
        os.write(master, b"q")
        try:
            code = top.wait(5)
        except subprocess.TimeoutExpired:
            code = processes.end(top, 2)
        self.assertEqual(code, 0)

    def test_unknown_words_are_64_and_help_is_0(self):
        def code(*words):
            return subprocess.run([agents.BINARY, *words], capture_output=True, timeout=20).returncode
        self.assertEqual(code("no-such-command"), 64)
        self.assertEqual(code("status", "--no-such-option"), 64)
        for command in ("run", "once", "check", "status", "top", "tap", "reload", "spill", "metrics"):
            self.assertEqual(code(command, "--help"), 0, command)
        self.assertEqual(code("--version"), 0)


class Surfaces(EndToEnd):
    """/status, /metrics, /healthz, /readyz over the socket."""

    def test_health_readiness_and_metrics(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(5))
        self.wait_for_lines(server, 50)
        self.assertEqual(agent.request("/healthz")[0], 200)
        wait_until(lambda: agent.request("/readyz")[0] == 200, 10, "ready")
        code, headers, body = agent.request("/metrics")
        self.assertEqual(code, 200)
        self.assertTrue(headers["content-type"].startswith("text/plain"))
        text = body.decode()
        for line in text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) [a-z_:0-9]+ .*|[a-z_:0-9]+(\{.*\})? ([-+0-9.eE]+|NaN|[-+]Inf))$")
        self.assertTrue(re.search(r"^godwit_\w*delivered\w*_total", text, re.M), text[:2000])
        names = set(re.findall(r"^(\w+)(?:\{| )", text, re.M))
        typed = set(re.findall(r"^# TYPE (\w+)", text, re.M))
        self.assertLessEqual(names, typed, "samples without a TYPE")
        self.assertEqual(agent.request("/no-such-path")[0], 404)
        self.assertIn(agent.request("/status", "DELETE")[0], (404, 405))

    def test_health_shows_a_dead_server(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(5))
        self.wait_for_lines(server, 20)
        server.refuse()

        def worse():
            text = json.dumps(agent.status())
            return "degraded" in text or "failing" in text
        wait_until(worse, 20, "the health goes down")
        server.resume()
        wait_until(lambda: not worse(), 120, "the health comes back", 0.2)


class Default(EndToEnd):
    """The repository's config runs as it is, without a server."""

    def test_the_default_config_writes_files_and_needs_no_server(self):
        config = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config.toml")
        if not os.path.exists(config):
            self.skipTest("needs config.toml")
        agent = self.agent(start=False)
        with open(config) as file:
            text = file.read()
        # The same file, at an interval that a test can wait for.
        text = re.sub(r"(?m)^(\s*)interval = .*$", r'\1interval = "200ms"', text, count=1)
        text = re.sub(r"(?m)^(\s*)flush_interval = .*$", r'\1flush_interval = "400ms"', text, count=1)
        agent.write_config(text)
        agent.socket = os.path.join(agent.folder, "godwit.sock")
        agent.environment["RUNTIME_DIRECTORY"] = agent.folder
        agent.start()
        metrics = os.path.join(agent.state, "metrics")

        def lines():
            found = []
            for folder, _, names in os.walk(metrics):
                for name in names:
                    with open(os.path.join(folder, name), "rb") as file:
                        found += file.read().split(b"\n")[:-1]
            return found
        wanted = {b"cpu", b"mem", b"net", b"system"}
        wait_until(lambda: wanted <= {line.split(b",")[0].split(b" ")[0] for line in lines()}, 30,
                   "%s in %s" % (wanted, metrics))
        for line in lines():
            oracle.parse(line)
        self.assertEqual(agent.stop(), 0)

    def test_the_files_stay_within_their_bounds(self):
        agent = self.agent(start=False, host_proc=self.proc(200), interval="20ms", flush="40ms", extra=agents.table(
            "[[outputs.file]]", {"rotation_max_bytes": "64KiB", "rotation_interval": "1h", "max_files": 3}))
        agent.start()
        metrics = os.path.join(agent.state, "metrics")
        largest, most = 0, 0
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            sizes = sizes_in(metrics)
            largest, most = max([largest] + sizes), max(most, len(sizes))
            time.sleep(0.05)
        self.assertGreater(largest, 0)
        # A batch is written whole, so a file may pass the mark by one batch.
        self.assertLess(largest, (64 << 10) + (512 << 10))
        self.assertLessEqual(most, 4)
        self.assertTrue(agent.is_running)


def sizes_in(folder):
    """The sizes of a folder's files; one that rotation removes meanwhile is left out."""
    sizes = []
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        try:
            sizes.append(os.stat(os.path.join(folder, name)).st_size)
        except FileNotFoundError:
            pass
    return sizes
