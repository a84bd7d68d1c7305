"""What every command shares: the two consoles, one way to fail, one way to show progress."""

from __future__ import annotations

import json
import time
import warnings
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

EVERY = 30.0
"""Seconds between lines of progress where there is no terminal to draw a bar on."""
SPEED_FROM = 3600.0
"""The last seconds whose speed estimates the time left: a batch of captions may take minutes."""


def plain(text: str) -> str:
    """Text from prompts and files with nothing in it that a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def say(message: str, style: str = "") -> None:
    """One line for a person, on standard error, so that standard output stays data."""
    err.print(Text(plain(message), style=style), soft_wrap=True)


def say_warnings() -> None:
    """Have warnings meant for users said in one line, as errors are; all others keep Python's form."""
    python = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if category.__name__ == "TextCutWarning":  # its module is not loaded just to ask
            say(f"warning: {message}", "yellow")
        else:
            python(message, category, *rest)

    warnings.showwarning = show  # type: ignore[assignment]


def print_json(data: Any) -> None:
    """Machine-readable output, unwrapped."""
    out.print(json.dumps(data, indent=1, ensure_ascii=False), markup=False, soft_wrap=True)


def progress_bars(*, remaining: bool = False) -> Progress:
    """Bars on standard error that vanish into one line each when done; where it is no terminal but a log file, a line
    every :data:`EVERY` seconds at most.

    With ``remaining`` they also estimate the time left.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    left = (TextColumn("left:"), TimeRemainingColumn(elapsed_when_finished=True)) if remaining else ()
    kind = Progress if err.is_terminal else _Lines
    return kind(
        *columns,
        TimeElapsedColumn(),
        *left,
        console=err,
        disable=not err.is_terminal,
        speed_estimate_period=SPEED_FROM,
    )


class _Lines(Progress):
    """Progress told in lines, for a log."""

    def __init__(self, *columns: Any, **options: Any) -> None:
        super().__init__(*columns, **options)
        self._told = time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._tell(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            say(_told(self._tasks[task_id]))


def _told(task: Task) -> str:
    """How far a task is, as a line."""
    part = f" ({task.percentage:.0f}%)" if task.total else ""
    left = "" if task.time_remaining is None else f", {_span(task.time_remaining)} left"
    return f"{task.description}{part}, {_span(task.elapsed or 0)} so far{left}"


def _span(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
