"""The service manager's protocol, on a socket of our own."""
import os
import signal
import socket
import subprocess
import time

from support.case import EndToEnd
from support.processes import wait_until


class Notify(EndToEnd):
    """READY, WATCHDOG, RELOADING and STOPPING arrive when they should."""

    def started(self, watchdog_us=1_000_000, abstract=False, **options):
        folder = self.folder()
        path = os.path.join(folder, "notify")
        self.box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.box.close)
        address = "\0gw-notify-%d-%s" % (os.getpid(), os.path.basename(folder)) if abstract else path
        self.box.bind(address)
        self.box.setblocking(False)
        self.messages = []
        environment = {"NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": str(watchdog_us)}
        self.store = self.server()
        return self.agent(url=self.store.url, host_proc=self.proc(5), environment=environment, **options)

    def read(self):
        """Datagrams so far, each with its moment."""
        while True:
            try:
                self.messages.append((time.monotonic(), self.box.recv(4096).decode()))
            except BlockingIOError:
                return self.messages

    def has(self, word):
        return any(word in text.splitlines() for _, text in self.read())

    def test_ready_watchdog_reloading_and_stopping(self):
        agent = self.started()
        wait_until(lambda: self.has("READY=1"), 10, "READY=1")
        wait_until(lambda: sum("WATCHDOG=1" in text for _, text in self.read()) >= 4, 10, "four watchdog pings")
        pings = [moment for moment, text in self.messages if "WATCHDOG=1" in text]
        self.assertGreater(len(pings), 2)
        self.assertLess(max(b - a for a, b in zip(pings, pings[1:])), 1.0, "a ping came after the watchdog's time")
        self.messages.clear()
        agent.signal(signal.SIGHUP)
        wait_until(lambda: self.has("RELOADING=1"), 10, "RELOADING=1")
        message = next(text for _, text in self.messages if "RELOADING=1" in text)
        self.assertRegex(message, r"(?m)^MONOTONIC_USEC=\d+$")
        wait_until(lambda: self.has("READY=1"), 10, "READY=1 after the reload")
        self.assertEqual(agent.stop(), 0)
        self.assertTrue(self.has("STOPPING=1"))

    def test_an_abstract_socket(self):
        self.started(abstract=True)
        wait_until(lambda: self.has("READY=1"), 10, "READY=1")

    def test_ready_comes_while_the_server_is_away(self):
        store = self.server()
        store.refuse()
        self.started(output={"urls": [store.url]})
        wait_until(lambda: self.has("READY=1"), 10, "READY=1")
        wait_until(lambda: sum("WATCHDOG=1" in text for _, text in self.read()) >= 4, 10, "pings in an outage")

    def test_without_a_notify_socket_nothing_is_missed(self):
        agent = self.agent(url=self.server().url, host_proc=self.proc(5), environment={"NOTIFY_SOCKET": "/nowhere/x"})
        self.assertEqual(agent.request("/healthz")[0], 200)

    def test_the_unit_scores_25_or_better(self):
        self.needs_program("systemd-analyze")
        unit = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "systemd", "godwit.service")
        if not os.path.exists(unit):
            self.skipTest("needs systemd/godwit.service")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", unit],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout[-500:] + done.stderr)
