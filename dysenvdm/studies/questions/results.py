"""A study's figures with their uncertainty: per level and planner, and differences clip by clip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dysenvdm.metrics import Result
from dysenvdm.metrics.bootstrap import RESAMPLES, difference, holm, share
from dysenvdm.metrics.contract import Pair
from dysenvdm.studies.questions.asking import Answers, Parts, weights_of
from dysenvdm.studies.questions.figures import KNOWN, VIDEO_FIGURES
from dysenvdm.studies.questions.recipe import PAIRED, StudyRecipe
from dysenvdm.studies.questions.scenes import CAPTION_WORDS

FORMAT = "dysenvdm.study/1"


@dataclass(frozen=True)
class Row:
    """One planner at one level."""

    level: str
    planner: str
    n: int
    results: Mapping[str, Result]
    """By figure."""


@dataclass(frozen=True)
class Gain:
    """By how much a figure is larger than at ``than``, on the same captions or the same clips.

    ``n`` captions could be judged in both. ``p`` is that of the paired bootstrap, ``p_holm`` corrected for all
    differences of that figure in the study.
    """

    level: str
    planner: str
    than: str
    figure: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


def rows(
    answers: Answers,
    settings: Mapping[str, Any],
    names: Collection[str] = tuple(KNOWN),
    chosen: Mapping[str, Sequence[int]] | None = None,
) -> list[Row]:
    """The figures of these names that can be judged, of all captions or of those ``chosen`` by level and place."""
    found = []
    for (level, planner), parts in answers.found.items():
        places = range(len(parts)) if chosen is None else chosen.get(level, ())
        if not places:
            continue
        results = {}
        for name in names:
            value, pairs = _share(parts, name, places)
            if value is None:
                continue
            figure, video = KNOWN[name], name in VIDEO_FIGURES
            floor, _ = _share(answers.floor[level, planner], name, places)
            ceiling, _ = _share(answers.ceiling.get(level, ()), name, places)
            results[name] = Result(
                metric="video" if video else "plan",
                figure=name,
                direction=figure.direction,
                aggregation=figure.aggregation,
                value=value[0],
                n=len(pairs),
                interval=value[1:],
                floor=floor[0] if floor and _has_floor(name) else None,
                ceiling=ceiling[0] if ceiling else None,
                settings=dict(settings),
                weights=weights_of({level: answers.weights.get(level, {})}) if video else {},
                pairs=pairs,
            )
        found.append(Row(level, planner, len(places), results))
    return found


def _has_floor(name: str) -> bool:
    """Whether it is held against gold, so that another caption's gold says what is right by chance.

    Not order and interval IoU of plans: they are judged of matched events, of which there are next to none by chance.
    """
    return name in VIDEO_FIGURES or name in (
        "event F1", "triplet precision", "triplet recall", "right", "scene precision", "scene recall",
    )  # fmt: skip


def _share(
    parts: Sequence[Parts], name: str, places: Sequence[int]
) -> tuple[tuple[float, float, float] | None, dict[str, Pair]]:
    pairs = {str(i): parts[i][name] for i in places if parts and name in parts[i]}
    return share(list(pairs.values())) if pairs else None, pairs


def gains(recipe: StudyRecipe, found: Sequence[Row]) -> list[Gain]:
    """Every planner against the first one at its level; where levels have the same clips also every level against the
    first one with the same planner. Figures are those of the recipe's tables.
    """
    planners = list(dict.fromkeys(row.planner for row in found))
    by = {(row.level, row.planner): row for row in found}
    wanted = [(row, by[row.level, planners[0]], planners[0]) for row in found if row.planner != planners[0]]
    if recipe.factor in PAIRED:
        first = str(recipe.levels[0])
        wanted += [
            (row, by[first, row.planner], first) for row in found if row.level != first and (first, row.planner) in by
        ]
    tested: list[Gain] = []
    for name in (*recipe.plans, *recipe.videos):
        if name == CAPTION_WORDS:  # the caption's, whoever plans it
            continue
        mine = [
            (row, than, told)
            for row, other, than in wanted
            if name in row.results and name in other.results and (told := _difference(row, other, name)) is not None
        ]
        corrected = holm([gap[3] for _, _, (_, gap) in mine])
        for (row, than, (n, gap)), p in zip(mine, corrected, strict=True):
            tested.append(Gain(row.level, row.planner, than, name, n, *gap, p_holm=p))
    return tested


def _difference(row: Row, other: Row, name: str) -> tuple[int, tuple[float, float, float, float]] | None:
    """The captions that both were judged on, and :func:`difference` on these."""
    one, two = row.results[name].pairs, other.results[name].pairs
    both = [key for key in one if key in two]
    found = difference([one[key] for key in both], [two[key] for key in both]) if both else None
    return found and (len(both), found)


def as_data(
    name: str,
    recipe: StudyRecipe,
    found: Sequence[Row],
    gained: Iterable[Gain],
    settings: Mapping[str, Any],
    failures: Sequence[Mapping[str, str]],
    grouped: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Everything as JSON data."""
    return {
        "format": FORMAT,
        "study": name,
        "recipe": recipe.model_dump(mode="json"),
        "settings": dict(settings),
        "interval": f"95 % bootstrap over captions, {RESAMPLES} draws",
        "rows": [
            {
                "level": row.level,
                "planner": row.planner,
                "n": row.n,
                "results": [asdict(result) for result in row.results.values()],
            }
            for row in found
        ],
        "differences": [asdict(gain) for gain in gained],
        "groups": list(grouped),
        "failures": [dict(failure) for failure in failures],
    }
