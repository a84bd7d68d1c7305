"""What every command shares: the two consoles, one way to fail, one way to show progress."""

from __future__ import annotations

import json
import warnings
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from dysenvdm.progress import ProgressLines

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

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
    every half a minute at most.

    With ``remaining`` they also estimate the time left.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    left = (TextColumn("left:"), TimeRemainingColumn(elapsed_when_finished=True)) if remaining else ()
    kind = Progress if err.is_terminal else ProgressLines
    return kind(
        *columns,
        TimeElapsedColumn(),
        *left,
        console=err,
        disable=not err.is_terminal,
        speed_estimate_period=SPEED_FROM,
    )
