"""Bulk transfers with clients and targets in processes of their own, every byte checked by its hash."""
import hashlib
import multiprocessing
import os
import signal
import socket
import time

#: What is sent, over and over: no part of it repeats, so that a lost, doubled or swapped piece shows.
PATTERN = hashlib.shake_128(b"godwit").digest(1 << 20)
_PIECE = 256 << 10
_HEAD = 17
_SUM = 64
_hashes = {}


def sum_of(size):
    """The hash of so many bytes of the pattern, computed once."""
    if size not in _hashes:
        state = hashlib.sha256()
        for _ in range(size // len(PATTERN)):
            state.update(PATTERN)
        state.update(PATTERN[:size % len(PATTERN)])
        _hashes[size] = state.hexdigest().encode()
    return _hashes[size]


def send_pattern(connection, size):
    view, sent = memoryview(PATTERN), 0
    while sent < size:
        start = sent % len(PATTERN)
        sent += connection.send(view[start:start + min(_PIECE, size - sent)])


def receive_sum(connection, size):
    """Reads so many bytes, or to the end; their hash."""
    state, buffer, left = hashlib.sha256(), bytearray(_PIECE), size
    view = memoryview(buffer)
    while left > 0:
        count = connection.recv_into(view, min(left, _PIECE))
        if count == 0:
            break
        state.update(view[:count])
        left -= count
    return state.hexdigest().encode()


def _serve(connection):
    """`G` and a size: sends so many bytes. `P` and a size: reads them and sends their hash."""
    head = connection.recv(_HEAD, socket.MSG_WAITALL)
    if len(head) < _HEAD:
        return
    size = int(head[1:])
    if head[:1] == b"G":
        send_pattern(connection, size)
    else:
        connection.sendall(receive_sum(connection, size))


def _accept(listener):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        try:
            listener.close()
            _serve(connection)
        except OSError:
            pass
        os._exit(0)


class Target:
    """A server that sends and checks bytes, a process for each connection."""

    def __enter__(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=500)
        self.address = "127.0.0.1:%d" % listener.getsockname()[1]
        self.process = multiprocessing.Process(target=_accept, args=(listener,))
        self.process.start()
        listener.close()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()


def answers(port):
    """Whether a byte comes back from the target through this port."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(5)
        connection.sendall(b"G%016d" % 1)
        return connection.recv(1) == PATTERN[:1]


def _client(port, download, size, expected, ready, go, patience):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(patience)
        ready.release()
        go.wait()
        connection.sendall((b"G" if download else b"P") + b"%016d" % size)
        if download:
            os._exit(receive_sum(connection, size) != expected)
        send_pattern(connection, size)
        os._exit(connection.recv(_SUM, socket.MSG_WAITALL) != expected)


def transfer(port, download, connections, size, patience=120):
    """Moves `size` bytes over each of so many connections at once; the seconds it took.

    AssertionError when a byte is not what was sent, or when nothing moved for `patience` seconds.
    """
    expected = sum_of(size)
    ready, go = multiprocessing.Semaphore(0), multiprocessing.Event()
    workers = [multiprocessing.Process(target=_client, args=(port, download, size, expected, ready, go, patience))
               for _ in range(connections)]
    for worker in workers:
        worker.start()
    for _ in workers:
        if not ready.acquire(timeout=60):
            raise AssertionError("a connection was not made")
    started = time.monotonic()
    go.set()
    for worker in workers:
        worker.join()
    took = time.monotonic() - started
    wrong = sum(1 for worker in workers if worker.exitcode)
    if wrong:
        raise AssertionError("%d of %d transfers are not what was sent" % (wrong, connections))
    return took
