"""``python -m benchmarks.generation long | edit | first-frame``: do long videos hold together, do edits keep the rest?

Every figure is the mean over seeds with its standard deviation; arms are paired by seed. ``--sheet`` draws what was
compared. Differences are mean absolute ones of pixels, 0 to 255.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

from dysenvdm.models import locate
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.stage import VAL_SEED0, sample
from dysenvdm.video import Frames, contact_sheet
from planners.dsg import DynamicSceneGraph, Fact, SceneObject

Figures = dict[str, float]
Arms = dict[str, Frames]

ACTS: tuple[tuple[str, str | None, int], ...] = (
    ("walk to", "box", 8), ("jump over", "box", 4), ("wave", None, 4), ("walk to the left", None, 8),
    ("jump", None, 4), ("walk to the right", None, 8), ("sit on", "box", 8), ("wave", None, 4),
)  # fmt: skip
"""What the girl of the long video does again and again, each for so many ticks."""
WINDOW = 16


def girl(colour: str, ticks: int, acts: Sequence[tuple[str, str | None, int]]) -> DynamicSceneGraph:
    """A girl in a coat of this colour in the park, doing these things over and over."""
    always = {"subject": "girl", "start": 0, "end": ticks, "source": "prompt"}
    facts = [Fact(**always, attribute=f"in a {colour} coat"), Fact(**always, predicate="in", object="park")]
    start, i = 0, 0
    while start < ticks:
        predicate, target, length = acts[i % len(acts)]
        end = min(start + length, ticks)
        facts.append(Fact(subject="girl", predicate=predicate, object=target, start=start, end=end, source="plan"))
        start, i = end, i + 1
    objects = tuple(SceneObject(id=name, label=name) for name in ("girl", "box", "park"))
    prompt = f"In the park, a girl in a {colour} coat walks to the box, then she jumps over it."
    return DynamicSceneGraph(prompt=prompt, ticks=ticks, objects=objects, facts=tuple(facts))


def part(dsg: DynamicSceneGraph, start: int, end: int) -> DynamicSceneGraph:
    """The ticks [start, end) as a graph of their own."""
    kept = [fact for fact in dsg.facts if fact.start < end and fact.end > start]
    moved = [
        fact.model_copy(update={"start": max(fact.start - start, 0), "end": min(fact.end, end) - start})
        for fact in kept
    ]
    return dsg.replace(ticks=end - start, facts=moved)


def long(pipe: DysenVDMPipeline, seed: int, given: argparse.Namespace) -> tuple[Arms, dict[str, Figures]]:
    """One long video: in windows with noise used again, with fresh noise, and as clips made one by one."""
    dsg = girl("red", given.frames // 2, ACTS)
    options = {"num_inference_steps": given.steps, "num_frames": given.frames}
    arms = {
        "windows": pipe([dsg.prompt], [dsg], seeds=[seed], **options)[0],
        "windows, fresh noise": pipe([dsg.prompt], [dsg], seeds=[seed], reuse_noise=False, **options)[0],
    }
    count = given.frames // WINDOW
    parts = [part(dsg, i * WINDOW // 2, (i + 1) * WINDOW // 2) for i in range(count)]
    seeds = [1000 * (seed + 1) + i for i in range(count)]
    clips = [
        pipe([dsg.prompt], [piece], seeds=[own], num_inference_steps=given.steps)[0]
        for piece, own in zip(parts, seeds, strict=True)
    ]
    arms["clips one by one"] = np.concatenate(clips)
    return arms, {name: identity(video) for name, video in arms.items()}


def identity(video: Frames) -> Figures:
    """How much later stretches of 16 frames look like the first, and how much frames jump where stretches meet."""
    stretches = [video[i : i + WINDOW].astype(float) for i in range(0, len(video) - WINDOW + 1, WINDOW)]
    scenery = [np.median(stretch, axis=0) for stretch in stretches]
    moving = [
        colours(stretch[np.abs(stretch - still).max(-1) > 30])
        for stretch, still in zip(stretches, scenery, strict=True)
    ]
    steps = np.abs(np.diff(video.astype(float), axis=0)).mean((1, 2, 3))
    borders = np.arange(WINDOW - 1, len(steps), WINDOW)
    return {
        "scenery differs from the first": float(np.mean([np.abs(s - scenery[0]).mean() for s in scenery[1:]])),
        "colours of what moves, in common": float(np.mean([np.minimum(m, moving[0]).sum() for m in moving[1:]])),
        "jump between stretches / within": float(steps[borders].mean() / np.delete(steps, borders).mean()),
    }


def colours(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of 64 colours among pixels (n 3)."""
    counts = np.histogramdd(pixels, bins=4, range=[(0, 256)] * 3)[0]
    return np.asarray(counts / max(counts.sum(), 1))


def edit(pipe: DysenVDMPipeline, seed: int, given: argparse.Namespace) -> tuple[Arms, dict[str, Figures]]:
    """The red coat becomes blue: by the edit, and by making the video again with the same seed."""
    before, after = (girl(colour, 8, (("walk to", "box", 4), ("jump over", "box", 4))) for colour in ("red", "blue"))
    options = {"num_inference_steps": given.steps, "seeds": [seed]}
    arms = {
        "original": pipe([before.prompt], [before], **options)[0],
        "made again": pipe([after.prompt], [after], **options)[0],
        "edited": pipe([after.prompt], [after], edit_of=([before.prompt], [before]), **options)[0],
    }
    original = arms["original"].astype(float)
    red = original[..., 0] - original[..., 1:].max(-1) > 60
    around = F.max_pool2d(torch.from_numpy(red).float().unsqueeze(1), 13, 1, 6)[:, 0].numpy() > 0
    return arms, {
        name: {
            "away from red things, difference from the original": float(np.abs(video - original)[~around].mean()),
            "what was red: blue minus red": float((video[red][:, 2].astype(float) - video[red][:, 0]).mean()),
        }
        for name, video in arms.items()
    }


def first_frame(pipe: DysenVDMPipeline, seed: int, given: argparse.Namespace) -> tuple[Arms, dict[str, Figures]]:
    """A held-out clip's first frame, with the clip's caption and scene graph."""
    clip = sample(VAL_SEED0 + seed)
    drawn = clip.render()
    options = {"num_inference_steps": given.steps, "seeds": [seed]}
    arms = {
        "drawn": drawn,
        "from the picture": pipe([clip.caption], [clip.dsg], first_frames=drawn[:1], **options)[0],
        "from text": pipe([clip.caption], [clip.dsg], **options)[0],
    }
    picture = drawn[0].astype(float)
    return arms, {
        name: {
            "first frame, difference from the picture": float(np.abs(video[0] - picture).mean()),
            "second frame": float(np.abs(video[1] - picture).mean()),
            "all later frames": float(np.abs(video[1:] - picture).mean()),
        }
        for name, video in arms.items()
    }


STUDIES: dict[str, Callable[[DysenVDMPipeline, int, argparse.Namespace], tuple[Arms, dict[str, Figures]]]] = {
    "long": long,
    "edit": edit,
    "first-frame": first_frame,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--frames", type=int, default=240, help="of the long video, a multiple of 16")
    parser.add_argument("--model", default="stage-nano")
    parser.add_argument("--sheet", type=Path, help="draw the arms of the first seeds into this .png file")
    given = parser.parse_args()
    pipe = DysenVDMPipeline.from_pretrained(locate(given.model))
    pages, results = [], []
    for seed in range(given.seeds):
        arms, figures = STUDIES[given.study](pipe, seed, given)
        pages.append(contact_sheet(np.concatenate([eight(video) for video in arms.values()]), columns=8, scale=1))
        results.append(figures)
    if given.sheet:
        stacked(pages[:4]).save(given.sheet)
    table = Table(
        box=None, caption=f"{given.model}, {given.steps} steps, mean (standard deviation), n = {given.seeds} seeds"
    )
    for title in ("", *results[0]):
        table.add_column(title)
    for figure in next(iter(results[0].values())):
        values = [[result[arm][figure] for result in results] for arm in results[0]]
        table.add_row(figure, *(f"{np.mean(arm):.2f} ({np.std(arm, ddof=1):.2f})" for arm in values))
    Console(width=170).print(table)


def eight(video: Frames) -> Frames:
    """Eight frames, evenly spaced, the first among them."""
    shown: Frames = video[np.arange(8) * len(video) // 8]
    return shown


def stacked(pages: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (pages[0].width, sum(page.height for page in pages)), "white")
    top = 0
    for page in pages:
        whole.paste(page, (0, top))
        top += page.height
    return whole


if __name__ == "__main__":
    main()
