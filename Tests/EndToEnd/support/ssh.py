"""A real sshd of Debian's for the tests: own configuration, host keys and users' keys, on loopback or elsewhere."""
import os
import signal
import socket
import subprocess
import threading

from . import processes
from .processes import wait_until

SSHD = "/usr/sbin/sshd"


def keygen(path, *options, passphrase=""):
    """Makes a key pair; returns the path of the private key."""
    subprocess.run(["ssh-keygen", "-q", "-N", passphrase, "-f", path] + list(options), check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    return path


def public(path):
    """Type and key of a public key file, as authorized_keys and known_hosts have them."""
    with open(path + ".pub") as file:
        return " ".join(file.read().split()[:2])


def free_port(host="127.0.0.1"):
    """A port that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


class Sshd:
    """One sshd with a folder of its own.

    server = Sshd(folder); server.start(); …; server.stop()
    """

    def __init__(self, folder, host="127.0.0.1", port=None, options=(), prefix=(), names=()):
        """`names` are further addresses of the host under which clients know it; it listens there too."""
        self.folder = os.path.join(folder, "sshd")
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        self.host = host
        self.names = [host] + list(names)
        self.port = port or free_port(host)
        self.prefix = list(prefix)
        self.process = None
        self.log = os.path.join(self.folder, "log")
        self.host_key = keygen(os.path.join(self.folder, "host"), "-t", "ed25519")
        self.user_key = keygen(os.path.join(self.folder, "user"), "-t", "ed25519")
        self.authorized = os.path.join(self.folder, "authorized_keys")
        self.known_hosts = os.path.join(self.folder, "known_hosts")
        self.authorize(self.user_key)
        self.trust()
        self.configure(options)

    def configure(self, options=()):
        own = ["Port %d" % self.port, "HostKey %s" % self.host_key,
               "AuthorizedKeysFile %s" % self.authorized, "StrictModes no", "UsePAM no", "PermitRootLogin yes",
               "PidFile none", "LogLevel VERBOSE", "MaxStartups 500"]
        own += ["ListenAddress %s" % name for name in self.names]
        # The first value of a keyword counts.
        with open(os.path.join(self.folder, "config"), "w") as file:
            file.write("\n".join(list(options) + own) + "\n")

    def authorize(self, *keys, options=""):
        with open(self.authorized, "a") as file:
            for key in keys:
                file.write((options + " " + public(key)).strip() + "\n")

    def trust(self):
        with open(self.known_hosts, "w") as file:
            for name in self.names:
                file.write("[%s]:%d %s\n" % (name, self.port, public(self.host_key)))
        os.chmod(self.known_hosts, 0o600)

    def renew(self):
        """Gives it another host key, as a host that was rebuilt has; counts from the next start."""
        for path in (self.host_key, self.host_key + ".pub"):
            os.remove(path)
        keygen(self.host_key, "-t", "ed25519")

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)

    def start(self):
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = processes.spawn(
                self.prefix + [SSHD, "-D", "-e", "-f", os.path.join(self.folder, "config")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        before = self.log_text().count("Server listening")
        wait_until(lambda: self.log_text().count("Server listening") > before or self._answers(), 10, "sshd listens")
        return self

    def _answers(self):
        if self.prefix:
            return "Server listening" in self.log_text()
        with socket.create_connection((self.host, self.port), 1):
            return True

    def log_text(self):
        try:
            with open(self.log, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def sessions(self):
        """The processes that serve sessions, by pid."""
        done = subprocess.run(["ps", "--ppid", str(self.process.pid), "-o", "pid="], capture_output=True, text=True)
        return [int(word) for word in done.stdout.split()]

    def stop(self, number=signal.SIGTERM, sessions=True):
        children = self.sessions() if self.process and self.process.poll() is None else []
        if self.process:
            processes.end(self.process, number)
        for child in children if sessions else []:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def tunnel(self, name="b", **more):
        """The options of a [[tunnels]] section to this server."""
        return dict({"name": name, "address": self.address, "user": user(), "identity_file": self.user_key,
                     "known_hosts_file": self.known_hosts}, **more)


def user():
    import pwd
    return pwd.getpwuid(os.geteuid()).pw_name


class Echo:
    """A TCP server that sends back what it gets, and `.` at the end of a half-closed connection."""

    def __init__(self, host="127.0.0.1", delay=0):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, 0))
        self.listener.listen(200)
        self.port = self.listener.getsockname()[1]
        self.address = "%s:%d" % (host, self.port)
        self.delay = delay
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection):
        try:
            while True:
                data = connection.recv(65536)
                if not data:
                    break
                connection.sendall(data)
            connection.sendall(b".")
        except OSError:
            pass
        connection.close()

    def close(self):
        # Wakes the thread that accepts.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


def exchange(place, data=b"hello", seconds=15, host="127.0.0.1"):
    """Sends data through a port or socket path, half-closes, and returns all that comes back."""
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(seconds)
        connection.connect(place if isinstance(place, str) else (host, place))

        def send():
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        out = bytearray()
        while True:
            chunk = connection.recv(65536)
            if not chunk:
                break
            out += chunk
        sender.join(seconds)
        return bytes(out)
