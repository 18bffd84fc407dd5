"""An SSH server that does what no server may do: from an endless banner to channels that nobody asked for.

The few messages of the protocol that are needed to get so far (RFC 4253, 4252, 4254, RFC 8731, RFC 8709) are written
here by hand, so that each can be wrong; the arithmetic is the system's libcrypto. One kind of everything: curve25519,
ed25519, AES-128 in counter mode, HMAC-SHA2-256.

  server = Hostile(scenario); server.address, server.known_hosts_line; …; server.close()

A scenario is a function that gets a `Connection`. It ends by returning or by an OSError; then the connection is closed.
"""
import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import socket
import struct
import threading
import time

DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT = 1, 2, 3, 4, 5, 6
KEXINIT, NEWKEYS, KEX_INIT, KEX_REPLY = 20, 21, 30, 31
USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_BANNER, INFO_REQUEST = 50, 51, 52, 53, 60
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
CHANNEL_OPEN, OPEN_CONFIRMATION, OPEN_FAILURE, WINDOW_ADJUST = 90, 91, 92, 93
CHANNEL_DATA, EXTENDED_DATA, CHANNEL_EOF, CHANNEL_CLOSE, CHANNEL_REQUEST, CHANNEL_SUCCESS, CHANNEL_FAILURE = range(94, 101)

BANNER = b"SSH-2.0-OpenSSH_9.2p1"
#: Larger than any packet that a client takes.
HUGE = 0xFFFFFFFF


def library():
    """The system's libcrypto, with the types of what is called in it."""
    crypto = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for name, result, arguments in (
            ("EVP_PKEY_new_raw_private_key", pointer, [number, pointer, ctypes.c_char_p, size]),
            ("EVP_PKEY_new_raw_public_key", pointer, [number, pointer, ctypes.c_char_p, size]),
            ("EVP_PKEY_get_raw_public_key", number, [pointer, ctypes.c_char_p, pointer]),
            ("EVP_PKEY_free", None, [pointer]),
            ("EVP_PKEY_CTX_new", pointer, [pointer, pointer]), ("EVP_PKEY_CTX_free", None, [pointer]),
            ("EVP_PKEY_derive_init", number, [pointer]), ("EVP_PKEY_derive_set_peer", number, [pointer, pointer]),
            ("EVP_PKEY_derive", number, [pointer, ctypes.c_char_p, pointer]),
            ("EVP_MD_CTX_new", pointer, []), ("EVP_MD_CTX_free", None, [pointer]),
            ("EVP_DigestSignInit", number, [pointer] * 5),
            ("EVP_DigestSign", number, [pointer, ctypes.c_char_p, pointer, ctypes.c_char_p, size]),
            ("EVP_CIPHER_CTX_new", pointer, []), ("EVP_CIPHER_CTX_free", None, [pointer]),
            ("EVP_aes_128_ctr", pointer, []),
            ("EVP_EncryptInit_ex", number, [pointer, pointer, pointer, ctypes.c_char_p, ctypes.c_char_p]),
            ("EVP_EncryptUpdate", number, [pointer, ctypes.c_char_p, pointer, ctypes.c_char_p, number])):
        function = getattr(crypto, name)
        function.restype, function.argtypes = result, arguments
    return crypto


CRYPTO = library()
X25519, ED25519 = 1034, 1087


class Key:
    """A private key of X25519 or Ed25519."""

    def __init__(self, kind):
        self.handle = CRYPTO.EVP_PKEY_new_raw_private_key(kind, None, os.urandom(32), 32)
        out, length = ctypes.create_string_buffer(32), ctypes.c_size_t(32)
        CRYPTO.EVP_PKEY_get_raw_public_key(self.handle, out, ctypes.byref(length))
        self.public = out.raw

    def __del__(self):
        CRYPTO.EVP_PKEY_free(self.handle)

    def shared(self, public):
        peer = CRYPTO.EVP_PKEY_new_raw_public_key(X25519, None, public, 32)
        context = CRYPTO.EVP_PKEY_CTX_new(self.handle, None)
        out, length = ctypes.create_string_buffer(32), ctypes.c_size_t(32)
        CRYPTO.EVP_PKEY_derive_init(context)
        CRYPTO.EVP_PKEY_derive_set_peer(context, peer)
        CRYPTO.EVP_PKEY_derive(context, out, ctypes.byref(length))
        CRYPTO.EVP_PKEY_CTX_free(context)
        CRYPTO.EVP_PKEY_free(peer)
        return out.raw

    def sign(self, data):
        context = CRYPTO.EVP_MD_CTX_new()
        out, length = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
        CRYPTO.EVP_DigestSignInit(context, None, None, None, self.handle)
        CRYPTO.EVP_DigestSign(context, out, ctypes.byref(length), data, len(data))
        CRYPTO.EVP_MD_CTX_free(context)
        return out.raw


class Cipher:
    """AES-128 in counter mode: the same both ways."""

    def __init__(self, key, vector):
        self.context = CRYPTO.EVP_CIPHER_CTX_new()
        CRYPTO.EVP_EncryptInit_ex(self.context, CRYPTO.EVP_aes_128_ctr(), None, key, vector)

    def __del__(self):
        CRYPTO.EVP_CIPHER_CTX_free(self.context)

    def __call__(self, data):
        out, length = ctypes.create_string_buffer(len(data) + 16), ctypes.c_int(0)
        CRYPTO.EVP_EncryptUpdate(self.context, out, ctypes.byref(length), data, len(data))
        return out.raw[:len(data)]


def uint32(number):
    return struct.pack(">I", number & 0xFFFFFFFF)


def string(data):
    data = data.encode() if isinstance(data, str) else data
    return uint32(len(data)) + data


def mpint(data):
    data = data.lstrip(b"\0")
    return string(b"\0" + data if data and data[0] & 0x80 else data)


def read_string(data, offset):
    (length,) = struct.unpack_from(">I", data, offset)
    return data[offset + 4:offset + 4 + length], offset + 4 + length


class Connection:
    """One client's connection, with as much of the protocol as a scenario wants."""

    def __init__(self, sock, host_key, stopped):
        self.socket = sock
        self.host_key = host_key
        self.stopped = stopped
        self.lock = threading.RLock()
        self.session = None
        self.encrypt = self.decrypt = None
        self.mac_out = self.mac_in = b""
        self.sent = self.received = 0
        self.client_banner = b""
        #: The client's number of a channel by ours.
        self.numbers = {}
        self.next_channel = 0

    # Bytes

    def raw(self, data):
        self.socket.sendall(data)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("the client has gone")
            data += chunk
        return data

    def wait(self, seconds=3600):
        """Silence, until the client or the test ends it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.stopped.is_set():
            try:
                self.socket.settimeout(0.2)
                if not self.socket.recv(65536):
                    return
            except socket.timeout:
                pass

    # Packets

    def packet(self, payload, padding=None, length=None, mac=None, seal=True):
        """The bytes of a packet; what is given by name may be wrong."""
        block = 16 if self.encrypt else 8
        if padding is None:
            padding = block - (len(payload) + 5) % block
            padding += block if padding < 4 else 0
        total = len(payload) + padding + 1 if length is None else length
        plain = uint32(total) + bytes([padding & 0xFF]) + payload + os.urandom(min(padding, 255))
        if not self.encrypt:
            self.sent += 1
            return plain
        if mac is None:
            mac = hmac.digest(self.mac_out, uint32(self.sent) + plain, "sha256")
        self.sent += 1
        return self.encrypt(plain) + mac if seal else plain

    def send(self, payload, **wrong):
        with self.lock:
            self.raw(self.packet(payload, **wrong))

    def send_many(self, payload, count):
        """The same packet so many times, in one write."""
        with self.lock:
            self.raw(b"".join(self.packet(payload) for _ in range(count)))

    def receive(self):
        """The next packet's payload."""
        head = self.exactly(16 if self.decrypt else 5)
        if self.decrypt:
            head = self.decrypt(head)
        (length,) = struct.unpack(">I", head[:4])
        rest = self.exactly(length + 4 - len(head))
        body = head + (self.decrypt(rest) if self.decrypt else rest)
        if self.decrypt:
            self.exactly(32)
        self.received += 1
        return body[5:4 + length - body[4]]

    def expect(self, *kinds):
        """The next packet of one of these kinds; others are passed over."""
        while True:
            payload = self.receive()
            if payload[0] in kinds:
                return payload

    # Phases

    def banner(self):
        self.raw(BANNER + b"\r\n")
        line = b""
        while not line.endswith(b"\n"):
            line += self.exactly(1)
        self.client_banner = line.rstrip(b"\r\n")

    def kexinit(self, **lists):
        names = {"kex": "curve25519-sha256", "key": "ssh-ed25519", "cipher": "aes128-ctr", "mac": "hmac-sha2-256",
                 "compression": "none", **lists}
        order = ("kex", "key", "cipher", "cipher", "mac", "mac", "compression", "compression")
        return (bytes([KEXINIT]) + os.urandom(16) + b"".join(string(names[each]) for each in order)
                + string("") * 2 + b"\0" + uint32(0))

    def key_blob(self):
        return string("ssh-ed25519") + string(self.host_key.public)

    def exchange(self, mine=None, theirs=None, blob=None, reply=None, newkeys=True):
        """A key exchange, the first or a further one; what is given by name may be wrong."""
        if mine is None:
            mine = self.kexinit()
            self.send(mine)
        theirs = theirs or self.expect(KEXINIT)
        public, _ = read_string(self.expect(KEX_INIT), 1)
        key = Key(X25519)
        secret = mpint(key.shared(public))
        blob = self.key_blob() if blob is None else blob
        digest = hashlib.sha256(
            string(self.client_banner) + string(BANNER) + string(theirs) + string(mine) + string(blob)
            + string(public) + string(key.public) + secret).digest()
        signature = string("ssh-ed25519") + string(self.host_key.sign(digest))
        if reply is None:
            reply = bytes([KEX_REPLY]) + string(blob) + string(key.public) + string(signature)
        self.send(reply)
        if not newkeys:
            return
        with self.lock:
            self.send(bytes([NEWKEYS]))
            self.session = self.session or digest

            def derive(letter):
                return hashlib.sha256(secret + digest + letter + self.session).digest()
            self.encrypt = Cipher(derive(b"D")[:16], derive(b"B")[:16])
            self.mac_out = derive(b"F")
        self.expect(NEWKEYS)
        self.decrypt = Cipher(derive(b"C")[:16], derive(b"A")[:16])
        self.mac_in = derive(b"E")

    def handshake(self):
        self.banner()
        self.exchange()

    def service(self):
        self.expect(SERVICE_REQUEST)
        self.send(bytes([SERVICE_ACCEPT]) + string("ssh-userauth"))

    def authenticate(self):
        """Everything up to a client that believes itself welcome."""
        self.handshake()
        self.service()
        self.expect(USERAUTH_REQUEST)
        self.send(bytes([USERAUTH_SUCCESS]))

    # Channels

    def open_confirmation(self, theirs, window=1 << 21, packet=32768):
        self.next_channel += 1
        self.numbers[self.next_channel] = theirs
        return bytes([OPEN_CONFIRMATION]) + uint32(theirs) + uint32(self.next_channel) + uint32(window) + uint32(packet)

    def forwarded(self, port, window=1 << 21, packet=32768, host="127.0.0.1"):
        self.next_channel += 1
        return (bytes([CHANNEL_OPEN]) + string("forwarded-tcpip") + uint32(self.next_channel) + uint32(window)
                + uint32(packet) + string(host) + uint32(port) + string("127.0.0.1") + uint32(1))

    def serve(self, **instead):
        """Answers what comes as a friendly server would, until the client goes. `instead` has functions of a message
        by its name, which answer in its place when they return nothing."""
        while not self.stopped.is_set():
            payload = self.receive()
            kind = payload[0]
            if kind == CHANNEL_OPEN:
                name, offset = read_string(payload, 1)
                theirs = struct.unpack_from(">I", payload, offset)[0]
                if not self.instead(instead, name.decode(), theirs) and not self.instead(instead, "open", theirs):
                    self.send(self.open_confirmation(theirs))
            elif kind == CHANNEL_REQUEST:
                _, offset = read_string(payload, 5)
                if not self.instead(instead, "request", payload) and payload[offset]:
                    self.send(bytes([CHANNEL_FAILURE]) + self.their(payload))
            elif kind == GLOBAL_REQUEST:
                name, offset = read_string(payload, 1)
                if not self.instead(instead, "globally", payload) and payload[offset]:
                    self.send(bytes([REQUEST_SUCCESS]))
            elif kind == CHANNEL_CLOSE:
                if not self.instead(instead, "close", payload):
                    self.send(bytes([CHANNEL_CLOSE]) + self.their(payload))
            elif kind == CHANNEL_DATA:
                self.instead(instead, "data", payload)
            elif kind == OPEN_CONFIRMATION:
                ours, theirs = struct.unpack_from(">II", payload, 1)
                self.numbers[ours] = theirs
                self.instead(instead, "confirmed", theirs)
            elif kind == KEXINIT:
                self.exchange(theirs=payload)
            elif kind == DISCONNECT:
                return
            elif kind == WINDOW_ADJUST:
                self.instead(instead, "adjusted", payload)

    def their(self, payload):
        """The client's number of the channel that a message of the client is for."""
        (ours,) = struct.unpack_from(">I", payload, 1)
        return uint32(self.numbers.get(ours, 0))

    @staticmethod
    def instead(functions, name, *arguments):
        function = functions.get(name)
        if function is None:
            return False
        return function(*arguments) is not NotImplemented

    def meanwhile(self, function):
        """Runs a function beside the caller, until the connection ends."""
        def run():
            try:
                while not self.stopped.is_set():
                    if function() is False:
                        return
            except OSError:
                pass
        threading.Thread(target=run, daemon=True).start()

    def once_it_stands(self, function):
        """The same, after the client had its first channel."""
        def run():
            while not self.numbers and not self.stopped.is_set():
                time.sleep(0.05)
            time.sleep(0.2)
            self.meanwhile(function)
        threading.Thread(target=run, daemon=True).start()


class Hostile:
    """Listens, and plays a scenario to everybody who connects."""

    def __init__(self, scenario, host="127.0.0.1", host_key=None):
        self.scenario = scenario
        self.host_key = host_key or Key(ED25519)
        self.connections = []
        self.errors = []
        self.stopped = threading.Event()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, 0))
        self.listener.listen(50)
        self.port = self.listener.getsockname()[1]
        self.address = "%s:%d" % (host, self.port)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def known_hosts_line(self):
        blob = string("ssh-ed25519") + string(self.host_key.public)
        return "[127.0.0.1]:%d ssh-ed25519 %s\n" % (self.port, base64.b64encode(blob).decode())

    def _accept(self):
        while not self.stopped.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(time.monotonic())
            threading.Thread(target=self._play, args=(sock,), daemon=True).start()

    def _play(self, sock):
        with sock:
            sock.settimeout(30)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self.scenario(Connection(sock, self.host_key, self.stopped))
            except OSError:
                pass
            except Exception as error:  # A scenario that is wrong itself must show.
                self.errors.append(repr(error))

    def close(self):
        self.stopped.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
