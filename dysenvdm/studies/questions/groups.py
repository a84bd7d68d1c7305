"""A study's figures by what captions are like: how many events and actors, how many words, told in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dysenvdm.stage import StageClip
from dysenvdm.studies.questions.asking import Answers
from dysenvdm.studies.questions.levels import IN_ORDER, Level, order_of
from dysenvdm.studies.questions.recipe import By, StudyRecipe
from dysenvdm.studies.questions.results import Gain, Row, gains, rows

Place = tuple[int, str]
"""A group's place among those of its key, and its name."""


def _number(count: int) -> Place:
    return count, str(count)


def _words(clip: StageClip) -> Place:
    """Tens of words of the caption."""
    first = len(clip.caption.split()) // 10 * 10
    return first, f"{first}-{first + 9}"


_OF: dict[By, Callable[[StageClip], Place]] = {
    "events": lambda clip: _number(len(clip.script.acts)),
    "actors": lambda clip: _number(len(clip.script.roles)),
    "words": _words,
    "order": lambda clip: (int(order_of(clip) != IN_ORDER), order_of(clip)),
}


@dataclass(frozen=True)
class Group:
    """Captions that are alike: what they give by themselves; differences are those within the group."""

    by: By
    name: str
    rows: Sequence[Row]
    gains: Sequence[Gain]


def groups(recipe: StudyRecipe, answers: Answers, levels: Sequence[Level]) -> list[Group]:
    """For each key of the recipe's ``by`` its groups, from the least to the most; with the figures of its tables."""
    found = []
    for by in recipe.by:
        chosen: dict[Place, dict[str, list[int]]] = {}
        for level in levels:
            for i, one in enumerate(level.asked):
                assert one.clip is not None
                chosen.setdefault(_OF[by](one.clip), {}).setdefault(level.name, []).append(i)
        for place in sorted(chosen):
            mine = rows(answers, {}, names=(*recipe.plans, *recipe.videos), chosen=chosen[place])
            found.append(Group(by, place[1], mine, gains(recipe, mine)))
    return found


def as_data(found: Sequence[Group]) -> list[dict[str, Any]]:
    """Everything as JSON data, but for what each caption contributed, which stands in the rows of all captions."""
    return [
        {
            "by": group.by,
            "group": group.name,
            "rows": [
                {"level": row.level, "planner": row.planner, "n": row.n, "results": _results(row)} for row in group.rows
            ],
            "differences": [asdict(gain) for gain in group.gains],
        }
        for group in found
    ]


def _results(row: Row) -> list[Mapping[str, Any]]:
    kept = ("figure", "value", "n", "interval", "floor", "ceiling")
    return [{name: getattr(result, name) for name in kept} for result in row.results.values()]
