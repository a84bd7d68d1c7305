"""``dysenvdm check-data``: look at a recipe's data before it is trained on."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from dysenvdm.cli.console import out, plain, print_json, say
from dysenvdm.files import written_whole
from planners.dsg import UserError

if TYPE_CHECKING:
    from dysenvdm.data.cache.plan_file import PlanFile
    from dysenvdm.data.checking import Encoder, Look
    from dysenvdm.training.recipe import Recipe

app = typer.Typer(add_completion=False)

SHEET, REPORT, REJECTED = "sheet.png", "report.json", "rejected.jsonl"
CAPTIONS, UNPLANNED = "captions.jsonl", "unplanned.jsonl"
_BAR = 40


@app.command("check-data")
def check_data(
    recipe: Annotated[str, typer.Argument(help="A recipe of a video model, as for dysenvdm train.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; may be given often.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Stop after so many usable clips, a fixed random choice; 0: look at all.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder of the results; the run's check-data otherwise."),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, max=100, help="How many clips the contact sheet shows.")] = 8,
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode; 0: one for each core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Count the usable clips and why others are not, and draw some: report.json, rejected.jsonl and sheet.png.

    What is found out about a file is noted, so that a check that was stopped goes on and training need not look again.
    """
    from dysenvdm.data.annotations.converting import write_rejected
    from dysenvdm.data.checking import look, report
    from dysenvdm.data.clip_sheet import draw, shown

    resolved = _recipe(recipe, overrides or [])
    encoder, plans = _encoder(resolved), _plans(resolved)  # what is missing is said before hours of decoding
    cores = len(os.sched_getaffinity(0))
    looked = look(resolved.data, limit=limit, workers=workers or cores)
    said = {"recipe": resolved.name, "limit": limit, **report(looked, encoder)}
    folder = output or resolved.run / "check-data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be made ({error.strerror}); choose another with -o") from None
    said["files"] = {"report": str(folder / REPORT), "rejected": str(folder / REJECTED)}
    write_rejected(folder / REJECTED, looked.rejected)
    _write_captions(said, folder, resolved, looked, plans)
    (folder / SHEET).unlink(missing_ok=True)  # one of an earlier check would lie
    if looked.trained.seen:
        rows = shown(looked, clips)
        title = f"{resolved.name}: {len(rows)} of {len(looked.trained.seen)} clips that are trained on"
        with written_whole(folder / SHEET) as temporary:
            draw(rows, title).save(temporary)
        said["files"]["sheet"] = str(folder / SHEET)
    with written_whole(folder / REPORT) as temporary:
        temporary.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        print_json(said)
    else:
        _show(said, looked)
    if not looked.trained.seen:
        raise UserError(_nothing(looked, folder / REJECTED))


def _recipe(path: str, overrides: list[str]) -> Recipe:
    """Raises :class:`UserError` where it is none of a video model."""
    from dysenvdm.cli.train import PLANNER_PHASES
    from dysenvdm.training.recipe import load_recipe, read_recipe

    if read_recipe(path, overrides).get("phase") in PLANNER_PHASES:
        raise UserError(f"{path}: this recipe trains a planner, which sees no clips; check-data is for video models")
    return load_recipe(path, overrides)


def _encoder(recipe: Recipe) -> Encoder | None:
    """None where the phase reads no captions."""
    from dysenvdm.data.checking import Encoder, token_counter
    from dysenvdm.training.networks import cuts_captions, max_tokens, tokenizer_folder

    if recipe.phase in ("autoencoder", "referee"):
        return None
    cuts = cuts_captions(recipe)
    fixed = cuts or recipe.model.preset is None
    return Encoder(token_counter(tokenizer_folder(recipe)), max_tokens(recipe), fixed=fixed, cuts=cuts)


def _plans(recipe: Recipe) -> PlanFile | None:
    """The recipe's file of plans, if there is one."""
    if recipe.phase != "denoiser" or not recipe.data.scenes.file:
        return None
    from dysenvdm.data.cache.plan_file import PlanFile

    return PlanFile(recipe.data.scenes.file)


def _write_captions(said: dict[str, Any], folder: Path, recipe: Recipe, looked: Look, plans: PlanFile | None) -> None:
    """What ``dysenvdm plan --input`` reads: all distinct captions, and those that the file of plans lacks."""
    for name in (CAPTIONS, UNPLANNED):
        (folder / name).unlink(missing_ok=True)
    if recipe.phase != "denoiser":
        return
    seen = looked.trained.seen + looked.held_out.seen
    captions = list(dict.fromkeys(caption for clip in seen for caption in clip.captions))
    _write_lines(folder / CAPTIONS, ({"caption": caption} for caption in captions))
    said["files"]["captions"] = str(folder / CAPTIONS)
    if plans is None:
        return
    lacking = list(plans.lacking(captions))
    said["plans"] = {"captions": len(captions), "without": dict(Counter(one.reason for one in lacking))}
    if lacking:
        _write_lines(folder / UNPLANNED, ({"caption": one.caption, "reason": one.reason} for one in lacking))
        said["files"]["unplanned"] = str(folder / UNPLANNED)
        counts = ", ".join(f"{number:,} {reason}" for reason, number in said["plans"]["without"].items())
        empty = recipe.data.scenes.unplanned == "empty"
        said["problems"].append(
            f"{len(lacking):,} of {len(captions):,} captions have no plan in data.scenes.file ({counts}), such as "
            f"{lacking[0].caption[:60]!r}; "
            + ("their clips have empty scenes" if empty else "training refuses that: plan them, see unplanned.jsonl")
        )


def _write_lines(path: Path, lines: Iterable[dict[str, str]]) -> None:
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _nothing(looked: Look, rejected: Path) -> str:
    kind, ids = looked.data.source.kind, [one.id for one in looked.trained.rejected]
    if not ids:
        held_out = len(looked.held_out.seen) + len(looked.held_out.rejected)
        if not held_out:
            return f"no {kind} clip is listed at all; see that what data.source names holds some"
        return f"no {kind} clip is left to train on, {held_out} are held out; hold out fewer (data.source)"
    reasons = ", ".join(f"{number} {reason}" for reason, number in looked.trained.reasons.items())
    named = f"{', '.join(ids[:20])}{', …' if len(ids) > 20 else ''}"
    return f"none of the {len(ids)} {kind} clips can be used ({reasons}): {named}; each with its reason in {rejected}"


def _show(said: dict[str, Any], looked: Look) -> None:
    """The report for people."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "trained on", "held out"):
        table.add_column(column, justify="right" if column else "left")
    parts = list(said["parts"].values())
    reasons = dict.fromkeys(reason for part in parts for reason in part["rejected"])
    rows = [("looked at", [part["looked_at"] for part in parts]), ("usable", [part["usable"] for part in parts])]
    rows += [(f"rejected: {reason}", [part["rejected"].get(reason, 0) for part in parts]) for reason in reasons]
    for label, numbers in rows:
        table.add_row(label, *(f"{number:,}" for number in numbers))
    table.add_row("with a caption", *(_share(part["with_caption"], part["looked_at"]) for part in parts))
    table.add_row("with a scene graph", *(_share(part["with_scene_graph"], part["usable"]) for part in parts))
    out.print(table)
    for name, histogram in said["histograms"].items():
        _show_histogram(name, histogram)
    if "tokens" in said:
        out.print(
            f"captions: {said['tokens']['median']:g} tokens at the median, {said['tokens']['longest']} the longest"
        )
    for reason in reasons:
        some = [one for one in looked.rejected if one.reason == reason][:3]
        for one in some:
            say(f"{one.id}: {one.reason}, {one.detail}")
        if (more := sum(part["rejected"].get(reason, 0) for part in parts) - len(some)) > 0:
            say(f"… and {more} more: {reason}")
    for problem in said["problems"]:
        say(f"warning: {problem}", "yellow")
    say("wrote " + ", ".join(said["files"].values()))


def _share(number: int, of: int) -> str:
    return f"{number / of:.0%}" if of else "-"


def _show_histogram(name: str, histogram: dict[str, int]) -> None:
    if not histogram:
        return
    most, width = max(histogram.values()), max(map(len, histogram))
    out.print(f"\n{name}")
    for label, number in list(histogram.items())[:12]:
        bar = "█" * max(number > 0, round(number / most * _BAR))
        out.print(plain(f"  {label.rjust(width)} {bar} {number:,}"), markup=False)
    if len(histogram) > 12:
        out.print(f"  … and {len(histogram) - 12} more values")
