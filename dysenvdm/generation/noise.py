"""The noise that a video starts from: drawn from its seed on the CPU, so that it depends on nothing else.

Letters: ``c`` channels, ``f`` frame, ``h w`` pixels of latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dysenvdm.generation.windows import Windows


def video_noise(
    seed: int,
    channels: int,
    size: tuple[int, int],
    windows: Windows,
    *,
    share: float = 0.0,
    reuse: bool = True,
    common: Tensor | None = None,
) -> Tensor:
    """Standard normal noise (c f h w) for all frames of ``windows``.

    The first window's is that of a video of just this window. With ``reuse`` later frames get the noise of earlier
    ones in another order, so that all windows start from the same and draw the same things (FreeNoise: Qiu et al.
    2023, section 4.1); else noise of their own. ``share``: see :func:`mixed_noise`; the common part is one for all,
    drawn unless given as ``common`` (c 1 h w).
    """
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(channels, windows.length, *size, generator=generator)
    drawn = torch.randn(channels, 1, *size, generator=generator) if share else None
    while own.shape[1] < windows.frames:
        count = min(windows.stride, windows.frames - own.shape[1])
        if reuse:
            earlier = own[:, -windows.length :][:, : windows.stride]
            more = earlier[:, torch.randperm(windows.stride, generator=generator)[:count]]
        else:
            more = torch.randn(channels, count, *size, generator=generator)
        own = torch.cat([own, more], dim=1)
    return own if drawn is None else mixed_noise(own, drawn if common is None else common, share)


def mixed_noise(own: Tensor, common: Tensor, share: float) -> Tensor:
    """Standard normal noise (c f h w) of which all frames have the part ``share`` of the variance in common.

    Frames that start from the same noise put things in the same places. ``own`` (c f h w), ``common`` (c 1 h w).
    Source: the mixed noise model of Ge et al. 2023 (PYoCo).
    """
    return share**0.5 * common + (1 - share) ** 0.5 * own
