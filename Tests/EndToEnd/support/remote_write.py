"""A scripted receiver of remote write: takes the messages apart itself, byte by byte, and answers as a test asks."""
import http.server
import struct
import threading


def unsnappy(data):
    """Reads Snappy's block format."""
    length, at = varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        kind = tag & 3
        if kind == 0:
            count = tag >> 2
            if count >= 60:
                size = count - 59
                count = int.from_bytes(data[at:at + size], "little")
                at += size
            out += data[at:at + count + 1]
            at += count + 1
            continue
        if kind == 1:
            count, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            size = 2 if kind == 2 else 4
            count, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + size], "little")
            at += size
        if not 0 < offset <= len(out):
            raise ValueError("a copy from outside")
        for _ in range(count):
            out.append(out[-offset])
    if len(out) != length:
        raise ValueError("%d bytes instead of %d" % (len(out), length))
    return bytes(out)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """[(number, value)] of a protobuf message: ints, doubles and bytes."""
    found, at = [], 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack("<d", data[at:at + 8])[0], at + 8
        elif key & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                raise ValueError("cut short")
        else:
            raise ValueError("wire type %d" % (key & 7))
        found.append((key >> 3, value))
    return found


def samples(message, version):
    """[(labels as pairs, [(ms, value)])] of a message of 1.0 or 2.0."""
    parts = fields(message)
    symbols = [value.decode() for number, value in parts if number == 4]
    found = []
    for number, value in parts:
        if number != (1 if version == "1.0" else 5):
            continue
        labels, points = [], []
        for inner, part in fields(value):
            if inner == 2:
                pair = dict(fields(part))
                points.append((pair[2] - (1 << 64) * (pair[2] >> 63), pair[1]))
            elif version == "1.0":
                pair = dict(fields(part))
                labels.append((pair[1].decode(), pair[2].decode()))
            elif inner == 1:
                at, numbers = 0, []
                while at < len(part):
                    index, at = varint(part, at)
                    numbers.append(symbols[index])
                labels += list(zip(numbers[::2], numbers[1::2]))
        found.append((tuple(labels), points))
    return found


def metadata(message, version):
    """[(number of the kind, family, help text, unit)] of a message of 1.0; [(number of the kind, metric, …)] of 2.0."""
    parts = fields(message)
    if version == "1.0":
        each = [dict(fields(value)) for number, value in parts if number == 3]
        return [(one[1],) + tuple(one.get(number, b"").decode() for number in (2, 4, 5)) for one in each]
    symbols, found = [value.decode() for number, value in parts if number == 4], []
    for value in (value for number, value in parts if number == 5):
        labels, told, at = [], None, 0
        for inner, part in fields(value):
            if inner == 1:
                while at < len(part):
                    index, at = varint(part, at)
                    labels.append(symbols[index])
            elif inner == 5:
                told = dict(fields(part))
        if told is not None:
            name = dict(zip(labels[::2], labels[1::2]))["__name__"]
            found.append((told[1], name, symbols[told[3]], symbols[told[4]]))
    return found


class Receiver:
    """`answer(samples)` of a test gives status, headers and text; what it answers 2xx to is kept."""

    def __init__(self, version):
        self.version = version
        self.requests = []
        self.stored = []
        self.metadata = []
        self.answer = lambda found: (204, {}, b"")
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = unsnappy(body)
                found = samples(message, receiver.version)
                receiver.metadata.append(metadata(message, receiver.version))
                receiver.requests.append((dict(self.headers), self.path, found))
                status, headers, text = receiver.answer(found)
                if status < 300:
                    receiver.stored += found
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d/api/v1/push" % self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def points(self):
        """{(labels, ms): value} of what was taken."""
        return {(labels, time): value for labels, points in self.stored for time, value in points}
