"""Scraping: real exporters and scripted ones, what is on their pages against other readers, and what goes wrong."""
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import time

from support import processes
from support.agent import table
from support.case import is_long, takes
from support.certificates import Authority, server_context
from support.exporter import WithExporters, fetch, samples
from support.influx import free_port
from support.processes import wait_until

#: What node_exporter says of itself, and of files that it is given.
NOT_OURS = ("node_exporter_", "node_scrape_", "node_textfile_")

#: Files of /proc that both sides read from a copy, so that their numbers are the same moment's.
SNAPSHOT = ("stat", "meminfo", "loadavg", "diskstats", "vmstat", "uptime", "cpuinfo", "net/dev", "net/snmp", "net/netstat",
            "net/snmp6", "sys/fs/file-nr", "sys/kernel/random/entropy_avail", "pressure/cpu", "pressure/io",
            "pressure/memory", "schedstat", "net/sockstat", "net/sockstat6", "net/softnet_stat", "net/arp", "net/udp",
            "net/udp6", "net/stat/nf_conntrack", "sys/kernel/random/poolsize", "sys/net/netfilter/nf_conntrack_count",
            "sys/net/netfilter/nf_conntrack_max")


def made_sys(path):
    """A tree for /sys with sensors, CPU frequencies and interfaces, which virtual machines lack."""
    def put(folder, *files, **values):
        os.makedirs(os.path.join(path, folder), exist_ok=True)
        for file, text in list(files) + list(values.items()):
            os.makedirs(os.path.dirname(os.path.join(path, folder, file)), exist_ok=True)
            with open(os.path.join(path, folder, file), "w") as out:
                out.write("%s\n" % text)
    chip = "devices/platform/coretemp.0/hwmon/hwmon0"
    put(chip, name="coretemp", temp1_input=51000, temp1_max=80000, temp1_crit=100000, temp1_crit_alarm=0,
        temp1_label="Core 0", fan1_input=1200, fan1_min=300, in0_input=1024, in0_max=3000, curr1_input=1500,
        power1_average=12000000, power1_average_interval=300, energy1_input=5000000, pwm1=128, temp2_input="bad",
        temp1_type=4, fan2_alarm=1, in1_fault=1)
    os.makedirs(path + "/class/hwmon")
    os.symlink("../../" + chip, path + "/class/hwmon/hwmon0")
    os.symlink("../../../coretemp.0", os.path.join(path, chip, "device"))
    put("class/hwmon/hwmon1", name="acpi tz!", temp1_input=27800)
    put("class/thermal/thermal_zone0", type="acpitz", temp=27800, policy="step_wise")
    put("class/thermal/cooling_device0", type="Processor", cur_state=0, max_state=3)
    for cpu in range(2):
        put("devices/system/cpu/cpu%d/cpufreq" % cpu, cpuinfo_cur_freq=1700000, cpuinfo_min_freq=800000,
            cpuinfo_max_freq=3500000, scaling_cur_freq=1800000, scaling_min_freq=800000, scaling_max_freq=3400000,
            scaling_governor="powersave", scaling_driver="x", related_cpus=cpu, scaling_setspeed="<unsupported>",
            scaling_available_governors="powersave", cpuinfo_transition_latency=0)
    put("devices/system/clocksource/clocksource0", available_clocksource="tsc hpet", current_clocksource="tsc")
    for name, state, more in (("eth0", "up", {"speed": 1000, "duplex": "full", "ifalias": "up \"link\""}),
                              ("lo", "unknown", {}), ("wg0", "down", {"speed": -1})):
        put("class/net/" + name, ("statistics/rx_nohandler", 3), addr_assign_type=0, address="02:00:00:00:00:01",
            broadcast="ff:ff:ff:ff:ff:ff", carrier=1, carrier_changes=2, carrier_down_count=1, carrier_up_count=1,
            dev_id="0x20", dormant=0, flags="0x1003", ifindex=2, iflink=2, link_mode=0, mtu=1500, name_assign_type=2,
            netdev_group=0, operstate=state, type=1, tx_queue_len=1000, **more)
    with open(path + "/class/net/bonding_masters", "w") as out:
        out.write("\n")
    return path


def lines(server):
    """What a database has, in the order of arrival."""
    return [line.decode() for line in list(server.lines)]


def made_up(random, prefix):
    """A valid page of all kinds of families, with odd values of labels and odd numbers. No label has a tab, a line end or a
    backslash at its end: line protocol has no room for them."""
    texts = ["", "a", "x y", 'q"uote', "back\\slash", "ü€😀", "{a=\"b\",}", "#", "a,b=c", "+Inf", "0"]
    numbers = ["0", "1", "-1.5", "1e5", "2.5E-7", "9007199254740993", "+3", ".5", "7.", "1e308", "4.9e-324", "-0"]

    def escaped(text):
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    def labels(*more):
        pairs = ["l%d=\"%s\"" % (n, escaped(random.choice(texts))) for n in range(random.randrange(4))] + list(more)
        random.shuffle(pairs)
        return "{%s}" % ",".join(pairs) if pairs or random.random() < 0.2 else ""
    out = []
    for number in range(random.randrange(1, 6)):
        name, kind = "%s_%d" % (prefix, number), random.choice(["counter", "gauge", "histogram", "summary", "untyped"])
        # The reader that this is compared with wants this end of a counter's name.
        name += "_total" if kind == "counter" else ""
        if random.random() < 0.7:
            out.append("# HELP %s %s" % (name, escaped(random.choice(texts)).replace('\\"', '"')))
        out.append("# TYPE %s %s" % (name, kind))
        shared = labels()
        inner = shared[1:-1] + ("," if shared[1:-1] else "")
        if kind == "histogram":
            for bound in ("0.1", "2.5", "+Inf"):
                out.append('%s_bucket{%sle="%s"} %d' % (name, inner, bound, random.randrange(9)))
            out += ["%s_sum%s %s" % (name, shared, random.choice(numbers)), "%s_count%s 9" % (name, shared)]
        elif kind == "summary":
            for quantile in ("0.5", "0.99"):
                out.append('%s{%squantile="%s"} %s' % (name, inner, quantile, random.choice(numbers)))
            out += ["%s_sum%s %s" % (name, shared, random.choice(numbers)), "%s_count%s 9" % (name, shared)]
        else:
            seen = set()
            for n in range(random.randrange(1, 4)):
                series = labels('n="%d"' % n)
                if series not in seen:
                    seen.add(series)
                    out.append("%s%s %s" % (name, series, random.choice(numbers)))
    return "\n".join(out) + "\n"


class Scraping(WithExporters):
    def node_exporter(self, *options):
        self.needs_program("prometheus-node-exporter")
        port = free_port()
        made = processes.spawn(["prometheus-node-exporter", "--web.listen-address=127.0.0.1:%d" % port] + list(options),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(processes.end, made)
        url = "http://127.0.0.1:%d/metrics" % port
        wait_until(lambda: fetch(url), 30, "node_exporter's page")
        return url

    def test_the_page_of_a_real_node_exporter_goes_round_without_a_loss(self):
        self.needs_reader()
        self.needs_program("promtool")
        page, headers = fetch(self.node_exporter())
        exporter = self.exporter()
        exporter.page(page, kind=headers["Content-Type"])
        port = free_port()
        output = table("[[outputs.prometheus_client]]", {
            "listen": "127.0.0.1:%d" % port, "metric_version": 2, "collectors_exclude": ["process"]})
        agent = self.agent(inputs=[("prometheus", {"urls": [exporter.url], "metric_version": 2, "url_tag": ""})],
                           extra=output, interval="500ms", agent={"omit_hostname": True})
        url = "http://127.0.0.1:%d/metrics" % port
        expected, kinds = samples(page.decode())
        wait_until(lambda: len(samples(fetch(url)[0].decode())[0]) >= len(expected), 60, "the whole page")
        text, answered = fetch(url, **{"Accept-Encoding": "gzip"})
        self.assertEqual(answered["Content-Encoding"], "gzip")
        text = gzip.decompress(text).decode()
        found, found_kinds = samples(text)
        self.assertGreater(len(expected), 300)
        for key, value in expected.items():
            self.assertEqual(found.get(key), value, key)
        for name, kind in kinds.items():
            self.assertEqual(found_kinds[name], kind)
        more = {key[0] for key in found if key not in expected}
        self.assertEqual({name for name in more if not name.startswith("godwit_")},
                         {"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added",
                          "scrape_samples_post_metric_relabeling"})
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
        self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)
        # Remarks on names are node_exporter's; on its own page promtool makes the same.
        original = subprocess.run(["promtool", "check", "metrics"], input=page.decode(), capture_output=True, text=True,
                                  timeout=30)
        self.assertEqual(set(done.stderr.split("\n")) - set(original.stderr.split("\n")), set())
        self.assert_exact(agent.balance())

    def test_both_layouts_against_another_reader(self):
        self.needs_reader()
        page = (b'# HELP t "Time\\\\ \\n of it"\n# TYPE t histogram\nt_bucket{le="0.1",p="/"} 1\nt_bucket{le="+Inf",p="/"} 3\n'
                b't_sum{p="/"} 0.7\nt_count{p="/"} 3\n# TYPE s summary\ns{quantile="0.5"} 1e-05\ns_sum 4\ns_count 2\n'
                b'# TYPE c counter\nc{l="x y,z=\\"1\\""} 9007199254740993\nplain -2.5e-3\n')
        for version in (1, 2):
            exporter = self.exporter()
            exporter.page(page)
            port = free_port()
            output = table("[[outputs.prometheus_client]]",
                           {"listen": "127.0.0.1:%d" % port, "metric_version": version, "collectors_exclude": ["process"]})
            agent = self.agent(inputs=[("prometheus", {"urls": [exporter.url], "metric_version": version, "url_tag": "",
                                                       "scrape_points": False})],
                               extra=output, interval="500ms", agent={"omit_hostname": True})
            url = "http://127.0.0.1:%d/metrics" % port
            expected, kinds = samples(page.decode())

            def same():
                found, found_kinds = samples(fetch(url)[0].decode())
                own = [key for key in found if key[0].startswith("godwit_")]
                return {key: found[key] for key in found if key not in own} == expected and all(
                    found_kinds[name] == kind or not kind[1] for name, kind in kinds.items())
            wait_until(same, 60, "the page again, version %d" % version)
            agent.stop()

    def test_made_up_pages_are_read_as_another_reader_reads_them(self):
        self.needs_reader()
        seed = random.randrange(1 << 32)
        print("  seed %d" % seed)
        maker = random.Random(seed)
        exporter = self.exporter()
        expected = {}
        for number in range(60):
            page = made_up(maker, "p%d" % number)
            exporter.page(page, "/%d" % number)
            expected.update(samples(page)[0])
        port = free_port()
        self.agent(inputs=[("prometheus", {"urls": ["%s/%d" % (exporter.url, number) for number in range(60)], "url_tag": "",
                                           "metric_version": 2, "scrape_points": False})], interval="2s",
                   extra=table("[[outputs.prometheus_client]]", {
                       "listen": "127.0.0.1:%d" % port, "metric_version": 2, "collectors_exclude": ["process"]}),
                   agent={"omit_hostname": True})

        def found():
            all_of_it = samples(fetch("http://127.0.0.1:%d/metrics" % port)[0].decode())[0]
            return {key: value for key, value in all_of_it.items() if not key[0].startswith("godwit_")}
        wait_until(lambda: len(found()) >= len(expected), 60, "all pages")
        read = found()
        for key in set(read) | set(expected):
            self.assertEqual(read.get(key), expected.get(key), key)

    def large(self):
        """A page of 50,000 samples in OpenMetrics, with all kinds of families, exemplars and odd labels, made by the
        library that applications use."""
        from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
        from prometheus_client.openmetrics.exposition import generate_latest
        registry = CollectorRegistry()
        odd = ["plain", "x y", 'q"uote', "back\\slash", "ü€😀", '{a="b",}', "#", "a,b=c", "+Inf", "=", "\\n", "'", "%", "\x7f", "\u2028"]
        maker = random.Random(5)
        for number in range(10):
            latency = Histogram("latency_%d_seconds" % number, 'Time "until" the\nanswer \\ of it.', ["path", "odd"],
                                registry=registry)
            sizes = Summary("sizes_%d_bytes" % number, "Sizes.", ["odd"], registry=registry)
            count = Counter("events_%d" % number, "Events.", ["n", "odd"], registry=registry)
            level = Gauge("level_%d" % number, "", ["n"], registry=registry)
            for each in range(180):
                labels = ("/p/%d" % each, odd[each % len(odd)])
                for _ in range(3):
                    latency.labels(*labels).observe(maker.expovariate(1), exemplar={"trace_id": "%x" % maker.getrandbits(64)})
                sizes.labels("%d %s" % (each, labels[1])).observe(maker.random() * 1e9)
            for each in range(500):
                count.labels(str(each), odd[each % len(odd)]).inc(maker.randrange(1 << 50), exemplar={"a": "#"})
                level.labels(str(each)).set(maker.choice([maker.random(), -1e300, 5e-324, float("inf"), float("nan"), 0.0]))
        Info("build", "What it is.", registry=registry).info({"version": "1.2", "odd": "=,"})
        Enum("state", "How it is.", ["n"], states=["on", "off"], registry=registry).labels("1").state("on")
        return generate_latest(registry).decode()

    @takes(45)
    def test_a_page_of_fifty_thousand_samples_goes_round_whole_in_both_layouts(self):
        self.needs_reader()
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
        text = self.large()
        expected = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                expected[(sample.name, tuple(sorted(sample.labels.items())))] = sample.value
        self.assertGreater(len(expected), 50_000)
        exporter = self.exporter()
        exporter.page(text, kind="application/openmetrics-text; version=1.0.0; charset=utf-8")
        ports = {}
        for version in (1, 2):
            ports[version] = free_port()
            self.agent(inputs=[("prometheus", {"urls": [exporter.url], "metric_version": version, "url_tag": "",
                                               "scrape_points": False, "timeout": "20s"})], interval="20s",
                       extra=table("[[outputs.prometheus_client]]", {
                           "listen": "127.0.0.1:%d" % ports[version], "metric_version": version, "max_series": 100_000,
                           "collectors_exclude": ["process"]}), agent={"omit_hostname": True})
        for version, port in ports.items():
            url = "http://127.0.0.1:%d/metrics" % port
            wait_until(lambda: fetch(url)[0].count(b"\n") > len(expected), 60, "the whole page", 1)
            found = {key: value for key, value in samples(fetch(url)[0].decode())[0].items()
                     if not key[0].startswith("godwit_")}
            # Version 1 has bounds as names of fields, in Telegraf's spelling of numbers: 1.0 is 1.
            wanted = expected if version == 2 else {
                (name, tuple((key, text[:-2] if key == "le" and text.endswith(".0") else text) for key, text in labels)): value
                for (name, labels), value in expected.items()}
            self.assertEqual((list(set(wanted) - set(found))[:5], list(set(found) - set(wanted))[:5]), ([], []),
                             "lost and made up in version %d" % version)
            for key, value in wanted.items():
                self.assertEqual(repr(found[key]), repr(value), key)
            print("  version %d: %d samples the same" % (version, len(found)))

    @takes(20)
    def test_what_promtool_takes_is_taken(self):
        self.needs_program("promtool")
        # The pages that once showed something; others in the long form.
        seed = random.randrange(1 << 32) if is_long() else 2977316198
        print("  seed %d" % seed)
        maker = random.Random(seed)
        exporter = self.exporter()
        taken = set()
        count = 400 if is_long() else 60
        for number in range(count):
            page = made_up(maker, "m")
            place = maker.randrange(len(page))
            page = page[:place] + maker.choice(['"', "{", "}", ",", "=", "\\", "\n", " ", "\t", "#", "1", "-", "e", "_", ""]) + (
                page[place + 1:])
            exporter.page(page, "/%d" % number)
            done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=30)
            if done.returncode != 1:
                taken.add("%s/%d" % (exporter.url, number))
        urls = ["%s/%d" % (exporter.url, number) for number in range(count)]
        agent = self.agent(inputs=[("prometheus", {"urls": urls, "metric_version": 2, "timeout": "5s"})], interval="10s",
                           start=False, extra="[[outputs.file]]\n")
        done = agent.run("once", seconds=60)
        refused = set(re.findall(r"prometheus: (\S+): line", done.stderr))
        print("  of %d pages promtool takes %d, we complain of %d" % (count, len(taken), len(refused)))
        self.assertEqual(sorted(refused & taken), [], done.stderr)
        self.assertGreater(len(refused), count // 10)

    def test_points_of_both_formats_reach_the_database(self):
        server = self.server()
        exporter = self.exporter()
        exporter.page("# TYPE a counter\na_total 5 # {x=\"1\"} 1\n# EOF\n", "/om",
                      "application/openmetrics-text; version=1.0.0; charset=utf-8")
        exporter.page("b{l=\"1\"} 2 1700000000123\r\n", "/text")
        self.scraping(server, [exporter.url + "/om", exporter.url + "/text"])
        wait_until(lambda: any("a_total=5" in line for line in lines(server))
                   and any("b=2 1700000000123000000" in line for line in lines(server)), 30, "points of both")
        head = exporter.seen[0][1]
        self.assertIn("application/openmetrics-text", head["Accept"])
        self.assertEqual(head["X-Prometheus-Scrape-Timeout-Seconds"][:2], "0.")

    @takes(15)
    def test_what_fails_is_down_and_named_and_delays_nobody(self):
        server = self.server()
        exporter = self.exporter()
        exporter.page("good 1\nbad{ 2\n")
        exporter.page("x" * 5000000, "/long")
        exporter.page("cut 1\n", "/cut")
        exporter.page("<html>", "/html", "text/html")
        paths = ("/metrics", "/hang", "/endless", "/long", "/cut", "/html", "/moved", "/gone")
        agent = self.scraping(server, [exporter.url + path for path in paths], content_length_limit="1MiB", timeout="2s",
                              interval="4s")
        wait_until(lambda: sum("good=1" in line for line in lines(server)) >= 2, 30, "points of the good one")
        for path, words in (("/metrics", "line 2: no name of a label"), ("/endless", "content_length_limit (1048576 bytes)"),
                            ("/long", "content_length_limit (1048576 bytes)"), ("/hang", "timeout"),
                            ("/cut", "the answer broke off"), ("/html", "no page of metrics but text/html"),
                            ("/moved", "redirects are not followed"), ("/gone", "status 404")):
            wait_until(lambda: any("%s%s" % (exporter.url, path) in line and words in line
                                   for line in agent.log_text().split("\n")), 30, "%s: %s" % (path, words))
            up = "up=1" if path == "/metrics" else "up=0"
            self.assertTrue(any(exporter.url + path in line and up in line for line in lines(server)), path)
        self.assertFalse(any("cut=1" in line for line in lines(server)))
        self.assertTrue(agent.is_running)

    def test_targets_come_and_go_with_files_and_servers(self):
        server = self.server()
        first, second = self.exporter(), self.exporter()
        first.page("a 1\n")
        second.page("b 1\n")
        second.page(json.dumps([{"targets": [second.url[7:]], "labels": {"from": "http"}}]), "/sd", "application/json")
        folder = self.folder()
        path = os.path.join(folder, "targets.json")

        def write(text):
            with open(path + ".new", "w") as file:
                file.write(text)
            os.rename(path + ".new", path)
        write(json.dumps([{"targets": [first.url[7:], "127.0.0.1:1"], "labels": {"from": "file"}}]))
        rules = "\n".join(table("[[inputs.prometheus.relabel_configs]]", rule) for rule in (
            {"source_labels": ["__address__"], "regex": "127.0.0.1:1", "action": "drop"},
            {"source_labels": ["__address__"], "regex": "([^:]*):.*", "target_label": "node"}))
        agent = self.scraping(server, [], extra=rules, file_sd_files=[folder + "/*.json"], http_sd_urls=[second.url + "/sd"],
                              sd_refresh_interval="1s")
        wait_until(lambda: any("from=file" in line and "node=127.0.0.1" in line and "a=1" in line for line in lines(server))
                   and any("from=http" in line and "b=1" in line for line in lines(server)), 30, "points of both")
        self.assertNotIn("127.0.0.1:1/", agent.log_text())
        write("{")
        wait_until(lambda: "targets.json: no JSON" in agent.log_text(), 30, "the error")
        count = len(lines(server))
        wait_until(lambda: any("a=1" in line for line in lines(server)[count:]), 30, "the known targets go on")
        write("[]")
        wait_until(lambda: len(first.seen) == (time.sleep(1.2) or len(first.seen)), 30, "no scrape any more")
        self.assertNotIn(("/sd", "Authorization"), [(p, h) for p, head in second.seen for h in head])

    def test_tls_with_client_certificates_tokens_and_unix_sockets(self):
        self.needs_program("openssl")
        files = self.folder()
        authority = Authority(files)
        secure = self.exporter(context=server_context(*authority.issue("server"), clients=authority.certificate))
        secure.page("secure 1\n")
        path = os.path.join(files, "m.sock")
        local = self.exporter(path=path)
        local.page("local 1\n", "/x")
        token = os.path.join(files, "token")
        with open(token, "w") as file:
            file.write("first\n")
        pair = authority.issue("client", names="DNS:client")
        server = self.server()
        self.scraping(server, ["https://localhost:%d" % secure.server_address[1], "unix://%s:/x" % path], tls_cert=pair[0],
                      tls_key=pair[1], tls_ca=authority.certificate, bearer_token=token)
        wait_until(lambda: any("secure=1" in line for line in lines(server)) and any("local=1" in line
                                                                                    for line in lines(server)), 30, "both")
        self.assertEqual(local.seen[0][1]["Authorization"], "Bearer first")
        with open(token, "w") as file:
            file.write("second\n")
        wait_until(lambda: secure.seen[-1][1]["Authorization"] == "Bearer second", 30, "the new token")
        other = Authority(files, "other")
        stranger = other.issue("stranger")
        agent = self.scraping(server, ["https://localhost:%d" % secure.server_address[1]], tls_cert=stranger[0],
                              tls_key=stranger[1], tls_ca=authority.certificate, url_tag="strange")
        wait_until(lambda: any("strange=" in line and "up=0" in line for line in lines(server)), 30, "it is refused")
        self.assertTrue(agent.is_running)

    @takes(30)
    def test_the_names_of_node_exporter_with_its_values(self):
        self.needs_reader()
        self.needs_program("promtool")
        proc = os.path.join(self.folder(), "proc")
        for name in SNAPSHOT:
            target = os.path.join(proc, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                with open("/proc/" + name, "rb") as source, open(target, "wb") as file:
                    file.write(source.read())
            except OSError:
                os.path.exists(target) and os.unlink(target)
        for each in ("1", "self"):
            os.makedirs(os.path.join(proc, each))
            for name in ("mounts", "mountinfo"):
                shutil.copyfile("/proc/self/" + name, os.path.join(proc, each, name))
        sys_tree = made_sys(os.path.join(self.folder(), "sys"))
        url = self.node_exporter("--path.procfs=" + proc, "--path.sysfs=" + sys_tree, "--path.udev.data=/nowhere",
                                 "--no-collector.netdev.netlink", "--no-collector.netclass.netlink",
                                 "--no-collector.systemd")
        port = free_port()
        inputs = [("cpu", {"collect_cpu_time": True}), ("mem", {"collect_extended": True}), ("disk", {}), ("diskio", {}),
                  ("net", {"interfaces": ["*"]}), ("system", {}), ("kernel", {}), ("kernel_vmstat", {}), ("conntrack", {}),
                  ("nstat", {"dump_zeros": True}), ("linux_sysctl_fs", {}), ("pressure", {}), ("node", {})]
        self.agent(inputs=inputs, host_proc=proc, interval="500ms", environment={"HOST_SYS": sys_tree},
                   extra=table("[[outputs.prometheus_client]]", {
                       "listen": "127.0.0.1:%d" % port, "names": "node_exporter"}))
        ours = "http://127.0.0.1:%d/metrics" % port
        wait_until(lambda: b"node_hwmon" in fetch(ours)[0] and b"node_vmstat" in fetch(ours)[0], 60, "a full page")
        expected, kinds = samples(fetch(url)[0].decode())
        text = fetch(ours)[0].decode()
        found, found_kinds = samples(text)
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
        self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)
        # promtool has nothing to say of ours that it does not say of the real page, but for two names of later versions.
        real = subprocess.run(["promtool", "check", "metrics"], input=fetch(url)[0].decode(), capture_output=True,
                              text=True, timeout=30)
        remarks = set(done.stderr.split("\n")) - set(real.stderr.split("\n"))
        self.assertEqual({each for each in remarks if not re.match("node_netstat_TcpExt_TCP(OFOQueue|RcvQDrop) ", each)},
                         set())
        same, other = 0, []
        for key, value in found.items():
            if not key[0].startswith("node_"):
                continue
            if key not in expected:
                other.append(key)
            elif key[0].startswith(("node_filesystem", "node_timex")) or key[0] == "node_time_seconds":
                # Asked of the kernel, not of the copy: a moment lies between.
                self.assertAlmostEqual(value, expected[key], delta=0.01 * abs(value) + 120, msg=key)
                same += 1
            else:
                self.assertEqual(value, expected[key], key)
                same += 1
            name = key[0]
            self.assertEqual(found_kinds.get(name), kinds.get(name, found_kinds.get(name)), name)
        families = {key[0] for key in found if key[0].startswith("node_") and key in expected}
        print("  node_exporter's names: %d samples of %d families equal; only ours: %d" % (same, len(families), len(other)))
        self.assertGreater(len(families), 200)
        missing = {name for name, _ in expected if name.startswith("node_")} - {name for name, _ in found}
        self.assertEqual({name for name in missing if not name.startswith(NOT_OURS)}, set())
        for name in ("node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_filesystem_avail_bytes", "node_load1",
                     "node_network_receive_bytes_total", "node_boot_time_seconds", "node_time_seconds", "node_uname_info",
                     "node_netstat_Tcp_CurrEstab", "node_vmstat_pgfault", "node_filefd_allocated"):
            self.assertIn(name, families)
        # What we show beside it, it leaves out by its filters, partitions among them, or is of a later version.
        for key in other:
            if ("device", "lo") in key[1]:
                continue
            self.assertRegex(key[0], "^node_(disk_|filesystem_|netstat_TcpExt_TCP(OFOQueue|RcvQDrop)$)"
                             "|receive_nohandler", key)

    def test_what_makes_no_sense_is_refused_before(self):
        for options, words in (({"urls": ["ftp://x"]}, "is no http, https or unix:///path address"),
                               ({"urls": [], "file_sd_files": ["/x.yml"]}, "targets are read from JSON alone"),
                               ({"urls": [], "kube_config": "/x"}, "not available in this version"),
                               ({"urls": [], "metric_version": 3}, "out of range")):
            agent = self.agent(inputs=[("prometheus", options)], start=False, extra="[[outputs.file]]\n")
            done = agent.run("once" if "unix" in words or "JSON" in words else "check")
            self.assertNotEqual(done.returncode, 0, options)
            self.assertIn(words, done.stdout + done.stderr)
