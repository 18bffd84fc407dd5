"""The platform's own files, unchanged, against a real InfluxDB at the address that they name."""
import json
import os

from support.case import EndToEnd, takes
from support.certificates import Authority
from support.platform import ADDRESS, PORT, SERVER, Rendered
from support.processes import wait_until

#: The file that the platform's first agent ran with: another project's data, read where it lies.
FIRST_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 3,
                          "shared", "fixtures", "platform", "telegraf.conf")

#: What ntpq prints of two peers, for a machine without a time server.
NTPQ = """#!/bin/sh
cat <<'END'
     remote           refid      st t when poll reach   delay   offset  jitter
==============================================================================
*192.0.2.1       .GPS.            1 u   33   64  377    0.512   -0.013   0.021
+192.0.2.2       192.0.2.1        2 u   12   64  377    1.250    0.100   0.300
END
"""

INT, FLOAT, STRING, BOOL = "integer", "float", "string", "boolean"


def kinds(kind, names):
    return dict.fromkeys(names.split(), kind)


#: What each measurement must have: (tags of its points, fields with their types).
EXPECTED = {
    "agent_cpu": (
        {"cpu"},
        kinds(FLOAT, "usage_active usage_idle usage_system usage_user usage_iowait usage_irq usage_guest usage_nice "
                     "usage_softirq usage_steal usage_guest_nice")),
    "agent_disk": (
        {"device", "path", "fstype", "mode"},
        dict(kinds(FLOAT, "used_percent inodes_used_percent"),
             **kinds(INT, "free used total inodes_free inodes_used inodes_total"))),
    "agent_diskio": (
        {"name", "serial"},
        dict(kinds(INT, "reads writes read_bytes write_bytes read_time write_time io_time weighted_io_time "
                        "iops_in_progress merged_reads merged_writes"), io_util=FLOAT)),
    "agent_kernel": (set(), kinds(INT, "boot_time context_switches interrupts processes_forked entropy_avail")),
    "agent_kernel_vmstat": (set(), kinds(INT, "nr_free_pages nr_mapped nr_dirty pgpgin pgpgout pgfault pgmajfault")),
    "agent_mem": (
        set(),
        dict(kinds(FLOAT, "used_percent available_percent"),
             **kinds(INT, "active available buffered cached commit_limit committed_as dirty free high_free high_total "
                          "huge_page_size huge_pages_free huge_pages_total inactive low_free low_total mapped "
                          "page_tables shared slab sreclaimable sunreclaim swap_cached swap_free swap_total total used "
                          "vmalloc_chunk vmalloc_total vmalloc_used write_back write_back_tmp"))),
    "agent_processes": (
        set(), kinds(INT, "total total_threads zombies running sleeping blocked stopped dead idle paging unknown")),
    "agent_swap": (set(), dict(kinds(INT, "free total used in out"), used_percent=FLOAT)),
    "agent_system": (
        set(), dict(kinds(FLOAT, "load1 load5 load15"), uptime=INT, n_cpus=INT, uptime_format=STRING)),
    "agent_net": (
        {"interface"}, kinds(INT, "bytes_sent bytes_recv packets_sent packets_recv err_in err_out drop_in drop_out "
                                  "speed ip_inreceives tcp_retranssegs udp_indatagrams icmp_inmsgs")),
    "agent_netstat": (
        set(), kinds(INT, "tcp_established tcp_syn_sent tcp_syn_recv tcp_fin_wait1 tcp_fin_wait2 tcp_time_wait "
                          "tcp_close tcp_close_wait tcp_last_ack tcp_listen tcp_closing tcp_none udp_socket")),
    "agent_nstat": ({"name"}, kinds(INT, "IpInReceives TcpActiveOpens TcpInSegs IpExtInOctets")),
    "agent_ntpq": (
        {"remote", "refid", "stratum", "type", "state_prefix"},
        dict(kinds(INT, "when poll reach"), **kinds(FLOAT, "delay offset jitter"))),
    "agent_internal_agent": (
        {"go_version", "version"}, kinds(INT, "gather_errors metrics_dropped metrics_gathered metrics_written")),
    "agent_internal_gather": (
        {"input", "version"}, kinds(INT, "errors gather_time_ns metrics_gathered gather_timeouts startup_errors")),
    "agent_internal_write": (
        {"output", "version"},
        kinds(INT, "buffer_limit buffer_size errors metrics_added metrics_dropped metrics_filtered metrics_written "
                   "write_time_ns startup_errors")),
}
#: Tags that only some points of a measurement have, or some hosts.
SOMETIMES = {"agent_diskio": {"wwid"}, "agent_disk": {"label"}, "agent_internal_agent": {"go_version"},
             "agent_internal_write": {"alias"}, "agent_ntpq": {"state_prefix"}}


class PlatformFiles(EndToEnd):
    """Both files run as they are; nothing of them leaves the namespace of the test."""

    def database(self):
        """influxd over TLS at the address of the files, in a network of this test."""
        self.needs_program("openssl")
        net = self.network("%s/32" % ADDRESS)
        # An interface that is up, so that there is one to count.
        net.ip("link", "add", "gw0", "type", "veth", "peer", "name", "gw1")
        for name in ("gw0", "gw1"):
            net.ip("link", "set", name, "up")
        folder = self.folder()
        certificate, key = Authority(folder).issue("server", "elsewhere", "DNS:elsewhere.example")
        both = os.path.join(folder, "both.pem")
        with open(both, "w") as out:
            for path in (certificate, key):
                with open(path) as part:
                    out.write(part.read())
        return self.influx(certificate=both, address=ADDRESS, port=PORT)

    def runs(self, path, wrapper=()):
        """An agent with that very file."""
        made = self.agent(start=False)
        made.config = path
        programs = os.path.join(made.folder, "bin")
        os.mkdir(programs)
        with open(os.path.join(programs, "ntpq"), "w") as file:
            file.write(NTPQ)
        os.chmod(file.name, 0o755)
        made.environment["PATH"] = programs + ":" + made.environment["PATH"]
        # As systemd says where the socket goes.
        made.environment["RUNTIME_DIRECTORY"] = made.folder
        made.wrapper = list(wrapper)
        self.assertEqual(made.run("check").returncode, 0)
        once = made.run("once")
        self.assertEqual(once.returncode, 0, once.stderr)
        made.start()
        return made

    def see_everything(self, server, made, expected_tags, of):
        """Every measurement of the 14 inputs is in the database, with its types and tags. `of` tells the points of this
        agent by their tags. The files say 60 s, and two ticks are needed for rates: that is what is waited."""
        def points(name):
            return {key: fields for key, fields in server.points(name).items() if of(dict(key[0]))}
        try:
            wait_until(lambda: points("agent_cpu") and points("agent_internal_write"), 150, "the second tick", 0.5)
        except AssertionError as error:
            self.fail("%s\n%s" % (error, made.log_text()[-3000:]))
        for name, (tags, fields) in sorted(EXPECTED.items()):
            with self.subTest(measurement=name):
                self.check(name, points(name), server.types(name), tags, fields, expected_tags)
        return points

    def check(self, name, points, types, tags, fields, expected_tags):
        self.assertTrue(points, "no point of %s" % name)
        seen = {}
        for (found, moment), values in points.items():
            found = dict(found)
            for key, text in expected_tags.items():
                self.assertEqual(found.pop(key, None), text, "tag %s of %s" % (key, name))
            rest = set(found) - SOMETIMES.get(name, set())
            self.assertEqual(rest, tags - SOMETIMES.get(name, set()), name)
            # On the whole minute, but for a machine that comes late.
            self.assertLess(moment % (60 * 10**9), 10 * 10**9, name)
            self.assertEqual(moment % 10**9, 0, "precision of an interval of 60 s is 1 s")
            seen.update(values)
        self.assertEqual({key: types.get(key) for key in fields}, fields, name)
        self.assertFalse(set(fields) - set(seen), "fields without a value in %s" % name)

    @takes(130)
    def test_the_platforms_first_file_and_what_it_renders_today(self):
        if not os.path.exists(FIRST_FILE):
            self.skipTest("needs the platform's file in ../shared/fixtures/platform")
        with open(FIRST_FILE) as file:
            self.assertIn(SERVER, file.read())
        server = self.database()
        first = self.runs(FIRST_FILE)
        rendered = Rendered(self.folder())
        # Its log goes to /var/log: one of the test's own.
        second = self.runs(rendered.path, ["unshare", "--mount", "sh", "-ec",
                                           'mount --bind "$0" /var/log; exec "$@"', rendered.log_folder])
        self.see_everything(server, first, {"host": os.uname().nodename}, lambda tags: "vm_id" not in tags)
        points = self.see_everything(server, second, rendered.tags(), lambda tags: "vm_id" in tags)
        # The tag `host` is the hypervisor's there, by the file and not by the agent.
        self.assertTrue(all(dict(tags)["host"] == "hyper-01" for tags, _ in points("agent_mem")))
        for each in (first, second):
            balance = each.balance()
            self.assert_exact(balance)
            self.assertEqual((balance["rejected"], balance["dropped"]), (0, 0), each.log_text()[-2000:])
            self.assertEqual(each.stop(), 0)
        with open(os.path.join(rendered.log_folder, "telegraf.log")) as log:
            self.assertTrue(log.read())

    def test_the_rendered_files_of_both_renderers_pass_the_check(self):
        for log in (True, False):
            rendered = Rendered(self.folder(), logs_to_file=log)
            made = self.agent(start=False)
            made.config = rendered.path
            done = made.run("check", "--json")
            self.assertEqual(done.returncode, 0, done.stdout)
            report = json.loads(done.stdout)
            self.assertTrue(report["ok"])
            self.assertEqual([each["key"] for each in report["issues"] if each["severity"] != "note"],
                             ["outputs.influxdb.insecure_skip_verify"])


class Unknown(EndToEnd):
    """What Telegraf has and this version has not."""

    FOREIGN = ("[[inputs.opensearch_query]]\n  urls = [\"http://localhost\"]\n[[inputs.opensearch_query]]\n"
               "[[outputs.kafka]]\n  brokers = []\n[[processors.starlark]]\n  source = \"\"\n"
               "[[aggregators.quantile]]\n[[secretstores.os]]\n  id = \"x\"\n")
    NAMES = ("inputs.opensearch_query", "outputs.kafka", "processors", "aggregators", "secretstores")

    def test_is_one_clear_error_each(self):
        made = self.agent(url="http://127.0.0.1:9", start=False, extra=self.FOREIGN)
        for command in ("check", "once", "run"):
            done = made.run(command)
            self.assertEqual(done.returncode, 78, command)
            for name in self.NAMES:
                found = [line for line in done.stderr.splitlines() if " %s" % name in line]
                self.assertEqual(len(found), 1, "%s: %s\n%s" % (command, name, done.stderr))

    def test_is_skipped_with_a_warning_and_shown(self):
        server = self.server()
        log = os.path.join(self.folder(), "agent.log")
        made = self.agent(url=server.url, start=False, extra=self.FOREIGN, host_proc=self.proc(2),
                          agent={"logfile": log})
        done = made.run("check", "--skip-unknown")
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in self.NAMES:
            found = [line for line in done.stderr.splitlines() if "warning: %s" % name in line and "skipped" in line]
            self.assertEqual(len(found), 1, "%s\n%s" % (name, done.stderr))
        made.options = ["--skip-unknown"]
        made.start()
        self.wait_for_lines(server, 4)
        skipped = made.status()["config"]["skipped"]
        self.assertEqual(len(skipped), len(self.NAMES), skipped)
        page = made.run("status").stdout
        with open(log) as file:
            text = file.read()
        for name in self.NAMES:
            self.assertTrue(any(each.startswith(name) for each in skipped), name)
            self.assertIn(name, page)
            self.assertIn(name, text)
