"""What a comparison has found so far, kept by content: a file per batch of plans, per video, per verdict.

Files appear whole or not at all, so a run that was killed goes on by the same command, and a run that asks for more
takes what it can use.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dysenvdm.files import disk_trouble, written_whole
from planners.dsg import UserError


def key_of(said: Any) -> str:
    """A name for what follows from ``said``, plain JSON data."""
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """JSON records and videos in the comparison's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, kind: str, key: str, suffix: str = ".json") -> Path:
        """Where something of a kind is kept; the folder is there afterwards."""
        where = self.folder / kind
        where.mkdir(parents=True, exist_ok=True)
        return where / f"{key}{suffix}"

    def get(self, kind: str, key: str) -> Any:
        """The record, or None."""
        path = self.path(kind, key)
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error}); delete it, it will be made again") from None

    def put(self, kind: str, key: str, record: Any) -> None:
        write(self.path(kind, key), json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def write(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with disk_trouble(path), written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make the folder, and refuse a second run in it; the system takes the lock from a killed one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another comparison is writing it; wait, or choose another folder") from None
        yield
