"""A study's figures as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dysenvdm.files import written_whole
from dysenvdm.studies.questions.groups import Group
from dysenvdm.studies.questions.recipe import StudyRecipe
from dysenvdm.studies.questions.report import shown
from dysenvdm.studies.questions.results import Row


def draw(recipe: StudyRecipe, found: Sequence[Row], file: Path) -> None:
    """A panel per figure of the tables, with intervals; floor and ceiling as dotted lines."""
    names = shown((*recipe.plans, *recipe.videos), found)
    levels = list(dict.fromkeys(row.level for row in found))
    planners = list(dict.fromkeys(row.planner for row in found))
    with _panels(1, len(names), len(levels), file) as axes:
        for axis, name in zip(axes[0], names, strict=True):
            _panel(axis, name, found, levels, planners)
        if len(levels) > 1:
            axes[0][0].set_xlabel(recipe.factor)
            axes[0][0].legend(fontsize=6)


def draw_groups(recipe: StudyRecipe, grouped: Sequence[Group], file: Path) -> None:
    """A panel per planner and figure: the groups of one key from left to right, a line per level."""
    found = [row for group in grouped for row in group.rows]
    levels = list(dict.fromkeys(row.level for row in found))
    names = shown((*recipe.plans, *recipe.videos), found)
    planners = list(dict.fromkeys(row.planner for row in found))
    with _panels(len(planners), len(names), len(grouped), file) as axes:
        for planner, line in zip(planners, axes, strict=True):
            mine = [
                replace(row, level=group.name, planner=row.level)
                for group in grouped
                for row in group.rows
                if row.planner == planner
            ]
            for name, axis in zip(names, line, strict=True):
                _panel(axis, name, mine, [group.name for group in grouped], levels)
                axis.set_title(f"{name}: {planner}", fontsize=8)
        axes[0][0].set_xlabel(grouped[0].by)
        axes[0][0].legend(fontsize=6)


@contextmanager
def _panels(blocks: int, panels: int, places: int, file: Path) -> Iterator[list[list[Any]]]:
    """Blocks of empty panels, each with so many places from left to right, which are saved when the block ends.

    A block is as many lines of four as it needs.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    wide = min(4, panels)
    lines = -(-panels // wide)
    high = blocks * lines
    size = (max(3.2, 0.4 * places) * wide, 2.8 * high)
    figure, axes = pyplot.subplots(high, wide, figsize=size, squeeze=False, layout="constrained")
    each = [list(axes[lines * i : lines * (i + 1)].flat) for i in range(blocks)]
    for block in each:
        for spare in block[panels:]:
            spare.remove()
    yield [block[:panels] for block in each]
    with written_whole(file) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _panel(axis: Any, name: str, found: Sequence[Row], levels: Sequence[str], planners: Sequence[str]) -> None:
    alone = len(levels) == 1
    places = {planner: i if alone else 0.06 * (i - (len(planners) - 1) / 2) for i, planner in enumerate(planners)}
    for planner in planners:
        mine = [row for row in found if row.planner == planner and name in row.results]
        results = [row.results[name] for row in mine]
        x = [levels.index(row.level) + places[planner] for row in mine]
        values = [result.value or 0.0 for result in results]
        ends = [result.interval or (value, value) for result, value in zip(results, values, strict=True)]
        errors = [
            [max(0.0, value - low) for value, (low, _) in zip(values, ends, strict=True)],
            [max(0.0, high - value) for value, (_, high) in zip(values, ends, strict=True)],
        ]
        axis.errorbar(x, values, errors, marker="o", markersize=3, linewidth=1, capsize=2, label=planner)
    for bound in ("floor", "ceiling"):
        known = [
            [getattr(row.results[name], bound) for row in found if row.level == level and name in row.results]
            for level in levels
        ]
        y = [max(values) if values and None not in values else None for values in known]
        if any(value is not None for value in y):
            axis.plot(
                [-0.4, len(planners) - 0.6] if alone else range(len(levels)),
                [float("nan") if value is None else value for value in (y * 2 if alone else y)],
                color="0.6",
                linestyle=":",
                linewidth=1,
            )
    ticks = planners if alone else levels
    long = max(map(len, ticks)) > 5
    axis.set_xticks(range(len(ticks)), ticks, rotation=20 if long else 0, fontsize=6, ha="right" if long else "center")
    axis.set_title(name, fontsize=9)
    axis.tick_params(axis="y", labelsize=7)
