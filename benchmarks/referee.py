"""``python -m benchmarks.referee``: how often the referee is right, on drawn clips that it has not seen.

Clips are those of the corpus's held-out seeds: as they are, and degraded. Shares are over all frames and actors, by the
rules of :mod:`dysenvdm.stage.verdicts`, with 95 % bootstrap intervals over clips. ``--note`` writes them into the
referee's folder, where every verdict finds them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from rich.console import Console
from rich.table import Table

from dysenvdm.metrics.bootstrap import cell
from dysenvdm.models import MANIFEST, locate, write_manifest
from dysenvdm.stage.referee import Referee
from dysenvdm.stage.verdicts import FIGURES
from dysenvdm.training.referee_accuracy import FIRST, figures_of, measured, noted
from planners.dsg import UserError


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.referee", description=__doc__.splitlines()[0])
    parser.add_argument("--referee", default="stage-referee", help="a referee's name or folder")
    parser.add_argument("--model", default="stage-nano", help="the model whose autoencoder clips go through")
    parser.add_argument("--vae", type=Path, help="an autoencoder's folder, instead of the model's")
    parser.add_argument("--first", type=int, default=FIRST, help="first clip, counted from the first held-out seed")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--output", type=Path, help="write the figures to this file (JSON)")
    parser.add_argument("--note", action="store_true", help="write the figures into the referee's folder, too")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        referee = Referee.from_pretrained(arguments.referee).to(device)
        folder = arguments.vae or locate(arguments.model) / "vae"
    except UserError as error:
        parser.error(str(error))
    vae = AutoencoderKL.from_pretrained(folder, local_files_only=True).to(device).eval()
    found = measured(referee, vae, arguments.clips, first=arguments.first)
    table = Table("", *found, box=None, pad_edge=False)
    last = arguments.first + arguments.clips - 1
    table.caption = (
        f"n = {arguments.clips} clips of held-out seeds {arguments.first} to {last}; 95 % bootstrap intervals"
    )
    pairs = {name: figures_of(accuracies) for name, accuracies in found.items()}
    for figure in FIGURES:
        table.add_row(figure.replace("_", " "), *(cell(mine[figure]) for mine in pairs.values()))
    Console(width=170).print(table)
    accuracy = noted(found, arguments.first)
    if arguments.output:
        arguments.output.write_text(accuracy.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if arguments.note:
        folder = locate(arguments.referee)
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        accuracy.save(folder)
        write_manifest(folder, source=said["source"], licence=said["licence"])


if __name__ == "__main__":
    main()
