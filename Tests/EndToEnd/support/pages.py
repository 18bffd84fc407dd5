"""A target of scrapes that does what its path asks for, and tells how far it came; and what reads pages without keeping
them."""
import hashlib
import socket
import threading

#: Sixteen bytes a line; what is longer repeats it.
BLOCK = b"".join(b'p{n="%06d"} 1\n' % number for number in range(1 << 17))[:1 << 20]


def page(size):
    """The first bytes of an endless page."""
    return (BLOCK * (size // len(BLOCK) + 1))[:size]


def digest(size):
    """What `Reader.digest` is for a whole page."""
    made = hashlib.sha256()
    while size > 0:
        made.update(BLOCK[:size])
        size -= len(BLOCK)
    return made.hexdigest()


class Pages:
    """Paths, of N bytes each: /length/N with a Content-Length, /chunks/N in chunks, /end/N until the connection ends,
    /cut-length/N and /cut-chunks/N broken off in the middle, /hang-length/N and /hang-chunks/N silent from there on until
    `go` is set; /hang says nothing at all, /endless never ends."""

    def __init__(self, host="127.0.0.1"):
        self.server = socket.create_server((host, 0))
        self.port = self.server.getsockname()[1]
        #: Bytes of pages that the kernel took, by path.
        self.sent = {}
        self.go = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.go.set()
        self.server.close()

    def url(self, path=""):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def _accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    head += piece
                self._answer(connection, head.split(b" ")[1].decode().split("?")[0])
        except OSError:
            pass

    def _answer(self, connection, path):
        kind, _, size = path[1:].partition("/")
        size = int(size or 0)
        if kind == "hang":
            return self.go.wait(120)
        version = b"HTTP/1.0" if kind == "end" else b"HTTP/1.1"
        framing = {"length": b"Content-Length: %d\r\n" % size, "end": b""}.get(
            kind.split("-")[-1], b"Transfer-Encoding: chunked\r\n")
        connection.sendall(version + b" 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n" + framing
                           + b"\r\n")
        chunked = framing.startswith(b"Transfer")
        half = size // 2 if "-" in kind else size
        self._send(connection, path, 0, None if kind == "endless" else half, chunked)
        if kind.startswith("cut"):
            return None
        if kind.startswith("hang"):
            self.go.wait(120)
            self._send(connection, path, half, size, chunked)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        return None

    def _send(self, connection, path, start, end, chunked):
        self.sent.setdefault(path, start)
        while end is None or start < end:
            at = start % len(BLOCK)
            piece = BLOCK[at:at + 65536] if end is None else BLOCK[at:at + min(65536, end - start)]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            start += len(piece)
            self.sent[path] = start


class Reader(threading.Thread):
    """A scrape whose page is counted and hashed and not kept. `pause` holds it back before its first byte."""

    def __init__(self, port, url, timeout="60", pause=None):
        super().__init__(daemon=True)
        self.port, self.url, self.timeout, self.pause = port, url, timeout, pause
        self.status, self.bytes, self.error, self.digest, self.text = None, 0, None, None, b""
        self.start()

    def run(self):
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        hashed = hashlib.sha256()
        try:
            connection.request("GET", self.url, headers={"X-Prometheus-Scrape-Timeout-Seconds": self.timeout})
            if self.pause:
                self.pause.wait(60)
            reply = connection.getresponse()
            self.status = reply.status
            while True:
                piece = reply.read1(1 << 18)
                if not piece:
                    break
                self.bytes += len(piece)
                self.text = self.text or piece[:4096]
                hashed.update(piece)
            # A length that was told and not kept is no error to this library when it is read in pieces.
            if reply.length:
                self.error = EOFError("%d bytes are missing" % reply.length)
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        finally:
            connection.close()
        self.digest = hashed.hexdigest()

    @property
    def is_whole(self):
        return self.status == 200 and self.error is None

    def done(self, seconds=120):
        self.join(seconds)
        if self.is_alive():
            raise AssertionError("the scrape of %s did not end" % self.url)
        return self
