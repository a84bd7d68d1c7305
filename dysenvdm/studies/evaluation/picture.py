"""One picture of an evaluation: every share between its floor and its ceiling, and some of the videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import numpy as np
from einops import rearrange
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dysenvdm.files import written_whole
from dysenvdm.metrics import Result
from dysenvdm.metrics.report import ARROWS, value_cell
from dysenvdm.video import Frames

FRAMES = 8
"""Shown of each video."""


def draw(results: Sequence[Result], videos: Sequence[tuple[str, Frames]], title: str, path: Path) -> None:
    """Write the picture; ``videos`` are (prompt, frames (f h w 3))."""
    shares = [result for result in results if result.interval and 0 <= (result.value or 0) <= 1]
    others = [result for result in results if result not in shares and result.value is not None]
    heights = [0.8 + 0.26 * max(1, len(shares)), *(1.15 for _ in videos)]
    figure = Figure(figsize=(9, sum(heights) + 0.4), layout="constrained")
    axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    said = " · ".join(f"{result.name} {ARROWS[result.direction]} {value_cell(result)}" for result in others)
    figure.suptitle("\n".join([title, *wrap(said, 130)]), fontsize=9)
    _shares(axes[0], shares)
    for axis, (prompt, frames) in zip(axes[1:], videos, strict=True):
        chosen = frames[np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)]
        axis.imshow(rearrange(chosen, "f h w c -> h (f w) c"))
        axis.set_title(prompt if len(prompt) <= 110 else f"{prompt[:109]}…", fontsize=7, loc="left", parse_math=False)
        axis.set_axis_off()
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None})


def _shares(axis: Axes, results: Sequence[Result]) -> None:
    if not results:
        axis.set_axis_off()
        return
    for place, result in enumerate(reversed(results)):
        assert result.value is not None
        assert result.interval is not None
        low, high = result.interval
        axis.plot([low, high], [place, place], color="#0072b2", linewidth=3, alpha=0.5)
        axis.plot(result.value, place, "o", color="#0072b2", markersize=5)
        for bound, marker in ((result.floor, "<"), (result.ceiling, ">")):
            if bound is not None:
                axis.plot(bound, place, marker, color="#d55e00", markersize=5)
    axis.set_yticks(range(len(results)), [f"{r.name} {ARROWS[r.direction]}" for r in reversed(results)], fontsize=7)
    axis.set_xlim(-0.02, 1.02)
    axis.tick_params(axis="x", labelsize=7)
    axis.set_xlabel("value with its 95 % interval; < floor, > ceiling", fontsize=7)
    axis.grid(axis="x", alpha=0.3)
