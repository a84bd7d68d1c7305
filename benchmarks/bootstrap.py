"""Bootstrap intervals: how much a figure would vary, had other items been drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

RESAMPLES = 1000

Item = TypeVar("Item")


def interval(items: Sequence[Item], figure: Callable[[Sequence[Item]], float]) -> tuple[float, float]:
    """95 % bootstrap interval of a figure of the items, drawn with replacement."""
    rng = random.Random(0)
    drawn = sorted(figure(rng.choices(items, k=len(items))) for _ in range(RESAMPLES))
    return drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES)]


def share_interval(pairs: Sequence[tuple[float, int]]) -> tuple[float, tuple[float, float]]:
    """A share (sum of the first numbers over sum of the second) and its interval over clips."""

    def share(drawn: Sequence[tuple[float, int]]) -> float:
        whole = sum(n for _, n in drawn)
        return sum(right for right, _ in drawn) / whole if whole else float("nan")

    return share(pairs), interval(pairs, share)


def cell(pairs: Sequence[tuple[float, int]]) -> str:
    """A share with its interval, for a table; "-" where nothing was judged."""
    if not sum(n for _, n in pairs):
        return "-"
    value, (low, high) = share_interval(pairs)
    return f"{value:.3f} ({low:.2f}-{high:.2f})"
