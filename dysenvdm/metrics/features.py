"""Clips through networks: reading, resizing, features of whole sets, kept for the next metric on the same material.

Letters: ``b`` clip, ``c`` channels, ``f`` frame, ``h w`` pixels, ``n`` clips, ``d`` features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dysenvdm.metrics.contract import Item, Material, Settings
from planners.dsg import UserError

Side = Literal["items", "reference"]
Look = Callable[[NDArray[np.uint8]], Tensor]
"""A clip (f h w 3) -> its features (d) or (several d)."""


def first_frames(item: Item, count: int, metric: str) -> NDArray[np.uint8]:
    """The first ``count`` frames (f h w 3) of a clip; raises :class:`UserError` where it has fewer."""
    assert item.read is not None
    video = item.read()
    if len(video) < count:
        raise UserError(f"metric {metric}: {item.id}: has {len(video)} frames, it needs at least {count}")
    return video[:count]


def spread_frames(item: Item, count: int) -> NDArray[np.uint8]:
    """``count`` frames (f h w 3) of a clip, evenly spread over it, or all where it has no more, or ``count`` is 0."""
    assert item.read is not None
    video = item.read()
    if not count or len(video) <= count:
        return video
    return video[((np.arange(count) + 0.5) * len(video) / count).astype(int)]


def as_tensor(video: NDArray[np.uint8], device: str, size: int | None = None) -> Tensor:
    """A clip (f h w 3) as (f 3 h w) in [-1, 1]; with ``size`` made square bilinearly, whatever its shape was."""
    frames = rearrange(torch.from_numpy(video), "f h w c -> f c h w").to(device).float() / 127.5 - 1
    if size is not None and frames.shape[2:] != (size, size):
        frames = F.interpolate(frames, (size, size), mode="bilinear", align_corners=False)
    return frames


@torch.no_grad()
def features(
    material: Material, side: Side, key: str, read: Callable[[Item], NDArray[np.uint8]], build: Callable[[], Look]
) -> list[NDArray[np.float32]]:
    """Features of every clip of one side, in order.

    ``key`` says what network and settings they come from; ``build`` loads the network, where it is still needed.
    """
    place = f"{side} {key}"
    if place not in material.features:
        look = build()
        found = []
        items: Sequence[Item] = material.items if side == "items" else material.reference
        for item in items:
            found.append(look(read(item)).float().cpu().numpy())
            material.on_item()
        material.features[place] = found
    return material.features[place]


def runs_of(
    material: Material, settings: Settings, distance: Callable[[NDArray[np.intp], NDArray[np.intp]], float]
) -> tuple[list[float], int]:
    """A distance of drawn clips from drawn reference clips in each run, and how many clips a run has.

    ``settings`` has clips (0: all), runs and seed. Where all there are is drawn there is only one run to make.
    """
    clips, runs, seed = (int(getattr(settings, name)) for name in ("clips", "runs", "seed"))
    sizes = (len(material.items), len(material.reference))
    if not clips or sizes == (clips, clips):
        return [distance(np.arange(sizes[0]), np.arange(sizes[1]))], sizes[0]
    values = []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        mine, theirs = (np.sort(rng.choice(size, clips, replace=False)) for size in sizes)
        values.append(distance(mine, theirs))
    return values, clips
