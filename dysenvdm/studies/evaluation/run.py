"""From a model and a recipe to results: each part reads what an interrupted run of the same evaluation has left."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dysenvdm.data.section import StageSource
from dysenvdm.files import check_parent, written_whole
from dysenvdm.generation.loading import Weights, hashes, used_models
from dysenvdm.generation.recipe import Settings, versions
from dysenvdm.metrics import Item, Material, Result, as_data, find, groups, markdown, measure_all
from dysenvdm.metrics.folders import probed
from dysenvdm.metrics.registry import least_items
from dysenvdm.metrics.registry import settings_of as settings_of_metric
from dysenvdm.metrics.report import COLUMNS
from dysenvdm.model_facts import facts
from dysenvdm.stage import STAGE_VERSION
from dysenvdm.stage.export import FPS
from dysenvdm.studies.evaluation.cases import Benchmark, Case, read_benchmark, reader
from dysenvdm.studies.evaluation.making import make_videos, settings_of
from dysenvdm.studies.evaluation.picture import draw
from dysenvdm.studies.evaluation.plans import Planned, plan_all
from dysenvdm.studies.evaluation.recipe import EvaluationRecipe
from dysenvdm.video import read_mp4
from planners.dsg import UserError

FORMAT = "dysenvdm.evaluation/1"
CLAIM, RESULTS, TABLE, PICTURE = "evaluation.json", "results.json", "results.md", "results.png"
OnProgress = Callable[[str, float, float], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Outcome:
    """Results, and by name why some metrics have none."""

    results: list[Result]
    missing: dict[str, str]
    videos: list[tuple[str, Path]]
    """(prompt, file) of the videos that were made."""


def evaluate(model: str, recipe: EvaluationRecipe, folder: Path, device: str, on_progress: OnProgress) -> Outcome:
    """Plan, make and measure what is still missing in ``folder``, and write results there.

    Raises :class:`UserError`: data that is not there, a model that cannot make such videos, a folder of
    another evaluation.
    """
    settings = settings_of(model, recipe)
    _check_alike(settings, recipe)
    weights = hashes(used_models(model))
    _claim(folder, model, recipe, weights)
    benchmark = read_benchmark(recipe, reader(model))
    _check_reference(benchmark, recipe)
    videos = recipe.videos
    planned = plan_all(
        folder, benchmark.cases, recipe.data.scenes, settings.ticks, lambda done: on_progress("planning", done, videos)
    )
    files = make_videos(
        folder, benchmark.cases, planned, settings, recipe, weights, device,
        lambda done: on_progress("making videos", done, videos),
    )  # fmt: skip
    measured = _material(benchmark, planned, files, settings.fps, device, on_progress)
    results, missing = measure_all(recipe.metrics, measured)
    said = {
        "format": FORMAT,
        "model": Path(model).name,
        "recipe": recipe.model_dump(mode="json"),
        "plans": _plans_told(planned),
        "stage": _stage_told(recipe),
        "rejected_clips": benchmark.rejected,
        "generator_weights": weights,
        "versions": versions(),
    }
    write_results(folder, said, results, missing, measured.items)
    shown = [(case.prompt, read_mp4(file)) for case, file in zip(benchmark.cases[:3], files[:3], strict=True)]
    draw(results, shown, f"{Path(model).name} on {recipe.name} ({recipe.split}), {videos} videos", folder / PICTURE)
    made = [(case.prompt, file) for case, file in zip(benchmark.cases, files, strict=True)]
    return Outcome(results, missing, made)


def _claim(folder: Path, model: str, recipe: EvaluationRecipe, weights: Weights) -> None:
    """Note whose folder this is; raises :class:`UserError` where it is another evaluation's.

    Metrics may change between runs, the videos stay those of one model and one recipe.
    """
    check_parent(folder)
    folder.mkdir(exist_ok=True)
    mine = {
        "format": FORMAT,
        "model": Path(model).name,
        "weights": weights,
        "recipe": recipe.model_dump(mode="json", exclude={"metrics"}),
    }
    path = folder / CLAIM
    if path.exists():
        theirs = json.loads(path.read_text(encoding="utf-8"))
        if theirs != mine:
            other = next(key for key in mine if theirs.get(key) != mine[key])
            raise UserError(f"{folder}: holds an evaluation with another {other}; choose another folder with -o")
    elif any(folder.iterdir()):
        raise UserError(f"{folder}: not empty, and no evaluation; choose another folder with -o")
    else:
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(mine, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_alike(settings: Settings, recipe: EvaluationRecipe) -> None:
    """Raise :class:`UserError` where the videos would not be like the reference clips that they are compared with."""
    if not any(find(name).needs & {"reference", "gold videos"} for name in recipe.metrics):
        return
    data, own = recipe.data, facts(settings.model)
    width, height = settings.width or own.width, settings.height or own.height
    rate = float(FPS) if isinstance(data.source, StageSource) else data.fps
    pairs = {
        "frames": (settings.frames, data.frames),
        "size": (f"{width}x{height}", f"{data.size}x{data.size}"),
        "fps": (settings.fps, settings.fps if rate is None else rate),
    }
    for key, (made, reference) in pairs.items():
        if made != reference:
            raise UserError(
                f"generation.{key}: {made}, but the reference clips have {reference}; make them alike with "
                f"--set generation.{key}=… or --set data.{key}=…"
            )


def _check_reference(benchmark: Benchmark, recipe: EvaluationRecipe) -> None:
    """Raise :class:`UserError` before anything is made where a metric would have too few reference clips."""
    there = len(benchmark.reference)
    for name, given in recipe.metrics.items():
        metric = find(name)
        least = least_items(metric, settings_of_metric(metric, given))
        if "reference" in metric.needs and there < least:
            rejected = f" ({benchmark.rejected} were rejected)" if benchmark.rejected else ""
            raise UserError(
                f"metric {name}: needs at least {least} reference clips, the data has {there}{rejected}; give more, or "
                f"say --set metrics.{name}.clips={there}, which is no longer the recipe's protocol"
            )


def _material(
    benchmark: Benchmark,
    planned: Sequence[Planned],
    files: Sequence[Path],
    fps: int,
    device: str,
    on_progress: OnProgress,
) -> Material:
    items = [_item(*one, fps) for one in zip(benchmark.cases, planned, files, strict=True)]
    return material(items, benchmark.reference, device, on_progress)


def material(items: Sequence[Item], reference: Sequence[Item], device: str, on_progress: OnProgress) -> Material:
    """Material that reports how many clips have been looked at."""
    done = 0

    def on_item() -> None:
        nonlocal done
        done += 1
        on_progress(f"measuring: {done} looks at clips", 0, 0)

    return Material(items, reference, device, on_item)


def _item(case: Case, planned: Planned, file: Path, fps: int) -> Item:
    return Item(
        case.id,
        partial(read_mp4, file),
        float(fps),
        probed(file).shape,
        case.prompt,
        graph=planned.graph,
        gold_graph=case.gold_graph,
        plan=planned.plan,
        gold_plan=case.gold_plan,
    )


def _plans_told(planned: Sequence[Planned]) -> dict[str, int]:
    return {
        "prompts": len(planned),
        "degraded": sum(one.degraded is not None for one in planned),
        "without_plan": sum(not one.graph.facts for one in planned),
    }


def _stage_told(recipe: EvaluationRecipe) -> dict[str, Any] | None:
    """Which clips of the Stage world were asked, None of another data set."""
    if not isinstance(recipe.data.source, StageSource):
        return None
    return {"version": STAGE_VERSION, "split": recipe.split, "first": recipe.first, "clips": recipe.videos}


def write_results(
    folder: Path,
    said: Mapping[str, Any],
    results: Sequence[Result],
    missing: Mapping[str, str],
    items: Sequence[Item],
) -> None:
    """``results.json`` with every item's values, and ``results.md``, the tables; on Stage also by groups of items."""
    by_group = groups.in_groups(results, items)
    data = {**said, "results": as_data(results), "groups": by_group, "missing": dict(missing)}
    with written_whole(folder / RESULTS) as path:
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = [f"Columns: {', '.join(COLUMNS)}; ↑ higher is better, ↓ lower.", "", markdown(results)]
    if stage := said.get("stage"):
        told = f"{stage['clips']} clips of split {stage['split']} from {stage['first']} on"
        if said["rejected_clips"]:
            told += f"; passed over: {said['rejected_clips']}"
        lines = [f"Stage, version {stage['version']}: {told}.", "", *lines]
    lines += [f"- {why}" for why in missing.values()]
    if by_group:
        lines += ["", groups.markdown(by_group, results)]
    with written_whole(folder / TABLE) as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def device_name(name: str) -> str:
    """ "cpu" or "cuda" for what the user said; raises :class:`UserError`."""
    from dysenvdm.generation.placement import checked_device

    return str(checked_device(name))
