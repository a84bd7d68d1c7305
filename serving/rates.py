"""How often somebody may ask: a token bucket for each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

KEPT = 10_000
"""Buckets at a time; the ones not used for longest go, which by then are full again in any real server."""


class Rates:
    """Up to ``per_minute`` at once, refilled evenly; in one process."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, who: str) -> float:
        """0 and one is taken, or how many seconds are to be waited for the next."""
        now = self._clock()
        left, since = self._buckets.pop(who, (float(self._most), now))
        left = min(left + (now - since) * self._most / 60, float(self._most))
        taken = left >= 1
        self._buckets[who] = (left - 1 if taken else left, now)
        while len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) * 60 / self._most
