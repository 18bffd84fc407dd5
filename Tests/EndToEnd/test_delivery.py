"""What the server answers decides what happens to the batch, and to nothing else."""
import os
import time

from support import fake_influx, oracle
from support.case import EndToEnd, takes
from support.processes import wait_until


class Answers(EndToEnd):
    """The outcome classes of delivery, each by a scripted server."""

    SERIES = 10

    def running(self, server, **options):
        options.setdefault("host_proc", self.proc(self.SERIES))
        return self.agent(url=server.url, **options)

    def test_writes_are_gzip_line_protocol_with_an_agent_and_a_batch_id(self):
        server = self.server()
        self.running(server)
        self.wait_for_lines(server, 50)
        write = server.writes()[-1]
        self.assertEqual(write.method, "POST")
        self.assertEqual(write.query.get("db"), "telegraf")
        self.assertEqual(write.headers.get("content-encoding"), "gzip")
        self.assertIn("user-agent", write.headers)
        self.assertIn("x-godwit-batch", write.headers)
        self.assertNotIn("expect", write.headers)
        for line in write.lines:
            self.assertEqual(oracle.parse(line).measurement, "net")

    def test_one_poison_line_costs_that_line_only(self):
        server = self.server()
        server.poison = lambda line: b"interface=if3 " in line or b"interface=if3," in line
        server.rejects_all = True
        # Batches of about a thousand points: ten requests or so find one bad line.
        agent = self.running(server, interval="100ms", flush="2s", host_proc=self.proc(50))
        wait_until(lambda: len(oracle.ticks(server.stored())) >= 30, 60, "30 ticks stored")
        balance = agent.balance()
        self.assert_exact(balance)
        self.assertGreater(balance["rejected"], 0)
        self.assertEqual(agent.stop(), 0)
        ticks = oracle.ticks(server.stored())
        whole = [time for time, heads in ticks.items() if len(heads) == 49]
        self.assertGreaterEqual(len(whole), len(ticks) - 2, "good lines beside a bad one are missing")
        twice = [line for line, count in server.stored().items() if count > 1]
        self.assertEqual(twice, [], "good lines were stored more than once")

    def test_partial_write_counts_the_rejected_and_moves_on(self):
        server = self.server()
        server.poison = lambda line: b"interface=if3," in line or b"interface=if3 " in line
        agent = self.running(server)
        wait_until(lambda: agent.balance()["rejected"] >= 5, 30, "5 rejected points")
        balance = agent.balance()
        self.assert_exact(balance)
        twice = [line for line, count in server.stored().items() if count > 1]
        self.assertEqual(twice, [])

    def test_413_halves_and_learns(self):
        server = self.server(largest=8192)
        agent = self.running(server, interval="100ms", flush="3s", host_proc=self.proc(60))
        self.wait_for_lines(server, 60 * 20, 90)
        self.assert_exact(agent.balance())
        self.assertEqual(agent.balance()["rejected"], 0)
        refused = [each for each in server.writes() if each.code == 413]
        self.assertTrue(refused)
        self.assertLess(len(refused), len(server.writes()) / 2, "the limit was not remembered")

    def test_a_lost_reply_is_repeated_byte_for_byte(self):
        server = self.server()
        agent = self.running(server)
        self.wait_for_lines(server, 20)
        server.fault = fake_influx.reset_after_store
        wait_until(lambda: any(count > 1 for count in server.stored().values()), 30, "a repeated batch")
        server.resume()
        self.wait_for_lines(server, len(server.lines) + 50, 90)
        self.assert_identical_tries(server)
        self.assert_exact(agent.balance())

    @takes(35)
    def test_reset_in_the_middle_of_the_body_is_retried(self):
        server = self.server()
        agent = self.running(server)
        self.wait_for_lines(server, 20)
        server.fault = fake_influx.reset_mid
        time.sleep(3)
        began = time.time_ns()
        server.resume()
        wait_until(lambda: max(oracle.ticks(list(server.lines))) > began, 60, "live points")
        self.wait_for_lines(server, len(server.lines) + 20, 60)
        wait_until(lambda: not oracle.gaps(list(server.lines), 100_000_000, agent.skipped()), 90, "no tick is missing")
        self.assert_whole_ticks(list(server.lines), self.SERIES)

    @takes(20)
    def test_401_keeps_the_data_and_a_new_token_file_is_used_without_restart(self):
        folder = self.folder()
        token = os.path.join(folder, "token")

        def rotate(text):
            with open(token + ".new", "w") as file:
                file.write(text + "\n")
            os.chmod(token + ".new", 0o600)
            os.rename(token + ".new", token)
        rotate("first")
        server = self.server()
        server.authorization = "Token first"
        agent = self.running(server, output={"token_file": token})
        self.wait_for_lines(server, 20)
        server.authorization = "Token second"
        wait_until(lambda: any(each.code == 401 for each in server.writes()), 20, "a refused write")
        rotate("second")
        held = time.time_ns()
        wait_until(lambda: max(oracle.ticks(list(server.lines))) > held, 120, "deliveries with the new token", 0.1)
        wait_until(lambda: not oracle.gaps(list(server.lines), 100_000_000, agent.skipped()), 120, "no tick is missing",
                   0.1)
        self.assertEqual(agent.balance()["rejected"], 0)
        self.assertEqual(agent.balance()["dropped"], 0)

    def test_a_redirect_is_not_followed(self):
        server, other = self.server(), self.server()
        server.fault = fake_influx.refuse_with(307, b"", Location=other.url + "/write?db=telegraf")
        agent = self.running(server, output={"username": "u", "password": "p"})
        wait_until(lambda: server.writes(), 20, "a write")
        time.sleep(2)
        self.assertEqual(other.requests, [])
        self.assertEqual(agent.balance()["delivered"], 0)
        self.assertEqual(agent.balance()["dropped"], 0)

    def test_an_endless_reply_is_cut_off(self):
        server = self.server()
        server.fault = fake_influx.endless
        server.endless_sent = 0
        agent = self.running(server)
        wait_until(lambda: server.endless_sent, 20, "a reply")
        time.sleep(2)
        # At most 64 KiB is read; socket buffers on both sides may hold a few MiB more.
        self.assertLess(server.endless_sent, 16 << 20)
        server.resume()
        self.wait_for_lines(server, 20, 120)
        self.assertLess(resident(agent.pid), 64 << 20)

    def test_garbage_for_an_answer_is_survived(self):
        server = self.server()
        server.fault = fake_influx.garbage
        agent = self.running(server)
        # The second try is the breaker's probe, which is answered so too.
        wait_until(lambda: len(server.requests) >= 2, 30, "two tries")
        server.resume()
        self.wait_for_lines(server, 20, 120)
        self.assertTrue(agent.is_running)

    def test_several_urls_the_next_one_takes_over_and_nothing_is_lost(self):
        first, second = self.server(), self.server()
        agent = self.agent(url=[first.url, second.url], host_proc=self.proc(self.SERIES))
        wait_until(lambda: first.lines or second.lines, 20, "a delivery")
        used, spare = (first, second) if first.lines else (second, first)
        began = time.monotonic()
        used.refuse()
        wait_until(lambda: spare.lines, 20, "the other url takes over")
        took = time.monotonic() - began
        self.assertLess(took, 5, "failover took %.1f s" % took)
        mark = time.time_ns()
        both = lambda: set(first.lines) | set(second.lines)  # noqa: E731
        wait_until(lambda: max(oracle.ticks(both())) > mark, 30, "live points")
        wait_until(lambda: not oracle.gaps(both(), 100_000_000, agent.skipped()), 60, "no tick is missing", 0.1)
        self.assert_exact(agent.balance())

    def test_an_unresolvable_name_does_not_stall_collection(self):
        agent = self.agent(url="http://no-such-host.invalid:8086", host_proc=self.proc(self.SERIES))
        wait_until(lambda: agent.balance()["sealed"] > 100, 30, "100 sealed points")
        self.assertEqual(agent.balance()["pending"], agent.balance()["sealed"])
        self.assertEqual(agent.stop(), 0)

    def test_a_client_reuses_its_connection(self):
        server = self.server()
        self.running(server)
        wait_until(lambda: len(server.writes()) >= 20, 30, "20 writes")
        with server.lock:
            self.assertLessEqual(len(server.connections), 2)


def resident(pid):
    """Resident bytes of a process."""
    with open("/proc/%d/statm" % pid) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
