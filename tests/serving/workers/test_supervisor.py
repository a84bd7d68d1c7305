"""When the supervisor starts a process again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import supervisor
from serving.devices import places
from serving.process import UNLOADED
from serving.settings import Settings
from serving.supervisor import FIRST_DELAY, HEALTHY_SECONDS, LONGEST_DELAY, Child, Supervisor, children_of


class Process:
    """Ends when it is told how."""

    status: int | None = None

    def poll(self) -> int | None:
        return self.status


class Watched(Supervisor):
    """Starts nothing, in simulated time."""

    starts = 0

    def _start(self, child: Child) -> None:
        self.starts += 1
        child.process, child.started = Process(), supervisor.time.monotonic()  # type: ignore[assignment]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watched(tmp_path: Path, clock: list[float], said: list[str]) -> Iterator[Watched]:
    with socket.socket() as unused:
        yield Watched(Settings(folder=tmp_path), children_of(places(1, [])), said.append, unused)


def die(watched: Watched, child: Child, status: int) -> None:
    assert isinstance(child.process, Process)
    child.process.status = status
    watched._watch(child)
    assert child.process is None


def test_who_dies_at_once_again_and_again_is_started_ever_later(
    watched: Watched, clock: list[float], said: list[str]
) -> None:
    child = watched.children[2]
    watched._watch(child)
    delays = []
    for _ in range(9):
        die(watched, child, -9)
        delays.append(child.delay)
        watched._watch(child)
        assert child.process is None  # not yet
        clock[0] += child.delay
        watched._watch(child)
        assert child.process is not None
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == LONGEST_DELAY
    assert said[0] == f"the generator process was killed by signal 9; starting it again in {FIRST_DELAY:g} s"
    clock[0] += HEALTHY_SECONDS + 1
    die(watched, child, 1)
    assert child.delay == FIRST_DELAY


def test_who_unloaded_is_started_at_once_and_quietly(watched: Watched, said: list[str]) -> None:
    child = watched.children[1]
    watched._watch(child)
    for _ in range(3):
        die(watched, child, UNLOADED)
        watched._watch(child)
    assert (watched.starts, said) == (4, [])
