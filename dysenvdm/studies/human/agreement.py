"""Krippendorff's alpha: how much raters agree beyond chance, 1 where they always do, 0 where it is chance.

Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011). The packages on the index are under the GPL.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(ratings: NDArray[np.float64], level: Level = "ordinal") -> float | None:
    """Alpha of ``ratings`` (raters, units), nan where a rater left a unit out.

    None where nothing can be said: no unit was rated twice, or all ratings are one value.
    """
    values = np.unique(ratings[~np.isnan(ratings)])
    # Counts (units, values): how often each unit got each value; only units that were rated twice can agree.
    counts = (ratings.T[:, :, None] == values).sum(1).astype(float)
    counts = counts[counts.sum(1) > 1]
    if not len(counts) or (counts.sum(0) > 0).sum() < 2:
        return None
    pairs = counts.sum(1, keepdims=True) - 1
    coincidences = (counts / pairs).T @ counts - np.diag((counts / pairs).sum(0))
    totals = coincidences.sum(0)
    expected = np.outer(totals, totals) - np.diag(totals)
    distance = _squared_distances(values, totals, level)
    return float(1 - (totals.sum() - 1) * (coincidences * distance).sum() / (expected * distance).sum())


def _squared_distances(values: NDArray[np.float64], totals: NDArray[np.float64], level: Level) -> NDArray[np.float64]:
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "interval":
        return np.subtract.outer(values, values) ** 2
    # Ordinal: how many ratings lie between two values, half of those at the values themselves.
    middles = np.cumsum(totals) - totals / 2
    return np.subtract.outer(middles, middles) ** 2
