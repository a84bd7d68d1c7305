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


def difference(first: Pairs, second: Pairs) -> tuple[float, float, float, float] | None:
    """How much larger the first share is than the second one's of the same prompts, its 95 % paired bootstrap interval
    and the two-sided p-value of no difference; None where either has nothing to judge.

    Prompts are drawn anew for both at once. Source: Efron and Tibshirani 1993; p as in Berg-Kirkpatrick et al. 2012,
    both tails, at least 1 / (:data:`RESAMPLES` + 1).
    """
    counts = np.array([first, second], dtype=float).reshape(2, -1, 2)
    whole = counts.sum(1)
    if not whole[:, 1].all():
        return None
    drawn = np.random.default_rng(0).integers(counts.shape[1], size=(RESAMPLES, counts.shape[1]))
    sums = counts[:, drawn].sum(2)
    shares = sums[..., 0] / np.where(sums[..., 1] > 0, sums[..., 1], np.nan)
    gains = shares[0] - shares[1]
    gains = gains[~np.isnan(gains)]
    low, high = np.quantile(gains, [0.025, 0.975])
    tails = [(np.sum(tail) + 1) / (len(gains) + 1) for tail in (gains <= 0, gains >= 0)]
    found = whole[:, 0] / whole[:, 1]
    return float(found[0] - found[1]), float(low), float(high), float(min(1.0, 2 * min(tails)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for how many they are, in their order. Source: Holm 1979."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected
