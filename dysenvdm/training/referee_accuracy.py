"""Measuring a referee on held-out clips, as they are and degraded, by the rules of :mod:`dysenvdm.stage.verdicts`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from rich.progress import track

from dysenvdm.metrics.bootstrap import share
from dysenvdm.stage import VAL_SEED0, sample
from dysenvdm.stage.reading import gold_reading
from dysenvdm.stage.referee import Referee
from dysenvdm.stage.referee_accuracy import NotedAccuracy
from dysenvdm.stage.verdicts import FIGURES, Accuracy, compared
from dysenvdm.training.autoencoder import to_images
from dysenvdm.training.degradations import blurred, noised, rescaled, seen_through, to_pixels

Pixels = NDArray[np.uint8]
FIRST = 20000
"""Number of the first clip, counted from the first held-out seed: validation looks at none of these."""


def conditions(vae: AutoencoderKL | None) -> dict[str, Callable[[Pixels, int], Pixels]]:
    """What is done to a clip (f h w 3) with a seed, by name."""

    def changed(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Pixels, int], Pixels]:
        return lambda pixels, _: to_pixels(change(to_images(torch.from_numpy(pixels))[None])[0])

    def noisy(pixels: Pixels, seed: int) -> Pixels:
        images = to_images(torch.from_numpy(pixels))[None]
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
        return to_pixels(noised(images, noise, torch.tensor([0.2]))[0])

    behind = {} if vae is None else {"behind the autoencoder": lambda pixels, _: seen_through(vae, pixels)}
    return {
        "clean": lambda pixels, _: pixels,
        **behind,
        "blurred (1 pixel)": changed(lambda images: blurred(images, torch.tensor([1.0]))),
        "at half the size": changed(lambda images: rescaled(images, images.shape[-1] // 2)),
        "noisy (0.1 of white)": noisy,
    }


def measured(
    referee: Referee, vae: AutoencoderKL | None, clips: int, *, first: int = FIRST, frames: int = 16, size: int = 64
) -> dict[str, list[Accuracy]]:
    """What the referee gets right of each clip, by condition."""
    changes = conditions(vae)
    found: dict[str, list[Accuracy]] = {name: [] for name in changes}
    for seed in track(range(VAL_SEED0 + first, VAL_SEED0 + first + clips), "the referee's accuracy"):
        clip = sample(seed, frames=frames, size=size)
        pixels, gold = clip.render(), gold_reading(clip)
        for name, change in changes.items():
            [reading] = referee.read([change(pixels, seed)])
            found[name].append(compared(reading, gold))
    return found


def figures_of(accuracies: Sequence[Accuracy]) -> dict[str, list[tuple[float, int]]]:
    """Per figure what is right and what was judged of each clip that has something to judge."""
    return {name: [one.counts[name] for one in accuracies if name in one.counts] for name in FIGURES}


def noted(found: dict[str, list[Accuracy]], first: int = FIRST) -> NotedAccuracy:
    """What a referee's folder is to say of itself."""
    shares = {
        condition: {
            name: said for name, pairs in figures_of(accuracies).items() if pairs and (said := share(pairs)) is not None
        }
        for condition, accuracies in found.items()
    }
    return NotedAccuracy(clips=len(next(iter(found.values()))), first=first, shares=shares)
