"""A scriptable InfluxDB: answers /write, /ping and /query, fails in every way a test asks for, and records exactly
what it accepted.

Threads over raw sockets: Python's http.server parses too slowly to be fed by a kill loop.
"""
import collections
import hashlib
import json
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import zlib


class Request:
    """One request as it came: head parsed, body decoded, with the answer it got."""

    def __init__(self, method, target, headers, raw, peer=None):
        self.time = time.monotonic()
        #: The address that it came from.
        self.peer = peer
        self.method = method
        self.target = target
        self.path, _, query = target.partition("?")
        self.query = dict(part.partition("=")[::2] for part in query.split("&") if part)
        self.headers = headers
        self.raw = raw
        self.code = None
        self.lines = []

    @property
    def body(self):
        """The body without its content encoding."""
        if self.headers.get("content-encoding") == "gzip":
            return zlib.decompress(self.raw, 31)
        return self.raw


def refuse_with(code, body=b"", **headers):
    """A fault that answers `code` and stores nothing; header names are given with `_` for `-`."""
    def fault(server, request, connection):
        server.answer(connection, request, code, body, {name.replace("_", "-"): str(each)
                                                        for name, each in headers.items()})
        return True
    return fault


def hang(server, request, connection):
    """Never answers while the fault holds, stores nothing."""
    server.released.wait(600)
    raise ConnectionResetError


def reset_after_store(server, request, connection):
    """The reply is lost after the server stored the data."""
    server.store(request)
    request.code = 0
    raise ConnectionResetError


def reset(server, request, connection):
    """Resets the connection once the request was read, stores nothing."""
    raise ConnectionResetError


def garbage(server, request, connection):
    """Answers with bytes that are not HTTP."""
    connection.sendall(b"\x00\x01 no such protocol\r\n\r\n")
    raise ConnectionAbortedError


def endless(server, request, connection):
    """Answers 503 with a body that never ends (64 MiB at most, so that a wrong client does not fill the machine)."""
    connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\n")
    server.endless_sent = 0
    for _ in range(1024):
        connection.sendall(b"x" * 65536)
        server.endless_sent += 65536
    raise ConnectionAbortedError


class Server:
    """The server. Attributes for the tests:

    lines     Counter of the exact lines stored, with how often each came
    requests  every request that was read whole, in order
    batches   {batch id header: {digest of body}} over stored and refused tries alike
    fault     None, or a function (server, request, connection) -> True when it answered
    databases names that exist; a write to another is answered 404, CREATE DATABASE adds it
    buckets   (organization, bucket) pairs that exist, for /api/v2/write
    dialect   whose words refused lines are answered with: "v1", "v2" or "v3"
    """

    def __init__(self, databases=("telegraf",), context=None, largest=None, host="127.0.0.1", port=0, prefix=""):
        """`prefix` stands before the paths that are served; others are answered 404."""
        self.host = host
        self.prefix = prefix
        self.lock = threading.RLock()
        self.context = context
        self.databases = set(databases)
        self.buckets = {("o", "b")}
        self.dialect = "v1"
        self.largest = largest
        self.fault = None
        self.released = threading.Event()
        self.poison = None
        self.rejects_all = False
        self.authorization = None
        self.lines = collections.Counter()
        self.requests = []
        self.batches = collections.defaultdict(set)
        self.created = []
        self.first_stored = None
        self.handshake_errors = []
        self.connections = set()
        self.closed = False
        self.plugs = []
        self.is_hole = False
        self.listener = None
        self.port = port
        self.resume()

    @property
    def url(self):
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "%s://%s:%d%s" % ("https" if self.context else "http", "localhost" if self.context else host,
                                 self.port, self.prefix)

    # Listening

    def resume(self):
        """Listens (again) on the same port, ends every fault."""
        self.fault = None
        self.released.set()
        self.released = threading.Event()
        for plug in self.plugs:
            plug.close()
        self.plugs = []
        if self.listener and not self.is_hole:
            return
        stop_listening(self.listener)
        self.is_hole = False
        self.listener = self._listen(128)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _listen(self, backlog):
        listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 10
        while True:
            try:
                listener.bind((self.host, self.port))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        listener.listen(backlog)
        self.port = listener.getsockname()[1]
        return listener

    def refuse(self):
        """Connection refused: no listener, and every open connection is reset."""
        stop_listening(self.listener)
        self.listener = None
        with self.lock:
            for connection in list(self.connections):
                abort(connection)

    def black_hole(self):
        """No packet is ever answered: the listener's queue is full, so the kernel drops every SYN; what is already
        connected is read by nobody."""
        stop_listening(self.listener)
        self.fault = hang
        self.listener = self._listen(0)
        self.is_hole = True
        for _ in range(4):
            plug = socket.socket()
            plug.setblocking(False)
            try:
                plug.connect(("127.0.0.1", self.port))
            except BlockingIOError:
                pass
            self.plugs.append(plug)

    def close(self):
        """Ends the server."""
        self.closed = True
        self.released.set()
        if self.listener:
            stop_listening(self.listener)
        for plug in self.plugs:
            plug.close()
        with self.lock:
            for connection in list(self.connections):
                abort(connection)

    # Serving

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(600)
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.handshake_errors.append(str(error))
            connection.close()
            return
        with self.lock:
            self.connections.add(connection)
        data = b""
        try:
            while not self.closed:
                request, data = self._read(connection, data)
                if request is None:
                    return
                self._answer(connection, request)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            abort(connection)
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.connections.discard(connection)
            connection.close()

    def _read(self, connection, data):
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(1 << 18)
            if not chunk:
                return None, b""
            data += chunk
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, _, text = line.partition(":")
            headers[name.strip().lower()] = text.strip()
        length = int(headers.get("content-length", 0))
        parts, have = [rest], len(rest)
        if self.fault is reset_mid and target.startswith("/write"):
            raise ConnectionResetError
        while have < length:
            chunk = connection.recv(1 << 18)
            if not chunk:
                return None, b""
            parts.append(chunk)
            have += len(chunk)
        body = b"".join(parts)
        return Request(method, target, headers, body[:length], peer_of(connection)), body[length:]

    def _answer(self, connection, request):
        with self.lock:
            self.requests.append(request)
            identity = request.headers.get("x-godwit-batch")
            if identity:
                self.batches[identity].add(hashlib.sha256(request.raw).hexdigest())
        if not request.path.startswith(self.prefix):
            return self.answer(connection, request, 404, b"404 page not found\n")
        request.path = request.path[len(self.prefix):]
        if self.authorization and request.headers.get("authorization") != self.authorization:
            return self.answer(connection, request, 401, b'{"error":"authorization failed"}')
        fault = self.fault
        if fault and request.path != "/stats" and fault(self, request, connection):
            return None
        if request.path == "/ping":
            return self.answer(connection, request, 204)
        if request.path == "/query":
            return self._query(connection, request)
        if request.path not in ("/write", "/api/v2/write"):
            return self.answer(connection, request, 404, b"404 page not found\n")
        return self._write(connection, request)

    def _query(self, connection, request):
        text = unquote(request.query.get("q", "") or request.body.decode())
        text = text[2:] if text.startswith("q=") else text
        if "CREATE DATABASE" in text:
            name = text.split("CREATE DATABASE", 1)[1].strip().strip('"').split('"')[0].split(" ")[0]
            with self.lock:
                self.databases.add(name)
                self.created.append(name)
        return self.answer(connection, request, 200, b'{"results":[{"statement_id":0}]}')

    def _write(self, connection, request):
        if request.path == "/api/v2/write":
            return self._write_bucket(connection, request)
        if unquote(request.query.get("db", "")) not in self.databases:
            return self.answer(connection, request, 404, json.dumps(
                {"error": 'database not found: "%s"' % request.query.get("db", "")}).encode())
        if self.largest is not None and len(request.body) > self.largest:
            return self.answer(connection, request, 413, b'{"error":"Request Entity Too Large"}')
        bad = self.store(request)
        if bad:
            if self.rejects_all:
                text = "unable to parse '%s': invalid field format" % bad[0].decode(errors="replace")
            else:
                text = "partial write: field type conflict: input field \"x\" dropped=%d" % len(bad)
            return self.answer(connection, request, 400, json.dumps({"error": text}).encode())
        return self.answer(connection, request, 204)

    def _write_bucket(self, connection, request):
        """The second API, answered as InfluxDB 2.7 or, with the dialect v3, InfluxDB 3 documents it."""
        def refuse(code, word, text):
            return self.answer(connection, request, code, json.dumps({"code": word, "message": text}).encode())
        target = (unquote(request.query.get("org", "")), unquote(request.query.get("bucket", "")))
        if target not in self.buckets:
            return refuse(404, "not found", 'bucket "%s" not found' % target[1])
        if request.query.get("precision") != "ns":
            return refuse(400, "invalid", "invalid precision")
        if self.largest is not None and len(request.body) > self.largest:
            return refuse(413, "request too large", "cannot read data: points batch is too large")
        bad = self.store(request)
        if not bad:
            return self.answer(connection, request, 204)
        if self.rejects_all:
            return refuse(400, "invalid", "unable to parse '%s': invalid field format" % bad[0].decode(errors="replace"))
        if self.dialect == "v3":
            data = [{"original_line": line.decode(errors="replace"), "line_number": 1, "error_message": "bad"}
                    for line in bad]
            body = {"error": "partial write of line protocol occurred", "data": data}
            return self.answer(connection, request, 400, json.dumps(body).encode())
        return refuse(422, "unprocessable entity", "failure writing points to database: partial write: field type "
                                                   "conflict: input field \"x\" dropped=%d" % len(bad))

    def store(self, request):
        """Stores the lines of a request and returns those refused: with `poison` (a predicate on lines) the bad ones,
        and with `rejects_all` a bad one keeps its whole request out."""
        lines = [line for line in request.body.split(b"\n") if line]
        bad = [line for line in lines if self.poison(line)] if self.poison else []
        if bad and self.rejects_all:
            return bad
        refused = set(bad)
        request.lines = [line for line in lines if line not in refused]
        with self.lock:
            self.lines.update(request.lines)
            if self.first_stored is None and request.lines:
                self.first_stored = time.monotonic()
        return bad

    def answer(self, connection, request, code, body=b"", headers=None):
        """Sends a whole answer and keeps its code."""
        request.code = code
        head = ["HTTP/1.1 %d %s" % (code, "Reason")]
        if code != 204:
            head.append("Content-Type: application/json")
            head.append("Content-Length: %d" % len(body))
        head += ["%s: %s" % item for item in (headers or {}).items()]
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + (body if code != 204 else b""))

    # Reading the record

    def stored(self):
        """A copy of the Counter of stored lines."""
        with self.lock:
            return collections.Counter(self.lines)

    def writes(self):
        """The write requests so far."""
        with self.lock:
            return [each for each in self.requests if each.path.endswith("/write")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def reset_mid(server, request, connection):
    """Resets in the middle of a body (`Server._read` does it, before the request is whole)."""
    raise ConnectionResetError


def peer_of(connection):
    """The address at the other end; None when it is gone."""
    try:
        return connection.getpeername()[0]
    except (OSError, IndexError):
        return None


def stop_listening(listener):
    """Closes a listening socket so that a thread in accept() wakes and the port is refused at once."""
    if listener is None:
        return
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()


def abort(connection):
    """Closes with a reset instead of an orderly end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # close() alone would wait for a thread that sits in recv(): shutdown wakes it.
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    try:
        connection.close()
    except OSError:
        pass


def unquote(text):
    """Decodes a query component."""
    return urllib.parse.unquote_plus(text)
