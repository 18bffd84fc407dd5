"""A mount and a network namespace for one test, and what to put into them.

Only the thread that the test runs in moves there; what it starts (agents, servers) is born there, and the kernel takes
everything away when the last of them is gone.
"""
import ctypes
import functools
import os
import subprocess
import threading
import unittest

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_REC, MS_PRIVATE, MNT_DETACH = 0x4000, 0x40000, 2

libc = ctypes.CDLL(None, use_errno=True)

#: The mount table that an agent in a cell must read: that of its own namespace, not of process 1.
MOUNTS = {"HOST_PROC_MOUNTINFO": "/proc/self/mountinfo"}


def in_cell(test):
    """Runs a test method in namespaces of its own; skips it where the kernel gives none."""
    @functools.wraps(test)
    def run(self):
        self.needs_root()
        self.needs_program("ip")
        ended = []

        def body():
            try:
                enter()
                test(self)
            except BaseException as error:
                ended.append(error)
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if ended:
            raise ended[0]
    return run


def enter():
    """Moves the calling thread into new namespaces, with a loopback that is up."""
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise unittest.SkipTest("needs namespaces (unshare: %s)" % os.strerror(ctypes.get_errno()))
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise unittest.SkipTest("needs private mounts")
    ip("link", "set", "lo", "up")


def ip(*words):
    """Runs `ip`; words may be bytes. Raises when it fails."""
    done = subprocess.run(["ip", *words], capture_output=True)
    if done.returncode != 0:
        raise OSError("ip %r: %s" % (words, done.stderr.decode(errors="replace").strip()))


def mount(device, point, kind, options=b""):
    """mount(2); makes the point. All bytes."""
    os.makedirs(point, exist_ok=True)
    if libc.mount(device, point, kind, 0, options) != 0:
        raise OSError(ctypes.get_errno(), "mount %r: %s" % (point, os.strerror(ctypes.get_errno())))


def unmount(point):
    libc.umount2(point, MNT_DETACH)


class HangingMount:
    """A FUSE file system whose daemon never answers: who asks it waits until `close`."""

    def __init__(self, point):
        self.point = os.fsencode(point)
        try:
            self.descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            raise unittest.SkipTest("needs /dev/fuse")
        options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % self.descriptor
        try:
            mount(b"hanging", self.point, b"fuse", options)
        except OSError as error:
            os.close(self.descriptor)
            raise unittest.SkipTest("needs to mount a FUSE file system (%s)" % error)

    def close(self):
        """Ends the file system: every call that waits for it fails."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        unmount(self.point)
