"""A canary secret must not occur where somebody else could read it."""
import json
import os

from support import agent as agents
from support import fake_influx
from support.case import EndToEnd
from support.processes import wait_until

CANARY = "kanarienvogel-7f3a"


class Secrets(EndToEnd):
    """Passwords and tokens stay out of logs, status, metrics, spill, state, process list."""

    def search(self, agent, *more):
        """Everything the daemon says and writes, by place."""
        places = {"log": agent.log_text(), "status": agent.request("/status")[2].decode(errors="replace"),
                  "metrics": agent.request("/metrics")[2].decode(errors="replace"),
                  "status text": agent.run("status").stdout}
        for folder, _, names in os.walk(agent.state):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    places[os.path.join(folder, name)] = file.read().decode(errors="replace")
        with open("/proc/%d/cmdline" % agent.pid) as file:
            places["command line"] = file.read()
        for index, text in enumerate(more):
            places["command %d" % index] = text
        return [name for name, text in places.items() if CANARY in text]

    def failing(self, **options):
        """An agent whose server refuses it with a body that repeats the secret."""
        server = self.server()
        server.fault = fake_influx.refuse_with(401, ("denied for " + CANARY).encode())
        agent = self.agent(url=server.url, host_proc=self.proc(3), agent={"debug": True}, **options)
        wait_until(lambda: server.writes(), 20, "a refused write")
        wait_until(lambda: agent.balance()["sealed"] > 20, 20, "points are sealed")
        return server, agent

    def test_a_password_in_the_file(self):
        server, agent = self.failing(output={"username": "u", "password": CANARY})
        self.assertTrue(server.writes()[0].headers.get("authorization", "").startswith("Basic "))
        self.assertEqual(self.search(agent), [])
        broken = agent.text().replace("database =", "databasse =")
        agent.write_config(broken)
        done = agent.run("check")
        self.assertEqual(done.returncode, 78)
        self.assertNotIn(CANARY, done.stdout + done.stderr)
        agent.signal(1)
        wait_until(lambda: "databasse" in json.dumps(agent.status()), 10, "the rejected file shows")
        self.assertEqual(self.search(agent), [])

    def test_a_password_in_the_url(self):
        server = self.server()
        server.refuse()
        url = server.url.replace("http://", "http://user:%s@" % CANARY)
        agent = self.agent(url=url, host_proc=self.proc(3), agent={"debug": True})
        wait_until(lambda: agent.balance()["sealed"] > 20, 20, "points are sealed")
        self.assertEqual(self.search(agent), [])

    def test_a_token_in_a_file_and_in_the_environment(self):
        path = os.path.join(self.folder(), "token")
        agents.replace(path, CANARY + "\n")
        os.chmod(path, 0o600)
        _, agent = self.failing(output={"token_file": path})
        self.assertEqual(self.search(agent), [])
        _, agent = self.failing(output={"token": "${GW_TOKEN}"}, environment={"GW_TOKEN": CANARY})
        self.assertEqual(self.search(agent), [])

    def test_a_token_file_open_to_others_is_refused(self):
        path = os.path.join(self.folder(), "token")
        agents.replace(path, CANARY + "\n")
        os.chmod(path, 0o644)
        agent = self.agent(url="http://127.0.0.1:1", output={"token_file": path}, start=False)
        done = agent.run("check")
        self.assertNotIn(CANARY, done.stdout + done.stderr)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("0600", done.stdout + done.stderr)

    def test_state_is_for_the_owner_only(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(3))
        self.wait_for_lines(server, 10)
        for folder, _, names in os.walk(agent.spill):
            self.assertEqual(os.stat(folder).st_mode & 0o077, 0, folder)
            for name in names:
                self.assertEqual(os.lstat(os.path.join(folder, name)).st_mode & 0o077, 0, name)
