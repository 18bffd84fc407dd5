"""What a hostile SSH server does, one function each, and what the daemon must say of it.

Run as a program it plays all of them, each at a port of its own, and prints the ports as JSON; a line on its standard
input asks for what happened, the end of that input ends it. So the floods cost the test nothing but a processor.
"""
import json
import os
import socket
import struct
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support import hostile_ssh as ssh  # noqa: E402
from support.hostile_ssh import HUGE, Hostile, string, uint32  # noqa: E402

#: The port that the tunnels of `-R` scenarios ask for.
ASKED = 4242

#: name: (function, reasons of which the tunnel must have had one, options)
SCENARIOS = {}


def scenario(*reasons, **options):
    """`reasons` are those of the tunnel; "up" means that it may stay up. Options: `remote`, `local` ask for a forward,
    `password` for a password, `message` is part of what is said, `flood` that it takes a while."""
    def add(function):
        SCENARIOS[function.__name__] = (function, reasons, options)
        return function
    return add


def byte(number):
    return bytes([number])


def flood(connection, *payloads, count=64):
    """These packets, for as long as they are taken."""
    while not connection.stopped.is_set():
        for payload in payloads:
            connection.send_many(payload, count)


# Before the session has keys

@scenario("handshake-failed", flood=True)
def endless_first_line(c):
    while not c.stopped.is_set():
        c.raw(b"SSH" * 5_000)


@scenario("handshake-failed", flood=True)
def endless_lines_before_the_banner(c):
    while not c.stopped.is_set():
        c.raw(b"a line that is no version\r\n" * 500)


@scenario("handshake-failed")
def nul_in_the_banner(c):
    c.raw(b"SSH-2.0-\0\0\0\r\n")
    c.wait()


@scenario("handshake-failed", message="took longer")
def one_byte_a_second(c):
    for number in b"SSH-2.0-a-very-long-name-that-takes-half-a-minute\r\n":
        c.raw(byte(number))
        time.sleep(1)


@scenario("handshake-failed", message="took longer")
def silent(c):
    c.wait()


@scenario("handshake-failed", message="took longer")
def silent_after_the_banner(c):
    c.banner()
    c.wait()


@scenario("handshake-failed", message="took longer")
def silent_after_kexinit(c):
    c.banner()
    c.send(c.kexinit())
    c.wait()


@scenario("handshake-failed", message="took longer")
def silent_before_newkeys(c):
    c.banner()
    c.exchange(newkeys=False)
    c.wait()


@scenario("handshake-failed", message="took longer")
def silent_after_newkeys(c):
    c.handshake()
    c.wait()


@scenario("handshake-failed", message="took longer")
def silent_after_the_service(c):
    c.handshake()
    c.service()
    c.wait()


@scenario("handshake-failed", message="took longer")
def silent_after_the_login(c):
    c.authenticate()
    c.wait()


def plain_head(length, padding=4):
    def play(c):
        c.banner()
        c.raw(uint32(length) + byte(padding) + b"\x14" * 3_000)
        c.wait()
    return play


for name, play in {"plain_packet_of_4_GiB": plain_head(HUGE), "plain_packet_of_nothing": plain_head(0),
                   "plain_packet_of_one_byte": plain_head(1), "plain_packet_a_little_too_long": plain_head(40_002),
                   "plain_packet_of_padding_only": plain_head(200, 199),
                   "plain_packet_with_more_padding_than_length": plain_head(20, 255)}.items():
    play.__name__ = name
    scenario("handshake-failed")(play)


@scenario("handshake-failed", flood=True)
def endless_kexinit(c):
    c.banner()
    flood(c, c.kexinit())


@scenario("handshake-failed", flood=True)
def ignored_messages_instead_of_keys(c):
    c.banner()
    flood(c, byte(ssh.IGNORE) + string(b"x" * 200))


def lists(**names):
    def play(c):
        c.banner()
        c.send(c.kexinit(**names))
        c.wait()
    return play


for name, play in {"lists_of_commas": lists(kex="," * 30_000), "empty_lists": lists(kex="", key="", cipher=""),
                   "lists_of_garbage": lists(kex=os.urandom(1_000), key=os.urandom(1_000)),
                   "a_prime_of_its_own_choice": lists(kex="diffie-hellman-group-exchange-sha256"),
                   "old_algorithms_only": lists(cipher="3des-cbc,arcfour", mac="hmac-md5"),
                   "the_key_type_of_another_time": lists(key="ssh-dss")}.items():
    play.__name__ = name
    scenario("handshake-failed")(play)


@scenario("handshake-failed")
def list_beyond_the_packet(c):
    c.banner()
    c.send(byte(ssh.KEXINIT) + os.urandom(16) + uint32(HUGE - 3) + b"curve25519-sha256")
    c.wait()


def reply(make):
    def play(c):
        c.banner()
        c.exchange(reply=make(c), newkeys=False)
        c.wait()
    return play


for name, make in {
        "key_reply_of_nothing": lambda c: byte(ssh.KEX_REPLY),
        "key_reply_with_a_huge_string": lambda c: byte(ssh.KEX_REPLY) + uint32(HUGE) + b"x" * 50,
        "host_key_cut_short": lambda c: byte(ssh.KEX_REPLY) + string(string("ssh-ed25519") + uint32(32))
        + string(bytes(32)) + string(string("ssh-ed25519") + string(bytes(64))),
        "host_key_of_another_type": lambda c: byte(ssh.KEX_REPLY) + string(string("ecdsa-sha2-nistp256") + bytes(60))
        + string(bytes(32)) + string(bytes(83)),
        "public_key_of_one_byte": lambda c: byte(ssh.KEX_REPLY) + string(c.key_blob()) + string(b"x")
        + string(bytes(83)),
        "public_key_of_zeros": lambda c: byte(ssh.KEX_REPLY) + string(c.key_blob()) + string(bytes(32))
        + string(bytes(83)),
        "signature_of_nobody": lambda c: byte(ssh.KEX_REPLY) + string(c.key_blob()) + string(b"\x09" + bytes(31))
        + string(string("ssh-ed25519") + string(os.urandom(64)))}.items():
    play = reply(make)
    play.__name__ = name
    scenario("handshake-failed")(play)


# Before we are known

@scenario("handshake-failed")
def another_service(c):
    c.handshake()
    c.expect(ssh.SERVICE_REQUEST)
    c.send(byte(ssh.SERVICE_ACCEPT) + string("ssh-whatever"))
    c.wait()


@scenario("handshake-failed", "auth-failed", flood=True)
def endless_banners_at_the_login(c):
    c.handshake()
    c.service()
    flood(c, byte(ssh.USERAUTH_BANNER) + string(b"welcome " * 20) + string(""))


@scenario("auth-failed", "handshake-failed", flood=True)
def endless_refusals(c):
    c.handshake()
    c.service()
    flood(c, byte(ssh.USERAUTH_FAILURE) + string("publickey") + b"\0", count=4)


@scenario("auth-failed", "handshake-failed")
def list_of_methods_with_control_characters(c):
    c.handshake()
    c.service()
    c.expect(ssh.USERAUTH_REQUEST)
    c.send(byte(ssh.USERAUTH_FAILURE) + string(b"\x1b[2J\r\n\"evil" * 2_000) + b"\0")
    c.wait()


def question(payload, times=1):
    def play(c):
        c.handshake()
        c.service()
        c.expect(ssh.USERAUTH_REQUEST)
        c.send(byte(ssh.USERAUTH_FAILURE) + string("keyboard-interactive") + b"\0")
        c.expect(ssh.USERAUTH_REQUEST)
        for _ in range(times):
            c.send(byte(ssh.INFO_REQUEST) + payload)
        c.wait()
    return play


for name, play in {
        "question_with_a_name_of_100_MiB": question(uint32(100 << 20) + b"x" * 100),
        "question_with_a_name_of_4_GiB": question(uint32(HUGE) + b"x" * 100),
        "question_with_a_name_of_40_kB": question(uint32(40_000) + b"x" * 10),
        "question_with_4_billion_prompts": question(string("") * 3 + uint32(HUGE)),
        "question_with_a_prompt_of_4_GiB": question(string("") * 3 + uint32(1) + uint32(HUGE)),
        "endless_questions": question(string("") * 3 + uint32(0), 100_000)}.items():
    play.__name__ = name
    scenario("auth-failed", "handshake-failed", password=True, flood=True)(play)


@scenario("auth-failed", "handshake-failed", password=True)
def wish_for_a_new_password(c):
    c.handshake()
    c.service()
    c.expect(ssh.USERAUTH_REQUEST)
    c.send(byte(ssh.USERAUTH_FAILURE) + string("password") + b"\0")
    c.expect(ssh.USERAUTH_REQUEST)
    c.send(byte(60) + string("change it") + string(""))
    c.wait()


# Packets of a session that stands

def sealed(length, padding=4, mac=None):
    def play(c):
        c.authenticate()
        time.sleep(0.3)
        plain = uint32(length) + byte(padding) + byte(ssh.IGNORE) + b"x" * 200
        c.raw(c.encrypt(plain) + (mac or os.urandom(32)) + os.urandom(50_000))
        c.wait()
    return play


for name, play in {"packet_of_4_GiB": sealed(HUGE), "packet_of_nothing": sealed(0), "packet_of_one_byte": sealed(1),
                   "packet_of_eleven_bytes": sealed(11), "packet_of_half_a_block": sealed(20),
                   "packet_of_an_odd_length": sealed(45), "packet_a_little_too_long": sealed(40_012),
                   "packet_with_a_wrong_checksum": sealed(44),
                   "packet_with_more_padding_than_length": sealed(28, 255)}.items():
    play.__name__ = name
    scenario("session-lost", "handshake-failed")(play)


@scenario("session-lost", "handshake-failed")
def cut_in_the_middle_of_a_packet(c):
    c.authenticate()
    time.sleep(0.3)
    c.raw(c.packet(byte(ssh.IGNORE) + string(b"x" * 500))[:100])


@scenario("session-lost", "handshake-failed")
def farewell(c):
    c.authenticate()
    time.sleep(0.3)
    c.send(byte(ssh.DISCONNECT) + uint32(2) + string(b"\x1b[2Jgo away" * 100) + string(""))
    c.wait()


def flooding(*payloads, count=64):
    """A friendly server that sends these beside what it answers."""
    def play(c):
        c.authenticate()
        c.once_it_stands(lambda: [c.send_many(each, count) for each in payloads] and None)
        c.serve()
    return play


monitor = uint32(0)
for name, (reasons, play) in {
        "ignored_messages": (("up", "session-lost"), flooding(byte(ssh.IGNORE) + string(b"x" * 20))),
        "debug_messages": (("up", "session-lost"), flooding(byte(ssh.DEBUG) + b"\1" + string(b"x" * 20) + string(""))),
        "messages_that_do_not_exist": (("session-lost",), flooding(byte(200) + b"x" * 20)),
        "confirmations_of_nothing": (("session-lost",), flooding(
            byte(ssh.OPEN_CONFIRMATION) + uint32(77_777) + bytes(12))),
        "answers_without_a_request": (("session-lost",), flooding(byte(ssh.REQUEST_SUCCESS))),
        "global_requests": (("up", "session-lost", "session-frozen"), flooding(
            byte(ssh.GLOBAL_REQUEST) + string("keepalive@openssh.com") + b"\0")),
        "data_for_unknown_channels": (("up", "session-lost"), flooding(
            byte(ssh.CHANNEL_DATA) + uint32(99_999) + string(b"x" * 1_000))),
        "data_for_the_monitor_beyond_its_window": (("up", "session-lost"), flooding(
            byte(ssh.CHANNEL_DATA) + monitor + string(b"x" * 30_000), count=4)),
        "errors_for_the_monitor": (("up", "session-lost"), flooding(
            byte(ssh.EXTENDED_DATA) + monitor + uint32(1) + string(b"x" * 1_000))),
        "windows_that_overflow": (("up", "session-lost"), flooding(byte(ssh.WINDOW_ADJUST) + monitor + uint32(HUGE))),
        "signals_that_end_nothing": (("up", "session-lost"), flooding(
            byte(ssh.CHANNEL_REQUEST) + monitor + string("exit-signal") + b"\0" + string(b"x" * 20_000) + bytes(9))),
        "signal_with_a_name_of_4_GiB": (("up", "session-lost"), flooding(
            byte(ssh.CHANNEL_REQUEST) + monitor + string("exit-signal") + b"\0" + uint32(HUGE - 1) + bytes(30))),
        "request_with_a_name_beyond_its_end": (("up", "session-lost", "session-frozen"), flooding(
            byte(ssh.CHANNEL_REQUEST) + monitor + uint32(HUGE - 8) + bytes(30))),
        "channels_of_unknown_kinds": (("up", "session-lost"), flooding(
            byte(ssh.CHANNEL_OPEN) + string("auth-agent@openssh.com") + bytes(12))),
        "x11_channels": (("up", "session-lost", "session-frozen"), flooding(
            byte(ssh.CHANNEL_OPEN) + string("x11") + uint32(5) + bytes(8) + string("h") + uint32(1))),
        "messages_without_a_body": (("up", "session-lost", "session-frozen"), flooding(
            *[byte(kind) for kind in range(2, 128) if kind not in (20, 21, 30, 31, 51, 52)], count=1))}.items():
    play.__name__ = name
    scenario(*reasons, flood=True)(play)


@scenario("session-lost", "session-frozen", flood=True)
def requests_whose_answers_nobody_reads(c):
    c.authenticate()
    c.expect(ssh.CHANNEL_OPEN)
    c.send(c.open_confirmation(0))
    flood(c, byte(ssh.GLOBAL_REQUEST) + string("x") + b"\1")


@scenario("up", "session-lost")
def new_keys_without_end(c):
    c.authenticate()
    payload = None
    while not c.stopped.is_set():
        payload = c.receive()
        if payload[0] == ssh.CHANNEL_OPEN:
            _, offset = ssh.read_string(payload, 1)
            c.send(c.open_confirmation(struct.unpack_from(">I", payload, offset)[0]))
            break
    while not c.stopped.is_set():
        c.exchange()


@scenario("session-lost")
def new_keys_that_break_off(c):
    c.authenticate()
    c.expect(ssh.CHANNEL_OPEN)
    c.send(c.open_confirmation(0))
    time.sleep(0.3)
    c.send(c.kexinit())
    c.expect(ssh.KEX_INIT)
    c.send(byte(ssh.KEX_REPLY) + uint32(HUGE) + b"x" * 30)
    c.wait()


@scenario("session-lost", "session-frozen")
def new_keys_half_way(c):
    c.authenticate()
    c.expect(ssh.CHANNEL_OPEN)
    c.send(c.open_confirmation(0))
    time.sleep(0.3)
    c.send(c.kexinit())
    c.wait()


@scenario("session-frozen")
def answers_to_nothing(c):
    c.authenticate()
    c.serve(request=lambda payload: None)


@scenario("up")
def monitor_closed_at_once(c):
    """Ends what we open with every word there is, twice."""
    def ended(theirs):
        c.send(c.open_confirmation(theirs))
        for kind in (ssh.CHANNEL_EOF, ssh.CHANNEL_CLOSE) * 2:
            c.send(byte(kind) + uint32(theirs))
    c.authenticate()
    c.serve(open=ended)


# Forwards

def forwarding(c, function):
    """Runs `function` until the end, once the client asked for a port."""
    def asked(payload):
        c.send(byte(ssh.REQUEST_SUCCESS))
        c.meanwhile(function)
    return asked


@scenario("up", "session-lost", "session-frozen")
def connections_that_nobody_asked_for(c):
    c.authenticate()
    c.once_it_stands(lambda: c.send_many(c.forwarded(1), 64))
    c.serve()


@scenario("up", "session-lost", "session-frozen", remote=True)
def thousands_of_connections(c):
    c.authenticate()
    c.serve(globally=forwarding(c, lambda: c.send_many(c.forwarded(ASKED), 16)))


@scenario("session-lost", "session-frozen", remote=True, flood=True)
def connections_that_are_never_closed(c):
    c.authenticate()
    c.serve(globally=forwarding(c, lambda: c.send_many(c.forwarded(ASKED), 16)), close=lambda payload: None)


@scenario("up", "session-lost", "session-frozen", remote=True)
def connections_with_windows_of_nothing(c):
    c.authenticate()
    c.serve(globally=forwarding(c, lambda: time.sleep(0.01) or c.send(c.forwarded(ASKED, 0, 0))))


@scenario("up", "session-lost", "session-frozen", remote=True)
def data_in_single_bytes(c):
    def one():
        for theirs in list(c.numbers.values())[-40:]:
            c.send_many(byte(ssh.CHANNEL_DATA) + uint32(theirs) + string(b"x"), 64)
        time.sleep(0.001)
    c.authenticate()
    c.serve(globally=forwarding(c, lambda: (c.next_channel < 40 and c.send(c.forwarded(ASKED))) or one()))


@scenario("session-frozen", "session-lost", "up", remote=True)
def no_answer_to_a_request_to_listen(c):
    c.authenticate()
    c.serve(globally=lambda payload: None)


@scenario("up", "session-frozen", local=True)
def no_answer_to_a_connection(c):
    c.authenticate()
    c.serve(**{"direct-streamlocal@openssh.com": lambda theirs: None, "direct-tcpip": lambda theirs: None})


def confirming(window, packet, **more):
    def play(c):
        c.authenticate()
        c.serve(**{"direct-tcpip": lambda theirs: c.send(c.open_confirmation(theirs, window, packet))}, **more)
    return play


for name, play in {"windows_of_nothing": confirming(0, 0), "windows_without_packets": confirming(HUGE, 0),
                   "windows_of_4_GiB": confirming(HUGE, HUGE), "packets_of_one_byte": confirming(HUGE, 1)}.items():
    play.__name__ = name
    scenario("up", "session-lost", local=True)(play)


@scenario("up", "session-lost", local=True)
def confirmed_twice_and_refused(c):
    def often(theirs):
        for _ in range(3):
            c.send(c.open_confirmation(theirs))
        c.send(byte(ssh.OPEN_FAILURE) + uint32(theirs) + uint32(9) + string(b"\x1b[2J" * 100) + string(""))
    c.authenticate()
    c.serve(**{"direct-tcpip": often})


@scenario("up", "session-lost", local=True)
def refused_in_four_bytes(c):
    c.authenticate()
    c.serve(**{"direct-tcpip": lambda theirs: c.send(byte(ssh.OPEN_FAILURE) + uint32(theirs))})


@scenario("up", "session-lost", local=True)
def more_than_the_window(c):
    def much(theirs):
        c.send(c.open_confirmation(theirs))
        c.send_many(byte(ssh.CHANNEL_DATA) + uint32(theirs) + string(b"x" * 30_000), 100)
        c.send_many(byte(ssh.EXTENDED_DATA) + uint32(theirs) + uint32(1) + string(b"x" * 30_000), 100)
        c.send(byte(ssh.CHANNEL_DATA) + uint32(theirs) + uint32(HUGE) + b"x")
    c.authenticate()
    c.serve(**{"direct-tcpip": much})


class Stage:
    """All scenarios, each at its port."""

    def __init__(self, names):
        self.servers = {name: Hostile(SCENARIOS[name][0]) for name in names}

    def table(self):
        return {name: {"address": each.address, "known_hosts": each.known_hosts_line}
                for name, each in self.servers.items()}

    def report(self):
        return {name: {"connections": len(each.connections), "errors": each.errors}
                for name, each in self.servers.items()}


def main():
    os.nice(5)
    stage = Stage(sys.argv[1:] or SCENARIOS)
    print(json.dumps(stage.table()), flush=True)
    while sys.stdin.readline():
        print(json.dumps(stage.report()), flush=True)
    for server in stage.servers.values():
        server.close()
    # Threads that are inside a write have nothing to tell any more.
    os._exit(0)


if __name__ == "__main__":
    sys.setswitchinterval(0.002)
    socket.setdefaulttimeout(30)
    main()
