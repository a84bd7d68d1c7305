"""``dysenvdm study``: videos before human raters, and what they answered as figures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dysenvdm.cli.console import out, progress_bars, say
from dysenvdm.cli.planning import read_batch
from dysenvdm.files import check_parent, written_whole
from dysenvdm.model_facts import Precision
from planners.dsg import UserError

app = typer.Typer(add_completion=False, help="Ask human raters, and the open questions of the paper.")


@app.command("create")
def create_study(
    videos: Annotated[
        list[str],
        typer.Option("--videos", metavar="[NAME=]FOLDER", help="A system's videos; once for each system, two or more."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The new folder for raters.")],
    title: Annotated[str, typer.Option(help="What the page is called; say nothing of the systems.")] = "Video study",
    prompts: Annotated[
        Path | None, typer.Option(help="A line for each video, in the order of their names; else as in their recipes.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws sides and order.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many prompts, drawn by the seed.")] = None,
    checks: Annotated[int, typer.Option(min=0, help="So many pairs more, as attention checks.")] = 0,
    size: Annotated[str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Resize all videos.")] = None,
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Show all videos at that rate.")] = None,
    embed: Annotated[
        float, typer.Option(metavar="MIB", min=0, help="Videos that take more lie beside the page, not in it.")
    ] = 32,
) -> None:
    """Make a page on which raters judge pairs of videos without knowing whose they are, and the key to it.

    Give raters the folder; keep FOLDER.key.json, which study score needs.
    """
    from fractions import Fraction

    from dysenvdm.studies.human.create import create
    from dysenvdm.studies.human.pairing import systems

    with progress_bars(remaining=True) as bars:
        task = bars.add_task("copying videos", total=None)
        made = create(
            systems(videos),
            output,
            title=title,
            seed=seed,
            prompts=read_batch(prompts) if prompts else None,
            limit=limit,
            checks=checks,
            size=_size(size),
            fps=None if fps is None else Fraction(fps).limit_denominator(1001),
            embed_mib=embed,
            on_copy=lambda done, total: bars.update(task, completed=done, total=total),
        )
    if made.uneven:
        say(f"warning: in {made.uneven} pairs one video lasts longer than the other", "yellow")
    beside = ", videos beside it" if made.beside else ""
    say(f"wrote {made.page} ({made.items} pairs{beside}): give raters the folder {output}")
    say(f"wrote {made.key}: keep it to yourself")


@app.command("score")
def score_study(
    key: Annotated[Path, typer.Argument(help="The key that study create wrote.")],
    ratings: Annotated[list[Path], typer.Argument(help="What the raters sent, a file each.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write all figures to this file.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write them to this spreadsheet.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """Raters' answers as scores, preferences, confidence intervals and agreement."""
    from dysenvdm.studies.human.files import Key, read
    from dysenvdm.studies.human.score import read_ratings, score
    from dysenvdm.studies.human.scores_table import as_csv, table

    for file in (json_file, csv_file):
        if file is not None:
            check_parent(file)
    study = read(Key, key)
    scores = score(study, read_ratings(study, ratings), seed=seed)
    for rater, count in scores["left_out"].items():
        say(f"warning: {rater} failed {count} attention checks and is left out", "yellow")
    out.print(table(scores))
    for file, text in (
        (json_file, json.dumps(scores, indent=1, ensure_ascii=False) + "\n"),
        (csv_file, as_csv(scores)),
    ):
        if file is not None:
            with written_whole(file) as temporary:
                temporary.write_text(text, encoding="utf-8")
            say(f"wrote {file}")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if found is None:
        raise typer.BadParameter(f"{text!r}: write WIDTHxHEIGHT, 256x256", param_hint="--size")
    return int(found[1]), int(found[2])


@app.command("run")
def run_study(
    context: typer.Context,
    study: Annotated[str, typer.Argument(help="One that ships, such as events or planner, or a recipe file.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="Else runs/studies/NAME; may be there.")
    ] = None,
    planner: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:KEY=VALUE,...]", help="Instead of the recipe's; 'gold' knows the plans. Several."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many captions a level.")] = None,
    no_videos: Annotated[bool, typer.Option("--no-videos", help="Look at plans alone.")] = False,
    model: Annotated[str | None, typer.Option(help="The video model's name or folder.")] = None,
    referee: Annotated[str, typer.Option(help="Judges the videos: a referee's name or folder.")] = "stage-referee",
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="Denoising steps; else the model's usual.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=100, help="Videos of every plan; else the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="Where videos are made: auto, cpu or cuda.")] = "auto",
    dtype: Annotated[Precision, typer.Option(help="Precision of the video model.")] = "fp32",
    training: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="Trains this study's own models, instead of its recipe's.")
    ] = None,
    ranks: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that train such a model together; else one for every GPU, or one."),
    ] = None,
    docs: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Also write the study's section into this document.")
    ] = None,
) -> None:
    """Answer one of the paper's open questions on the Stage world: results.json, table.md and plot.png.

    Everything found is kept in the folder: the same command goes on where an earlier one was stopped.
    """
    from dysenvdm.models import DEFAULT_MODEL
    from dysenvdm.studies.comparison.videos import VideoOptions
    from dysenvdm.studies.questions.recipe import load_study
    from dysenvdm.studies.questions.run import run

    name, recipe = load_study(study)
    if training is not None:
        recipe = recipe.trained_by(training)
    if ranks is not None and recipe.training is None:
        raise UserError("--ranks: this study trains no models; leave it out")
    folder = output or Path("runs", "studies", name)
    if docs is not None:
        check_parent(docs)
    videos = None
    if not no_videos:
        videos = VideoOptions(model or DEFAULT_MODEL, seeds or recipe.seeds, steps, device, referee, dtype=dtype)
    with progress_bars(remaining=True) as bars:
        task = bars.add_task(name, total=None)
        done = run(
            name,
            recipe,
            folder,
            planners=planner or recipe.planners,
            videos=videos,
            limit=limit,
            command=_command(context, study, planner),
            document=docs,
            ranks=ranks,
            on_progress=lambda what, done, total: bars.update(task, description=what, completed=done, total=total),
        )
    wide = Console(width=max(out.width, 160), highlight=False)  # a narrow terminal wraps whole lines, not cells
    for title, (head, *lines) in done.tables:
        table = Table(*head, box=None, pad_edge=False, title=title, title_justify="left")
        for line in lines:
            table.add_row(*map(escape, line))
        wide.print(table)
    out.print(done.note, markup=False)
    for file in done.files:
        say(f"wrote {file}")


def _command(context: typer.Context, study: str, planner: list[str] | None) -> str:
    """The command as it was given, defaults and the places of files left out, for whoever reads the results."""
    told = ["dysenvdm study run", study, *(f"--planner {one}" for one in planner or ())]
    for name in ("limit", "no_videos", "model", "referee", "steps", "seeds", "dtype", "training", "ranks", "docs"):
        value = context.params[name]
        default = next(each.default for each in context.command.params if each.name == name)
        if value != default:
            option = f"--{name.replace('_', '-')}"
            told.append(option if value is True else f"{option} {value}")
    return " ".join(told)
