"""What every data set's reader needs: which files there are, and a place for the clips and for what is wrong."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dysenvdm.data.entries import Entry, Found, Reason, Rejected
from planners.dsg import UserError

SUFFIXES = (".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mov", ".mpg", ".mpeg")


def check_folder(key: str, folder: Path, layout: str) -> None:
    """Raise :class:`UserError` unless there is such a folder with anything in it."""
    try:
        there = folder.is_dir()
        empty = there and not any(folder.iterdir())
    except OSError as error:
        raise UserError(f"{key}: {folder} cannot be read ({error.strerror}); see to its rights") from None
    if not there:
        raise UserError(f"{key}: no folder {folder}; expected {layout}")
    if empty:
        raise UserError(f"{key}: the folder {folder} is empty; expected {layout}")


def read_text(key: str, path: Path) -> str:
    """A text file of annotations; raises :class:`UserError` that names the recipe's key."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{key}: {path} is not UTF-8 text; is it the official file?") from None


def parse_json(key: str, path: Path, text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{key}: {path} is not valid JSON ({error}); was it downloaded whole?") from None


def videos_below(root: Path) -> dict[str, Path]:
    """Name without suffix -> path, of all video files below ``root``; of several the first."""
    found: dict[str, Path] = {}
    for path in files_below(root):
        if path.suffix.lower() in SUFFIXES:
            found.setdefault(path.stem, path)
    return found


def files_below(root: Path) -> Iterator[Path]:
    """All files below ``root``, also behind links, by name; raises :class:`UserError` for a folder that is closed."""

    def closed(error: OSError) -> None:
        raise UserError(f"data.source.root: {error.filename} cannot be read ({error.strerror}); see to its rights")

    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=closed):
        place = os.path.realpath(folder)
        if place in seen:  # a link to a folder above, or to one that was listed already
            folders.clear()
            continue
        seen.add(place)
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


class Folders:
    """Which names are in which folder; every folder is listed once, which is faster than asking for every file."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, str]] = {}

    def file(self, path: Path) -> Path | None:
        """The file as it is there, in whatever capitals; None where it is not."""
        if path.parent not in self._names:
            try:
                names = sorted(os.listdir(path.parent))
            except (OSError, ValueError):  # ValueError: a path that no file can have, such as with half a character
                names = []
            self._names[path.parent] = {name.lower(): name for name in names} | {name: name for name in names}
        names_there = self._names[path.parent]
        name = names_there.get(path.name) or names_there.get(path.name.lower())
        return path.with_name(name) if name else None


class Collector:
    """Clips and rejected ones, in the order they are added."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._rejected: list[Rejected] = []
        self._seen: set[str] = set()

    def add(self, id: str, path: Path | None, captions: Iterable[str], *, expected: str = "", **more: Any) -> None:
        """One clip; ``path`` None: its file, ``expected``, is not there. An id is taken once."""
        said = tuple(text for text in (" ".join(caption.split()) for caption in captions) if text)
        if not _is_text(id):
            self.reject(id, "bad annotation", "the file's name is not UTF-8; rename it")
        elif not all(map(_is_text, said)):
            self.reject(id, "bad annotation", "a caption holds half a character (a lone surrogate)")
        elif id in self._seen:
            self.reject(id, "duplicate", "it is listed more than once; the first is taken")
        elif path is None:
            self.reject(id, "missing file", expected)
        elif not said:
            self.reject(id, "no caption", "the annotations have no text for it")
        else:
            self._entries.append(Entry(id, path, said, **more))
        self._seen.add(id)

    def reject(self, id: str, reason: Reason, detail: str) -> None:
        id, detail = (text.encode(errors="backslashreplace").decode() for text in (id, detail))
        self._rejected.append(Rejected(id, reason, detail))

    def found(self) -> Found:
        return Found(tuple(self._entries), tuple(self._rejected))


def _is_text(text: str) -> bool:
    """Whether it can be written down: names of files may hold bytes, and JSON halves of characters, that cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shared_out(found: Found, share: float, held_out: bool) -> Found:
    """A fixed ``share`` of the clips, by the hash of their ids, or all others: the same on every machine, for ever.

    At least one clip is held out where there are two.
    """
    lowest = min((lot(entry.id) for entry in found.entries), default=0.0) if len(found.entries) > 1 else 0.0

    def belongs(id: str) -> bool:
        return (lot(id) < share or lot(id) == lowest) == held_out

    return Found(
        tuple(entry for entry in found.entries if belongs(entry.id)),
        tuple(rejected for rejected in found.rejected if belongs(rejected.id)),
    )


def lot(id: str) -> float:
    """A number in [0, 1) that belongs to the part of the id before "#": clips of one file stay together."""
    return int.from_bytes(hashlib.sha256(id.partition("#")[0].encode()).digest()[:7]) / 2**56
