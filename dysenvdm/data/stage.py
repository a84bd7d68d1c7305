"""Stage clips as training data: played, told and rendered from their numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dysenvdm.data.samples import CELLS, Sample
from dysenvdm.stage import StageClip, sample


def foreground_cells(clip: StageClip, cells: int = CELLS) -> NDArray[np.bool_]:
    """(f, cells, cells): the cells of a grid over the picture that any actor's box touches."""
    edges = np.arange(cells) / cells
    mask = np.zeros((next(iter(clip.boxes.values())).shape[0], cells, cells), dtype=bool)
    for box in clip.boxes.values():
        x0, y0, x1, y1 = (box[:, i, None] for i in range(4))
        across = (edges + 1 / cells > x0) & (edges < x1)
        down = (edges + 1 / cells > y0) & (edges < y1)
        mask |= down[:, :, None] & across[:, None, :]
    return mask


def load_sample(
    clip: int, draw: int, rng: np.random.Generator, *, frames: int, size: int, ticks: int, render: bool
) -> Sample:
    """Play Stage clip number ``clip``, all frames shown, and tell it in one of its phrasings."""
    played = sample(clip, frames=frames, size=size, ticks=ticks)
    captions = (played.caption, *played.captions)
    return Sample(
        draw=draw,
        clip=clip,
        caption=captions[rng.integers(len(captions))],
        captions=captions,
        dsg=played.dsg,
        foreground=foreground_cells(played),
        shown=tuple(range(frames)),
        video=played.render() if render else None,
    )
