"""`godwit once` beside the kernel's own numbers: every field of every input, its type, and nothing else.

While the agent reads, a second reader that knows nothing of it (`support/kernel.py`) reads the same files again and
again. A field is right when its value lies between the least and the greatest of what was read meanwhile; a counter
can do nothing else. What moves up and down may leave that range between two readings, so such a field has several
tries; its type has none. Percentages and rates are worked out from the fields beside them and their growth.
"""
import os
import re
import socket
import threading
import time

from support import agent as agents
from support import kernel, oracle
from support.case import SECOND, EndToEnd, takes

#: How often a field that moves up and down may be looked at.
TRIES = 10
#: The agent reads everything twice, this far apart.
PAUSE = 0.5

INPUTS = [("cpu", {"collect_cpu_time": True, "report_active": True}), ("disk", {}), ("diskio", {}),
          ("kernel", {"collect": ["psi"]}), ("kernel_vmstat", {}), ("mem", {"collect_extended": True}), ("net", {}),
          ("netstat", {}), ("nstat", {"dump_zeros": True}), ("processes", {}), ("swap", {}), ("system", {}),
          ("internal", {})]

#: Fields that follow from others of the same line: exact.
DERIVED = {
    ("mem", "used"): lambda f: f["total"] - f["available"],
    ("mem", "used_percent"): lambda f: 100 * (f["total"] - f["available"]) / f["total"],
    ("mem", "available_percent"): lambda f: 100 * f["available"] / f["total"],
    ("mem", "free_percent"): lambda f: 100 * f["free"] / f["total"],
    ("disk", "used_percent"): lambda f: percent(f["used"], f["free"]),
    ("disk", "inodes_used_percent"): lambda f: percent(f["inodes_used"], f["inodes_free"]),
    ("swap", "used"): lambda f: f["total"] - f["free"],
    ("swap", "used_percent"): lambda f: percent(f["used"], f["free"]),
    ("system", "load1_pcore"): lambda f: f["load1"] / f["n_cpus"],
    ("system", "load5_pcore"): lambda f: f["load5"] / f["n_cpus"],
    ("system", "load15_pcore"): lambda f: f["load15"] / f["n_cpus"],
    ("system", "uptime_format"): lambda f: uptime_format(f["uptime"]),
    ("diskio", "iops"): lambda f: f["read_iops"] + f["write_iops"],
    ("diskio", "bps"): lambda f: f["read_bps"] + f["write_bps"],
}
for _name in ("heap_alloc_bytes", "heap_in_use_bytes"):
    DERIVED["internal_memstats", _name] = lambda f: f["alloc_bytes"]
for _name in ("sys_bytes", "heap_sys_bytes"):
    DERIVED["internal_memstats", _name] = lambda f: f["alloc_bytes"] + f["heap_idle_bytes"]
for _name in ("total_alloc_bytes", "pointer_lookups", "mallocs", "frees", "heap_released_bytes", "heap_objects",
              "num_gc"):
    DERIVED["internal_memstats", _name] = lambda f: 0

#: Fields that are the growth of others (names in the sample), times a factor, a second.
RATES = {
    "diskio": {"read_bps": (("read_bytes",), 1), "write_bps": (("write_bytes",), 1), "read_iops": (("reads",), 1),
               "write_iops": (("writes",), 1), "io_util": (("io_time",), 0.1), "ioutil": (("io_time",), 0.1),
               "avgqu_sz": (("weighted_io_time",), 0.001)},
    "net": {"bps_recv": (("bytes_recv",), 8), "bps_sent": (("bytes_sent",), 8), "pps_recv": (("packets_recv",), 1),
            "pps_sent": (("packets_sent",), 1), "pps_err_in": (("err_in",), 1), "pps_err_out": (("err_out",), 1),
            "pps_drop_in": (("drop_in",), 1), "pps_drop_out": (("drop_out",), 1)},
    "swap": {"in_bps": (("in",), 1), "out_bps": (("out",), 1)},
    "kernel": {"ctxs_rate": (("context_switches",), 1), "intr_rate": (("interrupts",), 1),
               "proc_rate": (("processes_forked",), 1)},
}
#: Rates of counters that the line does not hold: where they are in the sample.
FOREIGN = {("kernel", "pagein_rate"): (kernel.key("kernel_vmstat"), "pgpgin"),
           ("kernel", "pageout_rate"): (kernel.key("kernel_vmstat"), "pgpgout")}
#: Growth of the first over growth of the second: (numerators, denominators, factor).
QUOTIENTS = {
    "diskio": {"io_await": (("read_time", "write_time"), ("reads", "writes"), 1),
               "await": (("read_time", "write_time"), ("reads", "writes"), 1),
               "read_await": (("read_time",), ("reads",), 1), "write_await": (("write_time",), ("writes",), 1),
               "io_svctm": (("io_time",), ("reads", "writes"), 1)},
    "cpu": {"usage_" + name: (("time_" + name,), ("time_active", "time_idle"), 100)
            for name in kernel.CPU + ("active",)},
}
QUOTIENTS["cpu"]["usage_user"] = (("time_user", "-time_guest"), ("time_active", "time_idle"), 100)
QUOTIENTS["cpu"]["usage_nice"] = (("time_nice", "-time_guest_nice"), ("time_active", "time_idle"), 100)

#: Sums of counters under the names of the platform.
SUMS = {("diskio", "iobytes"): ("read_bytes", "write_bytes"), ("diskio", "iocount"): ("reads", "writes"),
        ("diskio", "merged_iocount"): ("merged_reads", "merged_writes")}

#: Only where there is something to say: no requests, no waiting time; no utmp, no users.
OPTIONAL = {("diskio", name) for name in QUOTIENTS["diskio"]} | {("system", "n_users"), ("system", "n_unique_users")}


def percent(part, rest):
    return 100 * part / (part + rest) if part + rest else 0


def uptime_format(seconds):
    days, minutes = seconds // 86400, seconds // 60 % 1440
    words = "%2d:%02d" % (minutes // 60, minutes % 60)
    return ("%d day%s, " % (days, "" if days == 1 else "s") if days else "") + words


class Sampler(threading.Thread):
    """Reads the kernel again and again until told to stop: `samples` is [(before, after, what was read)], wall ns."""

    def __init__(self):
        super().__init__(daemon=True)
        self.reader = kernel.Reader()
        self.samples = []
        self.ends = threading.Event()
        self.sample()

    def sample(self):
        before = time.time_ns()
        read = self.reader.read()
        self.samples.append((before, time.time_ns(), read))

    def run(self):
        while not self.ends.is_set():
            self.sample()

    def stop(self):
        self.ends.set()
        self.join()
        self.sample()

    def range(self, series, field):
        """(type, least, greatest) of a field; None when it was never there."""
        values = [read[series][field] for _, _, read in self.samples if field in read.get(series, {})]
        if not values:
            return None
        return values[0][0], min(value for _, value in values), max(value for _, value in values)

    def between(self, series, name, now):
        """(least, greatest) that a counter may have been at the moment `now`."""
        values = [(before, after, read[series][name][1]) for before, after, read in self.samples]
        return (max((value for _, after, value in values if after <= now), default=values[0][2]),
                min((value for before, _, value in values if before >= now + SECOND // 10), default=values[-1][2]))

    def growth(self, series, names, now, last):
        """Bounds of how much the sum of fields grew between the agent's two readings, the second of which saw `last`
        at the moment `now`: the first was at least the pause before it and after the first sample."""
        def total(fields):
            return sum(-fields[name[1:]] if name.startswith("-") else fields[name] for name in names)
        end = total(last)
        found = []
        for _, after, read in self.samples:
            if series in read:
                found.append((after, total({name: value for name, (_, value) in read[series].items()})))
        early = [value for after, value in found if after <= now - PAUSE * SECOND + 20_000_000]
        # Within a hundredth of a second the kernel's own clock ticks make a difference.
        return end - max(early), end - min(early)


class Once(EndToEnd):
    """The whole of `godwit once` on this machine."""

    def sockets(self):
        """Something to count: TCP in three states, UDP, unix with and without names."""
        listener = socket.create_server(("127.0.0.1", 0))
        shared = [socket.socket() for _ in range(3)]
        for each in shared:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind(("127.0.0.1", shared[0].getsockname()[1] if each is not shared[0] else 0))
            each.listen()
        pairs = []
        for _ in range(10):
            pairs.append(socket.create_connection(listener.getsockname()))
            pairs.append(listener.accept()[0])
        pairs[0].shutdown(socket.SHUT_WR)
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagram.bind(("127.0.0.1", 0))
        named = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        named.bind(os.path.join(self.folder(), "a socket"))
        for each in [listener, datagram, named, *shared, *pairs, *socket.socketpair()]:
            self.addCleanup(each.close)

    def once(self, agent):
        """One run: what was printed as {(measurement, tags): {field: (type, value)}} with its time, and the sampler."""
        sampler = Sampler()
        sampler.start()
        try:
            done = agent.run("once", seconds=60)
        finally:
            sampler.stop()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found, times = {}, {}
        for line in done.stdout.splitlines():
            parsed = oracle.parse(line)
            self.assertEqual(parsed.tags.pop("host"), "h")
            series = kernel.key(parsed.measurement, **parsed.tags)
            found.setdefault(series, {}).update(parsed.fields)
            times[series] = parsed.time
        return found, times, sampler

    @takes(30)
    def test_every_field_is_what_the_kernel_says(self):
        self.sockets()
        agent = self.agent(inputs=INPUTS, start=False, precision="1ns")
        doubtful = None
        for _ in range(TRIES):
            found, times, sampler = self.once(agent)
            problems = self.judge(found, times, sampler)
            wrong = {at: text for at, text in problems.items() if text.startswith("!")}
            self.assertEqual(wrong, {})
            doubtful = problems if doubtful is None else {at: text for at, text in problems.items() if at in doubtful}
            if not doubtful:
                break
        self.assertEqual(doubtful, {}, "never between what was read before and after")
        print("  %d fields of %d series equal the kernel's" % (sum(len(each) for each in found.values()), len(found)))

    def judge(self, found, times, sampler):
        """{(series, field): what is odd}; with `!` in front what no second try can heal."""
        problems = {}
        expected = set.intersection(*(set(read) for _, _, read in sampler.samples))
        for series in expected - set(found):
            problems[series, ""] = "! no line"
        for series, fields in found.items():
            values = {name: value for name, (_, value) in fields.items()}
            for name in sampler.samples[0][2].get(series, {}):
                if name not in fields:
                    problems[series, name] = "! no field"
            for name in self.owed(series) if series in expected else ():
                if name not in fields:
                    # A counter may have fallen, or a CPU stood still.
                    problems[series, name] = "no growth shown"
            for name, (kind, value) in fields.items():
                odd = self.odd(series, name, kind, value, values, times[series], sampler)
                if odd:
                    problems[series, name] = odd
        return problems

    @staticmethod
    def owed(series):
        """The rates and quotients that a series always has at the second reading."""
        if series == kernel.key("net", interface="all"):
            return set()
        grown = set(RATES.get(series[0], ())) | set(QUOTIENTS.get(series[0], ()))
        sums = {name for measurement, name in list(SUMS) + list(FOREIGN) if measurement == series[0]}
        return (grown | sums) - {name for measurement, name in OPTIONAL if measurement == series[0]}

    def odd(self, series, name, kind, value, values, now, sampler):
        """What is wrong with one field; None when nothing is."""
        measurement = series[0]
        bounds = sampler.range(series, name)
        if bounds is not None:
            if kind != bounds[0]:
                return "! is %s, not %s" % (kind, bounds[0])
            return None if bounds[1] <= value <= bounds[2] else "%s not in %s to %s" % (value, *bounds[1:])
        if (measurement, name) in SUMS:
            right = sum(values[each] for each in SUMS[measurement, name])
            return None if (kind, value) == ("integer", right) else "! %s %s, not integer %s" % (kind, value, right)
        if (measurement, name) in DERIVED:
            right = DERIVED[measurement, name](values)
            close = value == right if isinstance(right, str) else abs(value - right) <= 1e-9 * max(1, abs(right))
            return None if close else "! %s, not %s" % (value, right)
        if (measurement, name) == ("disk", "read_only"):
            right = int(dict(series[1])["mode"] == "ro")
            return None if (kind, value) == ("integer", right) else "! %s, not %s" % (value, right)
        if (measurement, name) in (("internal_memstats", "alloc_bytes"), ("internal_memstats", "heap_idle_bytes")):
            return None if kind == "integer" and 0 < value < 1 << 30 else "! %s %s" % (kind, value)
        if (measurement, name) in FOREIGN:
            there, counter = FOREIGN[measurement, name]
            starts = [read[there][counter][1] for _, after, read in sampler.samples
                      if after <= now - PAUSE * SECOND + 20_000_000]
            least, most = sampler.between(there, counter, now)
            low, high = (least - max(starts)) / ((now - sampler.samples[0][0]) / SECOND), (most - min(starts)) / PAUSE
            return None if low - 1e-6 <= value <= high * (1 + 1e-6) else "%s not in %s to %s" % (value, low, high)
        if measurement == "net" and name in ("if_in_percent", "if_out_percent"):
            speed = values["speed"]
            right = values["bps_recv" if name == "if_in_percent" else "bps_sent"] / (speed * 1e6) * 100
            return None if speed > 0 and abs(value - right) <= 1e-6 * max(1, right) else "! %s" % value
        return self.odd_growth(series, name, kind, value, values, now, sampler)

    def odd_growth(self, series, name, kind, value, values, now, sampler):
        """The same for rates and quotients of growths."""
        rate, quotient = RATES.get(series[0], {}).get(name), QUOTIENTS.get(series[0], {}).get(name)
        if rate is None and quotient is None:
            return "! nothing is known of it (%s %s)" % (kind, value)
        names, factor = (rate[0], rate[1]) if rate else (quotient[0], quotient[2])
        if series not in sampler.samples[0][2]:
            return "came in between"
        least, most = sampler.growth(series, names, now, values)
        if rate:
            longest = (now - sampler.samples[0][0]) / SECOND
            low, high = least * factor / longest, most * factor / PAUSE
        else:
            fewest, greatest = sampler.growth(series, quotient[1], now, values)
            low = least * factor / greatest if greatest else 0
            high = most * factor / fewest if fewest else float("inf")
        slack = 1e-6 * max(1, high)
        return None if low - slack <= value <= high + slack else "%s not in %s to %s" % (value, low, high)

    def test_ntpq_is_what_the_program_says(self):
        folder = self.folder()
        table = (
            "     remote           refid      st t when poll reach   delay   offset  jitter\n"
            "==============================================================================\n"
            "*gate.example    .GPS.            1 u   17   64  377    0.312   -0.021   0.004\n"
            "+10.1.2.3        10.9.9.9         2 u   2m  128  371   12.500    1.250   0.900\n"
            " 0.pool.example  .POOL.          16 p    -   64    0    0.000    0.000   0.001\n"
            "-2001:db8::1     10.9.9.8         3 s   3h 1024   17    5.125   -7.750   2.500\n")
        agents.replace(os.path.join(folder, "table"), table)
        agents.replace(os.path.join(folder, "ntpq"), "#!/bin/sh\nexec cat %s/table\n" % folder)
        os.chmod(os.path.join(folder, "ntpq"), 0o755)
        agent = self.agent(inputs=[("ntpq", {})], start=False,
                           environment={"PATH": folder + ":/usr/bin:/bin"})
        done = agent.run("once")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found = {}
        for line in done.stdout.splitlines():
            parsed = oracle.parse(line)
            parsed.tags.pop("host")
            found[tuple(sorted(parsed.tags.items()))] = parsed.fields
        self.assertEqual(found, dict(self.peers(table)))

    @staticmethod
    def peers(table):
        """Tags and fields of each row of a table of ntpq."""
        units = {"m": 60, "h": 3600, "d": 86400}
        for row in table.splitlines()[2:]:
            tally, words = row[0], row[1:].split()
            tags = dict(zip(("remote", "refid", "stratum", "type"), words))
            if tally != " ":
                tags["state_prefix"] = tally
            fields = {}
            for name, word in zip(("when", "poll", "reach"), words[4:7]):
                if word != "-":
                    number = int(re.match(r"\d+", word).group()) * units.get(word[-1], 1)
                    fields[name] = ("integer", number)
            for name, word in zip(("delay", "offset", "jitter"), words[7:]):
                fields[name] = ("float", float(word))
            yield tuple(sorted(tags.items())), fields

    def test_the_daemon_counts_itself_as_its_status_does(self):
        server = self.server()
        agent = self.agent(url=server.url, inputs=[("internal", {"collect_memstats": False}), agents.NET],
                           host_proc=self.proc(5))
        self.wait_for_lines(server, 60)
        agent.stop()
        found = {}
        for line in sorted(server.stored(), key=lambda line: int(line.rpartition(b" ")[2])):
            parsed = oracle.parse(line)
            found.setdefault(parsed.measurement, []).append(parsed)
        for name in ("internal_agent", "internal_gather", "internal_write"):
            self.assertIn(name, found)
            kinds = {kind for line in found[name] for kind, _ in line.fields.values()}
            self.assertEqual(kinds, {"integer"})
        points = [line for line in found["internal_gather"] if line.tags["input"] == "net"]
        counts = [line.fields["metrics_gathered"][1] for line in points]
        self.assertEqual(counts, sorted(counts))
        self.assertEqual({count % 5 for count in counts}, {0}, "whole gathers of five points")
        last = found["internal_write"][-1].fields
        self.assertLessEqual(last["metrics_written"][1], last["metrics_added"][1])
        self.assertGreater(last["metrics_written"][1], 0)
        self.assertEqual((last["metrics_dropped"][1], last["metrics_rejected"][1]), (0, 0))
