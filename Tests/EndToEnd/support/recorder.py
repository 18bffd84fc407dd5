"""A front of a real database that notes what came, in which order and from where, and fails as told."""
import http.client
import socket
import threading

from . import fake_influx


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket: a namespace of networks does not hide those."""

    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


class Recorder(fake_influx.Server):
    """Passes writes and statements on to an influxd and gives back its answers; what that has taken is in `lines` and
    `taken`."""

    def __init__(self, influx, **options):
        self.influx = influx
        #: The writes that the database took, in the order in which it did.
        self.taken = []
        self.local = threading.local()
        super().__init__(**options)

    def ask(self, request):
        """The database's answer to a request: (code, body)."""
        kept = {name: request.headers[name] for name in ("content-type", "content-encoding") if name in request.headers}
        target = request.path + request.target[len(self.prefix + request.path):]
        for is_last in (False, True):
            upstream = getattr(self.local, "upstream", None) or UnixConnection(self.influx.socket)
            self.local.upstream = upstream
            try:
                upstream.request(request.method, target, request.raw, kept)
                reply = upstream.getresponse()
                return reply.status, reply.read()
            except (OSError, http.client.HTTPException):
                # It closes connections that were idle.
                upstream.close()
                self.local.upstream = None
                if is_last:
                    raise ConnectionResetError from None
        return None

    def _query(self, connection, request):
        return self.answer(connection, request, *self.ask(request))

    def _write(self, connection, request):
        code, body = self.ask(request)
        if code == 204:
            self.store(request)
            with self.lock:
                self.taken.append(request)
        return self.answer(connection, request, code, body)
