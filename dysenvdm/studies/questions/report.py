"""What a study found, for people: a table, a plot, and its section in a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dysenvdm.files import written_whole
from dysenvdm.metrics.report import ARROWS
from dysenvdm.studies.questions.figures import KNOWN
from dysenvdm.studies.questions.groups import Group
from dysenvdm.studies.questions.recipe import StudyRecipe
from dysenvdm.studies.questions.results import Gain, Row
from planners.dsg import UserError

Cells = Sequence[Sequence[str]]
LEAST = 10
"""Captions from which on a difference is called significant: of fewer, no bootstrap tells enough."""
DEVICE, VERSIONS = "device", "versions"
"""Settings of studies with videos: where and by what these were made."""
FLOOR, CEILING = "next caption's gold (floor)", "drawn clips (ceiling)"


def tables(
    recipe: StudyRecipe, found: Sequence[Row], gained: Sequence[Gain], grouped: Sequence[Group] = ()
) -> list[tuple[str, Cells]]:
    """Title and cells of each table, the head first: plans, videos, differences, and both kinds of figures by group;
    those without rows are left out."""
    made: list[tuple[str, Cells]] = []
    for title, names in (("Plans", recipe.plans), ("Videos, as the referee sees them", recipe.videos)):
        if there := shown(names, found):
            made.append((title, _figures(recipe, found, there)))
    if gained:
        made.append(("Differences on the same captions or clips", _gains(recipe, gained)))
    if len(recipe.levels) == 1:  # nothing to tell apart
        made = [(title, [line[1:] for line in lines]) for title, lines in made]
    return made + [table for by in recipe.by if (table := _by(recipe, by, [g for g in grouped if g.by == by]))]


def _by(recipe: StudyRecipe, by: str, grouped: Sequence[Group]) -> tuple[str, Cells] | None:
    """A line per group, level and planner; below each group its bounds, over all levels from the least to the most."""
    names = shown((*recipe.plans, *recipe.videos), [row for group in grouped for row in group.rows])
    several = len(recipe.levels) > 1
    lines = [[by, *([recipe.factor] if several else []), "planner", "n", *map(_titled, names)]]
    for group in grouped:
        for row in group.rows:
            level = [row.level] if several else []
            lines.append([group.name, *level, row.planner, str(row.n), *(_value(row, name) for name in names)])
        for label, bound in ((FLOOR, "floor"), (CEILING, "ceiling")):
            cells = [_bound(group.rows, name, bound) for name in names]
            if any(cell != "-" for cell in cells):
                lines.append([group.name, *(["all"] if several else []), label, "", *cells])
    return (f"By {by}", lines) if names else None


def shown(names: Sequence[str], found: Sequence[Row]) -> list[str]:
    """Those that any row has."""
    return [name for name in names if any(name in row.results for row in found)]


def _titled(name: str) -> str:
    return f"{name} {ARROWS[KNOWN[name].direction]}".strip()


def _figures(recipe: StudyRecipe, found: Sequence[Row], names: Sequence[str]) -> Cells:
    """A line per level and planner, and below each level what is right by chance and what the referee can see."""
    lines = [[recipe.factor, "planner", "n", *map(_titled, names)]]
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
    said = ", ".join(f"{name} {value}" for name, value in settings.items() if name not in (DEVICE, VERSIONS))
    if DEVICE in settings:
        made_by = " ".join(f"{name} {version}" for name, version in settings[VERSIONS].items())
        said += f". Videos made on a {settings[DEVICE]} with {made_by}"
    hashes = ", ".join(f"{name} {' '.join(values)}" for name, values in weights.items())
    starred = "* differs from nothing (paired bootstrap, p < 0.05 after Holm). "
    about = f"In brackets 95 % bootstrap intervals over captions. {starred}{said}."
    if failures:
        first = failures[0]["error"]
        about += f" {len(failures)} videos could not be made and count as showing nothing, the first: {first}."
    return f"{about} Weights: {hashes}." if hashes else about


def markdown(
    name: str, recipe: StudyRecipe, made: Sequence[tuple[str, Cells]], note: str, command: str, plots: Sequence[str]
) -> str:
    """The study's section of a document, with the command that makes it."""
    parts = [f"## {recipe.question}", "", f"`{command}`", ""]
    for title, (head, *lines) in made:
        parts += [f"**{title}**", "", _line(head), "|" + "---|" * len(head), *(_line(line) for line in lines), ""]
    parts += [note, *(line for plot in plots for line in ("", f"![{name}]({plot})")), ""]
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
