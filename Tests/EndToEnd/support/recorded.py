"""Recorded exchanges of real programs, byte for byte: the files of ../shared/fixtures/pushprox, whose INDEX.md has their
format; and HTTP/1 messages of byte streams."""
import collections
import os
import re

FOLDER = os.environ.get("GODWIT_PUSHPROX_SAMPLES", "../shared/fixtures/pushprox")
ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|[rnt\\])")
PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}
#: Files of another format: pages, tables and decrypted answers, whose blocks tell no number of bytes.
FREE = ("23-", "26-", "31-")

#: What happened on a connection (`P1`, `C2`): `direction` is ">" of who opened it, "<" of who answers, "!" of a failed
#: connect; `data` the bytes, or None for an end.
Block = collections.namedtuple("Block", "at connection direction data")


def unescape(text):
    """The bytes that a line of a sample stands for."""
    return ESCAPE.sub(lambda match: PLAIN.get(match.group(1)) or bytes([int(match.group(1)[1:], 16)]), text)


def names():
    """All sample files; none where the folder is missing."""
    return sorted(name for name in os.listdir(FOLDER) if name.endswith(".txt")) if os.path.isdir(FOLDER) else []


def lines(name):
    with open(os.path.join(FOLDER, name), "rb") as file:
        return file.read().split(b"\n")


def blocks(name):
    """The blocks of a sample; AssertionError for one that is not as long as it says."""
    found, wanted = [], None
    for number, line in enumerate(lines(name), 1):
        place = "%s:%d" % (name, number)
        if line.startswith(b"@ "):
            check(found, wanted, place)
            parts = line.decode().split()
            assert re.fullmatch(r"\+[0-9.]+s", parts[1]) and re.fullmatch(r"[PCTF]\d+", parts[2]), place
            counted = len(parts) > 5 and parts[5] == "bytes"
            assert counted or parts[3] == "!" or parts[4] == "EOF" or parts[4].endswith("Error"), place
            wanted = int(parts[4]) if counted else None
            found.append(Block(float(parts[1][1:-1]), parts[2], parts[3], b"" if counted else None))
        elif line[:1] in (b"<", b">"):
            assert wanted is not None and line[:1] == found[-1].direction.encode(), place
            more = unescape(line[3:] if line[1:2] == b"+" else line[2:])
            found[-1] = found[-1]._replace(data=found[-1].data + more)
        else:
            assert not line or line.startswith(b"#") and not found, place
    check(found, wanted, name)
    return found


def check(found, wanted, place):
    if wanted is not None and len(found[-1].data) != wanted:
        raise AssertionError("%s: the block before has %d bytes, not %d" % (place, len(found[-1].data), wanted))


def answer(name):
    """The one answer that a sample without byte counts holds."""
    return b"".join(unescape(line[3:] if line[1:2] == b"+" else line[2:]) for line in lines(name) if line[:1] == b"<")


class Message:
    """A request or a response: `start` line, `fields` in their order, `body` without its framing, `raw` as it came."""

    def __init__(self, head, body, raw, is_whole=True):
        rows = re.sub(rb"\r?\n[ \t]+", b" ", head).split(b"\r\n")
        self.start = rows[0]
        self.fields = [(name.decode().lower(), value.strip().decode("latin-1"))
                       for name, _, value in (row.partition(b":") for row in rows[1:] if row)]
        self.body, self.raw, self.is_whole = body, raw, is_whole

    def all(self, name):
        return [value for each, value in self.fields if each == name.lower()]

    def headers(self, *dropped):
        """{name: [values]} without the dropped ones."""
        found = {}
        for name, value in self.fields:
            if name not in dropped:
                found.setdefault(name, []).append(value)
        return found

    @property
    def status(self):
        """Of a response; 0 for one that has none."""
        word = self.start.split(b" ")[1]
        return int(word) if word.isdigit() else 0

    def __repr__(self):
        return repr(self.raw[:300])


def unchunk(data):
    """(body, bytes taken) of a chunked body; None while it is not whole."""
    body, at = b"", 0
    while (end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:end].split(b";")[0], 16)
        if size == 0:
            # Trailers, then an empty line.
            last = data.find(b"\r\n\r\n", end)
            return (body, last + 4) if last >= 0 else None
        if len(data) < end + 4 + size:
            return None
        body += data[end + 2:end + 2 + size]
        at = end + 4 + size
    return None


def messages(data, ended=False, bodyless=False):
    """([Message], rest) of a stream. `ended`: nothing comes behind; `bodyless`: answers to HEAD."""
    found = []
    while b"\r\n\r\n" in data:
        head, rest = data.split(b"\r\n\r\n", 1)
        probe = Message(head, b"", b"")
        is_answer = head.startswith(b"HTTP/")
        is_empty = is_answer and (bodyless or probe.status in (204, 304) or probe.status < 200)
        if is_empty:
            body, taken = b"", 0
        elif [each.lower() for each in probe.all("transfer-encoding")] == ["chunked"]:
            whole = unchunk(rest)
            if whole is None:
                break
            body, taken = whole
        elif probe.all("content-length"):
            taken = int(probe.all("content-length")[0])
            if len(rest) < taken:
                break
            body = rest[:taken]
        elif is_answer:
            if not ended:
                break
            body, taken = rest, len(rest)
        else:
            body, taken = b"", 0
        found.append(Message(head, body, data[:len(head) + 4 + taken]))
        data = rest[taken:]
    return found, data


def inner(data, bodyless=False):
    """The one message inside of a poll's answer or a push; `is_whole` is False for one that is cut."""
    found, _ = messages(data, ended=True, bodyless=bodyless)
    if found:
        return found[0]
    head, _, rest = data.partition(b"\r\n\r\n")
    return Message(head, rest, data, is_whole=False)


def receive(connection, bodyless=False):
    """The next message of a socket, or None at its end."""
    data = b""
    while True:
        found, _ = messages(data, bodyless=bodyless)
        if found:
            return found[0]
        piece = connection.recv(65536)
        if not piece:
            found, _ = messages(data, ended=True, bodyless=bodyless)
            return found[0] if found else None
        data += piece
