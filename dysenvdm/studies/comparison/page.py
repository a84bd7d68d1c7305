"""report.html: one page that needs nothing but itself, safe whatever prompts and plans say.

Style and script are allowed by their hashes, so that nothing that slipped through the escaping could run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from dysenvdm.studies.comparison.figures import LEAST_TESTED
from dysenvdm.studies.comparison.html import bar, spread, tag, text
from dysenvdm.studies.comparison.prompt_view import Videos, prompts_view
from dysenvdm.studies.comparison.writing import (
    BOUNDS,
    best,
    groups,
    interval,
    number,
    p_text,
    prompts_of,
    settings_line,
)

Results = Mapping[str, Any]
ARROWS = {"higher": "↑ ", "lower": "↓ ", "neither": ""}


def page(results: Results, folder: Path) -> str:
    """The whole page; ``folder`` has the videos that ``results`` name."""
    style, script = (
        resources.files("dysenvdm.studies.comparison").joinpath(name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js")
    )
    videos = Videos(results, folder)
    sections = {
        "summary": ("Summary", _summary(results)),
        "plots": ("Plots", _plots(results)),
        "tests": ("Significance", _significance(results)),
        "prompts": ("Prompt by prompt", prompts_view(results, videos)),
        "settings": ("Settings", _settings(results, videos)),
    }
    media = "data:" if videos.embedded else "'self' file:"
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        f"media-src {media}; base-uri 'none'; form-action 'none'"
    )
    links = (tag("li", tag("a", title, href=f"#{ident}")) for ident, (title, _) in sections.items())
    body = (
        tag("section", tag("h2", title, id=f"{ident}-title"), content, id=ident, aria_labelledby=f"{ident}-title")
        for ident, (title, content) in sections.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Planner comparison</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>Planner comparison</h1>
{tag("p", text(settings_line(results)), class_="soft")}
<nav aria-label="On this page"><ul>{"".join(links)}</ul></nav>
</header>
<main>{"".join(body)}</main>
<footer class="soft"><p>Made by <code>dysenvdm compare</code>. The same figures are in results.json, prompt by prompt in
results.csv, as tables for a paper in results.md.</p></footer>
<script>{script}</script>
</body>
</html>
"""


def _hash(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


# -- tables ------------------------------------------------------------------------------------------------------------


def _summary(results: Results) -> str:
    about = (
        "Press a column's name to sort by it. Small numbers are 95 % bootstrap intervals over prompts; n is how many "
        "prompts a column can be judged on. The best value is marked, which does not make it significantly better."
    )
    return tag("p", about) + "".join(_group(results, group, columns) for group, columns in groups(results))


def _group(results: Results, group: str, columns: Sequence[Any]) -> str:
    heads = [_head("planner")] + [
        _head(column["name"], _unit(results, column), falling=column["direction"] != "lower") for column in columns
    ]
    rows = (
        tag("tr", _row_head(label), *(_value(results, cells, label, column) for column in columns))
        for label, cells in results["figures"].items()
    )
    judged = any(column["name"] in cells for cells in results["bounds"].values() for column in columns)
    bounds = (_bound(cells, BOUNDS[name], columns) for name, cells in results["bounds"].items() if judged)
    legend = "; ".join(tag("b", text(column["name"])) + f": {text(column['about'])}" for column in columns)
    return _table(group, heads, rows, bounds) + tag("p", f"{legend}.", class_="soft")


def _table(title: str, heads: Sequence[str], rows: Any, foot: Any = ()) -> str:
    """A table that scrolls sideways by itself where the screen is narrow, also by keyboard."""
    table = tag(
        "table",
        tag("caption", text(title)),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
        tag("tfoot", *foot),
    )
    return tag("div", table, class_="wide", tabindex=0, role="region", aria_label=title)


def _head(name: str, small: str = "", *, falling: bool = False) -> str:
    """A column's name as a button that sorts by it; ``falling``: largest first."""
    button = tag("button", text(name), type="button")
    return tag(
        "th",
        button,
        tag("small", text(small)) if small else "",
        scope="col",
        data_first="descending" if falling else "ascending",
    )


def _row_head(said: str) -> str:
    return tag("th", text(said), scope="row", data_v=said)


def _unit(results: Results, column: Mapping[str, Any]) -> str:
    unit = f"{column['unit']}, " if column["unit"] in ("s", "GB") else ""
    return f"{ARROWS[column['direction']]}{unit}n = {prompts_of(results, column)}"


def _value(results: Results, cells: Mapping[str, Any], label: str, column: Mapping[str, Any]) -> str:
    cell = cells.get(column["name"])
    if cell is None:
        return tag("td", text(column["absent"]), class_="none")
    around = tag("small", text(interval(cell))) if interval(cell) else ""
    marked = "best" if label in best(results, column) else None
    return tag("td", number(cell["value"]), around, class_=marked, data_v=repr(cell["value"]))


def _bound(cells: Mapping[str, Any], title: str, columns: Sequence[Any]) -> str:
    values = (cells.get(column["name"]) for column in columns)
    shown = (tag("td", number(cell["value"]) if cell else "-") for cell in values)
    return tag("tr", tag("th", text(title), scope="row"), *shown)


def _significance(results: Results) -> str:
    rows = [row for row in results["significance"] if any(row[name] for name in ("difference", "low", "high"))]
    if not rows:
        return tag("p", f"No two planners differ in a figure that at least {LEAST_TESTED} prompts can be judged on.")
    about = (
        f"Paired bootstrap over prompts ({results['settings']['resamples']} resamples): how much larger the first "
        "planner's figure is than the second one's on the same prompts, with its 95 % interval. p is two-sided and "
        "corrected by Holm's method for the pairs of planners; nothing corrects for the number of figures. Where two "
        "planners are equal on every prompt there is no row."
    )
    heads = [
        _head("figure"), _head("first"), _head("second"), _head("difference", falling=True),
        tag("th", "interval", scope="col"), _head("n", falling=True), _head("p"),
    ]  # fmt: skip
    body = map(_difference, rows)
    return tag("p", about) + _table("Differences between planners", heads, body)


def _difference(row: Mapping[str, Any]) -> str:
    significant = "best" if row["p_holm"] < 0.05 else None
    return tag(
        "tr",
        _row_head(row["column"]),
        *(tag("td", text(row[which]), data_v=row[which]) for which in ("first", "second")),
        tag("td", f"{row['difference']:+.3f}", data_v=repr(row["difference"])),
        tag("td", f"{row['low']:+.3f} – {row['high']:+.3f}"),
        tag("td", str(row["prompts"]), data_v=row["prompts"]),
        tag("td", text(p_text(row["p_holm"])), data_v=row["p_holm"], class_=significant),
    )


# -- plots and settings ------------------------------------------------------------------------------------------------


def _plots(results: Results) -> str:
    drawn = []
    for _, columns in groups(results):
        for column in columns:
            name = column["name"]
            named = {label: cells[name] for label, cells in results["figures"].items() if name in cells}
            bounds = {label: cells[name] for label, cells in results["bounds"].items() if name in cells}
            if len(named) > 1:
                drawn.append(_plot(column, named | bounds, _unit(results, column)))
    return tag("div", *drawn, class_="plots") if drawn else tag("p", "One planner only.")


def _plot(column: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]], small: str) -> str:
    most = max(cell["high"] for cell in named.values())
    scale = 1.0 if column["share"] else most or 1.0
    bars = (tag("li", spread(label, number(cell["value"])), bar(cell, scale)) for label, cell in named.items())
    caption = tag("figcaption", text(column["name"]), tag("small", text(small)))
    return tag("figure", caption, tag("ul", *bars, class_="bars"))


def _settings(results: Results, videos: Videos) -> str:
    told = {name: results[name] for name in ("format", "settings", "versions", "machine", "planners")}
    lines = (text(line) for line in json.dumps(told, ensure_ascii=False, indent=1).split("\n"))
    return tag("p", text(videos.told())) + tag("pre", "\n".join(lines))
