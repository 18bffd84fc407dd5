"""A network of a test's own: a namespace with a loopback device that carries the addresses the test wants."""
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000


class Network:
    """Moves the calling thread, and what it starts from then on, into a new network namespace; `leave` goes back.

    Nothing leaves it: there is no device but the loopback.
    """

    def __init__(self, *addresses):
        """`addresses` are added to the loopback device. OSError when this machine does not allow it."""
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        if self.libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self.ip("link", "set", "lo", "up")
        for address in addresses:
            self.ip("address", "add", address, "dev", "lo")

    def ip(self, *words):
        """Runs the program ip inside."""
        subprocess.run(("ip",) + words, check=True, capture_output=True, timeout=20)

    def leave(self):
        if self.home >= 0:
            self.libc.setns(self.home, CLONE_NEWNET)
            os.close(self.home)
            self.home = -1
