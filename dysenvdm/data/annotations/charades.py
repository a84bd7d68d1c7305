"""Charades, whose videos Action Genome annotates: what the videos are said to show, and their actions in seconds.

Source: Sigurdsson et al., "Hollywood in Homes" (2016), and the released ``Charades_v1_*.csv`` and ``.txt`` files.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dysenvdm.data.annotations.timeline import BadAnnotation
from planners.dsg import UserError

LISTS = ("Charades_v1_train.csv", "Charades_v1_test.csv")
_MAPPING, _OBJECTS, _VERBS = (f"Charades_v1_{name}.txt" for name in ("mapping", "objectclasses", "verbclasses"))

_PREPOSITIONS = {
    **dict.fromkeys(("sit", "lie", "stand", "work", "talk"), "on"),
    **dict.fromkeys(("play", "snuggle"), "with"),
    **dict.fromkeys(("smile", "laugh"), "at"),
    **dict.fromkeys(("walk", "run"), "through"),
}
"""What comes between a verb class and its object in English, where the classes leave it out."""


@dataclass(frozen=True)
class Action:
    """What the person of a video does in the seconds [start, end)."""

    predicate: str
    object: str | None
    """The label of the thing that it is done to."""
    start: float
    end: float


@dataclass(frozen=True)
class Described:
    """One row: captions with the same right, and actions."""

    captions: tuple[str, ...]
    actions: str
    """The cell as it is; :meth:`Classes.actions` reads it."""


class Classes:
    """The meaning of action classes such as ``c008``: a verb and a thing."""

    def __init__(self, folder: Path) -> None:
        objects, verbs = (_names(folder / name) for name in (_OBJECTS, _VERBS))
        self._known: dict[str, tuple[str, str | None]] = {}
        for number, (action, thing, verb) in enumerate(_rows(folder / _MAPPING, 3), 1):
            if thing not in objects or verb not in verbs:
                raise UserError(f"{folder / _MAPPING}, line {number}: {thing} or {verb} is in neither list of classes")
            label = None if objects[thing].lower() == "none" else objects[thing]
            said = verbs[verb].replace("_", " ")
            preposition = _PREPOSITIONS.get(said)
            self._known[action] = (f"{said} {preposition}" if label and preposition else said, label)

    def actions(self, cell: str) -> list[Action]:
        """A cell such as ``c092 11.90 21.20;c147 0.00 12.60``; raises :class:`BadAnnotation`."""
        found = []
        for item in filter(None, cell.strip().split(";")):
            try:
                action, start, end = item.split()
                predicate, thing = self._known[action]
                found.append(Action(predicate, thing, float(start), float(end)))
            except (ValueError, KeyError):
                raise BadAnnotation(f"actions: {item!r} is not a known class with two times in seconds") from None
            if not 0 <= found[-1].start < found[-1].end:
                raise BadAnnotation(f"actions: {item!r} does not end after it begins")
        return found


def read_lists(folder: Path) -> dict[str, Described]:
    """The rows of the lists in a folder by video id; raises :class:`UserError` where there is no list or a bad row."""
    lists = [folder / name for name in LISTS if (folder / name).is_file()]
    if not lists:
        raise UserError(f"{folder}: neither {LISTS[0]} nor {LISTS[1]} is in it")
    described: dict[str, Described] = {}
    for path in lists:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(_decoded(path, file))
            missing = {"id", "script", "descriptions", "actions"} - set(rows.fieldnames or ())
            if missing:
                raise UserError(f"{path}: no column {min(missing)!r}; it is not the official list")
            for row in rows:
                if not row["id"] or None in row.values():
                    raise UserError(f"{path}, line {rows.line_num}: a row without all its columns")
                texts = [row["script"], *row["descriptions"].split(";")]
                captions = dict.fromkeys(" ".join(text.split()) for text in texts)
                described[row["id"]] = Described(tuple(filter(None, captions)), row["actions"])
    return described


def _decoded(path: Path, file: Iterable[str]) -> Iterator[str]:
    try:
        yield from file
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; is it the official list?") from None


def _rows(path: Path, columns: int) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; is it the official list?") from None
    except OSError:
        raise UserError(f"{path}: not there; actions are read with Charades' lists of classes beside them") from None
    rows = [line.split() for line in lines if line.strip()]
    for number, row in enumerate(rows, 1):
        if len(row) < columns:
            raise UserError(f"{path}, line {number}: {columns} columns are expected")
    return rows


def _names(path: Path) -> dict[str, str]:
    return {row[0]: " ".join(row[1:]) for row in _rows(path, 2)}
