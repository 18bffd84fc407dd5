"""Many tunnels of one relay to real servers on loopback: what they cost, and how they come back."""
import os
import re
import signal
import time

from . import agent as agents
from . import processes
from .ssh import Sshd, exchange, free_port


def anonymous(pid):
    """Anonymous memory of a process in bytes, as its map says."""
    with open("/proc/%d/smaps_rollup" % pid) as file:
        for line in file:
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
    raise ValueError("no figure")


def switches(pid):
    """Voluntary context switches of all threads: wake-ups."""
    total = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, thread)) as file:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))
    return total


class Relay:
    """One daemon with `sessions` tunnels to `servers` sshd daemons, and `forwards` ports shared evenly among them; of
    five, three are local and two remote."""

    def __init__(self, folder, sessions, forwards, target, servers=4, **tunnel):
        self.servers = []
        for number in range(min(servers, sessions)):
            place = os.path.join(folder, "s%d" % number)
            os.makedirs(place, exist_ok=True)
            self.servers.append(Sshd(place, options=["MaxStartups 1000"]).start())
        parts, self.ports, used = [], [], set()
        for number in range(sessions):
            server = self.servers[number % len(self.servers)]
            parts.append(agents.table("[[tunnels]]", server.tunnel("t%d" % number, **tunnel)))
        for number in range(forwards):
            port = free_port()
            while port in used:
                port = free_port()
            used.add(port)
            self.ports.append(port)
            parts.append(agents.table("[[forwards]]", {
                "tunnel": "t%d" % (number % sessions), "kind": "remote" if number // sessions % 5 > 2 else "local",
                "bind": "127.0.0.1:%d" % port, "target": target}))
        self.sessions = sessions
        self.agent = agents.Agent(inputs=[], extra="\n".join(parts), root=folder)

    def start(self, seconds=120):
        self.agent.start(seconds=60)
        self.wait_up(seconds)
        return self

    def states(self):
        """(tunnels that are up, forwards that are up)."""
        tunnels = self.agent.status()["tunnels"]
        return (sum(each["state"] == "up" for each in tunnels),
                sum(each["state"] == "up" for tunnel in tunnels for each in tunnel["forwards"]))

    def wait_up(self, seconds=120):
        processes.wait_until(lambda: self.states() == (self.sessions, len(self.ports)), seconds,
                             "%d sessions and %d forwards are up" % (self.sessions, len(self.ports)), 0.1)

    def cut(self):
        """Kills all processes that serve sessions; the moment, by the wall clock."""
        children = [child for server in self.servers for child in server.sessions()]
        moment = time.time()
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return moment

    def ups(self, since):
        """Seconds after `since` at which the tunnels that are up now came up, sorted; those that were up before are not
        among them."""
        tunnels, now = self.agent.status()["tunnels"], time.time()
        found = [now - each["since_seconds"] - since for each in tunnels if each["state"] == "up"]
        return sorted(each for each in found if each >= 0)

    def works(self, number):
        """Whether a forward carries data."""
        return exchange(self.ports[number], seconds=10) == b"hello."

    def stop(self):
        self.agent.stop()
        for server in self.servers:
            server.stop()


def spread(seconds):
    """How moments are spread: median, nine tenths, last, and the most within a tenth of a second."""
    crowd = max(sum(1 for other in seconds if 0 <= other - each < 0.1) for each in seconds)
    return "half after %.2f s, nine tenths after %.2f s, last after %.2f s, at most %d within 0.1 s" % (
        seconds[len(seconds) // 2], seconds[len(seconds) * 9 // 10], seconds[-1], crowd)
