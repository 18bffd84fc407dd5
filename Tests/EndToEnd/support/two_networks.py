"""The two networks that cannot reach each other, with the hosts that stand between them.

    network A, 10.1.0.0/24                  public, 203.0.113.0/24                network B, 10.2.0.0/24

    vm_a .2 ──┐                                                                   ┌── vm_b .2
              ├── .1 proxy_a 203.0.113.1 ────────────────── 203.0.113.2 proxy_b .1 ┤
    db   .3 ──┘                                                                   └── (169.254.169.254 on demand)

Each host is a namespace of its own. The proxies could route between the networks; walls (nftables) in both keep them from
it, and `open` takes the walls away.
"""
import os
import socket
import subprocess

from . import agent as agents
from .network import Namespace, link
from .ssh import SSHD, Sshd

VM_A, DB, PROXY_A, VM_B, PROXY_B = "10.1.0.2", "10.1.0.3", "10.1.0.1", "10.2.0.2", "10.2.0.1"
PUBLIC_A, PUBLIC_B = "203.0.113.1", "203.0.113.2"
METADATA = "169.254.169.254"
#: The two legs of the host that VM B runs on.
HOST_A, HOST_B = "10.1.0.4", "10.2.0.4"
SSH_PORT = 2022
DB_PORT = 8086
#: Where a remote forward listens for network B.
ROAD_PORT = 12345
#: What an sshd must allow so that a forward may listen at an address of the operator's choice.
GATEWAY = "GatewayPorts clientspecified"

WALL = """add table inet wall
add chain inet wall forward { type filter hook forward priority 0; }
add rule inet wall forward iifname lan oifname public drop
add rule inet wall forward iifname public oifname lan drop
"""


class TwoNetworks:
    """Makes everything, and takes it away with `close`. OSError when this machine allows no namespaces.

    Nothing here leads out of it: the addresses, that of the metadata service too, exist in these namespaces only.
    """

    def __init__(self, folder):
        self.folder = folder
        self.ended = []
        self.daemons = []
        self.nodes = []
        try:
            self._build()
        except RuntimeError as error:
            self.close()
            raise OSError("no bridges, cables or packet filter: %s" % error) from error

    def _build(self):
        self.nodes = [Namespace(name) for name in ("vm_a", "proxy_a", "db", "proxy_b", "vm_b")]
        self.vm_a, self.proxy_a, self.db, self.proxy_b, self.vm_b = self.nodes
        link(self.proxy_a, "public", self.proxy_b, "public")
        for proxy, own, public, others in ((self.proxy_a, PROXY_A, PUBLIC_A, ((self.vm_a, VM_A), (self.db, DB))),
                                           (self.proxy_b, PROXY_B, PUBLIC_B, ((self.vm_b, VM_B),))):
            proxy.ip("link add lan type bridge", "link set lan up", "address add %s/24 dev lan" % own,
                     "address add %s/24 dev public" % public)
            proxy.set("ipv4/ip_forward", 1)
            for node, address in others:
                link(proxy, node.name, node, "eth0")
                proxy.ip("link set %s master lan" % node.name)
                node.ip("address add %s/24 dev eth0" % address, "route add default via %s" % own)
        self.proxy_a.ip("route add 10.2.0.0/24 via " + PUBLIC_B)
        self.proxy_b.ip("route add 10.1.0.0/24 via " + PUBLIC_A)
        self.shut()

    def shut(self):
        for proxy in (self.proxy_a, self.proxy_b):
            proxy.nft(WALL)

    def open(self):
        """Lets the proxies route between the networks."""
        for proxy in (self.proxy_a, self.proxy_b):
            proxy.nft("delete table inet wall\n")

    def close(self):
        for end in reversed(self.ended):
            end()
        for node in self.nodes:
            node.close()

    def hypervisor(self):
        """A host with a leg in each network that routes nothing between them; the guest reaches the metadata address
        through it, and it owns that address."""
        host = Namespace("host")
        self.nodes.append(host)
        for proxy, device, address in ((self.proxy_a, "platform", HOST_A), (self.proxy_b, "guests", HOST_B)):
            link(proxy, "host", host, device)
            proxy.ip("link set host master lan")
            host.ip("address add %s/24 dev %s" % (address, device))
        host.ip("address add %s/32 dev lo" % METADATA)
        self.vm_b.ip("route add %s/32 via %s" % (METADATA, HOST_B))
        return host

    # What stands where

    def sshd(self, node, host, options=(GATEWAY,), names=()):
        """A server of the node's, which may be reached under further addresses."""
        folder = os.path.join(self.folder, "sshd-" + node.name)
        os.makedirs(folder, exist_ok=True)
        with node:
            server = Sshd(folder, host=host, port=SSH_PORT, options=options, names=names)
            server.start()
        self.ended.append(server.stop)
        return server

    def daemon(self, node, tunnels=(), forwards=(), name="daemon", **options):
        """An agent or a relay on the node."""
        extra = "\n".join([agents.table("[[tunnels]]", each) for each in tunnels]
                          + [agents.table("[[forwards]]", each) for each in forwards]) + "\n"
        folder = os.path.join(self.folder, name + "-" + node.name)
        os.makedirs(folder, exist_ok=True)
        made = agents.Agent(root=folder, extra=extra + options.pop("more", ""), **options)
        self.ended.append(lambda: made.is_running and made.stop())
        self.daemons.append(made)
        with node:
            made.start()
        return made

    def relay(self, server, *forwards, **tunnel):
        """A relay on proxy A that holds a session to proxy B."""
        return self.daemon(self.proxy_a, [server.tunnel("b", **tunnel)], forwards, "relay", inputs=[])


def road(**more):
    """The remote forward that gives network B a port on proxy B, which leads to the database."""
    return dict({"tunnel": "b", "kind": "remote", "bind": "%s:%d" % (PROXY_B, ROAD_PORT),
                 "target": "%s:%d" % (DB, DB_PORT)}, **more)


def reaches(node, host, port, seconds=1.0):
    """Whether a connection from the node to that port comes to stand."""
    with node, socket.socket() as attempt:
        attempt.settimeout(seconds)
        try:
            attempt.connect((host, port))
            return True
        except OSError:
            return False


def answers(node, url, seconds=1.0, source=None):
    """The status with which `url` answers to the node, or to one of its addresses; None when nothing comes."""
    words = ["curl", "-s", "-o", "/dev/null", "-m", str(seconds), "-w", "%{http_code}", url]
    with node:
        done = subprocess.run(words + (["--interface", source] if source else []), capture_output=True, text=True,
                              env=agents.CLEAN)
    return int(done.stdout) if done.returncode == 0 else None


def missing():
    """Why this machine cannot make it; None when it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("ip", "nft", "ssh-keygen", "curl", "influxd"):
        if not any(os.access(os.path.join(folder, program), os.X_OK)
                   for folder in agents.CLEAN["PATH"].split(":")):
            return "needs the program %s" % program
    return None if os.access(SSHD, os.X_OK) else "needs %s" % SSHD
