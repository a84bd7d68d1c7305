"""``python -m benchmarks.metric_answers CLIPS``: a distance's known answers on a folder of real clips.

Each video is cut into pieces of 16 frames, up to ``--pieces`` of them spread over it. Said are the distance of all
pieces from themselves, of every second one from the others, and from the same pieces with normal noise of growing
strength, which must grow.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.planning import print_table
from dysenvdm.metrics import Item, Material, measure
from dysenvdm.metrics.folders import VIDEOS
from dysenvdm.video import Frames, read_mp4
from planners.dsg import UserError

FRAMES = 16
NOISE = (5, 10, 20, 40, 80)
"""Standard deviations, of 255."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metric_answers", description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="a folder of videos")
    parser.add_argument("--metric", default="fvd-stage", help="fvd-stage, fvd or kvd")
    parser.add_argument("--referee", default="stage-referee", help="for fvd-stage: a referee's name or folder")
    parser.add_argument("--pieces", type=int, default=16, help="of each video")
    arguments = parser.parse_args()
    try:
        pieces = cut(arguments.clips, arguments.pieces)
        rows = answers(pieces, arguments.metric, arguments.referee)
    except UserError as error:
        parser.error(str(error))
    title = f"{arguments.metric}: {len(pieces)} pieces of {FRAMES} frames of {arguments.clips.name}"
    print_table(title, ("compared with", "n", "distance"), rows)


def cut(folder: Path, most: int) -> list[Frames]:
    """Pieces of all videos, each video's in order, 128 pixels high at most."""
    pieces: list[Frames] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in VIDEOS:
            video = read_mp4(path)
            step = max(1, video.shape[1] // 128)
            starts = np.arange(0, len(video) - FRAMES + 1, FRAMES)
            chosen = starts[np.linspace(0, len(starts) - 1, min(most, len(starts))).astype(int)]
            pieces += [video[start : start + FRAMES, ::step, ::step] for start in chosen]
    if len(pieces) < 4:
        raise UserError(f"{folder}: {len(pieces)} pieces of {FRAMES} frames there; give a folder of longer videos")
    return pieces


def answers(pieces: Sequence[Frames], metric: str, referee: str) -> list[tuple[str, str, str]]:
    """Rows of what is compared, how many there are on each side, and the distance."""
    rows = [("themselves", pieces, pieces), ("every second one: the others", pieces[::2], pieces[1::2])]
    for strength in NOISE:
        rows.append((f"noise of {strength}", pieces, noisy(pieces, strength)))
    found = []
    for name, mine, theirs in rows:
        least = min(len(mine), len(theirs))
        settings = {"referee": referee} if metric == "fvd-stage" else {"clips": least, "runs": 1}
        [result] = measure(metric, Material(_items(mine[:least]), _items(theirs[:least])), settings)
        found.append((name, str(least), f"{result.value:.6g}"))
    return found


def noisy(pieces: Sequence[Frames], strength: float) -> list[Frames]:
    rng = np.random.default_rng(0)
    return [(piece + rng.normal(0, strength, piece.shape)).clip(0, 255).astype(np.uint8) for piece in pieces]


def _items(pieces: Sequence[Frames]) -> list[Item]:
    return [Item(f"{i:04d}", partial(np.asarray, piece)) for i, piece in enumerate(pieces)]


if __name__ == "__main__":
    main()
