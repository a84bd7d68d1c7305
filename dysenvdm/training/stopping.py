"""A run that is told to stop ends behind the step in hand, with a checkpoint, so that no step is made twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Told:
    """Whether this process was told to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def end(self) -> None:
        """What the signal would have done at once; of a rank that was not told itself, Ctrl-C."""
        signal.raise_signal(self.signal or signal.SIGINT)
        raise KeyboardInterrupt  # where the signal's own handler came back


@contextmanager
def told_to_stop() -> Iterator[Told]:
    """Within the block the first SIGINT is noted and no more, the second does what it always did.

    So is the first SIGTERM, where nothing else heeds it: a launcher's says that another rank has ended, and steps
    cannot go on then. In a thread other than the first, which Python tells of no signals, nothing is noted.
    """
    told = Told()
    heeded = set()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # which a shell's `&` asks for
        heeded.add(signal.SIGINT)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        heeded.add(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {number: signal.getsignal(number) for number in heeded}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: Any) -> None:
        told.signal = number
        restore()

    for number in heeded:
        signal.signal(number, note)
    try:
        yield told
    finally:
        restore()
