"""What the watch on a closed network namespace makes of packets and of questions for names."""

from __future__ import annotations

import socket
import struct

import pytest

from benchmarks.outside import asked_name, attempt_of, program_of

QUERY = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x05stats\x04vllm\x02ai\0\0\x01\0\x01"


def packet(target: str, protocol: int, rest: bytes) -> bytes:
    """An IP packet from nowhere."""
    if ":" in target:
        head = struct.pack(">IHBB16s", 6 << 28, len(rest), protocol, 64, b"")
        return head + socket.inet_pton(socket.AF_INET6, target) + rest
    head = struct.pack(">BBHHHBBH4s", 0x45, 0, 20 + len(rest), 0, 0, 64, protocol, 0, b"")
    return head + socket.inet_aton(target) + rest


@pytest.mark.parametrize(
    ("target", "protocol", "rest", "told"),
    [
        ("8.8.8.8", 6, struct.pack(">HH", 0, 443), "8.8.8.8 port 443 (TCP)"),
        ("239.255.255.250", 17, struct.pack(">HH", 0, 1900), "239.255.255.250 port 1900 (UDP)"),
        ("2606:4700::1111", 17, struct.pack(">HH", 0, 443), "2606:4700::1111 port 443 (UDP)"),
        ("1.1.1.1", 1, b"\x08\0\0\0", "1.1.1.1 (ICMP)"),
        ("2606:4700::1111", 58, b"\x80\0\0\0", "2606:4700::1111 (ICMPv6)"),
    ],
)
def test_a_packet_tells_where_it_was_to_go(target: str, protocol: int, rest: bytes, told: str) -> None:
    attempt = attempt_of(packet(target, protocol, rest))
    assert attempt is not None
    assert attempt.target == told


@pytest.mark.parametrize(("protocol", "rest"), [(58, b"\x85\0\0\0"), (58, b"\x8f\0\0\0"), (0, b"\x3a\0\x05\x02")])
def test_what_the_kernel_does_of_its_own_accord_is_nobodys_attempt(protocol: int, rest: bytes) -> None:
    assert attempt_of(packet("ff02::2", protocol, rest)) is None


def test_the_name_in_a_question_is_read() -> None:
    assert asked_name(QUERY) == "stats.vllm.ai"
    assert asked_name(b"\0" * 12 + b"\x05sta") == "sta"


def test_the_program_that_has_a_port_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        port = ours.getsockname()[1]
        assert "py" in program_of("udp", port)
    assert program_of("udp", port) == "a process that has ended"
