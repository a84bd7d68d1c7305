"""A whole comparison: plans of every planner, videos from them, figures, and the report's files."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dysenvdm.generation.recipe import versions
from dysenvdm.metrics.bootstrap import RESAMPLES
from dysenvdm.stage.faithfulness import Faithfulness
from dysenvdm.studies.comparison import figures
from dysenvdm.studies.comparison.contestants import Contestant, read_contestants
from dysenvdm.studies.comparison.figures import COLUMNS, Parts
from dysenvdm.studies.comparison.plans import OnProgress, Planned, plan_all
from dysenvdm.studies.comparison.prompts import Asked, name_of, read_prompts
from dysenvdm.studies.comparison.store import Store, alone, key_of
from dysenvdm.studies.comparison.videos import Made, Studio, VideoOptions, check_options
from dysenvdm.studies.comparison.writing import write_reports
from planners.dsg import DynamicSceneGraph, UserError

FORMAT = "dysenvdm.comparison/1"

__all__ = ["Comparison", "VideoOptions", "run"]


@dataclass(frozen=True)
class Comparison:
    """What is compared. ``prices`` are texts "PLANNER=IN/OUT", per million tokens; ``videos`` None makes none."""

    prompts: str
    planners: Sequence[str]
    ticks: int = 8
    seed: int = 0
    prices: Sequence[str] = field(default=())
    videos: VideoOptions | None = None


def run(comparison: Comparison, folder: Path, on_progress: OnProgress) -> dict[str, Any]:
    """Do what the folder lacks and write its report; returns what results.json says.

    Raises :class:`UserError` for what a user can mend. What was found until then stays, and the same call goes on.
    """
    if comparison.videos:
        check_options(comparison.videos, comparison.ticks)
    asked = read_prompts(comparison.prompts, comparison.ticks)
    contestants = read_contestants(comparison.planners, asked)
    prices = read_prices(comparison.prices, contestants)
    with alone(folder):
        store = Store(folder)
        studio = (
            Studio(store, comparison.videos, ticks=comparison.ticks, seed=comparison.seed)
            if comparison.videos
            else None
        )
        plans = {
            one.label: plan_all(
                store, one, asked, ticks=comparison.ticks, seed=comparison.seed, on_progress=on_progress
            )
            for one in contestants
        }
        parts = {label: figures.plan_parts(records, asked, prices.get(label)) for label, records in plans.items()}
        made: dict[str, list[list[Made]]] = {}
        bounds: dict[str, list[Parts]] = {}
        drawn: list[Made | None] = [None] * len(asked)
        if studio is not None:
            made = _make(studio, plans, on_progress)
            drawn = [studio.drawn(one.clip) if one.clip else None for one in asked]
            if studio.options.referee:
                bounds["floor"] = _judge(studio, asked, plans, made, parts, on_progress)
                bounds["ceiling"] = _ceiling(studio, asked, drawn)
        results = {
            "format": FORMAT,
            "settings": _settings(comparison, asked, studio),
            "versions": versions(),
            "machine": _machine(),
            "planners": [_told(one, plans[one.label], prices.get(one.label)) for one in contestants],
            "columns": [_column(column) for column in COLUMNS],
            "figures": {label: _plain(figures.cells(mine)) for label, mine in parts.items()},
            "bounds": {name: _plain(figures.cells(mine)) for name, mine in bounds.items() if mine},
            "significance": figures.significance(parts),
            "prompts": [
                {
                    "number": i + 1,
                    "prompt": one.prompt,
                    "gold": _gold(one, drawn[i]),
                    "planners": {
                        label: _outcome(records[i], parts[label][i], made[label][i] if made else [])
                        for label, records in plans.items()
                    },
                }
                for i, one in enumerate(asked)
            ],
        }
        write_reports(folder, results)
    return results


def read_prices(given: Sequence[str], contestants: Sequence[Contestant]) -> dict[str, tuple[float, float]]:
    """Prices per million tokens asked and answered, by label; raises :class:`UserError`.

    A price is of the planner as it was given or, where that is told by its name alone, of all of that name.
    """
    of_names: dict[str, tuple[float, float]] = {}
    of_planners: dict[str, tuple[float, float]] = {}
    for text in given:
        planner, _, pair = text.rpartition("=")
        try:
            asked, answered = (float(number) for number in pair.split("/"))
        except ValueError:
            raise UserError(
                f"--price {text}: write PLANNER=IN/OUT, prices per million tokens, as vllm=0.1/0.4"
            ) from None
        if not (0 <= asked < float("inf") and 0 <= answered < float("inf")):
            raise UserError(f"--price {text}: a price is 0 or more")
        exact = [one.label for one in contestants if planner in (one.given, one.label)]
        named = [one.label for one in contestants if planner == one.name]
        if not exact and not named:
            raise UserError(f"--price {text}: no planner {planner!r} is compared; give it as --planner has it")
        of_planners |= dict.fromkeys(exact, (asked, answered))
        of_names |= dict.fromkeys(named, (asked, answered))
    return of_names | of_planners


def _make(
    studio: Studio, plans: Mapping[str, Sequence[Planned]], on_progress: OnProgress
) -> dict[str, list[list[Made]]]:
    total, done = sum(map(len, plans.values())), 0
    made: dict[str, list[list[Made]]] = {}
    for label, records in plans.items():
        made[label] = []
        for i, record in enumerate(records):
            on_progress("making videos", done, total)
            made[label].append(studio.made(record["prompt"], i, DynamicSceneGraph.parse(record["dsg"])))
            done += 1
    on_progress("making videos", total, total)
    return made


def _judge(
    studio: Studio,
    asked: Sequence[Asked],
    plans: Mapping[str, Sequence[Planned]],
    made: Mapping[str, Sequence[Sequence[Made]]],
    parts: Mapping[str, list[Parts]],
    on_progress: OnProgress,
) -> list[Parts]:
    """Add what the referee sees to the prompts' parts; the floor, all of it held against the next prompt's graph."""
    golden = [i for i, one in enumerate(asked) if one.gold_dsg]
    others = dict(zip(golden, [*golden[1:], *golden[:1]], strict=True)) if len(golden) > 1 else {}
    floor: list[Parts] = []
    for label, records in plans.items():
        for i, record in enumerate(records):
            on_progress(f"judging {label}", i, len(records))
            videos = made[label][i]
            own = studio.judged(videos, DynamicSceneGraph.parse(record["dsg"]))
            parts[label][i] |= figures.shown_parts(_held(studio, videos, asked[i]), own)
            if i in others:
                floor.append(figures.shown_parts(_held(studio, videos, asked[others[i]])))
        on_progress(f"judging {label}", len(records), len(records))
    return floor


def _held(studio: Studio, videos: Sequence[Made], asked: Asked) -> Faithfulness | None:
    """What videos show of a prompt's gold graph, where it has one."""
    return studio.judged(videos, asked.gold_dsg) if asked.gold_dsg else None


def _ceiling(studio: Studio, asked: Sequence[Asked], drawn: Sequence[Made | None]) -> list[Parts]:
    """What the referee sees of the gold graphs in the drawn clips themselves."""
    pairs = zip(drawn, asked, strict=True)
    return [figures.shown_parts(_held(studio, [video], one)) for video, one in pairs if video]


# -- what results.json says --------------------------------------------------------------------------------------------


def _settings(comparison: Comparison, asked: Sequence[Asked], studio: Studio | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "prompts": name_of(comparison.prompts),
        "prompts_sha256": key_of([one.prompt for one in asked]),
        "n": len(asked),
        "with_gold": sum(one.gold_plan is not None for one in asked),
        "ticks": comparison.ticks,
        "seed": comparison.seed,
        "resamples": RESAMPLES,
        "videos": None,
    }
    if studio is not None:
        made = asdict(studio.settings) | {"model": Path(studio.options.model).name}
        referee = Path(studio.options.referee).name if studio.options.referee else None
        of_videos = {"seeds": studio.options.seeds, "referee": referee, "device": studio.device.type, "settings": made}
        of_videos["referee_accuracy"] = studio.said_of_referee
        said["videos"] = of_videos | {"weights": studio.weights | studio.referee_weights}
    return said


def _machine() -> dict[str, Any]:
    """What seconds depend on."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"system": platform.system(), "processor": platform.machine(), "cpus": os.cpu_count(), "gpu": gpu}


def _told(contestant: Contestant, records: Sequence[Planned], price: tuple[float, float] | None) -> dict[str, Any]:
    return {
        "label": contestant.label,
        "name": contestant.name,
        "gold": contestant.is_gold,
        "engine": records[0]["engine"],
        "identity": {key: value for key, value in contestant.identity.items() if key != "gold"},
        "price": {"in": price[0], "out": price[1]} if price else None,
    }


def _column(column: figures.Column) -> dict[str, Any]:
    told = {name: getattr(column, name) for name in ("name", "group", "about", "unit", "absent")}
    figure = column.figure
    measured = column.name in figures.MEASURED
    return told | {"direction": figure.direction, "share": figure.aggregation == "micro", "measured": measured}


def _plain(found: Mapping[str, figures.Cell]) -> dict[str, Any]:
    return {name: asdict(cell) for name, cell in found.items()}


def _gold(asked: Asked, drawn: Made | None) -> dict[str, Any] | None:
    if asked.gold_dsg is None or asked.gold_plan is None:
        return None
    return {
        "plan": asked.gold_plan.model_dump(mode="json"),
        "dsg": asked.gold_dsg.to_dict(),
        "video": asdict(drawn) if drawn else None,
    }


def _outcome(record: Planned, parts: Parts, made: Sequence[Made]) -> dict[str, Any]:
    kept = {name: record[name] for name in ("status", "degraded", "plan", "dsg", "transcript_sha256")}
    return kept | {
        "parts": {name: [float(number) for number in pair] for name, pair in parts.items()},
        "videos": [asdict(one) for one in made],
    }
