/// Names that Telegraf users write, so that a plugin that we lack is told apart from a typing error.
enum TelegrafPlugins {
    static let names: Set<String> = [
        // Inputs of the platform's file.
        "cpu", "disk", "diskio", "internal", "kernel", "kernel_vmstat", "mem", "net", "netstat", "nstat", "ntpq",
        "processes", "swap", "system",
        // Others that hosts use.
        "apache", "cgroup", "chrony", "conntrack", "docker", "docker_log", "dns_query", "elasticsearch", "ethtool",
        "exec",
        "execd", "filestat", "haproxy", "hddtemp", "http", "http_listener_v2", "http_response", "influxdb_listener",
        "influxdb_v2_listener", "interrupts", "ipmi_sensor", "iptables", "kafka_consumer", "kubernetes", "linux_cpu",
        "linux_sysctl_fs", "logparser", "mdstat", "memcached", "mongodb", "mqtt_consumer", "mysql", "net_response",
        "nfsclient", "nginx", "nvidia_smi", "ping", "postgresql", "procstat", "prometheus", "rabbitmq", "redis",
        "sensors",
        "slab", "smart", "snmp", "socket_listener", "sqlserver", "statsd", "synproxy", "syslog", "systemd_units",
        "tail",
        "temp", "wireless", "x509_cert", "zfs",
        // Processors and aggregators.
        "aws_ec2", "batch", "clone", "cumulative_sum", "date", "derivative", "enum", "filepath", "filter", "histogram",
        "ifname", "lookup", "noise", "parser", "pivot", "port_name", "printer", "quantile", "reverse_dns", "round",
        "s2geo", "scale", "snmp_lookup", "split", "starlark", "template", "timestamp", "topk", "unpivot",
        "valuecounter",
        // Outputs.
        "amqp", "cloudwatch", "datadog", "discard", "file", "graphite", "graylog", "influxdb", "influxdb_v2", "kafka",
        "loki", "mqtt", "nats", "opentelemetry", "opentsdb", "prometheus_client", "remotefile", "socket_writer", "sql",
        "timescaledb", "websocket",
    ]
}
