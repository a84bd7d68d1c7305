"""What files hold, found out once: every file is decoded in a process of its own kind, and what came out is noted.

The notes are JSON lines keyed by path, size and time of change, appended as files are done, so that an interrupted
examination goes on where it was. A decoder that crashes or hangs costs one process and names one file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dysenvdm.data import decoding
from dysenvdm.data.decoding import Info, UndecodableError
from dysenvdm.models import home
from planners.dsg import UserError

PATIENCE = 60.0
"""Seconds without a sign of life, of some 64 frames each, after which a decoder counts as hung."""


@dataclass(frozen=True)
class Stamp:
    """By which a file is known to be the one that was examined."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Examined:
    """A file's stamp and what it holds, or why it cannot be decoded."""

    stamp: Stamp
    holds: Info | str


def stamp_of(path: Path) -> Stamp | None:
    """None where there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


def notes_path(root: Path) -> Path:
    """Where a data set's notes are by default: in the model store, by the set's folder."""
    digest = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    return home() / "examined" / f"{root.resolve().name}-{digest}.jsonl"


class Notes:
    """The notes of one data set, whose files lie below ``root``."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self.root = path, root
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise UserError(f"data.examined: {path} cannot be written ({error.strerror}); set another file") from None

    def of(self, paths: Sequence[Path], workers: int) -> dict[Path, Examined]:
        """What each file holds, examined by ``workers`` processes where that is not noted; ranks wait for each other.

        A file that is gone has no entry.
        """
        stamps = {path: stamp for path in dict.fromkeys(paths) if (stamp := stamp_of(path))}
        with self._alone():
            noted = self._read()
            new = [path for path, stamp in stamps.items() if not _is_of(noted.get(self._name(path)), stamp)]
            if new:
                noted |= self._examine(new, stamps, workers)
        return {path: noted[self._name(path)] for path in stamps}

    def _name(self, path: Path) -> str:
        return os.path.relpath(path, self.root)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, Examined]:
        noted: dict[str, Examined] = {}
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                with suppress(ValueError, TypeError, KeyError):  # the last line of a run that was killed
                    said = json.loads(line)
                    stamp = Stamp(said["size"], said["mtime_ns"])
                    noted[said["file"]] = Examined(stamp, said.get("error") or Info(**said["holds"]))
        return noted

    def _examine(self, paths: Sequence[Path], stamps: dict[Path, Stamp], workers: int) -> dict[str, Examined]:
        noted = {}
        decoding.check_installed()
        with self.path.open("a", encoding="utf-8", buffering=1) as file, _progress() as progress:
            file.write("\n")  # ends a line that was cut
            bar = progress.add_task("examining videos", total=len(paths))
            for path, holds in examine_all(paths, workers):
                name, stamp = self._name(path), stamps[path]
                said: dict[str, Any] = {"error": holds} if isinstance(holds, str) else {"holds": asdict(holds)}
                if not isinstance(holds, Passing):
                    file.write(json.dumps({"file": name, **asdict(stamp), **said}) + "\n")
                noted[name] = Examined(stamp, holds)
                progress.advance(bar)
        return noted


class Passing(str):
    """Why a file could not be looked into this time, which says nothing of the file: the next look tries again."""


def _is_of(examined: Examined | None, stamp: Stamp) -> bool:
    return examined is not None and examined.stamp == stamp


def examine_all(paths: Sequence[Path], workers: int, patience: float = PATIENCE) -> Iterator[tuple[Path, Info | str]]:
    """What each file holds, or why it cannot be decoded, as they are done."""
    waiting, pool = list(reversed(paths)), [_Examiner() for _ in range(min(max(1, workers), len(paths)))]
    try:
        for examiner in pool:
            examiner.begin(waiting.pop())
        while busy := [examiner for examiner in pool if examiner.path]:
            ready = connection.wait([examiner.pipe for examiner in busy], timeout=min(1.0, patience))
            for examiner in busy:
                hung = time.monotonic() - examiner.seen > patience
                if examiner.path is None or not (hung or examiner.pipe in ready):
                    continue
                path, answer = examiner.path, examiner.answer(hung=hung)
                if answer is None:
                    continue
                yield path, answer
                if waiting:
                    examiner.begin(waiting.pop())
    finally:
        for examiner in pool:
            examiner.end()


class _Examiner:
    """A process that decodes files, one after the other, and is replaced when it dies."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.seen = time.monotonic()
        """When it last gave a sign of life."""
        self._start()

    def _start(self) -> None:
        context = get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, path: Path) -> None:
        self.path, self.seen = path, time.monotonic()
        self.pipe.send(path)

    def answer(self, *, hung: bool) -> Info | str | None:
        """What it says of its file, or what became of it; None while it is still at work."""
        said: Info | str | None
        try:
            said = Passing("decoding it does not come to an end") if hung else self.pipe.recv()  # or the disk was slow
        except (EOFError, OSError):
            self.process.join()
            code = self._code()
            said = f"it crashes the decoder ({signal.Signals(-code).name if code < 0 else code})"
            if code in (-signal.SIGKILL, -signal.SIGTERM):  # by a person, or for want of memory
                said = Passing(said)
            hung = True
        self.seen = time.monotonic()
        if said is not None:
            self.path = None
        if hung:
            self.end()
            self._start()
        return said

    def _code(self) -> int:
        return self.process.exitcode or 0

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Any) -> None:
    """The child: a path comes, None for every sign of life goes, then what the file holds or what is wrong with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # FFmpeg's complaints: what is wrong is said once, by name
    while True:
        try:
            path = pipe.recv()
            try:
                with suppress(FileNotFoundError):  # which is said below
                    path.open("rb").close()
            except OSError as error:
                pipe.send(Passing(f"it cannot be read ({error.strerror}); the next look tries again"))
                continue
            try:
                pipe.send(decoding.examine(path, lambda: pipe.send(None)))
            except UndecodableError as error:
                pipe.send(str(error))
        except (EOFError, OSError):
            return


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
