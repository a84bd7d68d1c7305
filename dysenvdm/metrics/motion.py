"""How a video moves, computed from its pixels alone: no network, and so none of VBench's scores of like names.

All of them depend on the frame rate, which results carry. Letters: ``f`` frame, ``h w`` pixels, ``y x`` cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from einops import reduce
from numpy.typing import NDArray

from dysenvdm.metrics.contract import Figure, Material, Measured, Metric, Settings
from planners.dsg import UserError

LEAST_FRAMES = 3
MOVED = 1 / 16
"""Change of brightness, of the whole range, from which a pixel counts as moved."""
CELLS = 4
"""Cells a side in which flicker is looked for."""
_LUMA = np.array([0.299, 0.587, 0.114]) / 255


def smoothness(video: NDArray[np.uint8]) -> float:
    """1 less the mean distance of a pixel's brightness from the mean of the frames before and after; 1 is smooth."""
    return 1 - float(np.abs(_bend(video @ _LUMA)).mean())


def flicker(video: NDArray[np.uint8]) -> float:
    """The same distance for the mean brightness of each of 4 x 4 cells: light that comes and goes; 0 is steady."""
    luma = video @ _LUMA
    _, height, width = luma.shape
    luma = luma[:, : height - height % CELLS, : width - width % CELLS]
    return float(np.abs(_bend(reduce(luma, "f (y h) (x w) -> f y x", "mean", y=CELLS, x=CELLS))).mean())


def dynamic_degree(video: NDArray[np.uint8]) -> float:
    """The share of pixels whose brightness changes by more than 1/16 of its range from one frame to the next."""
    return float((np.abs(np.diff(video @ _LUMA, axis=0)) > MOVED).mean())


def _bend(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far every inner frame is from the mean of its neighbours."""
    return values[1:-1] - (values[:-2] + values[2:]) / 2


FIGURES = {"smoothness": smoothness, "flicker": flicker, "dynamic_degree": dynamic_degree}


def _motion(material: Material, settings: Settings) -> Sequence[Measured]:
    del settings
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in FIGURES}
    for item in material.items:
        assert item.read is not None
        video = item.read()
        if len(video) < LEAST_FRAMES:
            raise UserError(f"metric motion: {item.id}: has {len(video)} frames, it needs at least {LEAST_FRAMES}")
        for name, function in FIGURES.items():
            found[name].append((function(video), 1.0))
        material.on_item()
    return [Measured(name, pairs=pairs) for name, pairs in found.items()]


MOTION = Metric(
    "motion",
    "smoothness, flicker and dynamic degree, from the pixels",
    (
        Figure("smoothness", "higher", "mean"),
        Figure("flicker", "lower", "mean"),
        Figure("dynamic_degree", "neither", "mean"),
    ),
    frozenset({"videos"}),
    _motion,
)
