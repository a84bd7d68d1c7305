"""``python -m benchmarks.referee``: how often the referee is right, on drawn clips that it has not seen.

Clips are those of the corpus's held-out seeds: as they are, and degraded. Shares are over all frames and actors, by the
rules of :mod:`dysenvdm.stage.verdicts`, with 95 % bootstrap intervals over clips.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dysenvdm.metrics.bootstrap import cell, share
from dysenvdm.models import locate
from dysenvdm.stage import VAL_SEED0, sample
from dysenvdm.stage.reading import gold_reading
from dysenvdm.stage.referee import Referee
from dysenvdm.stage.verdicts import FIGURES, Accuracy, compared
from planners.dsg import UserError

Pixels = NDArray[np.uint8]


def conditions(model: str, device: torch.device) -> dict[str, Callable[[Pixels, int], Pixels]]:
    """What is done to a clip (f h w 3) with a number, by name; the autoencoder is that of ``model``."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    from dysenvdm.training.autoencoder import to_images
    from dysenvdm.training.degradations import blurred, noised, rescaled
    from dysenvdm.training.referee import seen_through, to_pixels

    vae = AutoencoderKL.from_pretrained(locate(model) / "vae", local_files_only=True).to(device).eval()

    def changed(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Pixels, int], Pixels]:
        return lambda pixels, _: to_pixels(change(to_images(torch.from_numpy(pixels))[None])[0])

    def noisy(pixels: Pixels, number: int) -> Pixels:
        images = to_images(torch.from_numpy(pixels))[None]
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(number))
        return to_pixels(noised(images, noise, torch.tensor([0.2]))[0])

    return {
        "clean": lambda pixels, _: pixels,
        f"behind {model}'s autoencoder": lambda pixels, _: seen_through(vae, pixels),
        "blurred (1 pixel)": changed(lambda images: blurred(images, torch.tensor([1.0]))),
        "at 32 pixels": changed(lambda images: rescaled(images, 32)),
        "noisy (0.1 of white)": noisy,
    }


def measure(referee: Referee, change: Callable[[Pixels, int], Pixels], first: int, clips: int) -> list[Accuracy]:
    found = []
    for seed in range(VAL_SEED0 + first, VAL_SEED0 + first + clips):
        clip = sample(seed)
        reading = referee.read([change(clip.render(), seed)])[0]
        found.append(compared(reading, gold_reading(clip)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.referee", description=__doc__.splitlines()[0])
    parser.add_argument("--referee", default="stage-referee", help="a referee's name or folder")
    parser.add_argument("--model", default="stage-nano", help="the model whose autoencoder clips go through")
    parser.add_argument("--first", type=int, default=20000, help="first clip, counted from the first held-out seed")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--output", type=Path, help="write the figures to this file (JSON)")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        referee = Referee.from_pretrained(arguments.referee).to(device)
        changes = conditions(arguments.model, device)
    except UserError as error:
        parser.error(str(error))
    table = Table(box=None, pad_edge=False)
    last = arguments.first + arguments.clips - 1
    table.caption = (
        f"n = {arguments.clips} clips of held-out seeds {arguments.first} to {last}; 95 % bootstrap intervals"
    )
    table.add_column("")
    columns: dict[str, list[Accuracy]] = {}
    for name, change in changes.items():
        columns[name] = measure(referee, change, arguments.first, arguments.clips)
        table.add_column(name)
    figures: dict[str, Any] = {name: {} for name in columns}
    for figure in FIGURES:
        row = {name: [one.counts[figure] for one in found if figure in one.counts] for name, found in columns.items()}
        table.add_row(figure.replace("_", " "), *(cell(pairs) for pairs in row.values()))
        for name, pairs in row.items():
            figures[name][figure] = share(pairs)
    Console(width=170).print(table)
    if arguments.output:
        said = {"clips": arguments.clips, "first": arguments.first, "figures": figures}
        arguments.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
