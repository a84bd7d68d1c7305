"""A way out of a network namespace that leads nowhere, and a list of whatever takes it.

A TUN device is the default route: every packet to another machine, by whatever library in whatever language, comes
out at this process, which writes down where it was to go and whose socket sent it. A name server on loopback does the
same with names that are asked for. Nothing is answered but that there is no such name.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_TUNSETIFF, _TUN, _NO_HEADER = 0x400454CA, 0x0001, 0x1000
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
_NEIGHBOURS = range(130, 144)
"""Types of ICMPv6 by which the kernel itself makes the acquaintance of a link: nobody's attempt."""
_LOOPBACK = ("1.0.0.127.in-addr.arpa", f"1.{'0.' * 31}ip6.arpa")
"""What is asked for the name of 127.0.0.1 and of ::1, where /etc/hosts does not say it; gloo wants to know."""
_DEVICE = "/dev/net/tun"
_SETUP = (
    "ip addr add 192.0.2.1/24 dev outside",
    "ip link set outside up",
    "ip route add default dev outside",
    "ip -6 addr add 2001:db8::1/64 dev outside nodad",
    "ip -6 route add default dev outside",
)
"""Addresses of RFC 5737 and RFC 3849, which belong to nobody."""


class Attempt(NamedTuple):
    """What would have left the machine: the program whose socket it was, and where it was to go."""

    program: str
    target: str


class Outside:
    """To be entered as root of a network and a mount namespace of its own (``unshare -r -n -m``).

    ``sees_packets`` is False where no TUN device can be made: then loopback is all there is, and only names are seen.
    """

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.sees_packets = os.access(_DEVICE, os.R_OK | os.W_OK)
        self._names = {"localhost", socket.gethostname().lower(), *_LOOPBACK}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        if self.sees_packets:
            device = os.open(_DEVICE, os.O_RDWR)
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"outside", _TUN | _NO_HEADER))
            for command in _SETUP:
                # A kernel without IPv6 has no way out by it either.
                subprocess.run(command.split(), check="-6" not in command, capture_output=True)
            threading.Thread(target=self._watch_packets, args=(device,), daemon=True).start()
        names = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        names.bind(("127.0.0.1", 53))
        resolver = Path(self._stack.enter_context(tempfile.TemporaryDirectory()), "resolv.conf")
        resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        subprocess.run(["mount", "--bind", str(resolver), "/etc/resolv.conf"], check=True)
        self._stack.callback(subprocess.run, ["umount", "/etc/resolv.conf"], check=False)
        threading.Thread(target=self._watch_names, args=(names,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def _watch_packets(self, device: int) -> None:
        while True:
            if (attempt := attempt_of(os.read(device, 65536))) is not None:
                self.attempts.append(attempt)

    def _watch_names(self, names: socket.socket) -> None:
        while True:
            query, asker = names.recvfrom(4096)
            name = asked_name(query)
            if name.lower() in self._names:  # this machine's own, with its address where that is asked for
                wants_address = query[-4:-2] == b"\0\1"
                answer = struct.pack(">HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton("127.0.0.1"))
                head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(wants_address), 0, 0)
                names.sendto(head + _question(query) + (answer if wants_address else b""), asker)
                continue
            self.attempts.append(Attempt(program_of("udp", asker[1]), f"the name {name}"))
            with suppress(OSError):  # no such name
                names.sendto(query[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + _question(query), asker)


def attempt_of(packet: bytes) -> Attempt | None:
    """What an IP packet to the outside tells; None for what the kernel sends of its own accord."""
    six = packet[0] >> 4 == 6
    start = 40 if six else 4 * (packet[0] & 15)
    protocol = packet[6] if six else packet[9]
    target = ipaddress.ip_address(packet[24:40] if six else packet[16:20])
    if protocol in (6, 17):
        source, port = struct.unpack(">HH", packet[start : start + 4])
        name = _PROTOCOLS[protocol]
        return Attempt(program_of(name.lower(), source), f"{target} port {port} ({name})")
    if protocol in (0, 2) or (protocol == 58 and packet[start] in _NEIGHBOURS):  # hop-by-hop and IGMP: joining groups
        return None
    return Attempt("?", f"{target} ({_PROTOCOLS.get(protocol, f'protocol {protocol}')})")


def asked_name(query: bytes) -> str:
    """The name in a DNS query."""
    labels, at = [], 12
    while at < len(query) and (length := query[at]):
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels)


def _question(query: bytes) -> bytes:
    """Its question section, which an answer repeats."""
    end = query.index(b"\0", 12) + 5
    return query[12:end]


def program_of(protocol: str, port: int) -> str:
    """The command line of the process that has the local port, as far as it can be told."""
    inodes = set()
    for table in (protocol, f"{protocol}6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.readlink(link) in inodes:
                return (link.parents[1] / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    return "a process that has ended"
