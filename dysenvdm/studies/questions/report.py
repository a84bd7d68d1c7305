"""What a study found, for people: a table, a plot, and its section in a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dysenvdm.files import written_whole
from dysenvdm.metrics.report import ARROWS
from dysenvdm.studies.questions.recipe import KNOWN, StudyRecipe
from dysenvdm.studies.questions.results import Gain, Row
from planners.dsg import UserError

Cells = Sequence[Sequence[str]]
LEAST = 10
"""Captions from which on a difference is called significant: of fewer, no bootstrap tells enough."""
FLOOR, CEILING = "next caption's gold (floor)", "drawn clips (ceiling)"


def tables(recipe: StudyRecipe, found: Sequence[Row], gained: Sequence[Gain]) -> list[tuple[str, Cells]]:
    """Title and cells of each table, the head first: plans, videos, differences; those without rows are left out."""
    made: list[tuple[str, Cells]] = []
    for title, names in (("Plans", recipe.plans), ("Videos, as the referee sees them", recipe.videos)):
        shown = [name for name in names if any(name in row.results for row in found)]
        if shown:
            made.append((title, _figures(recipe, found, shown)))
    if gained:
        made.append(("Differences on the same captions or clips", _gains(recipe, gained)))
    if len(recipe.levels) == 1:  # nothing to tell apart
        made = [(title, [line[1:] for line in lines]) for title, lines in made]
    return made


def _figures(recipe: StudyRecipe, found: Sequence[Row], names: Sequence[str]) -> Cells:
    """A line per level and planner, and below each level what is right by chance and what the referee can see."""
    head = [recipe.factor, "planner", "n", *(f"{name} {ARROWS[KNOWN[name].direction]}".strip() for name in names)]
    lines = [head]
    for level in dict.fromkeys(row.level for row in found):
        mine = [row for row in found if row.level == level]
        for row in mine:
            lines.append([level, row.planner, str(row.n), *(_value(row, name) for name in names)])
        for label, bound in ((FLOOR, "floor"), (CEILING, "ceiling")):
            cells = [_bound(mine, name, bound) for name in names]
            if any(cell != "-" for cell in cells):
                lines.append([level, label, str(mine[0].n), *cells])
    return lines


def _value(row: Row, name: str) -> str:
    result = row.results.get(name)
    if result is None or result.value is None or result.interval is None:
        return "-"
    return f"{result.value:.3g} ({result.interval[0]:.3g} to {result.interval[1]:.3g})"


def _bound(rows: Sequence[Row], name: str, bound: str) -> str:
    """The bound; where planners differ in theirs, from the lowest to the highest."""
    values = [getattr(row.results[name], bound) for row in rows if name in row.results]
    told = list(dict.fromkeys(f"{value:.3g}" for value in sorted(value for value in values if value is not None)))
    return " to ".join((told[0], told[-1])) if len(told) > 1 else told[0] if told else "-"


def _gains(recipe: StudyRecipe, gained: Sequence[Gain]) -> Cells:
    names = list(dict.fromkeys(gain.figure for gain in gained))
    lines = [[recipe.factor, "planner", "than", *names]]
    for level, planner, than in dict.fromkeys((gain.level, gain.planner, gain.than) for gain in gained):
        mine = {g.figure: g for g in gained if (g.level, g.planner, g.than) == (level, planner, than)}
        lines.append([level, planner, than, *(_gain(mine[name]) if name in mine else "-" for name in names)])
    return lines


def _gain(gain: Gain) -> str:
    star = " *" if gain.p_holm < 0.05 and gain.n >= LEAST else ""
    return f"{gain.difference:+.3g} ({gain.low:+.2g} to {gain.high:+.2g}){star}"


def caption(
    settings: Mapping[str, Any], weights: Mapping[str, Iterable[str]], failures: Sequence[Mapping[str, str]] = ()
) -> str:
    """Under the tables: what they are of."""
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    hashes = ", ".join(f"{name} {' '.join(values)}" for name, values in weights.items())
    starred = "* differs from nothing (paired bootstrap, p < 0.05 after Holm). "
    about = f"In brackets 95 % bootstrap intervals over captions. {starred}{said}."
    if failures:
        first = failures[0]["error"]
        about += f" {len(failures)} videos could not be made and count as showing nothing, the first: {first}."
    return f"{about} Weights: {hashes}." if hashes else about


def markdown(
    name: str, recipe: StudyRecipe, made: Sequence[tuple[str, Cells]], note: str, command: str, plot: str
) -> str:
    """The study's section of a document, with the command that makes it."""
    parts = [f"## {recipe.question}", "", f"`{command}`", ""]
    for title, (head, *lines) in made:
        parts += [f"**{title}**", "", _line(head), "|" + "---|" * len(head), *(_line(line) for line in lines), ""]
    parts += [note, "", f"![{name}]({plot})", ""]
    return "\n".join(parts)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def put_section(document: Path, name: str, text: str) -> None:
    """Write the study's section into the document, in the place of an earlier one or at the end."""
    begin, end = f"<!-- study {name} -->", f"<!-- end of study {name} -->"
    section = f"{begin}\n{text}{end}\n"
    try:
        there = document.read_text(encoding="utf-8") if document.exists() else "# Studies\n"
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{document}: cannot be read as text ({error})") from None
    whole = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}\n", re.DOTALL)
    written = whole.sub(lambda _: section, there) if whole.search(there) else f"{there.rstrip()}\n\n{section}"
    with written_whole(document) as temporary:
        temporary.write_text(written, encoding="utf-8")


def draw(recipe: StudyRecipe, found: Sequence[Row], file: Path) -> None:
    """A panel per figure of the tables, with intervals; floor and ceiling as dotted lines."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    names = [name for name in (*recipe.plans, *recipe.videos) if any(name in row.results for row in found)]
    levels = list(dict.fromkeys(row.level for row in found))
    planners = list(dict.fromkeys(row.planner for row in found))
    wide = min(4, len(names))
    high = -(-len(names) // wide)
    figure, axes = pyplot.subplots(high, wide, figsize=(3.2 * wide, 2.8 * high), squeeze=False, layout="constrained")
    for axis, name in zip(axes.flat, names, strict=False):
        _panel(axis, name, found, levels, planners)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    if len(levels) > 1:
        axes[0][0].set_xlabel(recipe.factor)
        axes[0][0].legend(fontsize=6)
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
