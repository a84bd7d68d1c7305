"""Shares with their bootstrap intervals: how much a figure would vary, had other clips or prompts been drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000

Pairs = Sequence[tuple[float, float]]
"""Per clip or prompt: how many are right, how many were judged."""


def share(pairs: Pairs) -> tuple[float, float, float] | None:
    """What is right of all that was judged, and its 95 % bootstrap interval over them; None where nothing was."""
    counts = np.array(pairs, dtype=float).reshape(-1, 2)
    if not counts[:, 1].any():
        return None
    drawn = np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))
    right, judged = counts[drawn].sum(1).T
    low, high = np.quantile(right[judged > 0] / judged[judged > 0], [0.025, 0.975])
    return float(counts[:, 0].sum() / counts[:, 1].sum()), float(low), float(high)


def cell(pairs: Pairs) -> str:
    """A share with its interval, for a table; "-" where nothing was judged."""
    found = share(pairs)
    return f"{found[0]:.3f} ({found[1]:.2f}-{found[2]:.2f})" if found else "-"
