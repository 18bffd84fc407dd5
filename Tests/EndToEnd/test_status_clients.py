"""Slow and hostile status clients cannot hurt the daemon."""
import os
import socket
import stat
import time

from support.case import EndToEnd
from support.processes import wait_until


class Hostile(EndToEnd):
    """Whatever connects to the socket: points flow, and an honest client is served."""

    def setUp(self):
        super().setUp()
        self.store = self.server()
        self.daemon = self.agent(url=self.store.url, host_proc=self.proc(5))
        self.wait_for_lines(self.store, 20)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(self.daemon.socket)
        self.addCleanup(connection.close)
        return connection

    def flows(self):
        before = len(self.store.lines)
        self.wait_for_lines(self.store, before + 20)
        wait_until(lambda: self.daemon.request("/healthz")[0] == 200, 10, "an honest client is served")

    def closed(self, connection, seconds=5):
        """Whether the daemon ends the connection in time, whatever it says before."""
        deadline = time.monotonic() + seconds
        connection.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                if not connection.recv(65536):
                    return True
            except TimeoutError:
                continue
            except OSError:
                return True
        return False

    def test_a_client_that_never_asks_is_sent_away(self):
        connection = self.connect()
        self.assertTrue(self.closed(connection))
        self.flows()

    def test_a_client_that_asks_one_byte_a_time_is_sent_away(self):
        connection = self.connect()
        began = time.monotonic()
        try:
            for byte in b"GET /status HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 100:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)
                if time.monotonic() - began > 8:
                    self.fail("served for 8 s")
        except OSError:
            pass
        self.flows()

    def test_a_request_that_is_too_long_is_refused(self):
        connection = self.connect()
        try:
            connection.sendall(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n")
        except OSError:
            pass
        self.assertTrue(self.closed(connection))
        connection = self.connect()
        try:
            head = b"POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
            connection.sendall(head + b"a" * 70_000)
        except OSError:
            pass
        self.assertTrue(self.closed(connection))
        self.flows()

    def test_garbage_is_refused(self):
        for junk in (b"\x00" * 4096, b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", os.urandom(2048), b"GET / HTTP/9.9\r\n\r\n",
                     b"GET /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"):
            connection = self.connect()
            try:
                connection.sendall(junk)
            except OSError:
                pass
            self.assertTrue(self.closed(connection), junk[:20])
        self.flows()

    def test_a_hundred_clients_meet_a_limit(self):
        clients = []
        for _ in range(100):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(1)
            try:
                connection.connect(self.daemon.socket)
            except OSError:
                connection.close()
                continue
            clients.append(connection)
        self.assertLess(descriptors(self.daemon.pid), 80)
        for connection in clients:
            connection.close()
        self.flows()

    def test_a_tap_that_is_never_read_costs_only_itself(self):
        taps = [self.connect() for _ in range(3)]
        for connection in taps:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.sendall(b"GET /tap HTTP/1.1\r\nHost: godwit\r\n\r\n")
        before = resident(self.daemon.pid)
        time.sleep(5)
        self.flows()
        self.assertLess(resident(self.daemon.pid) - before, 8 << 20)

    def test_a_client_that_goes_in_mid_answer(self):
        for _ in range(200):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                try:
                    connection.connect(self.daemon.socket)
                    connection.sendall(b"GET /status HTTP/1.1\r\nHost: godwit\r\n\r\n")
                except OSError:
                    pass
        self.flows()
        self.assertLess(descriptors(self.daemon.pid), 80)

    def test_the_socket_is_for_owner_and_group_and_others_are_refused(self):
        mode = stat.S_IMODE(os.stat(self.daemon.socket).st_mode)
        self.assertEqual(mode & 0o007, 0, "mode %o" % mode)
        self.needs_root()
        # Even with the file opened to all, the peer's identity decides.
        os.chmod(self.daemon.socket, 0o666)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            answer = b"error"
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(5)
                    connection.connect(self.daemon.socket)
                    connection.sendall(b"POST /reload HTTP/1.1\r\nHost: godwit\r\nContent-Length: 0\r\n\r\n")
                    answer = connection.recv(100) or b"closed"
            except OSError:
                answer = b"closed"
            finally:
                os.write(write, answer)
                os._exit(0)
        os.close(write)
        answer = os.read(read, 100)
        os.close(read)
        os.waitpid(child, 0)
        self.assertTrue(answer == b"closed" or b" 403 " in answer, answer)


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def resident(pid):
    """Resident bytes of a process."""
    with open("/proc/%d/statm" % pid) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
