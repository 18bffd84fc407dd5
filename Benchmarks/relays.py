#!/usr/bin/env python3
"""What a relay with many sessions and forwards costs, and how it comes back after a mass cut, against real sshd processes
on loopback.

Usage: Benchmarks/relays.py [--binary FILE] [--sessions N] [--forwards N] [--seconds N] [--full]
`--full` is 200 sessions, 1,000 forwards, a minute of idling and half a minute without servers. Needs root, openssh-server.
"""
import argparse
import os
import pathlib
import resource
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from support import agent as agents  # noqa: E402
from support import processes  # noqa: E402
from support.relay import Relay, anonymous, spread, switches  # noqa: E402
from support.scale import cpu_ms  # noqa: E402
from support.ssh import Echo  # noqa: E402


def settled(relay, seconds=3):
    """Anonymous memory after a while."""
    time.sleep(seconds)
    return anonymous(relay.agent.pid)


def memory(options, target):
    """Anonymous bytes of a relay with one session, with all sessions, and with all forwards too."""
    found = []
    for sessions, forwards in ((1, 0), (options.sessions, 0)):
        relay = Relay(processes.folder(), sessions, forwards, target).start()
        found.append(settled(relay))
        relay.stop()
    return found


def idle(relay, seconds):
    before = cpu_ms(relay.agent.pid), switches(relay.agent.pid)
    time.sleep(seconds)
    return (cpu_ms(relay.agent.pid) - before[0]) / seconds, (switches(relay.agent.pid) - before[1]) / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / ".build/release/godwit"))
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--forwards", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10, help="of idling")
    parser.add_argument("--away", type=int, default=5, help="seconds without servers")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    if options.full:
        options.sessions, options.forwards, options.seconds, options.away = 200, 1_000, 60, 30
    agents.BINARY = os.path.abspath(options.binary)
    resource.setrlimit(resource.RLIMIT_NOFILE, (16_384, 16_384))
    echo = Echo()
    print("load %.2f on %d CPUs; %d sessions, %d forwards" % (
        os.getloadavg()[0], os.cpu_count(), options.sessions, options.forwards), flush=True)
    one, many = memory(options, echo.address)
    began = time.time()
    relay = Relay(processes.folder(), options.sessions, options.forwards, echo.address).start(240)
    try:
        print("start                 %s" % spread(relay.ups(began)), flush=True)
        full = settled(relay)
        print("anonymous memory      %.1f MB with 1 session, %.1f MB with %d, %.1f MB with %d forwards: %.0f kB a session, "
              "%.1f kB a forward" % (one / 1e6, many / 1e6, options.sessions, full / 1e6, options.forwards,
                                     (many - one) / 1e3 / max(1, options.sessions - 1),
                                     (full - many) / 1e3 / max(1, options.forwards)), flush=True)
        cpu, wakes = idle(relay, options.seconds)
        print("idle                  %.2f ms of CPU a second, %.1f wake-ups a second: %.3f a session, %.3f a forward"
              % (cpu, wakes, wakes / options.sessions, wakes / max(1, options.forwards)), flush=True)
        before = cpu_ms(relay.agent.pid)
        moment = relay.cut()
        processes.wait_until(lambda: len(relay.ups(moment)) >= options.sessions, 240, "all sessions are back", 0.1)
        relay.wait_up(240)
        whole = time.time() - moment
        print("all sessions cut      %s; all forwards after %.2f s; %.1f ms of CPU a session" % (
            spread(relay.ups(moment)), whole, (cpu_ms(relay.agent.pid) - before) / options.sessions), flush=True)
        for server in relay.servers:
            server.stop()
        time.sleep(options.away)
        for server in relay.servers:
            server.start()
        moment = time.time()
        processes.wait_until(lambda: len(relay.ups(moment)) >= options.sessions, 240, "all sessions are back", 0.1)
        print("servers away %3d s    %s" % (options.away, spread(relay.ups(moment))), flush=True)
        relay.wait_up(240)
        print("forwards that work    %d of %d tried" % (
            sum(relay.works(number) for number in range(0, options.forwards, 7)), len(range(0, options.forwards, 7))))
        print("anonymous memory      %.1f MB after both" % (settled(relay) / 1e6))
    finally:
        relay.stop()
        echo.close()


if __name__ == "__main__":
    main()
