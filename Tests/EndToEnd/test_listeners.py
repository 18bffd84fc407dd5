"""Inputs that take foreign data: what applications push, what programs print, what files grow by."""
import base64
import gzip
import http.client
import os
import signal
import socket
import stat
import time

from support.case import EndToEnd
from support.processes import wait_until


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def body_of(server, measurement):
    """The lines of a measurement that arrived, without the host tag."""
    prefix = measurement.encode()
    return sorted(line.replace(b",host=h", b"") for line in list(server.lines) if line.startswith(prefix))


class InfluxDBListener(EndToEnd):
    """Applications write to the agent as they would to InfluxDB."""

    def listener(self, options=None, **agent):
        self.port = free_port()
        self.backend = self.server()
        settings = dict({"service_address": "127.0.0.1:%d" % self.port}, **(options or {}))
        made = self.agent(url=self.backend.url, inputs=[("influxdb_listener", settings)], **agent)
        self.wait_listening()
        return made

    def wait_listening(self):
        """The agent is ready before its inputs are: a taken port must not keep it from starting."""
        def listens():
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
            except ConnectionRefusedError:
                return False
        wait_until(listens, 20, "the listener listens")

    def write(self, body, path="/write?db=x", headers=None, method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read(), reply.headers
        finally:
            connection.close()

    def arrived(self, lines, measurement="app"):
        wanted = sorted(line.encode() for line in lines)
        # What a killed agent left is sent at a random moment within half a minute.
        wait_until(lambda: body_of(self.backend, measurement) == wanted, 60,
                   "%s arrive, not %s" % (wanted, body_of(self.backend, measurement)))

    def test_good_lines_are_taken_and_bad_ones_named(self):
        agent = self.listener()
        self.assertEqual(self.write("app,a=b v=1i,s=\"x y\" 1000000001\n")[0], 204)
        code, text, _ = self.write("app v=2 1000000002\nnonsense\napp v=3 1000000003\napp v= 4\n")
        self.assertEqual(code, 400)
        self.assertIn(b"line 2: no fields; line 4: a field without a value; 2 points were taken", text)
        self.assertEqual(self.write("app v=4 1001\n", "/api/v2/write?bucket=b&org=o&precision=ms")[0], 204)
        self.assertEqual(self.write("app v=5 2\n", "/write?precision=s")[0], 204)
        self.arrived(['app,a=b s="x y",v=1i 1000000001', "app v=2 1000000002", "app v=3 1000000003",
                      "app v=4 1001000000", "app v=5 2000000000"])
        entry = next(each for each in agent.status()["inputs"] if each["id"] == "influxdb_listener")
        self.assertEqual(entry["points"], 5)
        self.assertEqual(entry["errors"], 2)

    def test_the_other_pages(self):
        self.listener()
        self.assertEqual(self.write(None, "/ping", method="GET")[0], 204)
        self.assertEqual(self.write(None, "/ping", method="HEAD")[0], 204)
        self.assertEqual(self.write(None, "/health", method="GET")[0], 204)
        code, text, _ = self.write(None, "/query?q=CREATE+DATABASE+x", method="POST")
        self.assertEqual((code, text.strip()), (200, b'{"results":[]}'))
        self.assertEqual(self.write(None, "/write", method="GET")[0], 405)
        self.assertEqual(self.write("app v=1", "/none")[0], 404)
        self.assertEqual(self.write("app v=1", "/write?precision=fortnight")[0], 400)
        self.assertEqual(self.write("")[0], 204)

    def test_gzip_and_its_bounds(self):
        self.listener({"max_body_size": "64KiB"})
        zipped = {"Content-Encoding": "gzip"}
        self.assertEqual(self.write(gzip.compress(b"app v=1 1\n"), headers=zipped)[0], 204)
        self.assertEqual(self.write(gzip.compress(b"app v=1 1\n" * 100000), headers=zipped)[0], 413)
        self.assertEqual(self.write(b"app v=1 1\n", headers=zipped)[0], 400)
        self.assertEqual(self.write(gzip.compress(b"app v=1 1\n")[:-5], headers=zipped)[0], 400)
        self.assertEqual(self.write(b"app v=1 1\n", headers={"Content-Encoding": "br"})[0], 415)
        try:
            self.assertEqual(self.write(b"app v=9 9\n" * 100000)[0], 413)
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.arrived(["app v=1 1"])

    def test_parameters_become_tags_that_replace_those_of_the_data(self):
        self.listener({"database_tag": "db", "retention_policy_tag": "rp", "bucket_tag": "bucket"})
        self.assertEqual(self.write("app,db=old v=1 1\n", "/write?db=new&rp=two")[0], 204)
        self.assertEqual(self.write("app v=2 2\n", "/api/v2/write?bucket=three")[0], 204)
        self.arrived(["app,db=new,rp=two v=1 1", "app,bucket=three v=2 2"])

    def test_who_may_write(self):
        self.listener({"basic_username": "u", "basic_password": "p:w", "token": "s3cret"})
        self.assertEqual(self.write("app v=1 1")[0], 401)
        good = base64.b64encode(b"u:p:w").decode()
        bad = base64.b64encode(b"u:p:v").decode()
        self.assertEqual(self.write("app v=1 1", headers={"Authorization": "Basic " + good})[0], 204)
        self.assertEqual(self.write("app v=2 2", headers={"Authorization": "Token s3cret"})[0], 204)
        self.assertEqual(self.write("app v=3 3", headers={"Authorization": "Bearer s3cret"})[0], 204)
        for wrong in ("Basic " + bad, "Token s3cre", "Token s3cret2", "Token ", "s3cret", "Basic"):
            self.assertEqual(self.write("app v=9 9", headers={"Authorization": wrong})[0], 401, wrong)
        self.assertEqual(self.write(None, "/ping", method="GET")[0], 204)
        self.arrived(["app v=1 1", "app v=2 2", "app v=3 3"])

    def test_an_acknowledged_write_survives_a_kill_when_asked_for(self):
        agent = self.listener({"acknowledge": "spilled"}, flush="1h")
        self.backend.refuse()
        for number in range(20):
            self.assertEqual(self.write("app v=%d %d\n" % (number, number + 1))[0], 204)
        agent.kill()
        self.backend.resume()
        agent.start()
        self.arrived(["app v=%d %d" % (number, number + 1) for number in range(20)])

    def test_a_regular_stop_loses_nothing(self):
        agent = self.listener(flush="1h")
        for number in range(20):
            self.assertEqual(self.write("app v=%d %d\n" % (number, number + 1))[0], 204)
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(len([line for line in set(agent.spilled()) | set(self.backend.lines)
                              if line.startswith(b"app")]), 20)

    def test_slow_and_hostile_clients_harm_nobody(self):
        agent = self.listener({"read_timeout": "1s", "max_connections": 8})
        idle = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(7)]
        for number, each in enumerate(idle):
            each.sendall(b"POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"[:20 + 5 * number])
        self.assertEqual(self.write("app v=1 1")[0], 204)
        wait_until(lambda: all(self.is_closed(each) for each in idle), 20, "slow clients are closed")
        with socket.create_connection(("127.0.0.1", self.port)) as garbage:
            garbage.sendall(os.urandom(4096))
            self.assertTrue(wait_until(lambda: self.is_closed(garbage), 20, "garbage is closed"))
        many = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(8)]
        time.sleep(0.2)
        # The refusal may come before all is sent, which this client takes for a broken pipe.
        wait_until(lambda: self.write("app v=2 2")[0] == 503, 20, "a refusal")
        for each in many:
            each.close()
        wait_until(lambda: self.write("app v=3 3")[0] == 204, 20, "room again")
        self.assertTrue(agent.is_running)

    @staticmethod
    def is_closed(connection):
        connection.settimeout(0.05)
        try:
            while connection.recv(65536):
                pass
            return True
        except socket.timeout:
            return False
        except OSError:
            return True

    def test_a_reload_leaves_the_connections_of_an_unchanged_listener(self):
        agent = self.listener()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("POST", "/write", "app v=1 1")
        reply = connection.getresponse()
        reply.read()
        self.assertEqual(reply.status, 204)
        source = connection.sock.getsockname()
        agent.parts["agent"]["metric_batch_size"] = 17
        agent.parts["inputs"].append(("system", {}))
        agent.write_config()
        self.assertEqual(agent.run("reload").returncode, 0)
        connection.request("POST", "/write", "app v=2 2")
        reply = connection.getresponse()
        reply.read()
        self.assertEqual(reply.status, 204)
        self.assertEqual(connection.sock.getsockname(), source, "the connection was made anew")
        self.arrived(["app v=1 1", "app v=2 2"])

    def test_many_writers_at_once_lose_nothing(self):
        import threading
        agent = self.listener(flush="300ms")
        answers = []

        def writer(number):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            for round_number in range(20):
                base = (number * 20 + round_number) * 50
                body = "".join("app,w=%d v=%di %d\n" % (number, k, base + k + 1) for k in range(50))
                connection.request("POST", "/write", body)
                reply = connection.getresponse()
                reply.read()
                answers.append(reply.status)
            connection.close()

        threads = [threading.Thread(target=writer, args=(number,)) for number in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        self.assertEqual(set(answers), {204})
        wait_until(lambda: len(body_of(self.backend, "app")) == 16000, 30, "all points arrive")
        self.assert_exact(agent.balance())
        self.assertEqual(agent.balance()["dropped"], 0)


class Statsd(EndToEnd):
    """Applications send statsd."""

    def statsd(self, options=None, kind=socket.SOCK_DGRAM, **agent):
        self.port = free_port(kind)
        self.backend = self.server()
        settings = dict({"service_address": "127.0.0.1:%d" % self.port, "delete_gauges": False}, **(options or {}))
        made = self.agent(url=self.backend.url, inputs=[("statsd", settings)], **agent)
        if kind == socket.SOCK_STREAM:
            InfluxDBListener.wait_listening(self)
            # The probe's own connection ends before those of the test count.
            time.sleep(0.3)
            return made
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", self.port))

            def listens():
                try:
                    probe.send(b"probe:1|g")
                    time.sleep(0.05)
                    probe.send(b"probe:1|g")
                    return True
                except ConnectionRefusedError:
                    return False
            wait_until(listens, 20, "the socket is bound")
        return made

    def total(self, measurement):
        """The sum of a counter's values over all ticks."""
        lines = [line for line in self.backend.lines if line.startswith(measurement.encode() + b",")]
        return sum(int(line.split(b"value=")[1].split(b"i ")[0]) for line in lines)

    def test_datagrams_are_counted(self):
        agent = self.statsd({"percentiles": [90], "templates": ["web.* measurement.host"]})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(500):
                sender.sendto(b"hits:1|c\nload:%d|ms" % number, ("127.0.0.1", self.port))
                if number % 50 == 49:
                    time.sleep(0.05)
            sender.sendto(b"web.a:7|g\nbad line", ("127.0.0.1", self.port))
        wait_until(lambda: self.total("hits") == 500, 20, "all counted")
        wait_until(lambda: any(line.startswith(b"web,host=a,metric_type=gauge value=7") or
                               line.startswith(b"web,host=a") for line in self.backend.lines), 20, "the gauge")
        self.assertTrue(any(b"90_percentile=" in line for line in self.backend.lines))
        wait_until(lambda: "1 lines not understood" in agent.log_text(), 20, "the bad line is said")

    def test_a_stop_gathers_what_was_heard(self):
        agent = self.statsd(interval="1h", flush="1h")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"last:3|c", ("127.0.0.1", self.port))
        time.sleep(0.3)
        self.assertEqual(agent.stop(), 0)
        lines = set(agent.spilled()) | set(self.backend.lines)
        self.assertTrue(any(line.startswith(b"last,") and b"value=3i" in line for line in lines), lines)

    def test_streams_and_their_bounds(self):
        agent = self.statsd({"protocol": "tcp", "max_tcp_connections": 2}, socket.SOCK_STREAM)
        one = socket.create_connection(("127.0.0.1", self.port))
        two = socket.create_connection(("127.0.0.1", self.port))
        for _ in range(100):
            one.sendall(b"tc")
            one.sendall(b"p:1|c\n")
        two.sendall(b"tcp:1|c")
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", self.port)) as third:
            self.assertTrue(wait_until(lambda: InfluxDBListener.is_closed(third), 20, "one too many is closed"))
        two.close()
        wait_until(lambda: self.total("tcp") == 101, 20, "all counted")
        one.sendall(b"x" * 20000)
        wait_until(lambda: InfluxDBListener.is_closed(one), 20, "an endless line is closed")
        self.assertTrue(agent.is_running)

class Programs(EndToEnd):
    """Points from programs."""

    def script(self, name, text):
        path = os.path.join(self.folder(), name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
        return path

    def arrived(self, backend, wanted, measurement="app"):
        wait_until(lambda: set(line.encode() for line in wanted) <= set(body_of(backend, measurement)), 20,
                   "%s arrive" % wanted)

    def test_exec_runs_each_interval(self):
        backend = self.server()
        good = self.script("a1.sh", "echo app,n=$1,x=$X v=1i 5000000\n")
        agent = self.agent(url=backend.url, inputs=[("exec", {
            "commands": [os.path.join(os.path.dirname(good), "a*.sh") + " one", ["sh", "-c", "echo bad; exit 3"]],
            "environment": ["X=y"], "data_format": "influx"})])
        self.arrived(backend, ["app,n=one,x=y v=1i 5000000"])
        wait_until(lambda: "sh: exit status 3" in agent.log_text(), 20, "the failure is said")

    def test_execd_is_started_again_and_ended_with_its_group(self):
        backend = self.server()
        mark = os.path.join(self.folder(), "child")
        program = self.script("d.sh", "sleep 1000 &\necho $! > %s\necho app,kind=start v=1i 1\n"
                              "echo careful >&2\nwhile read line; do echo app,kind=asked v=2i 2; done\n" % mark)
        agent = self.agent(url=backend.url, inputs=[("execd", {
            "command": [program], "signal": "STDIN", "restart_delay": "200ms"})])
        self.arrived(backend, ["app,kind=start v=1i 1", "app,kind=asked v=2i 2"])
        wait_until(lambda: "d.sh: careful" in agent.log_text(), 20, "standard error is in the log")
        with open(mark) as file:
            first = int(file.read())
        parent = self.parent(first)
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: "started again" in agent.log_text(), 20, "the end is said")

        def again():
            try:
                with open(mark) as file:
                    return int(file.read()) != first
            except ValueError:
                return False
        wait_until(again, 20, "it runs again")
        wait_until(lambda: not self.lives(first), 20, "what it started is gone")
        with open(mark) as file:
            second = int(file.read())
        self.assertTrue(self.lives(second))
        self.assertEqual(agent.stop(), 0)
        wait_until(lambda: not self.lives(second), 20, "the group ends with the agent")

    @staticmethod
    def parent(pid):
        with open("/proc/%d/stat" % pid) as file:
            return int(file.read().rpartition(")")[2].split()[1])

    @staticmethod
    def lives(pid):
        try:
            with open("/proc/%d/stat" % pid) as file:
                return file.read().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False


class Tail(EndToEnd):
    """Files that grow."""

    def tail(self, options=None, **agent):
        self.logs = self.folder()
        self.backend = self.server()
        settings = dict({"files": [os.path.join(self.logs, "**.log")], "path_tag": ""}, **(options or {}))
        return self.agent(url=self.backend.url, inputs=[("tail", settings)], **agent)

    def append(self, name, text):
        with open(os.path.join(self.logs, name), "a") as file:
            file.write(text)

    def arrived(self, numbers):
        wanted = sorted(b"app v=%d %d" % (number, number) for number in numbers)
        wait_until(lambda: body_of(self.backend, "app") == wanted, 20, "%s arrive" % list(numbers)[:9])

    @staticmethod
    def lines(numbers):
        return "".join("app v=%d %d\n" % (number, number) for number in numbers)

    def test_lines_rotation_truncation_and_new_files(self):
        agent = self.tail()
        path = os.path.join(self.logs, "a.log")
        self.append("a.log", self.lines(range(1, 4)) + "app v=4")
        self.arrived(range(1, 4))
        self.append("a.log", " 4\nnonsense\n" + self.lines([5]))
        self.arrived(range(1, 6))
        wait_until(lambda: "a.log: line 2: no fields" in agent.log_text(), 20, "the bad line is said")
        self.append("a.log", self.lines([6]))
        os.rename(path, path + ".1")
        self.append("a.log", self.lines([7]))
        self.arrived(range(1, 8))
        with open(path, "w"):
            pass
        time.sleep(0.3)
        self.append("a.log", self.lines([8]))
        self.arrived(range(1, 9))
        os.mkdir(os.path.join(self.logs, "deep"))
        self.append("deep/b.log", self.lines([9]))
        self.arrived(range(1, 10))

    def test_positions_survive_a_restart(self):
        agent = self.tail(start=False)
        self.append("a.log", self.lines([100]))
        agent.start()
        time.sleep(1)
        self.append("a.log", self.lines([1]))
        self.arrived([1])
        self.assertEqual(agent.stop(), 0)
        kept = [name for name in os.listdir(agent.state) if name.startswith("tail-")]
        self.assertEqual(len(kept), 1)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(agent.state, kept[0])).st_mode), 0o600)
        self.append("a.log", self.lines([2, 3]))
        self.append("new.log", self.lines([4]))
        agent.start()
        self.arrived([1, 2, 3])

    def test_a_large_file_is_read_whole_and_a_line_without_end_is_passed_over(self):
        agent = self.tail({"initial_read_offset": "beginning", "watch_method": "poll"}, start=False)
        self.append("a.log", self.lines(range(1, 30001)) + "x" * 3000000 + "\n" + self.lines([30001]))
        agent.start()
        wait_until(lambda: len(body_of(self.backend, "app")) == 30001, 60, "all lines arrive")
        wait_until(lambda: "a line has more than 1MiB" in agent.log_text(), 20, "the long line is said")
        self.assertEqual(agent.balance()["dropped"], 0)
