"""``dysenvdm evaluate``: a model on a benchmark, or a folder of videos by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from dysenvdm.cli.console import out, plain, progress_bars, say
from planners.dsg import UserError

if TYPE_CHECKING:
    from dysenvdm.metrics import Result

app = typer.Typer(add_completion=False)

MODEL, FILES = "A model on a benchmark", "Finished videos"


@app.command()
def evaluate(
    model: Annotated[str | None, typer.Argument(help="A video model's name or folder.")] = None,
    recipe: Annotated[
        str | None, typer.Argument(help="One that ships (ucf101, msrvtt, activitynet, stage) or a file.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of plans, videos and results.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe; with --videos a metric's setting, as fvd.clips=64. May be repeated.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Make so many videos at most.", rich_help_panel=MODEL)
    ] = None,
    vbench: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Also lay the videos out as VBench wants them (linked).", rich_help_panel=MODEL
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    videos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Measure the videos of this folder.", rich_help_panel=FILES)
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Real or gold videos to compare with.", rich_help_panel=FILES)
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="A metric's name; may be repeated.", rich_help_panel=FILES)
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, help="Bring all videos to this frame rate.", rich_help_panel=FILES)
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Resize all videos to this size.", rich_help_panel=FILES)
    ] = None,
    unequal: Annotated[
        bool,
        typer.Option("--unequal", help="Let the two folders have unequal numbers of videos.", rich_help_panel=FILES),
    ] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="List all metrics, what they need and whether it is there.")
    ] = False,
) -> None:
    """Measure a model on a benchmark, or finished videos; results as JSON, a table and a picture (docs/metrics.md)."""
    if metrics:
        _list()
        return
    if videos is not None:
        if model is not None or limit is not None or vbench is not None:
            raise UserError("--videos: the videos are made already; leave out MODEL, RECIPE, --limit and --vbench")
        _check(metric, "--videos: say what to measure with --metric NAME; all there are: dysenvdm evaluate --metrics")
        _evaluate_folder(videos, reference, metric or [], overrides or [], output, device, fps, size, unequal)
        return
    if reference is not None or metric or fps or size or unequal:
        raise UserError("--reference, --metric, --fps, --size, --unequal: go with --videos DIR; a recipe has its own")
    _check(model and recipe, "evaluate: give MODEL and RECIPE, or --videos DIR")
    _check(output, "evaluate: say where to with -o DIR")
    assert model is not None
    assert recipe is not None
    assert output is not None
    _evaluate_model(model, recipe, output, overrides or [], limit, vbench, device)


def _check(given: object, message: str) -> None:
    if not given:
        raise UserError(message)


def _evaluate_model(
    model: str, recipe: str, output: Path, overrides: list[str], limit: int | None, vbench: Path | None, device: str
) -> None:
    from dysenvdm.metrics.vbench import PROMPTS, lay_out
    from dysenvdm.studies.evaluation.recipe import load_recipe
    from dysenvdm.studies.evaluation.run import RESULTS, device_name, evaluate

    if vbench is not None and vbench.exists():
        raise UserError(f"--vbench {vbench}: is there already; give a new folder")
    wanted = load_recipe(recipe, overrides, limit)
    _say_missing(wanted.metrics)
    with progress_bars(remaining=True) as bars:
        tasks: dict[str, Any] = {}

        def on_progress(what: str, done: float, of: float) -> None:
            name = what.partition(":")[0]
            if name not in tasks:
                tasks[name] = bars.add_task(what, total=of or None)
            bars.update(tasks[name], description=what, completed=done)

        found = evaluate(model, wanted, output, device_name(device), on_progress)
    _show(found.results, found.missing)
    say(f"wrote {output / RESULTS} (and .md, .png beside it)")
    if vbench is not None:
        unfit = lay_out(found.videos, vbench)
        say(f"wrote {vbench}: {len(found.videos)} videos")
        if unfit:
            say(f"warning: {unfit} prompts are no file names; give VBench --prompt_file {vbench / PROMPTS}", "yellow")


def _say_missing(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Name the metrics that will not be measured before hours are spent."""
    from dysenvdm.metrics import MissingWeightsError, check_weights, find
    from dysenvdm.metrics.registry import settings_of

    for name, given in metrics.items():
        try:
            check_weights(find(name), settings_of(find(name), given))
        except MissingWeightsError as error:
            say(f"warning: will not be measured: {error}", "yellow")


def _evaluate_folder(
    videos: Path,
    reference: Path | None,
    names: list[str],
    overrides: Sequence[str],
    output: Path | None,
    device: str,
    fps: float | None,
    size: str | None,
    unequal: bool,
) -> None:
    from dysenvdm.files import check_parent
    from dysenvdm.metrics import find, measure_all
    from dysenvdm.metrics.folders import Asked, check_alike, read_folder, with_gold
    from dysenvdm.metrics.registry import check_material, settings_of
    from dysenvdm.studies.evaluation.run import FORMAT, RESULTS, device_name, material, write_results
    from dysenvdm.studies.plan_metrics import register_plan_metrics

    register_plan_metrics()
    wanted = {name: settings_of(find(name), given) for name, given in _settings(names, overrides).items()}
    asked = Asked(fps, _size(size))
    mine = read_folder(videos, asked)
    theirs = read_folder(reference, asked) if reference else []
    check_alike(mine, theirs, unequal=unequal)
    if output is not None:
        check_parent(output)
    with progress_bars() as bars:
        task = bars.add_task("measuring", total=None)
        everything = material(
            with_gold(mine, theirs), theirs, device_name(device), lambda what, *_: bars.update(task, description=what)
        )
        for name, settings in wanted.items():
            check_material(find(name), everything, settings)
        results, missing = measure_all({name: s.model_dump() for name, s in wanted.items()}, everything)
    _show(results, missing)
    if output is not None:
        output.mkdir(exist_ok=True)
        said = {"format": FORMAT, "videos": videos.name, "reference": reference.name if reference else None}
        write_results(output, said, results, missing, everything.items)
        say(f"wrote {output / RESULTS} (and .md beside it)")
    if missing and not results:
        raise typer.Exit(1)


def _settings(names: Sequence[str], overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by metric from METRIC.KEY=VALUE texts."""
    import yaml

    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for text in overrides:
        key, equals, value = text.partition("=")
        name, dot, setting = key.partition(".")
        if not equals or not dot or not setting:
            raise UserError(f"--set {text}: write METRIC.KEY=VALUE, for example fvd.clips=64")
        if name not in found:
            raise UserError(f"--set {text}: {name!r} is not measured; there are: {', '.join(found)}")
        try:
            found[name][setting] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--set {text}: the value is not valid YAML") from None
    return found


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, x, height = text.lower().partition("x")
    if not x or not width.isdecimal() or not height.isdecimal() or not int(width) or not int(height):
        raise UserError(f"--size {text!r}: write WIDTHxHEIGHT in pixels, for example 64x64")
    return int(width), int(height)


def _show(results: Sequence[Result], missing: Mapping[str, str]) -> None:
    from dysenvdm.metrics.report import COLUMNS, notes, rows

    shown = COLUMNS[:5]  # the last two, of what and by which weights, are the same on many lines
    table = Table(box=None, pad_edge=False)
    for title in shown:
        table.add_column(title, no_wrap=True)
    lines = rows(results)
    for row in lines:
        table.add_row(*map(plain, row[: len(shown)]))
    if results:
        out.print(table)
    for clips in dict.fromkeys(row[-2] for row in lines):
        if clips:
            out.print(f"clips: {plain(clips)}", markup=False)
    for weights in dict.fromkeys(row[-1] for row in lines if row[-1] != "none"):
        out.print(f"weights: {plain(weights)}", markup=False)
    for note in notes(results):
        out.print(plain(note), markup=False)
    for why in missing.values():
        say(f"not measured: {why}", "yellow")


def _list() -> None:
    from dysenvdm.metrics import catalogue, find, names
    from dysenvdm.studies.plan_metrics import register_plan_metrics

    register_plan_metrics()
    table = Table(box=None, pad_edge=False)
    for title in catalogue.COLUMNS:
        table.add_column(title, overflow="fold")
    for name in names():
        table.add_row(*map(plain, catalogue.cells(find(name))))
    out.print(table)
