"""The guard in conftest.py: no test can reach another machine, and loopback works."""

import socket
import threading

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_connecting_to_another_machine_is_refused(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(RuntimeError, match="without a network"):
        sock.connect((host, 80))


def test_asking_for_another_machines_address_is_refused() -> None:
    with pytest.raises(RuntimeError, match="without a network"):
        socket.create_connection(("example.org", 80))


def test_loopback_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = threading.Thread(target=lambda: server.accept()[0].close())
        answer.start()
        with socket.create_connection(server.getsockname()) as sock:
            assert sock.recv(1) == b""
        answer.join()
