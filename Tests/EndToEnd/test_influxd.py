"""Against a real InfluxDB 1.x: what the database returns is what was collected."""
import glob
import os
import time

from support import oracle
from support.agent import balances, table
from support.case import EndToEnd
from support.processes import wait_until

INPUTS = [("cpu", {"percpu": True, "totalcpu": True, "collect_cpu_time": True, "report_active": True}), ("mem", {}),
          ("disk", {}), ("net", {}), ("system", {})]


def as_database(point):
    """Tags and fields of a parsed line as influxd returns them."""
    return {key: value for key, (_, value) in point.fields.items()}


class RealServer(EndToEnd):
    """influxd reads back fields, types, tags and timestamps equal to what was collected."""

    def file_lines(self, agent):
        """All lines the embedded file output holds."""
        lines = []
        for path in glob.glob(os.path.join(agent.folder, "files", "**", "*"), recursive=True):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    # The newest file may end in a line being written.
                    lines += file.read().split(b"\n")[:-1]
        return [line for line in lines if line and not line.startswith(b"#")]

    def with_files(self, agent, limits=""):
        """Adds the file output, whose content is the record of what was collected."""
        agent.extra += table("[[outputs.file]]", {"directory": os.path.join(agent.folder, "files")}) + limits
        agent.write_config()
        return agent

    def test_points_read_back_equal_what_was_collected(self):
        server = self.influx()
        agent = self.with_files(self.agent(url=server.url, inputs=INPUTS, interval="200ms", start=False,
                                           agent={"precision": "1ms"}, extra="[global_tags]\nrack = \"r 1,=x\"\n"))
        agent.start()
        wait_until(lambda: self.balance_of(agent)["delivered"] > 200, 30, "200 points delivered")
        self.assertEqual(agent.stop(), 0)
        collected = [oracle.parse(line) for line in self.file_lines(agent)]
        self.assertGreater(len(collected), 200)
        measurements = {point.measurement for point in collected}
        self.assertEqual(measurements, {"cpu", "mem", "disk", "net", "system"})
        for name in sorted(measurements):
            stored, types = server.points(name), server.types(name)
            expected = {}
            for point in collected:
                if point.measurement == name:
                    key = (tuple(sorted(point.tags.items())), point.time)
                    expected.setdefault(key, {}).update(as_database(point))
                    for field, (kind, _) in point.fields.items():
                        self.assertEqual(types.get(field), kind, "%s.%s" % (name, field))
            missing = [key for key in expected if key not in stored]
            self.assertFalse(missing, "%s: %d points are not in the database" % (name, len(missing)))
            for key, fields in expected.items():
                self.assertEqual(stored[key], fields, "%s %s" % (name, key))
            self.assertTrue(all(dict(key[0])["rack"] == "r 1,=x" for key in stored))
            self.assertTrue(all(dict(key[0])["host"] == "h" for key in stored))

    def balance_of(self, agent):
        """The balance of the InfluxDB output when a file output stands beside it."""
        found = balances(agent.status())
        named = [numbers for path, numbers in found.items() if "influx" in path]
        if not named:
            raise ValueError("no influxdb balance in %s" % sorted(found))
        return named[0]

    def test_once_prints_the_same_series_and_types(self):
        server = self.influx()
        proc = self.proc(5)
        agent = self.agent(url=server.url, host_proc=proc)
        printed = agent.run("once")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        wait_until(lambda: agent.balance()["delivered"] >= 20, 30, "20 points delivered")
        stored = server.points("net")
        for text in printed.stdout.splitlines():
            point = oracle.parse(text[2:] if text.startswith("> ") else text)
            same = {time: fields for (tags, time), fields in stored.items()
                    if tags == tuple(sorted(point.tags.items()))}
            self.assertTrue(same, "no series %s in the database" % (point.tags,))
            # The last one: the first gather has no rates yet.
            self.assertEqual(same[max(same)], as_database(point))

    def test_creates_the_database_when_it_is_missing(self):
        server = self.influx()
        agent = self.agent(url=server.url, host_proc=self.proc(), output={"database": "brand_new"})
        wait_until(lambda: agent.balance()["delivered"] > 0, 30, "a first delivery")
        self.assertIn("brand_new", server.databases())

    def test_database_dropped_in_mid_run_is_created_again(self):
        server = self.influx()
        agent = self.agent(url=server.url, host_proc=self.proc())
        before = wait_until(lambda: agent.balance()["delivered"], 30, "a first delivery")
        server.query('DROP DATABASE "telegraf"', method="POST")
        wait_until(lambda: agent.balance()["delivered"] > before + 50, 60, "deliveries after the drop")
        self.assertTrue(server.points("net"))

    def test_user_and_password(self):
        server = self.influx(auth=True)
        server.query("CREATE USER \"root\" WITH PASSWORD 'x y&z' WITH ALL PRIVILEGES", method="POST")
        server.admin = ("root", "x y&z")
        folder = self.folder()
        secret = os.path.join(folder, "password")
        with open(secret, "w") as file:
            file.write("x y&z\n")
        os.chmod(secret, 0o600)
        agent = self.agent(url=server.url, host_proc=self.proc(),
                           output={"username": "root", "password_file": secret})
        wait_until(lambda: agent.balance()["delivered"] > 0, 30, "a first delivery")

    def test_restart_of_the_server_in_mid_run_loses_and_repeats_nothing(self):
        server = self.influx()
        series = 10
        agent = self.agent(url=server.url, host_proc=self.proc(series))
        wait_until(lambda: agent.balance()["delivered"] > 50, 30, "50 points")
        for _ in range(2):
            server.restart()
            more = agent.balance()["delivered"] + 50
            wait_until(lambda: agent.balance()["delivered"] > more, 90, "deliveries after the restart")
        agent.signal(15)
        self.assertEqual(agent.process.wait(20), 0)
        pending = agent.spilled()
        agent.start()
        wait_until(lambda: agent.balance()["pending"] <= series * 5, 90, "the rest is delivered")
        self.assert_exact(agent.balance())
        times = sorted({time for _, time in server.points("net")})
        owed = {oracle.parse(line).time for line in pending}
        self.assertFalse(owed - set(times), "points of the stop are missing")
        by_time = {}
        for tags, time in server.points("net"):
            by_time.setdefault(time, set()).add(tags)
        cut = [time for time, tags in by_time.items() if len(tags) != series and time != times[-1]]
        self.assertLessEqual(len(cut), 1, "ticks that miss points")

    def test_a_field_type_conflict_costs_that_line_only(self):
        server = self.influx()
        server.query('CREATE DATABASE "telegraf"', method="POST")
        # One series' field exists with another type for the whole measurement shard: rename one interface's
        # measurement by its own input, so that only its line meets the conflict.
        code, _ = server.write(b'odd,host=h bytes_recv="text" %d' % time.time_ns())
        self.assertEqual(code, 204)
        inputs = [("net", {"interfaces": ["if*"], "ignore_protocol_stats": True}),
                  ("net", {"interfaces": ["if0"], "ignore_protocol_stats": True, "name_override": "odd"})]
        agent = self.agent(url=server.url, inputs=inputs, host_proc=self.proc(10))
        balance = self.wait_balance(agent, lambda numbers: numbers["rejected"] >= 5 and numbers["delivered"] >= 50)
        self.assert_exact(balance)
        self.assertEqual(agent.stop(), 0)
        stored = server.points("net")
        by_time = {}
        for tags, moment in stored:
            by_time.setdefault(moment, set()).add(tags)
        full = [moment for moment, tags in by_time.items() if len(tags) == 10]
        self.assertGreaterEqual(len(full), len(by_time) - 1, "good lines beside a bad one were lost")
        self.assertLessEqual(balance["rejected"], len(by_time) + 2, "more was rejected than the bad lines")
        self.assertEqual(len(server.points("odd")), 1, "the conflicting point is not stored")
