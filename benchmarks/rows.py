"""What a benchmark reports: named samples with their unit and, where one is promised, the bound."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure: all its samples, in ``unit``; ``bound`` is what is promised, "at most" unless ``at_least``."""

    name: str
    unit: str
    samples: tuple[float, ...]
    bound: float | None = None
    at_least: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def holds(self) -> bool | None:
        if self.bound is None:
            return None
        return self.median >= self.bound if self.at_least else self.median <= self.bound


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def paired_ratios(first: Callable[[], object], second: Callable[[], object], pairs: int) -> tuple[float, ...]:
    """Wall time of ``first`` over ``second``, pair by pair with alternating order, after one warm-up of each."""
    first(), second()
    ratios = []
    for i in range(pairs):
        if i % 2:
            below = seconds(second)
            ratios.append(seconds(first) / below)
        else:
            above = seconds(first)
            ratios.append(above / seconds(second))
    return tuple(ratios)
