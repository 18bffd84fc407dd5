"""A road that a test opens and closes: a TCP port that passes connections on to a server."""
import socket
import threading
import time


class Gate:
    """Listens on a loopback port of its own while it is open.

    gate = Gate(("127.0.0.1", 8086)); gate.shut(); gate.open(); …; gate.shut()
    """

    def __init__(self, target, is_open=True):
        self.target = target
        self.lock = threading.Lock()
        self.connections = set()
        self.listener = None
        self.port = 0
        self.open()
        if not is_open:
            self.shut()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def open(self):
        if self.listener:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 10
        while True:
            try:
                listener.bind(("127.0.0.1", self.port))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self):
        """Nobody listens, and what is under way ends."""
        listener, self.listener = self.listener, None
        if not listener:
            return
        end(listener)
        with self.lock:
            for each in list(self.connections):
                end(each)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
                server = socket.create_connection(self.target, 5)
            except OSError:
                if self.listener is not listener:
                    return
                end(connection)
                continue
            server.settimeout(None)
            with self.lock:
                self.connections |= {connection, server}
            for source, sink in ((connection, server), (server, connection)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while True:
                data = source.recv(1 << 16)
                if not data:
                    break
                sink.sendall(data)
        except OSError:
            pass
        with self.lock:
            self.connections -= {source, sink}
        end(source)
        end(sink)


def end(connection):
    """Closes a socket that a thread may be waiting in."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
