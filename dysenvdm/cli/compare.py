"""``dysenvdm compare``: prompts x planners -> plans, videos, figures with their uncertainty, one report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dysenvdm.cli.console import out, progress_bars, say
from dysenvdm.model_facts import Precision
from planners.dsg import UserError

app = typer.Typer(add_completion=False)


@app.command()
def compare(
    prompts: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Prompts, one per line; or .jsonl with a prompt and perhaps its gold plan; or stage:N for N captions "
            "of the Stage world's split 'test' with their gold plans, stage:SPLIT:N for those of another one.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="New, or of a run that goes on.")],
    planner: Annotated[
        list[str],
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="From 'dysenvdm planners', with its options; 'gold' knows the gold plans. Give several.",
        ),
    ],
    ticks: Annotated[int, typer.Option(min=1, max=1024, help="Length of the plans in time steps.")] = 8,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of plans, and of the first prompt's video.")] = 0,
    no_videos: Annotated[bool, typer.Option("--no-videos", help="Compare the plans alone.")] = False,
    model: Annotated[str | None, typer.Option(help="The video model's name or folder.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Videos from every plan.")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="Denoising steps; else the model's usual.")] = None,
    referee: Annotated[
        str | None, typer.Option(help="Judges the videos: a referee's name or folder; 'none' leaves it out.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where videos are made: auto, cpu or cuda.")] = "auto",
    dtype: Annotated[Precision, typer.Option(help="Precision of the video model.")] = "fp32",
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="PLANNER=IN/OUT", help="What a million tokens asked and answered cost with a planner."),
    ] = None,
) -> None:
    """Compare planners on the same prompts, also by the videos made from their plans: report.html and its figures.

    Everything found is kept in the folder: the same command goes on where an earlier one was stopped.
    """
    if no_videos and (model or steps or referee or seeds != 1 or dtype != "fp32"):
        raise UserError(
            "--no-videos: takes no options of videos (--model, --seeds, --steps, --dtype, --referee); leave them out"
        )
    from dysenvdm.models import DEFAULT_MODEL, locate
    from dysenvdm.studies.comparison import Comparison, VideoOptions, run

    videos = None
    if not no_videos:
        model, judge = model or DEFAULT_MODEL, None if referee == "none" else referee or "stage-referee"
        for name in (model, judge):
            if name is not None:
                locate(name)
        videos = VideoOptions(model, seeds, steps, device, judge, dtype=dtype)
    comparison = Comparison(prompts, planner, ticks, seed, price or (), videos)
    with progress_bars(remaining=True) as bars:
        tasks: dict[str, object] = {}

        def on_progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)  # type: ignore[arg-type]  # rich's TaskID

        run(comparison, output, on_progress)
    out.print((output / "results.md").read_text(encoding="utf-8"), markup=False, soft_wrap=True)
    say(f"wrote {output / 'report.html'}, results.json, results.csv and results.md beside it")
