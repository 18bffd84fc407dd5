"""Hostile SSH servers, dozens at once against one daemon: it does not hang, grow or fall, and says what is wrong."""
import json
import os
import re
import subprocess
import sys
import threading
import time

from support import agent as agents
from support import hostile_scenarios, processes
from support.processes import wait_until
from support.ssh import SSHD, Echo, Sshd, exchange, keygen, user
from support.case import EndToEnd

HERE = os.path.dirname(os.path.abspath(__file__))


class Stage:
    """The hostile servers, in a process of their own."""

    def __init__(self, names):
        script = os.path.join(HERE, "support", "hostile_scenarios.py")
        self.process = processes.spawn([sys.executable, script] + list(names), stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        self.table = json.loads(self.process.stdout.readline())

    def report(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        processes.end(self.process)


class Watch:
    """Asks the daemon and a healthy neighbour all the time, and keeps what it heard."""

    def __init__(self, agent, neighbour):
        self.agent, self.neighbour = agent, neighbour
        self.heard = {}
        self.messages = {}
        self.slowest = {"status": 0.0, "neighbour": 0.0}
        self.rounds = 0
        self.peak = 0

    def timed(self, name, function):
        began = time.monotonic()
        result = function()
        self.slowest[name] = max(self.slowest[name], time.monotonic() - began)
        return result

    def once(self):
        status = self.timed("status", self.agent.status)
        self.timed("neighbour", self.ask)
        self.rounds += 1
        self.peak = max(self.peak, status["process"]["anonymous_bytes"])
        for tunnel in status["tunnels"]:
            self.heard.setdefault(tunnel["name"], set()).add(tunnel["reason"] or tunnel["state"])
            self.messages.setdefault(tunnel["name"], set()).add(tunnel["message"] or "")
        return status

    def ask(self):
        answer = exchange(self.neighbour, b"x" * 2_000, 20)
        if answer != b"x" * 2_000 + b".":
            raise AssertionError("the neighbour got %d bytes, ending in %r; %s" % (
                len(answer), answer[-20:], self.agent.status()["tunnels"][0]))


class HostileServers(EndToEnd):
    """Every scenario beside every other, and a healthy tunnel in the middle."""

    def setUp(self):
        super().setUp()
        self.needs_program("ssh-keygen")
        if not os.access(SSHD, os.X_OK):
            self.skipTest("needs %s" % SSHD)
        self.needs_root()

    def tunnel(self, folder, name, place):
        _, _, options = hostile_scenarios.SCENARIOS[name]
        path = os.path.join(folder, name + ".hosts")
        with open(path, "w") as file:
            file.write(place["known_hosts"])
        os.chmod(path, 0o600)
        table = {"name": name, "address": place["address"], "user": user(), "identity_file": self.key,
                 "known_hosts_file": path, "auth_timeout": "4s", "connect_timeout": "4s", "forward_timeout": "3s",
                 "target_timeout": "2s", "probe_interval": "2s", "reconnect_max": "2s"}
        if options.get("password"):
            table["password"] = "canary-of-the-password"
        forwards = []
        if options.get("remote"):
            forwards.append({"tunnel": name, "kind": "remote", "target": self.echo.address,
                             "bind": "127.0.0.1:%d" % hostile_scenarios.ASKED})
        if options.get("local"):
            forwards.append({"tunnel": name, "kind": "local", "target": "127.0.0.1:9",
                             "bind": os.path.join(folder, "s", name)})
        return table, forwards

    def clients(self, folder, names):
        """Programs that use the local forwards of hostile servers."""
        def use(path):
            while not self.over.is_set():
                try:
                    exchange(path, b"x" * 300_000, 3)
                except OSError:
                    pass
                self.over.wait(0.3)
        for name in names:
            if hostile_scenarios.SCENARIOS[name][2].get("local"):
                threading.Thread(target=use, args=(os.path.join(folder, "s", name),), daemon=True).start()

    def play(self, names, seconds):
        """All these servers against one daemon for so long. Returns the daemon, what was heard and what happened."""
        folder = self.folder()
        self.key = keygen(os.path.join(folder, "key"), "-t", "ed25519")
        self.echo = Echo()
        self.addCleanup(self.echo.close)
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        friend = Sshd(folder)
        self.addCleanup(lambda: friend.process and friend.stop())
        friend.start()
        neighbour = os.path.join(folder, "s", "friend")
        tunnels = [friend.tunnel("friend")]
        forwards = [{"tunnel": "friend", "kind": "local", "bind": neighbour, "target": self.echo.address}]
        stage = Stage(names)
        self.addCleanup(stage.end)
        for name in names:
            table, more = self.tunnel(folder, name, stage.table[name])
            tunnels.append(table)
            forwards += more
        agent = self.agent(inputs=[], extra="\n".join([agents.table("[[tunnels]]", each) for each in tunnels]
                                                      + [agents.table("[[forwards]]", each) for each in forwards]))
        watch = Watch(agent, neighbour)
        wait_until(lambda: agent.status()["tunnels"][0]["state"] == "up" and os.path.exists(neighbour), 40)
        self.clients(folder, names)
        before = agent.status()["process"]["anonymous_bytes"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.assertTrue(agent.is_running, agent.log_text()[-2000:])
            watch.once()
            time.sleep(0.1)
        happened = stage.report()
        # The loop shares its processor time with nobody here: what the whole daemon used tells what floods can cost.
        print("  %d hostile servers for %d s: slowest status %.2f s, slowest neighbour %.2f s, %d rounds, %d connections"
              % (len(names), seconds, watch.slowest["status"], watch.slowest["neighbour"], watch.rounds,
                 sum(each["connections"] for each in happened.values())))
        self.over.set()
        stage.end()
        wait_until(lambda: all(each["state"] != "up" for each in agent.status()["tunnels"][1:]), 30)
        after = agent.status()["process"]["anonymous_bytes"]
        print("  memory: %.1f MiB before, at most %.1f, %.1f after"
              % (before / 1048576, watch.peak / 1048576, after / 1048576))
        return agent, watch, happened, before, after

    @staticmethod
    def logged(agent, name):
        """The reasons that the log has for a tunnel."""
        lines = [line for line in agent.log_text().splitlines() if re.search(r" tunnel=%s$" % name, line)]
        return {found for line in lines for found in re.findall(r" reason=(\S+)", line)}

    def test_all_at_once(self):
        names = list(hostile_scenarios.SCENARIOS)
        seconds = 300 if os.environ.get("GODWIT_LONG") else 22
        agent, watch, happened, before, after = self.play(names, seconds)
        self.assertTrue(agent.is_running)
        wrong = []
        for name in names:
            _, reasons, options = hostile_scenarios.SCENARIOS[name]
            heard = watch.heard[name] | self.logged(agent, name)
            # On a machine that is too busy a flood may not have come far.
            slow = {"up", "connecting"} if options.get("flood") else set()
            if not heard & (set(reasons) | slow):
                wrong.append("%s: heard %s, expected one of %s" % (name, sorted(heard), reasons))
            if "message" in options and not any(options["message"] in each for each in watch.messages[name]):
                wrong.append("%s: says %s" % (name, watch.messages[name]))
            if happened[name]["errors"]:
                wrong.append("%s: the scenario itself is broken: %s" % (name, happened[name]["errors"][:2]))
            # A random part of at most 2 s between two tries: one a second on average, and never one after the other.
            if happened[name]["connections"] > 10 + 3 * seconds:
                wrong.append("%s: %d connections" % (name, happened[name]["connections"]))
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertLess(watch.slowest["status"], 5)
        self.assertLess(watch.slowest["neighbour"], 10)
        # Each of the hostile sessions may hold 2 MiB, and each of its connections what its window lets through.
        if not agents.SANITIZER:
            self.assertLess(watch.peak - before, 192 << 20)
            self.assertLess(after - before, 96 << 20)
        text = agent.log_text() + json.dumps(agent.status())
        self.assertNotIn("canary-of-the-password", text)
        self.assertNotIn("\x1b", text)
        self.assertEqual(agent.stop(), 0)
