"""``python -m benchmarks.faithfulness``: do videos show what their scene graphs ask for, as the referee sees them?

Videos are made from captions and gold scene graphs of held-out Stage clips, several seeds each. Beside them stand the
drawn clips themselves (what the referee loses: the ceiling) and the same videos held against the next clip's scene
graph (what is right by chance: the floor). Intervals are 95 % bootstrap intervals over clips, a clip's seeds together.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dysenvdm.metrics.bootstrap import cell, share
from dysenvdm.models import locate, verify
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.scene_attention import SCENE_MODES, SceneMode
from dysenvdm.stage import VAL_SEED0, StageClip, sample
from dysenvdm.stage.faithfulness import FIGURES, Faithfulness, added, faithfulness
from dysenvdm.stage.reading import Reading
from dysenvdm.stage.referee import Referee
from dysenvdm.stage.referee_accuracy import said_of
from planners.dsg import UserError

GROUPS: dict[str, Callable[[StageClip], int]] = {
    "events": lambda clip: len(clip.script.acts),
    "actors": lambda clip: len(clip.script.roles),
    "ten words": lambda clip: len(clip.caption.split()) // 10,
}
"""By what clips can be told apart."""


def generate(
    pipeline: DysenVDMPipeline,
    referee: Referee,
    clips: Sequence[StageClip],
    arguments: argparse.Namespace,
    mode: SceneMode,
) -> list[list[Reading]]:
    """For every clip the readings of its videos, one per seed."""
    jobs = [(i, seed) for seed in range(arguments.seeds) for i in range(len(clips))]
    readings: list[list[Reading]] = [[] for _ in clips]
    for first in track(range(0, len(jobs), arguments.batch), mode, disable=not Console().is_terminal):
        part = jobs[first : first + arguments.batch]
        videos = pipeline(
            [clips[i].caption for i, _ in part],
            [clips[i].dsg for i, _ in part],
            seeds=[seed * len(clips) + i for i, seed in part],
            num_inference_steps=arguments.steps,
            guidance_scale=arguments.guidance,
            scheduler=arguments.scheduler,
            scene_mode=mode,
        )
        for (i, _), reading in zip(part, referee.read(list(videos)), strict=True):
            readings[i].append(reading)
    return readings


def judged(readings: Sequence[Sequence[Reading]], clips: Sequence[StageClip]) -> list[Faithfulness]:
    """Per clip, its seeds added up."""
    return [
        added([faithfulness(reading, clip.dsg) for reading in mine]) for mine, clip in zip(readings, clips, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faithfulness", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="stage-nano", help="a video model's name or folder")
    parser.add_argument("--referee", default="stage-referee", help="a referee's name or folder")
    parser.add_argument("--first", type=int, default=30000, help="first clip, counted from the first held-out seed")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2, help="videos per clip")
    parser.add_argument("--batch", type=int, default=8, help="videos made at once")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--scheduler", help="instead of the model's own: ddim, dpmsolver++, unipc")
    parser.add_argument(
        "--scene-mode", action="append", choices=SCENE_MODES, help="may be repeated; the default is aligned"
    )
    parser.add_argument("--output", type=Path, help="write the figures to this file (JSON)")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    try:
        referee = Referee.from_pretrained(arguments.referee).to(device)
        pipeline = DysenVDMPipeline.from_pretrained(locate(arguments.model), dtype).to(device)
    except UserError as error:
        parser.error(str(error))
    pipeline.set_progress_bar_config(disable=True)

    clips = [sample(VAL_SEED0 + arguments.first + i) for i in range(arguments.clips)]
    runs = {"drawn": judged([referee.read([clip.render()]) for clip in clips], clips)}
    for mode in arguments.scene_mode or ["aligned"]:
        readings = generate(pipeline, referee, clips, arguments, mode)
        runs[mode] = judged(readings, clips)
        runs[f"{mode}, other's graph"] = judged(readings, [*clips[1:], clips[0]])

    console = Console(width=170)
    titles = {"drawn": "drawn (ceiling)"}
    caption = (
        f"{arguments.model}: n = {arguments.clips} held-out clips from {arguments.first} on, "
        f"seeds per clip: {arguments.seeds}, {arguments.steps} steps, guidance {arguments.guidance:g}; "
        f"95 % bootstrap intervals over clips. {said_of(referee.accuracy)}"
    )
    table = Table(box=None, pad_edge=False, caption=caption)
    for title in ("", *(titles.get(name, name) for name in runs)):
        table.add_column(title)
    for figure in FIGURES:
        table.add_row(figure.replace("_", " "), *(cell([getattr(one, figure) for one in run]) for run in runs.values()))
    console.print(table)
    console.print(grouped(clips, runs))
    if arguments.output:
        said = {name: value for name, value in vars(arguments).items() if name != "output"}
        said["weights"] = {part: weights_of(part) for part in (arguments.model, arguments.referee)}
        said["figures"] = {
            name: {figure: share([getattr(one, figure) for one in run]) for figure in FIGURES}
            for name, run in runs.items()
        }
        arguments.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def grouped(clips: Sequence[StageClip], runs: dict[str, list[Faithfulness]]) -> Table:
    """Event recall and order by number of events and actors and by the caption's length."""
    table = Table(box=None, pad_edge=False, caption="event recall / order; ten words: tens of words of the caption")
    shown = [name for name in runs if "other" not in name]
    for title in ("", "n", *(f"{name}: {figure}" for name in shown for figure in ("recall", "order"))):
        table.add_column(title)
    for group, of in GROUPS.items():
        for value in sorted({of(clip) for clip in clips}):
            mine = [i for i, clip in enumerate(clips) if of(clip) == value]
            cells = [cell([getattr(runs[name][i], f) for i in mine]) for name in shown for f in ("recall", "order")]
            table.add_row(f"{group} {value}", str(len(mine)), *cells)
    return table


def weights_of(model: str) -> dict[str, str]:
    """SHA-256 of the model's weights, by file."""
    return {name: value for name, value in verify(locate(model)).items() if name.endswith(".safetensors")}


if __name__ == "__main__":
    main()
