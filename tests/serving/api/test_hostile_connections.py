"""What only a real connection can do: slow and endless bodies, headers without end, floods of event streams."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.serving.api.conftest import MakeServed, Served

POST = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def address(make: MakeServed, listen: Callable[[Served], str]) -> Iterator[tuple[str, int]]:
    limits = {"body_seconds": 0.5, "body_bytes": 10_000, "event_streams": 4}
    url = httpx.URL(listen(make(limits=limits)))
    yield url.host, url.port or 0
    assert httpx.get(url.join("/healthz")).status_code == 200  # and afterwards others are served as before


def talk(address: tuple[str, int], *parts: bytes, pause: float = 0.0) -> bytes:
    """What is answered to the parts, sent one after the other, until the server hangs up."""
    with socket.create_connection(address, timeout=30) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(pause)
        answer = b""
        while True:
            try:
                read = connection.recv(65536)
            except ConnectionResetError:
                break
            if not read:
                break
            answer += read
        return answer


def test_a_body_that_drips_is_cut_off(address: tuple[str, int]) -> None:
    drops = [b" "] * 8
    answer = talk(address, POST + b"Content-Length: 5000\r\n\r\n", *drops, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer


def test_a_body_that_never_comes_is_cut_off(address: tuple[str, int]) -> None:
    assert talk(address, POST + b"Content-Length: 5000\r\n\r\n").startswith(b"HTTP/1.1 408 ")


def test_a_body_that_hides_its_length_is_cut_off(address: tuple[str, int]) -> None:
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    answer = talk(address, POST + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 4)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_lies_about_its_length_is_refused_unread(address: tuple[str, int]) -> None:
    assert talk(address, POST + b"Content-Length: 10001\r\n\r\n").startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"Content-Length: -1\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n" * 10 + b"GARBAGE\r\n\r\n",
    ],
    ids=["long", "many", "address", "no host", "two hosts", "nul", "two lengths", "negative", "tls", "garbage"],
)
def test_malformed_requests_are_refused(address: tuple[str, int], request_: bytes) -> None:
    status = talk(address, request_).split(b" ")[1]
    assert status.startswith(b"4"), status


def test_a_flood_of_streams_is_bounded(address: tuple[str, int]) -> None:
    url = f"http://{address[0]}:{address[1]}"
    with (
        httpx.Client(base_url=url, limits=httpx.Limits(max_connections=40), timeout=30) as client,
        ExitStack() as streams,
    ):
        ident = client.post("/v1/videos", json={"prompt": "a"}).json()["id"]
        answers = [
            streams.enter_context(client.stream("GET", f"/v1/videos/{ident}/events")).status_code for _ in range(30)
        ]
        assert sorted(answers) == [200] * 4 + [429] * 26
        assert client.get("/v1/videos").status_code == 200
