"""Who may use a device now: the parties' states in a folder that all worker processes of a machine share.

Each party keeps a file there that says what it holds and wants (:class:`serving.sharing.Party`), and holds a lock
(``flock``) as long as it lives. The kernel releases the lock of a process that was killed, so what it held is free at
once and nobody waits for it. :mod:`serving.sharing` decides; this module only reads and writes.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from serving.settings import Sharing
from serving.sharing import Answer, Level, Party, Want, answer, asked


class DeviceLease:
    """One party's side. ``folder`` belongs to one device of one machine; ``budget`` and the others as in
    :mod:`serving.sharing`; names are unique among the parties."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        budget: int,
        sharing: Sharing,
        patience: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.budget, self.sharing, self.patience = budget, sharing, patience
        self._folder, self._clock = folder, clock
        folder.mkdir(parents=True, exist_ok=True)
        self.me = Party(name=name)
        with self._together():
            self._alive = os.open(self._lock_of(name), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write()

    def close(self) -> None:
        """Hold nothing any more."""
        with self._together():
            self._file_of(self.me.name).unlink(missing_ok=True)
            self._lock_of(self.me.name).unlink(missing_ok=True)
        os.close(self._alive)

    def request(self, need: int | None, *, idle: int = 0) -> Answer:
        """Ask to work with ``need`` bytes at most (None: unknown, so alone); ``idle`` is held until then.

        Ask again until it is granted, or :meth:`withdraw`; the wait counts from the first time. Raises
        :class:`serving.sharing.DeviceTooSmall`.
        """
        now = self._clock()
        with self._together():
            want = Want(need=need, since=self.me.want.since if self.me.want else now)
            asking = self.me.model_copy(update={"want": want})
            if asking.level >= Level.IDLE:  # who asks does not work at the moment
                asking = asking.model_copy(update={"level": Level.IDLE, "held": idle, "idle": idle})
            told = answer(
                asking, self._others(), budget=self.budget, sharing=self.sharing, now=now, patience=self.patience
            )
            self.me = asking
            if told.granted:
                held = self.budget if need is None else need
                self.me = asking.model_copy(update={"level": Level.WORKING, "held": held, "want": None})
            self._write()
        return told

    def withdraw(self) -> None:
        """Wait no longer."""
        if self.me.want is not None:
            self._change(want=None)

    def rest(self, idle: int, asleep: int | None = None) -> None:
        """The work is done; the model stays loaded and holds ``idle``, or ``asleep`` if it can and must sleep."""
        self._change(level=Level.IDLE, held=idle, idle=idle, asleep=asleep)

    def sleep(self) -> None:
        assert self.me.asleep is not None
        self._change(level=Level.ASLEEP, held=self.me.asleep)

    def gone(self) -> None:
        """Nothing is loaded any more."""
        self._change(level=Level.GONE, held=0, idle=0, asleep=None)

    def asked(self) -> Level | None:
        """How far to come down for others, where there is nothing to do."""
        with self._together():
            return asked(self.me, self._others(), budget=self.budget, sharing=self.sharing)

    # -- files -----------------------------------------------------------------------------------------------------

    def _change(self, **values: object) -> None:
        with self._together():
            self.me = self.me.model_copy(update=values)
            self._write()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Nobody else reads or writes within the block."""
        handle = os.open(self._folder / "mutex", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _file_of(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _lock_of(self, name: str) -> Path:
        return self._folder / f"{name}.alive"

    def _write(self) -> None:
        fresh = self._folder / f"{self.me.name}.new"
        fresh.write_text(self.me.model_dump_json(), encoding="utf-8")
        fresh.replace(self._file_of(self.me.name))

    def _others(self) -> list[Party]:
        found = []
        for file in sorted(self._folder.glob("*.json")):
            if file == self._file_of(self.me.name):
                continue
            if self._lives(file.stem):
                found.append(_read(file))
            else:
                file.unlink()
                self._lock_of(file.stem).unlink(missing_ok=True)
        return found

    def _lives(self, name: str) -> bool:
        try:
            handle = os.open(self._lock_of(name), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False


def _read(file: Path) -> Party:
    try:
        return Party.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:  # files are replaced whole: another version wrote it
        raise RuntimeError(f"{file}: not of this version; stop all servers of this folder first ({error})") from None
