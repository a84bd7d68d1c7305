"""How far long work is, where there is no terminal to draw a bar on: lines for a log file."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import Progress, Task, TaskID

EVERY = 30.0
"""Seconds between two lines."""


class ProgressLines(Progress):
    """Progress told in lines, :data:`EVERY` seconds apart at least; made with ``disable=True``, so that none is drawn.

    A task's field ``also`` is said behind how far it is.
    """

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
            line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in _line(self._tasks[task_id]))
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _line(task: Task) -> str:
    part = f" ({task.percentage:.0f}%)" if task.total else ""
    left = "" if task.time_remaining is None else f", {_span(task.time_remaining)} left"
    return f"{task.description}{part}{task.fields.get('also', '')}, {_span(task.elapsed or 0)} so far{left}"


def _span(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
