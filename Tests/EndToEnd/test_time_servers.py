"""Time servers from Debian, each in network namespaces of its own, against what `godwit once` says of them.

The servers have no right to set the clock: it is taken from them, and they are told not to try.
"""
import os
import shutil
import subprocess

from support import oracle, processes
from support.case import EndToEnd, takes
from support.processes import wait_until

WITHOUT_CLOCK = ["setpriv", "--bounding-set", "-sys_time", "--inh-caps", "-sys_time"]
#: Where `scripts/setup test` unpacks the servers, which Debian does not install beside one another.
UNPACKED = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".build", "deb", "time", "usr"))


class TimeServers(EndToEnd):
    """The inputs ntpq and chrony, held to a real ntpd and chronyd."""

    def namespace(self):
        """A network namespace with loopback only, as the words that run a program in it."""
        self.needs_root()
        self.needs_program("unshare", "nsenter", "ip", "setpriv")
        holder = processes.spawn(["unshare", "--net", "sleep", "600"])
        self.addCleanup(processes.end, holder)
        own = os.readlink("/proc/self/ns/net")
        try:
            wait_until(lambda: os.readlink("/proc/%d/ns/net" % holder.pid) != own, 10, "the namespace is there")
        except processes.Timeout:
            self.skipTest("needs the right to make network namespaces")
        words = ["nsenter", "--net", "--target", str(holder.pid)]
        self.check(words + ["ip", "link", "set", "lo", "up"])
        return holder.pid, words

    def check(self, command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            self.skipTest("needs `%s`: %s" % (" ".join(command), done.stderr.strip()))
        return done.stdout

    def program(self, name):
        """The path of a program, that of PATH first."""
        found = shutil.which(name)
        for folder in ("sbin", "bin"):
            path = os.path.join(UNPACKED, folder, name)
            found = found or (path if os.access(path, os.X_OK) else None)
        if found is None:
            self.skipTest("needs the program %s (scripts/setup test)" % name)
        return found

    def front(self, folder, name):
        """Makes a program of that name in `folder` that runs the real one; ntpq needs modules beside it."""
        modules = os.path.join(UNPACKED, "lib", "python3", "dist-packages")
        script = self.write(folder, name, ["#!/bin/sh", "PYTHONPATH='%s' exec '%s' \"$@\"" % (
            modules if os.path.isdir(modules) else "", self.program(name))])
        os.chmod(script, 0o755)
        return script

    def daemon(self, words, name, folder):
        """Starts a server with its output in a log; it ends with the test."""
        with open(os.path.join(folder, name + ".out"), "wb") as log:
            started = processes.spawn(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        self.addCleanup(processes.end, started)
        return started

    def write(self, folder, name, lines):
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def once(self, agent, inside, inputs, status=0):
        """The points of `godwit once` in a namespace; `status` is 1 when an input has something to complain of."""
        agent.parts["inputs"] = inputs
        agent.write_config()
        done = subprocess.run(inside + agent.command("once"), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, env=agent.environment, cwd=agent.folder)
        self.assertEqual(done.returncode, status, done.stderr)
        return [oracle.parse(line) for line in done.stdout.splitlines() if line]

    @takes(40)
    def test_ntpq_tells_what_ntpd_tells(self):
        folder, programs = self.folder(), self.folder()
        ntpd, ntpq = self.program("ntpd"), self.front(programs, "ntpq")
        if "ntpsec" not in subprocess.run([ntpd, "--version"], capture_output=True, text=True).stdout:
            self.skipTest("needs ntpsec (scripts/setup test)")
        server_holder, server = self.namespace()
        client_holder, client = self.namespace()
        self.check(server + ["ip", "link", "add", "gw0", "type", "veth", "peer", "name", "gw1", "netns",
                             str(client_holder)])
        for words, link, address in ((server, "gw0", "10.77.0.1/24"), (client, "gw1", "10.77.0.2/24")):
            self.check(words + ["ip", "address", "add", address, "dev", link])
            self.check(words + ["ip", "link", "set", link, "up"])
        # Without a clock of its own a server answers only as an orphan.
        settings = {"server": ["restrict 127.0.0.1", "restrict 10.77.0.2", "tos orphan 5 orphanwait 1",
                               "refclock local stratum 5 minpoll 3 maxpoll 3 prefer"],
                    "client": ["restrict 127.0.0.1", "restrict 10.77.0.1",
                               "server 10.77.0.1 iburst minpoll 3 maxpoll 4", "server 10.77.0.9 minpoll 3"]}
        for name, inside in (("server", server), ("client", client)):
            path = self.write(folder, name + ".conf", settings[name])
            self.daemon(inside + WITHOUT_CLOCK + [ntpd, "-n", "-c", path, "-f",
                                                  os.path.join(folder, name + ".drift")], name, folder)

        def answered():
            shown = subprocess.run(client + [ntpq, "-n", "-p", "127.0.0.1"], capture_output=True, text=True,
                                   timeout=30).stdout
            rows = [line[1:].split() for line in shown.splitlines() if line[1:].startswith("10.77.0.1 ")]
            return rows and int(rows[0][6]) >= 3 and rows[0]
        row = wait_until(answered, 60, "ntpd has heard its server twice", 0.5)
        agent = self.agent(start=False, inputs=[], interval="10s")
        agent.environment["PATH"] = programs + ":" + agent.environment["PATH"]
        points = self.once(agent, client, [("ntpq", {"servers": ["127.0.0.1"], "options": "-n -p"})])
        found = {point.tags["remote"]: point for point in points if point.measurement == "ntpq"}
        self.assertEqual(set(found), {"10.77.0.1", "10.77.0.9"})
        heard, silent = found["10.77.0.1"], found["10.77.0.9"]
        self.assertEqual(heard.tags["source"], "127.0.0.1")
        self.assertEqual(heard.tags["stratum"], row[2])
        self.assertEqual(heard.tags["refid"], row[1])
        self.assertEqual(heard.tags["type"], "u")
        # In the second of an answer `when` is a dash.
        self.assertEqual({name: kind for name, (kind, _) in heard.fields.items() if name != "when"},
                         {"poll": "integer", "reach": "integer", "delay": "float", "offset": "float",
                          "jitter": "float"})
        self.assertGreaterEqual(heard.fields["reach"][1], 3)
        self.assertIn(heard.fields["poll"][1], (8, 16))
        # The same clock on both sides, a few microseconds of wire between.
        self.assertLess(abs(heard.fields["offset"][1]), 500)
        self.assertGreater(heard.fields["delay"][1], 0)
        self.assertEqual(silent.fields["reach"], ("integer", 0))
        self.assertNotIn("when", silent.fields)

        # A server that does not answer costs an error of its own, and not more than the deadline.
        points = self.once(agent, client, [("ntpq", {"servers": ["127.0.0.1", "10.77.0.9"], "interval": "4s"})],
                           status=1)
        self.assertEqual({point.tags["source"] for point in points if point.measurement == "ntpq"}, {"127.0.0.1"})

    @takes(20)
    def test_chrony_tells_what_chronyd_tells(self):
        chronyd, chronyc = self.program("chronyd"), self.program("chronyc")
        _, inside = self.namespace()
        self.check(inside + ["ip", "address", "add", "127.0.0.2/8", "dev", "lo"])
        folder = self.folder()
        # chronyd makes its socket only in a folder that others cannot enter.
        os.chmod(folder, 0o770)
        socket = os.path.join(folder, "client.sock")
        settings = {"server": ["local stratum 3", "allow 127.0.0.0/8", "bindaddress 127.0.0.1", "cmdport 0",
                               "bindcmdaddress /"],
                    "client": ["server 127.0.0.1 iburst minpoll -2 maxpoll 0", "server 127.0.0.9 minpoll 6", "port 0",
                               "bindaddress 127.0.0.2", "bindcmdaddress " + socket, "bindcmdaddress 127.0.0.1"]}
        for name, lines in settings.items():
            path = self.write(folder, name + ".conf", lines + ["pidfile " + os.path.join(folder, name + ".pid")])
            self.daemon(inside + WITHOUT_CLOCK + [chronyd, "-x", "-d", "-u", "root", "-f", path], name, folder)
        ask = inside + [chronyc, "-c", "-n", "-h", socket]

        def followed():
            lines = subprocess.run(ask + ["sources"], capture_output=True, text=True, timeout=30).stdout.splitlines()
            rows = [line.split(",") for line in lines]
            return [row for row in rows if row[:3] == ["^", "*", "127.0.0.1"] and row[5] == "377"]
        wait_until(followed, 60, "chronyd follows its server", 0.25)
        agent = self.agent(start=False, inputs=[], interval="10s")
        agent.environment["PATH"] = os.path.dirname(chronyc) + ":" + agent.environment["PATH"]
        everything = ["tracking", "activity", "serverstats", "sources", "sourcestats", "peers"]
        points = self.once(agent, inside, [("chrony", {"server": "unixgram://" + socket, "metrics": everything})])
        by_name = {}
        for point in points:
            by_name.setdefault(point.measurement, []).append(point)
        self.assertEqual(set(by_name), {"chrony", "chrony_activity", "chrony_serverstats", "chrony_sources",
                                        "chrony_sourcestats", "ntpq"})
        tracking = by_name["chrony"][0]
        self.assertEqual((tracking.tags["leap_status"], tracking.tags["stratum"], tracking.tags["reference_id"]),
                         ("normal", "4", "7F000001"))
        self.assertEqual(len(tracking.fields), 9)
        self.assertLess(abs(tracking.fields["last_offset"][1]), 0.5)
        self.assertEqual(by_name["chrony_activity"][0].fields["online"], ("integer", 2))
        self.assertGreater(by_name["chrony_serverstats"][0].fields["cmd_hits"][1], 0)
        heard = {point.tags["remote"]: point for point in by_name["ntpq"]}
        self.assertEqual(set(heard), {"127.0.0.1", "127.0.0.9"})
        followed_one = heard["127.0.0.1"]
        self.assertEqual((followed_one.tags["state_prefix"], followed_one.tags["stratum"], followed_one.tags["type"]),
                         ("*", "3", "u"))
        self.assertEqual(followed_one.fields["reach"], ("integer", 377))
        self.assertEqual(set(followed_one.fields), {"when", "poll", "reach", "delay", "offset", "jitter"})
        self.assertGreater(followed_one.fields["delay"][1], 0)
        self.assertEqual(heard["127.0.0.9"].tags["stratum"], "16")
        self.assertEqual(heard["127.0.0.9"].fields["reach"], ("integer", 0))

        # Over the network chronyd keeps the delays to itself; the rest is the same, without an error.
        points = self.once(agent, inside, [("chrony", {"server": "udp://127.0.0.1"})])
        heard = {point.tags["remote"]: point for point in points if point.measurement == "ntpq"}
        self.assertEqual(set(heard["127.0.0.1"].fields), {"when", "poll", "reach", "offset", "jitter"})


class Processes(EndToEnd):
    """The input procstat, held to a process of a name that nobody should choose."""

    def test_a_process_of_an_odd_name_is_told_whole(self):
        folder = self.folder()
        name = "a b,c=\"\n\\ü"
        path = os.path.join(folder, name)
        shutil.copy("/bin/sleep", path)
        started = processes.spawn([path, "300"])
        self.addCleanup(processes.end, started)
        wait_until(lambda: os.path.basename(os.readlink("/proc/%d/exe" % started.pid)) == name, 10, "it runs")
        pid_file = os.path.join(folder, "pid")
        with open(pid_file, "w") as file:
            file.write("%d\n" % started.pid)
        agent = self.agent(start=False, inputs=[("procstat", {"pid_file": pid_file, "tag_with": ["pid", "cmdline"]}),
                                                ("procstat", {"pid_file": pid_file + ".none", "alias": "none"})])
        done = agent.run("once")
        points = [oracle.parse(line) for line in done.stdout.splitlines() if line.startswith("procstat")]
        found = [point for point in points if point.measurement == "procstat"]
        lookups = {point.tags["result"]: point for point in points if point.measurement == "procstat_lookup"}
        self.assertEqual(set(lookups), {"success", "lookup_error"})
        self.assertEqual(lookups["success"].fields["running"], ("integer", 1))
        self.assertEqual(len(found), 1)
        with open("/proc/%d/comm" % started.pid, "rb") as file:
            shown = file.read()[:-1].decode(errors="replace")
        # The line protocol writes a newline of a tag as two letters.
        self.assertEqual(found[0].tags["process_name"], shown.replace("\n", "\\n"))
        self.assertEqual(found[0].tags["pid"], str(started.pid))
        with open("/proc/%d/stat" % started.pid, "rb") as file:
            columns = file.read().rsplit(b")", 1)[1].split()
        self.assertEqual(found[0].fields["ppid"], ("integer", os.getpid()))
        self.assertEqual(found[0].fields["memory_vms"], ("integer", int(columns[20])))
        self.assertEqual(found[0].fields["num_fds"][1], len(os.listdir("/proc/%d/fd" % started.pid)))
        limits = dict((line[:25].strip(), line[25:].split()[0]) for line in open("/proc/%d/limits" % started.pid))
        self.assertEqual(found[0].fields["rlimit_num_fds_soft"][1], int(limits["Max open files"]))
