"""Processors and aggregators in the running daemon: what arrives, and what a reload keeps."""
import signal

from support.case import EndToEnd
from support.processes import wait_until

PROCESSORS = """
[[processors.rename]]
  namepass = ["net"]
  [[processors.rename.replace]]
    measurement = "net"
    dest = "traffic"
  [[processors.rename.replace]]
    tag = "interface"
    dest = "nic"

[[processors.regex]]
  order = 2
  namepass = ["traffic*"]
  [[processors.regex.tags]]
    key = "nic"
    pattern = "^if(?P<digits>\\\\d+)$"
    replacement = "port-${digits}"

[[processors.converter]]
  order = 3
  namepass = ["traffic"]
  [processors.converter.fields]
    float = ["bytes_recv"]
    string = ["bytes_sent"]

[[processors.dedup]]
  order = 4
  namepass = ["mem"]
  dedup_interval = "1h"

[[processors.defaults]]
  order = 5
  namepass = ["mem"]
  [processors.defaults.fields]
    origin = "kernel"
"""

AGGREGATORS = """
[[aggregators.basicstats]]
  namepass = ["traffic"]
  fieldinclude = ["packets_recv"]
  period = "1s"
  stats = ["count", "max", "mean"]
  name_suffix = "_stats"
"""

FINAL = """
[[aggregators.final]]
  namepass = ["mem"]
  output_strategy = "periodic"
  period = "30m"
"""


class Processors(EndToEnd):
    """The chain input, processors, aggregators, processors, output."""

    INPUTS = [("net", {"interfaces": ["if*"], "ignore_protocol_stats": True, "fieldinclude": [
        "bytes_recv", "bytes_sent", "packets_recv"]}), ("mem", {"fieldinclude": ["total"]})]

    def arrived(self, server, head):
        return [line for line in server.stored() if line.startswith(head)]

    def test_points_are_changed_left_out_and_aggregated(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(2), inputs=self.INPUTS,
                           extra=PROCESSORS + AGGREGATORS, agent={"omit_hostname": True})
        wait_until(lambda: len(self.arrived(server, b"traffic_stats,")) >= 6, 30, "aggregates arrive")
        # The made net/dev has 1000 + n bytes, 100 + n packets of interface n.
        for number in (0, 1):
            lines = self.arrived(server, b"traffic,nic=port-%d " % number)
            self.assertGreater(len(lines), 5)
            fields = lines[0].split(b" ")[1]
            self.assertEqual(fields, b'bytes_recv=%d,bytes_sent="%d",packets_recv=%di' % (
                1000 + number, 2000 + number, 100 + number))
            stats = self.arrived(server, b"traffic_stats,nic=port-%d " % number)
            # The first window is as long as the agent has run in it; the next ones are whole.
            fields = [line.split(b" ")[1] for line in stats]
            self.assertTrue(all(each.endswith(b"packets_recv_max=%d,packets_recv_mean=%d" % (
                100 + number, 100 + number)) for each in fields), fields)
            counts = [float(each.split(b",")[0].split(b"=")[1]) for each in fields]
            self.assertTrue(all(count <= 11 for count in counts), counts)
            self.assertGreaterEqual(max(counts), 5)
            self.assertTrue(all(int(line.split(b" ")[2]) % 1_000_000_000 == 0 for line in stats), stats)
        self.assertEqual(self.arrived(server, b"net"), [])
        # The same values again are left out for an hour.
        memory = self.arrived(server, b"mem ")
        self.assertEqual([line.split(b" ")[1] for line in memory], [b'origin="kernel",total=1024000i'])
        self.assert_exact(agent.balance())
        report = agent.status()
        stages = {stage["id"]: stage for stage in report["processors"] + report["aggregators"]}
        self.assertEqual(list(stages), ["rename", "regex", "converter", "dedup", "defaults", "basicstats"])
        self.assertGreater(stages["dedup"]["dropped"], 5)
        self.assertGreater(stages["basicstats"]["made"], 5)
        batcher = report["batcher"]
        self.assertGreaterEqual(batcher["dropped"]["filtered"], stages["dedup"]["dropped"])
        self.assertIn("basicstats", agent.run("status").stdout)

    def test_a_reload_changes_what_changed_and_keeps_the_rest(self):
        server = self.server()
        agent = self.agent(url=server.url, host_proc=self.proc(1), inputs=self.INPUTS,
                           extra=PROCESSORS + FINAL, agent={"omit_hostname": True})
        wait_until(lambda: self.arrived(server, b"mem ") and self.arrived(server, b"traffic,nic=port-0"), 30,
                   "points arrive")
        agent.extra = PROCESSORS.replace("port-", "door-") + FINAL
        agent.write_config()
        agent.signal(signal.SIGHUP)
        wait_until(lambda: self.arrived(server, b"traffic,nic=door-0"), 30, "the new expression counts")
        # dedup did not change: it still knows what it has seen. Neither did the aggregator: nothing came of it yet.
        self.assertEqual(len(self.arrived(server, b"mem ")), 1)
        agent.extra = PROCESSORS.replace("port-", "(door-") + "[[processors.nope]]"
        agent.write_config()
        agent.signal(signal.SIGHUP)
        wait_until(lambda: "nope" in agent.log_text(), 20, "a bad file is refused")
        # Without the chain, inputs go straight to the output, and the aggregator gives what it has.
        agent.extra = ""
        agent.write_config()
        agent.signal(signal.SIGHUP)
        wait_until(lambda: self.arrived(server, b"net,interface=if0"), 30, "points pass as they are")
        wait_until(lambda: len(self.arrived(server, b"mem ")) > 3, 30, "repetitions pass")
        wait_until(lambda: any(b"total_final=1024000i" in line for line in self.arrived(server, b"mem ")), 30,
                   "the aggregator that went has given what it had")
        self.assertEqual(agent.status()["processors"], [])
        agent.stop()
        self.assertEqual(agent.process.returncode, 0)

    def test_once_shows_what_would_arrive(self):
        agent = self.agent(host_proc=self.proc(1), inputs=self.INPUTS, extra=PROCESSORS + AGGREGATORS, start=False,
                           agent={"omit_hostname": True})
        done = agent.run("once")
        self.assertEqual(done.returncode, 0, done.stderr)
        heads = {line.split(" ")[0] for line in done.stdout.splitlines()}
        self.assertEqual(heads, {"traffic,nic=port-0", "traffic_stats,nic=port-0", "mem"})
