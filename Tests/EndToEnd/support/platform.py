"""A file of the shape that the platform's installer renders: its agent section, 20 global tags, one output over https
without verification, and the 14 inputs of a Linux guest under the prefix `agent_`."""
import json
import os

#: Where the platform's files send to. Only a namespace may have this address.
ADDRESS, PORT = "192.168.12.251", 50041
SERVER = "https://%s:%d" % (ADDRESS, PORT)

TAGS = {
    "vm_id": "7c1f0a3e-0b52-4a3d-8a53-1d5e4f2b9c10",
    "vm_name": "db 云主机, \"a=b\"",
    "vm_ip": "10.127.40.9,fd00::9",
    "host": "hyper-01",
    "host_id": "5b2f54f4-9c0e-4f4b-8a2e-0f3a5f6d7e81",
    "host_ip": "10.127.1.4",
    "zone": "zone-1",
    "zone_id": "b0a0c7b2-5d5f-4b8e-9a0c-0b1d2e3f4a5b",
    "zone_ext_id": "",
    "cloudregion": "Default",
    "cloudregion_id": "default",
    "region_ext_id": "",
    "tenant": "system",
    "tenant_id": "c9d8e7f6a5b4c3d2e1f00f1e2d3c4b5a",
    "domain_id": "default",
    "project_domain": "Default",
    "brand": "OneCloud",
    "os_type": "Linux",
    "status": "deploying",
    "scaling_group_id": "",
}

#: In the order of the platform's catalogue: name and options.
INPUTS = [
    ("cpu", {"percpu": True, "totalcpu": True, "collect_cpu_time": False, "report_active": True}),
    ("disk", {"ignore_fs": ["tmpfs", "devtmpfs", "overlay", "squashfs", "iso9660"]}),
    ("diskio", {"skip_serial_number": False}),
    ("kernel", {}), ("kernel_vmstat", {}), ("mem", {}), ("processes", {}), ("swap", {}), ("system", {}), ("net", {}),
    ("netstat", {}), ("nstat", {}), ("ntpq", {"dns_lookup": False}), ("internal", {"collect_memstats": False}),
]


class Rendered:
    """One rendered file in a folder; `logs_to_file` as one of the two renderers has it."""

    def __init__(self, folder, logs_to_file=True):
        self.path = os.path.join(folder, "telegraf.conf")
        self.log_folder = os.path.join(folder, "log")
        os.mkdir(self.log_folder)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.text(logs_to_file))

    def tags(self):
        """The tags as the database has them: empty ones are not written."""
        return {key: text for key, text in TAGS.items() if text}

    @staticmethod
    def text(logs_to_file):
        def value(item):
            return json.dumps(item, ensure_ascii=False)
        agent = {
            "interval": "60s", "round_interval": True, "metric_batch_size": 1000, "metric_buffer_limit": 10000,
            "collection_jitter": "0s", "flush_interval": "60s", "flush_jitter": "0s", "precision": "", "debug": False,
            "quiet": False, "logfile": "/var/log/telegraf.log" if logs_to_file else "", "hostname": "",
            "omit_hostname": True,
        }
        if logs_to_file:
            agent.update(logfile_rotation_max_size="10MB", logfile_rotation_max_archives=1)
        lines = ["[global_tags]"] + ["  %s = %s" % (key, value(text)) for key, text in TAGS.items()]
        lines += ["[agent]"] + ["  %s = %s" % (key, value(item)) for key, item in agent.items()]
        lines += ["[[outputs.influxdb]]", "  urls = [%s]" % value(SERVER), '  database = "telegraf"',
                  "  insecure_skip_verify = true"]
        for name, options in INPUTS:
            lines += ["[[inputs.%s]]" % name, '  name_prefix = "agent_"']
            lines += ["  %s = %s" % (key, value(item)) for key, item in options.items()]
        return "\n".join(lines) + "\n"
