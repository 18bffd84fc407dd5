"""A host that is out to confuse: odd names, mounts that hang, devices that come and go, counters that wrap and fall.

Where the kernel allows it the things are real, in a mount and a network namespace of the test; names that a kernel gives
to no device or interface stand in a made HOST_PROC tree.
"""
import ctypes
import fcntl
import os
import signal
import time

from support import agent as agents
from support import cell, influx, oracle
from support.case import SECOND, EndToEnd, takes
from support.processes import wait_until

#: Every byte that means something in line protocol or in the kernel's files, and some that mean nothing anywhere.
ODD = [b"new\nline", b"com,ma", b'quo"te', b"equ=als", b"back\\slash", b"end\\", b"bad\xff\xfeutf8", b"tab\tted",
       b"a b", b"\\134", b"#", b"\xe2\x82\xac"]
#: The kernel refuses blanks and slashes in names of interfaces, and more than fifteen bytes.
ODD_INTERFACES = [name for name in ODD if not set(name) & set(b" \n\t/:") and len(name) < 15]
LOOP_CTL_ADD, LOOP_CTL_REMOVE, LOOP_SET_FD, LOOP_CLR_FD = 0x4C80, 0x4C81, 0x4C00, 0x4C01
LARGEST = (1 << 63) - 1


def shown(name):
    """A name as it stands in a tag, escapes of line protocol taken away."""
    text = name.decode("utf-8", "replace")
    for letter, escape in (("\t", "\\t"), ("\n", "\\n"), ("\f", "\\f"), ("\r", "\\r")):
        text = text.replace(letter, escape)
    return text.rstrip("\\")


def values(server, measurement):
    """Every line of a measurement, parsed; a line that is none fails here."""
    return [line for line in map(oracle.parse, server.stored()) if line.measurement == measurement]


class Names(EndToEnd):
    """Odd names arrive as they are, and no line is torn."""

    @cell.in_cell
    def test_odd_names_of_mounts_interfaces_and_processes(self):
        folder = os.fsencode(self.folder())
        for name in ODD:
            cell.mount(b"dev," + name, os.path.join(folder, name), b"tmpfs", b"size=64k")
        for number, name in enumerate(ODD_INTERFACES):
            cell.ip("link", "add", name, "type", "veth", "peer", "name", "peer%d" % number)
            cell.ip("link", "set", name, "up")
        for name in ODD + [b") R 1 1 1", b"(", b"x) Z ("]:
            self.named_process(name)
        server = self.server()
        agent = self.agent(url=server.url, environment=cell.MOUNTS,
                           inputs=[("disk", {}), ("net", {}), ("processes", {})])
        wait_until(lambda: len(values(server, "processes")) > 3, 30, "a few ticks")
        self.assertEqual(agent.skipped(), 0)
        text = agent.log_text()
        agent.stop()
        paths = {line.tags["path"]: line.tags["device"] for line in values(server, "disk")}
        for name in ODD:
            path = shown(os.path.join(folder, name))
            self.assertIn(path, paths)
            # The kernel's escapes in the device stay, as Telegraf has it.
            self.assertEqual(paths[path], shown(self.octal(b"dev," + name)))
        interfaces = {line.tags["interface"] for line in values(server, "net")}
        self.assertEqual(interfaces - {"all"}, {shown(name) for name in ODD_INTERFACES})
        counts = values(server, "processes")[-1].fields
        self.assertGreaterEqual(counts["sleeping"][1], len(ODD) + 3)
        self.assertNotIn("cannot parse", text)

    def named_process(self, name):
        """A process that sleeps under this name."""
        pid = os.fork()
        if pid == 0:
            try:
                cell.libc.prctl(15, ctypes.c_char_p(name[:15]), 0, 0, 0)
                cell.libc.prctl(1, signal.SIGKILL, 0, 0, 0)
                time.sleep(120)
            finally:
                os._exit(0)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)

    def test_odd_names_in_a_tree(self):
        proc = self.proc(0)
        folder = os.fsencode(self.folder())
        odd = [name for name in ODD if not set(name) & set(b" \n\t")]
        head = b"Inter-|   Receive |  Transmit\n face |bytes\n"
        net = b"".join(b"%s: %s\n" % (name, b" ".join(b"%d" % n for n in range(1, 17))) for name in odd)
        disks = b"".join(b" 8 %d %s %s\n" % (n, name, b" ".join(b"%d" % c for c in range(1, 18)))
                         for n, name in enumerate(odd))
        mounts = b""
        for number, name in enumerate(ODD):
            path = os.path.join(folder, name)
            os.mkdir(path)
            mounts += b"%d 1 8:%d / %s rw - ext4 /dev/%s rw\n" % (
                30 + number, number, self.octal(path), self.octal(name))
        for name, content in (("net/dev", head + net), ("diskstats", disks), ("1/mountinfo", mounts)):
            with open(os.path.join(proc, name), "wb") as file:
                file.write(content)
        for number, name in enumerate(ODD):
            os.makedirs(os.path.join(proc, str(1000 + number)))
            with open(os.path.join(proc, str(1000 + number), "stat"), "wb") as file:
                file.write(b"%d (%s) S %s\n" % (1000 + number, name, b" ".join([b"1"] * 49)))
        with open(os.path.join(proc, "1", "stat"), "wb") as file:
            file.write(b"1 (init) S " + b" ".join([b"1"] * 49))
        agent = self.agent(inputs=[("disk", {}), ("diskio", {}), ("net", {"ignore_protocol_stats": True}),
                                   ("processes", {})], host_proc=proc, start=False)
        done = agent.run("once")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = [oracle.parse(line) for line in done.stdout.splitlines()]
        self.assertEqual({line.tags["name"] for line in lines if line.measurement == "diskio"}, set(map(shown, odd)))
        self.assertEqual({line.tags["interface"] for line in lines if line.measurement == "net"}, set(map(shown, odd)))
        self.assertEqual({line.tags["path"] for line in lines if line.measurement == "disk"},
                         {shown(os.path.join(folder, name)) for name in ODD})
        counts = next(line.fields for line in lines if line.measurement == "processes")
        self.assertEqual((counts["sleeping"], counts["total"]), (("integer", len(ODD) + 1),) * 2)

    @staticmethod
    def octal(name):
        """As mountinfo escapes it."""
        return b"".join(b"\\%03o" % byte if byte in b" \t\n\\#" else bytes([byte]) for byte in name)

    @cell.in_cell
    def test_a_real_server_stores_every_odd_name(self):
        if not influx.is_installed():
            self.skipTest("needs the program influxd (apt install influxdb)")
        folder = os.fsencode(self.folder())
        for name in ODD:
            cell.mount(b"dev", os.path.join(folder, name), b"tmpfs", b"size=64k")
        server = influx.Influx()
        self.addCleanup(server.stop)
        agent = self.agent(url=server.url, inputs=[("disk", {})], environment=cell.MOUNTS)
        self.wait_balance(agent, lambda numbers: numbers["delivered"] >= 3 * len(ODD))
        self.assertEqual(agent.balance()["rejected"], 0)
        agent.stop()
        found = {path for path in self.paths(server) if path.startswith(os.fsdecode(folder))}
        self.assertEqual(found, {shown(os.path.join(folder, name)) for name in ODD})

    @staticmethod
    def paths(server):
        """All values of the tag `path` that the server knows."""
        return {row[1] for series in server.query('SHOW TAG VALUES FROM "disk" WITH KEY = "path"')
                for row in series["values"]}


class Hanging(EndToEnd):
    """A mount that never answers."""

    @takes(25)
    @cell.in_cell
    def test_a_hanging_mount_delays_nobody(self):
        folder = os.path.realpath(self.folder())
        cell.mount(b"healthy", os.fsencode(folder + "/healthy"), b"tmpfs", b"size=64k")
        hanging = cell.HangingMount(folder + "/hanging")
        self.addCleanup(hanging.close)
        # Nobody but the agent may ask: the test itself would hang.
        server = self.server()
        step = 250
        agent = self.agent(url=server.url, interval="%dms" % step, inputs=[("disk", {}), ("cpu", {}), ("system", {})],
                           environment=cell.MOUNTS)
        try:
            def healthy():
                return {line.time for line in values(server, "disk") if line.tags["path"] == folder + "/healthy"}
            wait_until(lambda: len(healthy()) > 12, 30, "three seconds of points")
            agent.signal(signal.SIGHUP)
            wait_until(lambda: len(healthy()) > 24, 30, "three more, after a reload")
            skipped = agent.skipped()
            for name in ("disk", "cpu", "system"):
                lines = [line for line in server.stored() if line.startswith(name.encode())]
                self.assertEqual(oracle.gaps(lines, step * SECOND // 1000, skipped), [], name)
            self.assertEqual([line for line in values(server, "disk") if line.tags["path"] == folder + "/hanging"], [])
            self.assertEqual(agent.log_text().count("statfs does not return"), 1, agent.log_text())
            threads = len(os.listdir("/proc/%d/task" % agent.pid))
            self.assertLessEqual(threads, 8)
            began = time.monotonic()
            self.assertEqual(agent.stop(), 0)
            self.assertLess(time.monotonic() - began, 8, "the stop waits for the mount")
        finally:
            hanging.close()

    @takes(15)
    @cell.in_cell
    def test_a_mount_that_answers_again_is_asked_again(self):
        folder = os.path.realpath(self.folder())
        hanging = cell.HangingMount(folder + "/hanging")
        self.addCleanup(hanging.close)
        cell.mount(b"healthy", os.fsencode(folder + "/healthy"), b"tmpfs", b"size=64k")
        server = self.server()
        agent = self.agent(url=server.url, inputs=[("disk", {})], environment=cell.MOUNTS)

        def errors():
            return agent.status()["inputs"][0]["errors"]
        wait_until(lambda: errors() == 1, 30, "the hanging mount is noticed")
        self.assertIn("statfs does not return", agent.log_text())
        hanging.close()
        # A file system of this kind again, that is: another that hangs at the same place is found out anew.
        again = cell.HangingMount(folder + "/hanging")
        self.addCleanup(again.close)
        wait_until(lambda: errors() == 2, 30, "it is asked again")
        again.close()
        agent.stop()


class ComeAndGo(EndToEnd):
    """What is there in one tick and gone in the next."""

    @takes(20)
    @cell.in_cell
    def test_interfaces_come_and_go_between_ticks(self):
        server = self.server()
        agent = self.agent(url=server.url, inputs=[("net", {})], environment=cell.MOUNTS)
        last = None
        for number in range(12):
            name = "come%d" % number
            cell.ip("link", "add", name, "type", "veth", "peer", "name", "peer%d" % number)
            cell.ip("link", "set", name, "up")
            wait_until(lambda: any(line.tags["interface"] == name for line in values(server, "net")), 20, name)
            cell.ip("link", "del", name)
            last = name
        gone = time.time_ns()
        wait_until(lambda: max(line.time for line in values(server, "net")) > gone + SECOND // 2, 20, "later ticks")
        lines = values(server, "net")
        self.assertLess(max(line.time for line in lines if line.tags["interface"] == last), gone + SECOND // 4)
        self.assertEqual(agent.status()["inputs"][0]["errors"], 0)
        self.assert_exact(agent.balance())

    @takes(20)
    def test_disks_come_and_go_between_ticks(self):
        self.needs_root()
        if not os.path.exists("/dev/loop-control"):
            self.skipTest("needs /dev/loop-control")
        image = os.path.join(self.folder(), "image")
        with open(image, "wb") as file:
            file.truncate(1 << 20)
        server = self.server()
        agent = self.agent(url=server.url, inputs=[("diskio", {}), ("disk", {})])
        for number in range(6):
            device = 700 + (os.getpid() * 7 + number) % 300
            self.loop(device, image, lambda: wait_until(
                lambda: any(line.tags["name"] == "loop%d" % device for line in values(server, "diskio")), 20,
                "points of loop%d" % device))
        gone = time.time_ns()
        wait_until(lambda: max(line.time for line in values(server, "diskio")) > gone + SECOND // 2, 20, "later ticks")
        late = {line.tags["name"] for line in values(server, "diskio") if line.time > gone + SECOND // 4}
        self.assertNotIn("loop%d" % device, late)
        for line in values(server, "diskio"):
            for name, (_, value) in line.fields.items():
                self.assertGreaterEqual(value, 0, name)
                self.assertLess(value, 1 << 62, name)
        self.assertEqual(agent.status()["inputs"][0]["errors"], 0)

    def loop(self, number, image, body):
        """A loop device of this number with some reads behind it, while `body` runs; then it is gone."""
        control = os.open("/dev/loop-control", os.O_RDWR)
        try:
            try:
                fcntl.ioctl(control, LOOP_CTL_ADD, number)
            except OSError as error:
                self.skipTest("needs loop devices (%s)" % error)
            path = "/dev/loop%d" % number
            wait_until(lambda: os.path.exists(path), 10, path)
            device, backing = os.open(path, os.O_RDWR), os.open(image, os.O_RDWR)
            try:
                fcntl.ioctl(device, LOOP_SET_FD, backing)
                os.pread(device, 65536, 0)
                body()
                fcntl.ioctl(device, LOOP_CLR_FD, 0)
            finally:
                os.close(device)
                os.close(backing)

            def removed():
                fcntl.ioctl(control, LOOP_CTL_REMOVE, number)
                return True
            wait_until(removed, 10, "loop%d goes" % number)
        finally:
            os.close(control)

    @takes(15)
    @cell.in_cell
    def test_mounts_come_and_go_between_ticks(self):
        folder = os.path.realpath(self.folder())
        server = self.server()
        agent = self.agent(url=server.url, inputs=[("disk", {})], environment=cell.MOUNTS)
        for number in range(12):
            point = "%s/m%d" % (folder, number)
            cell.mount(b"coming", os.fsencode(point), b"tmpfs", b"size=64k")
            wait_until(lambda: any(line.tags["path"] == point for line in values(server, "disk")), 20, point)
            cell.unmount(os.fsencode(point))
        gone = time.time_ns()
        wait_until(lambda: max(line.time for line in values(server, "disk")) > gone + SECOND // 2, 20, "later ticks")
        late = {line.tags["path"] for line in values(server, "disk") if line.time > gone + SECOND // 4}
        self.assertNotIn(point, late)
        self.assertEqual(agent.status()["inputs"][0]["errors"], 0)


class Counters(EndToEnd):
    """Counters that wrap at 32 and 64 bits, fall back to nothing, or stand still."""

    #: What one counter shows tick by tick.
    COURSE = [4294967000, 4294967290, 5, 10, 0, 100, (1 << 64) - 10, (1 << 64) - 1, 0, 7, 7, 1 << 63, 1]

    @takes(15)
    def test_counters_that_wrap_and_fall_give_no_absurd_rate(self):
        proc = self.proc(0)
        self.write(proc, 0)
        server = self.server()
        agent = self.agent(url=server.url, host_proc=proc, flush="100ms",
                           inputs=[("net", {"ignore_protocol_stats": True}), ("diskio", {}),
                                   ("cpu", {"report_active": True}), ("kernel", {})],
                           interval="100ms")
        for tick in self.COURSE[1:]:
            seen = time.time_ns()
            self.write(proc, tick)
            wait_until(lambda: all(any(line.time > seen + SECOND // 10 for line in values(server, name))
                                   # A disk that never did anything is none.
                                   for name in ("net", "kernel") + ("diskio",) * (tick > 0)), 20,
                       "ticks with %d" % tick)
        self.assertTrue(agent.is_running)
        self.assert_exact(agent.balance())
        agent.stop()
        known = {min(each, LARGEST) for each in self.COURSE} | {0}
        whole = {line.fields["bytes_recv"][1] for line in values(server, "net")}
        self.assertLessEqual(whole, known)
        self.assertIn(LARGEST, whole)
        for name in ("net", "diskio", "cpu", "kernel"):
            for line in values(server, name):
                for field, (_, value) in line.fields.items():
                    # The kernel does not know the speed of such an interface.
                    self.assertGreaterEqual(value, -1 if field == "speed" else 0, "%s.%s" % (name, field))
                    if name == "cpu":
                        self.assertLessEqual(value, 100.001, field)
        self.assertGreaterEqual(self.falls(server, "net", "bytes_recv"), 3)
        self.assertGreaterEqual(self.falls(server, "diskio", "reads"), 2)

    def falls(self, server, measurement, counter):
        """How often a counter fell; the line that shows it must have no rate: all floats here are rates."""
        lines = sorted(values(server, measurement), key=lambda line: line.time)
        fallen = [line for before, line in zip(lines, lines[1:])
                  if line.fields[counter][1] < before.fields[counter][1]]
        for line in fallen:
            self.assertEqual([field for field, (kind, _) in line.fields.items() if kind == "float"], [])
        return len(fallen)

    def write(self, proc, count):
        """Shows `count` in every counter, in place and in one write a file: the agent keeps its files open."""
        for name, text in (
                ("net/dev", "Inter-|  Receive  |  Transmit\n face |bytes\n  eth0: %s\n" % " ".join(["%d"] * 16)),
                ("diskstats", "   8       0 sda %s\n" % " ".join(["%d"] * 11)),
                ("stat", "cpu  %s\ncpu0 %s\nintr %%d\nctxt %%d\nbtime 1700000000\nprocesses %%d\n"
                 % (" ".join(["%d"] * 10), " ".join(["%d"] * 10)))):
            shown = min(count, LARGEST) if name == "stat" else count
            content = (text % ((shown,) * text.count("%d"))).encode()
            path = os.path.join(proc, name)
            file = os.open(path, os.O_WRONLY | os.O_CREAT)
            # Blank lines fill up what a longer text before it left.
            os.pwrite(file, content.ljust(2048, b"\n"), 0)
            os.close(file)
        os.makedirs(os.path.join(proc, "sys/kernel/random"), exist_ok=True)
        agents.replace(os.path.join(proc, "sys/kernel/random/entropy_avail"), "256\n")
