"""What the kernel says, read a second time: every field of the inputs from /proc, /sys and statvfs, by plain text.

Shares nothing with the agent but the documents. `Reader().read()` gives `{(measurement, tags): {field: (type, value)}}`
where `tags` is a frozenset of pairs; types are those of line protocol. What is derived from other fields of the same
line (percentages, rates) is not here: the test works it out from the line itself.
"""
import fcntl
import os
import re
import socket
import struct

SIOCGIFFLAGS = 0x8913
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")

CPU = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
MEMORY = {"total": "MemTotal", "free": "MemFree", "buffered": "Buffers", "available": "MemAvailable",
          "active": "Active", "inactive": "Inactive", "shared": "Shmem", "slab": "Slab", "sreclaimable": "SReclaimable",
          "sunreclaim": "SUnreclaim", "page_tables": "PageTables", "mapped": "Mapped", "dirty": "Dirty",
          "write_back": "Writeback", "write_back_tmp": "WritebackTmp", "commit_limit": "CommitLimit",
          "committed_as": "Committed_AS", "swap_total": "SwapTotal", "swap_free": "SwapFree",
          "swap_cached": "SwapCached", "high_total": "HighTotal", "high_free": "HighFree", "low_total": "LowTotal",
          "low_free": "LowFree", "huge_page_size": "Hugepagesize", "vmalloc_total": "VmallocTotal",
          "vmalloc_used": "VmallocUsed", "vmalloc_chunk": "VmallocChunk", "active_file": "Active(file)",
          "inactive_file": "Inactive(file)", "active_anon": "Active(anon)", "inactive_anon": "Inactive(anon)",
          "unevictable": "Unevictable", "percpu": "Percpu"}
DISK = ("reads", "merged_reads", "read_bytes", "read_time", "writes", "merged_writes", "write_bytes", "write_time",
        "iops_in_progress", "io_time", "weighted_io_time")
INTERFACE = ("bytes_recv", "packets_recv", "err_in", "drop_in", None, None, None, None,
             "bytes_sent", "packets_sent", "err_out", "drop_out")
STATES = {"01": "established", "02": "syn_sent", "03": "syn_recv", "04": "fin_wait1", "05": "fin_wait2",
          "06": "time_wait", "07": "close", "08": "close_wait", "09": "last_ack", "0A": "listen", "0B": "closing"}
PROCESS = {"R": "running", "S": "sleeping", "D": "blocked", "Z": "zombies", "X": "dead", "W": "paging", "I": "idle",
           "T": "stopped", "t": "stopped"}


def text(path):
    with open(path, errors="surrogateescape") as file:
        return file.read()


def rows(path):
    return [line.split() for line in text(path).splitlines() if line.strip()]


def key(measurement, **tags):
    return measurement, frozenset(tags.items())


def integers(names):
    return {name: ("integer", int(value)) for name, value in names.items()}


def floats(names):
    return {name: ("float", float(value)) for name, value in names.items()}


class Reader:
    """Reads the whole machine; `inputs` names what to read."""

    INPUTS = ("cpu", "disk", "diskio", "kernel", "pressure", "kernel_vmstat", "mem", "net", "netstat", "nstat",
              "processes", "swap", "system")

    def __init__(self, inputs=INPUTS):
        self.inputs = inputs
        # Reading it costs as much as all the rest, and it does not change.
        self.cpus = [row for row in rows("/proc/cpuinfo") if row[0] == "processor"]

    def read(self):
        found = {}
        for name in self.inputs:
            for series, fields in getattr(self, name)():
                found.setdefault(series, {}).update(fields)
        return found

    def cpu(self):
        for row in rows("/proc/stat"):
            if row[0].startswith("cpu"):
                ticks = dict(zip(CPU, (int(word) for word in row[1:])))
                ticks["active"] = sum(ticks[each] for each in CPU[:8]) - ticks["idle"]
                name = "cpu-total" if row[0] == "cpu" else row[0]
                yield key("cpu", cpu=name), floats({"time_" + k: v / TICKS for k, v in ticks.items()})

    def kernel(self):
        names = {"ctxt": "context_switches", "btime": "boot_time", "processes": "processes_forked",
                 "intr": "interrupts"}
        fields = {names[row[0]]: row[1] for row in rows("/proc/stat") if row[0] in names}
        fields["entropy_avail"] = text("/proc/sys/kernel/random/entropy_avail")
        yield key("kernel"), integers(fields)

    def pressure(self):
        for resource in ("cpu", "memory", "io"):
            if not os.path.exists("/proc/pressure/" + resource):
                continue
            for kind, *words in rows("/proc/pressure/" + resource):
                if resource == "cpu" and kind == "full":
                    continue
                values = dict(word.split("=") for word in words)
                yield key("pressure", resource=resource, type=kind), dict(
                    floats({name: values[name] for name in ("avg10", "avg60", "avg300")}),
                    **integers({"total": values["total"]}))

    def kernel_vmstat(self):
        yield key("kernel_vmstat"), integers(dict(rows("/proc/vmstat")))

    def mem(self):
        meminfo = {row[0].rstrip(":"): int(row[1]) for row in rows("/proc/meminfo")}
        fields = {field: 1024 * meminfo.get(name, 0) for field, name in MEMORY.items()}
        fields["cached"] = 1024 * (meminfo["Cached"] + meminfo["SReclaimable"])
        fields["huge_pages_total"] = meminfo.get("HugePages_Total", 0)
        fields["huge_pages_free"] = meminfo.get("HugePages_Free", 0)
        yield key("mem"), integers(fields)

    def swap(self):
        meminfo = {row[0]: int(row[1]) for row in rows("/proc/meminfo") if row[0].startswith("Swap")}
        pages = dict(rows("/proc/vmstat"))
        yield key("swap"), integers({"total": 1024 * meminfo["SwapTotal:"], "free": 1024 * meminfo["SwapFree:"],
                                     "in": int(pages["pswpin"]) * PAGE, "out": int(pages["pswpout"]) * PAGE})

    def system(self):
        load = rows("/proc/loadavg")[0]
        groups = set()
        for name in os.listdir("/sys/devices/system/cpu"):
            path = "/sys/devices/system/cpu/%s/topology/core_cpus_list" % name
            if re.fullmatch(r"cpu\d+", name) and os.path.exists(path):
                groups.add(text(path))
        # sysinfo(2), which Telegraf asks too, counts a second that has begun.
        counts = {"n_cpus": len(self.cpus), "n_physical_cpus": len(groups),
                  "uptime": int(text("/proc/uptime").split(".")[0]) + 1}
        yield key("system"), dict(floats({"load1": load[0], "load5": load[1], "load15": load[2]}), **integers(counts))

    def disk(self):
        for line in text("/proc/1/mountinfo").splitlines():
            left, right = (part.split() for part in line.split(" - ", 1))
            kind, device, options = right[0], right[1], left[5].split(",") + right[2].split(",")
            path = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), left[4])
            if kind in ("autofs", "nfs", "nfs4", "cifs", "fuse"):
                continue
            try:
                space = os.statvfs(path)
            except OSError:
                continue
            if space.f_blocks == 0:
                continue
            unit = space.f_frsize
            tags = {"path": path, "device": device.replace("/dev/", "", 1) if device != "none" else kind,
                    "fstype": kind, "mode": "ro" if "ro" in options else "rw"}
            yield key("disk", **tags), integers({
                "total": space.f_blocks * unit, "free": space.f_bavail * unit,
                "used": (space.f_blocks - space.f_bfree) * unit, "inodes_total": space.f_files,
                "inodes_free": space.f_ffree, "inodes_used": space.f_files - space.f_ffree})

    def diskio(self):
        for row in rows("/proc/diskstats"):
            values = dict(zip(DISK, (int(word) for word in row[3:14])))
            if not any(values.values()):
                continue
            values["read_bytes"] *= 512
            values["write_bytes"] *= 512
            tags = {"name": row[2]}
            if os.path.exists("/sys/block/%s/wwid" % row[2]):
                tags["wwid"] = text("/sys/block/%s/wwid" % row[2]).strip()
            yield key("diskio", **tags), integers(values)

    def net(self):
        for line in text("/proc/net/dev").splitlines()[2:]:
            name, _, numbers = line.partition(":")
            name = name.strip()
            flags = self.flags(name)
            if not flags & 1 or flags & 8:
                continue
            fields = {field: value for field, value in zip(INTERFACE, numbers.split()) if field}
            try:
                fields["speed"] = text("/sys/class/net/%s/speed" % name)
            except OSError:
                fields["speed"] = -1
            yield key("net", interface=name), integers(fields)
        totals = {name.lower(): value for name, value in self.pairs("/proc/net/snmp", "_")}
        yield key("net", interface="all"), integers(totals)

    @staticmethod
    def flags(name):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            answer = fcntl.ioctl(asking, SIOCGIFFLAGS, struct.pack("16sh22x", os.fsencode(name), 0))
        return struct.unpack("16sh22x", answer)[1]

    @staticmethod
    def pairs(path, joint):
        """Lines in twos: names, then numbers, under one prefix."""
        lines = rows(path)
        for names, values in zip(lines[0::2], lines[1::2]):
            for name, value in zip(names[1:], values[1:]):
                yield names[0].rstrip(":") + joint + name, value

    def nstat(self):
        for name in ("netstat", "snmp"):
            yield key("nstat", name=name), integers(dict(self.pairs("/proc/net/" + name, "")))
        if os.path.exists("/proc/net/snmp6"):
            yield key("nstat", name="snmp6"), integers(dict(rows("/proc/net/snmp6")))

    def netstat(self):
        fields = {"tcp_" + name: 0 for name in STATES.values()}
        found = {kind: set() for kind in ("tcp", "udp", "stream", "dgram")}
        for family in ("", "6"):
            for kind in ("tcp", "udp"):
                try:
                    lines = rows("/proc/net/%s%s" % (kind, family))[1:]
                except FileNotFoundError:
                    continue
                # A socket is its two ends; listeners that share a port are one.
                found[kind] |= {(family, row[1], row[2], row[3]) for row in lines}
        for _, _, _, state in found["tcp"]:
            if state in STATES:
                fields["tcp_" + STATES[state]] += 1
        for number, row in enumerate(rows("/proc/net/unix")[1:]):
            kind = "dgram" if row[4] == "0002" else "stream"
            found[kind].add((row[4], row[7]) if len(row) > 7 else number)
        fields["tcp_none"] = len(found["stream"])
        fields["udp_socket"] = len(found["udp"]) + len(found["dgram"])
        yield key("netstat"), integers(fields)

    def processes(self):
        fields = dict.fromkeys(list(PROCESS.values()) + ["total", "total_threads", "unknown"], 0)
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            try:
                with open("/proc/%s/stat" % pid, "rb") as file:
                    words = file.read().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            fields["total"] += 1
            fields["total_threads"] += int(words[17])
            state = words[0].decode()
            if state in PROCESS:
                fields[PROCESS[state]] += 1
            elif state == "P":
                fields["parked"] = fields.get("parked", 0) + 1
        yield key("processes"), integers(fields)
