"""Networks of a test's own: namespaces, the links between them, and what a firewall or a slow line does to packets."""
import contextlib
import ctypes
import os
import subprocess
import threading

CLONE_NEWNET = 0x40000000
OWN = "/proc/thread-self/ns/net"

libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace with nothing in it but a loopback that is up. `with namespace:` moves the calling thread
    there and back; sockets made and processes started meanwhile stay there.

    OSError when this machine does not allow it.
    """

    def __init__(self, name=""):
        self.name = name
        self.descriptor = -1
        self.error = 0
        # unshare changes the namespace of a thread alone: one that ends at once leaves only the descriptor.
        maker = threading.Thread(target=self._make)
        maker.start()
        maker.join()
        if self.error:
            raise OSError(self.error, "unshare")
        self.ip("link set lo up")

    def _make(self):
        if libc.unshare(CLONE_NEWNET) != 0:
            self.error = ctypes.get_errno()
            return
        self.descriptor = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def path(self):
        """A name of the namespace for programs."""
        return "/proc/%d/fd/%d" % (os.getpid(), self.descriptor)

    def __enter__(self):
        self._homes().append(os.open(OWN, os.O_RDONLY | os.O_CLOEXEC))
        if libc.setns(self.descriptor, CLONE_NEWNET) != 0:
            os.close(self._homes().pop())
            raise OSError(ctypes.get_errno(), "setns")
        return self

    def __exit__(self, *_):
        home = self._homes().pop()
        libc.setns(home, CLONE_NEWNET)
        os.close(home)

    _local = threading.local()

    @classmethod
    def _homes(cls):
        """Where the calling thread goes back to."""
        if not hasattr(cls._local, "homes"):
            cls._local.homes = []
        return cls._local.homes

    def run(self, *words, text=None):
        """Runs a program inside; RuntimeError with what it said when it fails."""
        with self:
            done = subprocess.run(words, input=text, text=True, capture_output=True, timeout=30)
        if done.returncode != 0:
            raise RuntimeError("%s in %s: %s" % (" ".join(words), self.name or "a namespace", done.stderr.strip()))
        return done.stdout

    def ip(self, *commands):
        """Runs commands of the program ip, such as "link set lo up"."""
        self.run("ip", "-batch", "-", text="\n".join(commands) + "\n")

    def nft(self, rules):
        """Runs commands of nft."""
        self.run("nft", "-f", "-", text=rules)

    def set(self, name, number):
        """Sets a kernel variable below /proc/sys/net."""
        with self, open("/proc/sys/net/" + name, "w") as file:
            file.write(str(number))

    def close(self):
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def link(one, device, other, device_of_other):
    """A cable (veth) between two namespaces; both ends are up."""
    one.ip("link add %s type veth peer name %s netns %s" % (device, device_of_other, other.path),
           "link set %s up" % device)
    other.ip("link set %s up" % device_of_other)


class Network:
    """Moves the calling thread, and what it starts from then on, into a namespace of its own; `leave` goes back.

    Nothing leaves it: there is no device but the loopback.
    """

    def __init__(self, *addresses):
        """`addresses` are added to the loopback device. OSError when this machine does not allow it."""
        self.stack = contextlib.ExitStack()
        self.namespace = Namespace()
        self.stack.callback(self.namespace.close)
        if addresses:
            self.namespace.ip(*("address add %s dev lo" % address for address in addresses))
        self.stack.enter_context(self.namespace)

    def ip(self, *words):
        """Runs the program ip inside."""
        self.namespace.run("ip", *words)

    def leave(self):
        self.stack.close()
