"""Progress where there is no terminal: a line now and then, in every command that has bars."""

from __future__ import annotations

import pytest

from dysenvdm import progress
from dysenvdm.cli import console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the module's clock says."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_at_most_every_so_often(clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    bars = console.progress_bars(remaining=True)
    bars.get_time = lambda: clock[0]
    with bars:
        task = bars.add_task("planning captions.jsonl", total=1000)
        for done in range(1, 101):
            clock[0] += 1.0
            bars.update(task, completed=done)
        assert capfd.readouterr().err.splitlines() == [
            "planning captions.jsonl (3%), 0:00:30 so far, 0:16:10 left",
            "planning captions.jsonl (6%), 0:01:00 so far, 0:15:40 left",
            "planning captions.jsonl (9%), 0:01:30 so far, 0:15:10 left",
        ]
        clock[0] += 600
        bars.advance(task)
        assert capfd.readouterr().err == "planning captions.jsonl (10%), 0:11:40 so far, 1:44:45 left\n"


def test_short_work_says_nothing(clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    with console.progress_bars() as bars:
        task = bars.add_task("planning", total=None)
        clock[0] += progress.EVERY - 1
        bars.update(task, description="planned")
    assert capfd.readouterr().err == ""
    with console.progress_bars() as bars:
        task = bars.add_task("planning", total=None)
        clock[0] += progress.EVERY
        bars.update(task, description="12 of unknown")
    assert capfd.readouterr().err.startswith("12 of unknown, ")


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "err", console.Console(stderr=True, force_terminal=True))
    bars = console.progress_bars()
    assert (type(bars), bars.disable) == (console.Progress, False)
