"""Files of plans, as ``dysenvdm plan --input`` writes them: a line is found by its caption, and read when asked for.

In memory are a hash and a place for every line, 17 bytes: three million lines take some 50 MB.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dysenvdm.data.cache.plans import Planned
from dysenvdm.files import sha256
from planners.dsg import DSGError, DynamicSceneGraph, UserError

KEY = "data.scenes.file"
ABSENT = "no line"
EXAMPLES = 3


@dataclass(frozen=True)
class Unplanned:
    """A caption without a plan; ``reason``: there is no line for it, or its planning failed."""

    caption: str
    reason: str


class PlanFile:
    """Plans of captions from one file or several; of several plans for one caption the first one counts.

    It plans as a :class:`~dysenvdm.data.cache.plans.ScenePlanner` does. A caption is matched as it is, blanks around
    it apart. A last line that a writer is still at, without its end, is not there yet. Raises :class:`UserError` for a
    file that cannot be read, or a line of another kind.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if not path.is_file():
                raise UserError(f"{KEY}: no file {path}; write it with: dysenvdm plan --input captions.jsonl -o {path}")
        self.paths = tuple(paths)

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """The files' hashes: all that the plans follow from."""
        return {"files": [sha256(path) for path in self.paths]}

    @property
    def stamps(self) -> list[tuple[str, int, int]]:
        """Path, size and time of change of each file: while they stay, so does what is in them."""
        return [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in self.paths]

    def plan(self, captions: Sequence[str], *, ticks: int, seed: int) -> list[Planned]:  # noqa: ARG002 - planners have them
        """One per caption, in order, whatever ``ticks`` and ``seed``: they were planned already."""
        with _Lines(self.paths) as lines:
            return [self._planned(caption, lines) for caption in captions]

    def lacking(self, captions: Iterable[str]) -> Iterator[Unplanned]:
        """Those of the captions that have no plan."""
        _, _, planned = self._index
        for caption in captions:
            places = self._places(caption)
            if not any(planned[place] for place in places):
                yield Unplanned(caption, "planning failed" if len(places) else ABSENT)

    def _planned(self, caption: str, lines: _Lines) -> Planned:
        _, offsets, _ = self._index
        failure = ABSENT
        for place in self._places(caption):
            where, said = lines.read(int(offsets[place]))
            if said["prompt"].strip() != caption.strip():
                continue
            if said["dsg"] is None:
                failure = str(said.get("reason") or "planning failed")
                continue
            try:
                dsg = DynamicSceneGraph.parse(said["dsg"])
            except DSGError as error:
                raise UserError(f"{KEY}: {where}, {caption[:60]!r}: {error}") from None
            return Planned(dsg, said.get("reason"), said.get("transcript_sha256"))
        return Planned(None, failure, None)

    def _places(self, caption: str) -> range:
        hashes, _, _ = self._index
        wanted = np.uint64(_hash(caption))
        return range(int(np.searchsorted(hashes, wanted)), int(np.searchsorted(hashes, wanted, side="right")))

    @cached_property
    def _index(self) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.bool_]]:
        """Of every line the hash of its caption, its offset in all files one behind the other, and whether it has a
        plan; by hash, lines of the same caption in their order."""
        hashes, offsets, planned = array("Q"), array("q"), array("b")
        for offset, prompt, there in _listed(self.paths):
            hashes.append(_hash(prompt))
            offsets.append(offset)
            planned.append(there)
        if not hashes:
            raise UserError(f"{KEY}: no plans in {', '.join(map(str, self.paths))}")
        order = np.argsort(np.frombuffer(hashes, np.uint64), kind="stable")
        return (
            np.frombuffer(hashes, np.uint64)[order],
            np.frombuffer(offsets, np.int64)[order],
            np.frombuffer(planned, np.int8)[order].astype(bool),
        )


def check_planned(file: PlanFile, captions: Sequence[str], unplanned: str) -> str | None:
    """What to say of captions without a plan, None where all have one.

    Raises :class:`UserError` unless ``unplanned`` is "empty".
    """
    lacking = list(file.lacking(captions))
    if not lacking:
        return None
    absent = sum(one.reason == ABSENT for one in lacking)
    counts = ", ".join(
        f"{n:,} {what}" for n, what in ((absent, "without a line"), (len(lacking) - absent, "failed")) if n
    )
    examples = ", ".join(repr(one.caption[:60]) for one in lacking[:EXAMPLES])
    told = f"{len(lacking):,} of {len(captions):,} captions have no plan ({counts}), such as {examples}"
    if unplanned != "empty":
        raise UserError(
            f"{KEY}: {told}; dysenvdm check-data writes them into unplanned.jsonl, to be planned and named as a second "
            f"file, or use their clips without a scene: data.scenes.unplanned=empty"
        )
    return f"{told}; their clips have empty scenes"


def _hash(caption: str) -> int:
    return int.from_bytes(blake2b(caption.strip().encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _listed(paths: Sequence[Path]) -> Iterator[tuple[int, str, bool]]:
    """(offset, caption, whether there is a plan) of every line of all files, one behind the other."""
    offset = 0
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip() and (line.endswith(b"\n") or _is_json(line)):
                    said = _parsed(line, f"{path} line {number}")
                    yield offset, said["prompt"], said["dsg"] is not None
                offset += len(line)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("prompt"), str) or "dsg" not in said:
        raise UserError(f"{KEY}: {where} is no line of dysenvdm plan --input, which have a prompt and a dsg")
    return said


class _Lines:
    """The files' lines by their offset in all of them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.starts = [0]
        for path in paths[:-1]:
            self.starts.append(self.starts[-1] + path.stat().st_size)
        self.files: list[BinaryIO] = []

    def __enter__(self) -> _Lines:
        self.files = [path.open("rb") for path in self.paths]
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.close()

    def read(self, offset: int) -> tuple[str, dict[str, Any]]:
        """Where the line is, for people, and what it says."""
        number = bisect_right(self.starts, offset) - 1
        self.files[number].seek(offset - self.starts[number])
        where = f"{self.paths[number]} at byte {offset - self.starts[number]}"
        return where, _parsed(self.files[number].readline(), where)
