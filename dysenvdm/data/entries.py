"""What a data set has on offer before anything is decoded: its clips, and what of it cannot be used, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Reason = Literal[
    "missing file",
    "no caption",
    "no video",
    "duplicate",
    "bad annotation",
    "undecodable",
    "too short",
    "bad scene graph",
]


@dataclass(frozen=True)
class Entry:
    """One clip of a data set."""

    id: str
    """Unique in its data set and the same on every machine: no absolute path."""
    path: Path
    """The video file."""
    captions: tuple[str, ...]
    """At least one, each with the same right."""
    span: tuple[float, float] | None = None
    """The part of the file, in seconds; None: all of it."""
    dsg: Path | None = None
    """A gold DSG file."""
    sentences: tuple[tuple[float, float, str], ...] = ()
    """(start, end, sentence) in order of their start, in seconds of the file, where the data set has such."""


@dataclass(frozen=True)
class Rejected:
    """A clip that cannot be used. ``detail`` ends the sentence "<id>: <reason>, <detail>"."""

    id: str
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Found:
    """What a data set's files say; entries in the data set's own order."""

    entries: tuple[Entry, ...]
    rejected: tuple[Rejected, ...]

    def without(self, held_out: Found) -> Found:
        """The clips that are not in ``held_out``; those that are become duplicates."""
        ids = {entry.id for entry in held_out.entries}
        twice = [Rejected(e.id, "duplicate", "it is also in the validation file") for e in self.entries if e.id in ids]
        return Found(tuple(e for e in self.entries if e.id not in ids), (*self.rejected, *twice))
