"""Child processes that never outlive the test run, and waiting with a deadline.

Every process a test starts is registered here; what is still alive when the interpreter ends is killed by its pid.
"""
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

_alive = []
_folders = []


class Timeout(AssertionError):
    """A condition did not come true before its deadline."""


def spawn(arguments, **options):
    """Starts a process in a session of its own and registers it."""
    process = subprocess.Popen(arguments, start_new_session=True, **options)
    _alive.append(process)
    return process


def end(process, number=signal.SIGTERM, seconds=10):
    """Sends a signal and waits; SIGKILL when the deadline passes. Returns the exit status."""
    if process.poll() is None:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
    if process in _alive:
        _alive.remove(process)
    return process.returncode


def wait_until(condition, seconds=10, what="the condition", step=0.02):
    """Polls `condition` until it gives a true value and returns that; raises Timeout after `seconds`.

    An OSError or ValueError (a socket that is not there yet, JSON cut short) counts as "not yet".
    """
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except (OSError, ValueError) as error:
            last = error
        if time.monotonic() >= deadline:
            raise Timeout("%s: not within %g s%s" % (what, seconds, " (%r)" % last if last else ""))
        time.sleep(step)


def folder():
    """A new scratch folder with a short path (unix socket names hold 107 bytes), removed at the end."""
    path = tempfile.mkdtemp(prefix="gw-")
    os.chmod(path, 0o755)
    _folders.append(path)
    return path


def discard(path):
    """Removes a scratch folder now."""
    shutil.rmtree(path, ignore_errors=True)
    if path in _folders:
        _folders.remove(path)


def end_all():
    """Kills every registered process and removes every scratch folder."""
    for process in list(_alive):
        end(process, signal.SIGKILL)
    for path in list(_folders):
        if os.environ.get("GODWIT_KEEP"):
            print("kept " + path)
        else:
            discard(path)


atexit.register(end_all)


def serve_each(server, serve):
    """Calls `serve` with each connection of a listening socket, on a thread of its own, until the socket is closed."""
    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
