"""The benchmark of sharing: what it calls a switch, what it asks for, whose memory it sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks import serving_lease as lease
from benchmarks.serving_server import NotReady, Server, role_of
from serving.jobs import Event


def event(number: int, at: float, kind: str, **data: object) -> Event:
    return Event(number=number, job="video_1", kind=kind, data=data, at=at)


def test_a_switch_is_from_the_last_of_one_to_the_first_of_the_other() -> None:
    events = [
        event(1, 1.0, "stage", stage="plan", done=0.5),
        event(2, 2.0, "stage", stage="plan", done=1.0),
        event(3, 2.1, "stage", stage="generate"),
        event(4, 2.2, "claimed", stage="generate"),
        event(5, 9.0, "step", step=1),
        event(6, 9.5, "step", step=2),
        event(7, 12.5, "stage", stage="plan", done=0.1),
    ]
    assert lease.switches(reversed(events)) == [7.0, 3.0]
    assert lease.switches(events[:4]) == []


def test_the_mixture_has_all_kinds_of_jobs() -> None:
    asked = lease.mixture(8, "rules", steps=2)
    assert [path for path, _ in asked].count("/v1/plans") == 2
    given = [body for _, body in asked if "dsg" in body]
    assert len(given) == 2
    assert not any("planner" in body for body in given)
    assert all(body["num_inference_steps"] == 2 for path, body in asked if path == "/v1/videos")


def test_peak_memory_is_that_of_all_processes_together() -> None:
    script = "import time; held = bytearray(64 * 2**20); print('up', flush=True); time.sleep(60)"
    running = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for each in running:
            assert each.stdout is not None
            assert each.stdout.readline() == b"up\n"
        found = [psutil.Process(each.pid) for each in running]
        with lease.Peak(lambda: found[:1]) as one, lease.Peak(lambda: found) as both:
            pass
    finally:
        for each in running:
            each.kill()
            each.communicate()
    assert one.main > 64 * 2**20
    assert both.main > one.main + 64 * 2**20


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"error: .*planner 'no-such'"), Server(tmp_path, planners={"no-such": {}}):
        pass


def test_roles_are_those_of_the_command_line() -> None:
    class Named(psutil.Process):
        def __init__(self, *command: str) -> None:
            self.command = list(command)

        def cmdline(self) -> list[str]:
            return self.command

    assert role_of(Named("python", "-P", "-m", "serving.process", "generator")) == "generator"
    assert role_of(Named("python", "-c", "main()", "serve", "--config", "settings.yaml")) == "server"
    assert role_of(Named("python", "-c", "from multiprocessing.resource_tracker import main")) is None
