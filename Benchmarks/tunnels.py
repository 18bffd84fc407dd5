#!/usr/bin/env python3
"""Throughput and CPU time of forwards of the agent beside those of `ssh`, on loopback, in one run against one sshd.

Usage: Benchmarks/tunnels.py [--binary FILE] [--megabytes N]
Prints a row a case: MB/s and milliseconds of CPU a MB of the client (agent or ssh), and the ratio. Every byte is counted.
Needs root, openssh-server and openssh-client.
"""
import argparse
import multiprocessing
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from support import agent as agents  # noqa: E402
from support import processes  # noqa: E402
from support.ssh import Sshd, free_port, user  # noqa: E402

BLOCK = bytes(256 * 1024)


def serve(listener):
    """Answers `G` with the asked number of bytes, and `P` by reading to the end and telling how much came."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        request = connection.recv(16, socket.MSG_WAITALL)
        size = int(request[1:])
        if request[:1] == b"G":
            while size > 0:
                size -= connection.send(BLOCK[:min(size, len(BLOCK))])
        else:
            count = 0
            while count < size:
                data = connection.recv(len(BLOCK))
                if not data:
                    break
                count += len(data)
            connection.sendall(b"%016d" % count)
        connection.close()
        os._exit(0)


def transfer(port, download, size):
    """One connection; exits with 0 when every byte arrived."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall((b"G" if download else b"P") + b"%015d" % size)
        if download:
            count = 0
            while True:
                data = connection.recv(len(BLOCK))
                if not data:
                    break
                count += len(data)
            sys.exit(count != size)
        left = size
        while left > 0:
            left -= connection.send(BLOCK[:min(left, len(BLOCK))])
        sys.exit(int(connection.recv(16, socket.MSG_WAITALL)) != size)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(port, pid, download, connections, size):
    before, started = cpu_seconds(pid), time.monotonic()
    workers = [multiprocessing.Process(target=transfer, args=(port, download, size // connections))
               for _ in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.monotonic() - started
    if any(worker.exitcode for worker in workers):
        raise SystemExit("bytes were lost")
    megabytes = size / 1e6
    return megabytes / took, (cpu_seconds(pid) - before) * 1000 / megabytes


def wait_port(port):
    def answers():
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    processes.wait_until(answers, 20, "a forward listens")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / ".build/release/godwit"))
    parser.add_argument("--megabytes", type=int, default=400)
    options = parser.parse_args()
    agents.BINARY = os.path.abspath(options.binary)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    folder = tempfile.mkdtemp(prefix="gw-bench-")
    server = Sshd(folder).start()
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)
    target = "127.0.0.1:%d" % listener.getsockname()[1]
    sink = multiprocessing.Process(target=serve, args=(listener,), daemon=False)
    sink.start()
    ours, theirs = {"-L": free_port(), "-R": free_port()}, {"-L": free_port(), "-R": free_port()}
    text = agents.table("[[tunnels]]", server.tunnel()) + "".join(
        agents.table("[[forwards]]", {"tunnel": "b", "kind": kind, "bind": "127.0.0.1:%d" % port, "target": target})
        for kind, port in (("local", ours["-L"]), ("remote", ours["-R"])))
    daemon = agents.Agent(inputs=[], extra=text).start()
    ssh = processes.spawn(
        ["ssh", "-F", "none", "-N", "-p", str(server.port), "-i", server.user_key, "-o", "BatchMode=yes",
         "-o", "UserKnownHostsFile=" + server.known_hosts, "-L", "127.0.0.1:%d:%s" % (theirs["-L"], target),
         "-R", "127.0.0.1:%d:%s" % (theirs["-R"], target), "%s@%s" % (user(), server.host)],
        stdin=subprocess.DEVNULL)
    try:
        for port in list(ours.values()) + list(theirs.values()):
            wait_port(port)
        size = options.megabytes * 1_000_000
        print("%-4s %-9s %5s  %14s  %14s  %5s" % ("kind", "direction", "conns", "godwit", "ssh", "ratio"))
        for kind in ("-L", "-R"):
            for download in (True, False):
                for connections in (1, 50):
                    own = measure(ours[kind], daemon.pid, download, connections, size)
                    other = measure(theirs[kind], ssh.pid, download, connections, size)
                    print("%-4s %-9s %5d  %5.0f MB/s %4.1f  %5.0f MB/s %4.1f  %5.2f" % (
                        kind, "download" if download else "upload", connections, *own, *other, own[0] / other[0]),
                        flush=True)
    finally:
        sink.terminate()
        daemon.stop()
        processes.end(ssh)
        server.stop()


if __name__ == "__main__":
    main()
