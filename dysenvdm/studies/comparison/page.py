"""report.html: one page that needs nothing but itself, safe whatever prompts and plans say.

All text goes through :func:`text`; style and script are allowed by their hashes, so that nothing that slipped through
could run. Videos are in the page, as long as they are not too many bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from dysenvdm.cli.console import plain
from dysenvdm.sheet import SOURCE_COLOURS, statement
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
from planners.dsg import DynamicSceneGraph

EMBEDDED_BYTES = 48_000_000
"""Videos of more bytes together stay files beside the page."""
Results = Mapping[str, Any]


def text(said: object) -> str:
    """Text as HTML, without what a browser would obey or hide."""
    return escape(plain(str(said)))


def page(results: Results, folder: Path) -> str:
    """The whole page; ``folder`` has the videos that ``results`` name."""
    style, script = (_file(name) for name in ("page.css", "page.js"))
    videos = Videos(results, folder)
    media = "data:" if videos.embedded else "'self' file:"
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; media-src {media}; "
        "base-uri 'none'; form-action 'none'"
    )
    sections = {
        "summary": ("Summary", _summary(results)),
        "plots": ("Plots", _plots(results)),
        "tests": ("Significance", _significance(results)),
        "prompts": ("Prompt by prompt", _prompts(results, videos)),
        "settings": ("Settings", _settings(results, videos)),
    }
    links = "".join(f'<li><a href="#{ident}">{title}</a></li>' for ident, (title, _) in sections.items())
    body = "".join(
        f'<section aria-labelledby="{ident}-title" id="{ident}"><h2 id="{ident}-title">{title}</h2>{content}</section>'
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
<p class="soft">{text(settings_line(results))}</p>
<nav aria-label="On this page"><ul>{links}</ul></nav>
</header>
<main>{body}</main>
<footer class="soft"><p>Made by <code>dysenvdm compare</code>. The same figures are in results.json, prompt by prompt in
results.csv, as tables for a paper in results.md.</p></footer>
<script>{script}</script>
</body>
</html>
"""


def _file(name: str) -> str:
    return resources.files("dysenvdm.studies.comparison").joinpath(name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


# -- tables ------------------------------------------------------------------------------------------------------------


def _summary(results: Results) -> str:
    about = (
        "<p>Press a column's name to sort by it. Small numbers are 95&nbsp;% bootstrap intervals over prompts; n is "
        "how many prompts a column can be judged on; the best value is marked, which does not make it significantly "
        "better.</p>"
    )
    return about + "".join(_table(results, group, columns) for group, columns in groups(results))


def _table(results: Results, group: str, columns: Sequence[Any]) -> str:
    head = '<th scope="col"><button type="button">planner</button></th>' + "".join(
        f'<th scope="col" data-first="{"ascending" if column["direction"] == "lower" else "descending"}">'
        f'<button type="button">{text(column["name"])}</button>'
        f"<small>{_unit(results, column)}</small></th>"
        for column in columns
    )
    rows = "".join(
        f'<tr><th scope="row" data-v="{text(label)}">{text(label)}</th>'
        + "".join(_value(results, cells, label, column) for column in columns)
        + "</tr>"
        for label, cells in results["figures"].items()
    )
    foot = ""
    if any(column["name"] in cells for cells in results["bounds"].values() for column in columns):
        foot = (
            "<tfoot>"
            + "".join(_bound(cells, BOUNDS[name], columns) for name, cells in results["bounds"].items())
            + "</tfoot>"
        )
    legend = "; ".join(f"<b>{text(column['name'])}</b>: {text(column['about'])}" for column in columns)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(group)}"><table><caption>{text(group)}</caption>'
        f'<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>{foot}</table></div><p class="soft">{legend}.</p>'
    )


def _unit(results: Results, column: Mapping[str, Any]) -> str:
    arrow = {"higher": "↑ ", "lower": "↓ ", "neither": ""}[column["direction"]]
    unit = {"": "", "s": "s, ", "GB": "GB, ", "money": ""}[column["unit"]]
    return f"{arrow}{unit}n = {prompts_of(results, column)}"


def _value(results: Results, cells: Mapping[str, Any], label: str, column: Mapping[str, Any]) -> str:
    cell = cells.get(column["name"])
    if cell is None:
        return f'<td class="none">{text(column["absent"])}</td>'
    marked = ' class="best"' if label in best(results, column) else ""
    spread = f"<small>{text(interval(cell))}</small>" if interval(cell) else ""
    return f'<td{marked} data-v="{cell["value"]!r}">{number(cell["value"])}{spread}</td>'


def _bound(cells: Mapping[str, Any], title: str, columns: Sequence[Any]) -> str:
    values = (cells.get(column["name"]) for column in columns)
    shown = "".join(f"<td>{number(cell['value'])}</td>" if cell else '<td class="none">-</td>' for cell in values)
    return f'<tr><th scope="row">{text(title)}</th>{shown}</tr>'


def _significance(results: Results) -> str:
    rows = results["significance"]
    if not rows:
        return "<p>Nothing to compare: there is one planner only.</p>"
    about = (
        f"<p>Paired bootstrap over prompts ({results['settings']['resamples']} resamples): how much larger the first "
        "planner's figure is than the second one's on the same prompts. p is two-sided and corrected by Holm's method "
        "for the pairs of planners; nothing corrects for the number of figures.</p>"
    )
    titles = ("figure", "first", "second", "difference", "interval", "n", "p")
    head = "".join(
        f'<th scope="col"><button type="button">{title}</button></th>' if title != "interval" else
        '<th scope="col">95&nbsp;% interval</th>' for title in titles
    )  # fmt: skip
    body = "".join(
        f'<tr><th scope="row" data-v="{text(row["column"])}">{text(row["column"])}</th>'
        f'<td data-v="{text(row["first"])}">{text(row["first"])}</td><td data-v="{text(row["second"])}">{text(row["second"])}</td>'
        f'<td data-v="{row["difference"]!r}">{row["difference"]:+.3f}</td><td>{row["low"]:+.3f} – {row["high"]:+.3f}</td>'
        f'<td data-v="{row["prompts"]}">{row["prompts"]}</td>'
        f'<td data-v="{row["p_holm"]!r}"{" class=best" if row["p_holm"] < 0.05 else ""}>{text(p_text(row["p_holm"]))}</td></tr>'
        for row in rows
    )
    return (
        f'{about}<div class="wide" tabindex="0" role="region" aria-label="Significance"><table>'
        f"<caption>Differences between planners</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


# -- drawings ----------------------------------------------------------------------------------------------------------


def _plots(results: Results) -> str:
    figures = [
        _plot(results, column)
        for _, columns in groups(results)
        for column in columns
        if sum(column["name"] in cells for cells in results["figures"].values()) > 1
    ]
    return f'<div class="plots">{"".join(figures)}</div>' if figures else "<p>There is one planner only.</p>"


def _plot(results: Results, column: Mapping[str, Any]) -> str:
    named = {label: cells[column["name"]] for label, cells in results["figures"].items() if column["name"] in cells}
    if not column["name"].startswith("own"):
        named |= {
            BOUNDS[name].partition(":")[0]: cells[column["name"]]
            for name, cells in results["bounds"].items()
            if column["name"] in cells
        }
    most = max((cell["high"] for cell in named.values()), default=1.0)
    scale = 1.0 if not column["unit"] and most <= 1 else most or 1.0
    bars = "".join(
        f'<li><span class="what"><span>{text(label)}</span><span>{number(cell["value"])}</span></span>'
        f"{_bar(cell, scale)}</li>"
        for label, cell in named.items()
    )
    return f'<figure><figcaption>{text(column["name"])}<small>{_unit(results, column)}</small></figcaption><ul class="bars">{bars}</ul></figure>'


def _bar(cell: Mapping[str, Any], scale: float) -> str:
    value, low, high = (100 * cell[name] / scale for name in ("value", "low", "high"))
    whisker = f'<path d="M{low:.2f} 3V7M{low:.2f} 5H{high:.2f}M{high:.2f} 3V7"/>' if high > low else ""
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="10" opacity=".45"/><rect width="{value:.2f}" height="10"/>{whisker}</svg>'
    )


def timeline(dsg: DynamicSceneGraph) -> str:
    """A list of the facts, each with a bar over the ticks in which it holds, coloured by its source."""
    if not dsg.facts:
        return "<p>No facts.</p>"
    grid = "".join(f"M{tick} 0V1" for tick in range(1, dsg.ticks)) if dsg.ticks <= 64 else ""
    rows = "".join(
        f'<li><span class="what"><span>{text(statement(fact))}</span><span>{text(fact.source)} [{fact.start}, {fact.end})</span></span>'
        f'<svg class="time" viewBox="0 0 {dsg.ticks} 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="{dsg.ticks}" height="1" opacity=".45"/>'
        f'<rect class="s-{fact.source}" x="{fact.start}" width="{fact.end - fact.start}" height="1"/><path d="{grid}"/></svg></li>'
        for fact in dsg.facts
    )
    return f'<ul class="facts">{rows}</ul>'


# -- prompts -----------------------------------------------------------------------------------------------------------


class Videos:
    """The videos of a comparison as addresses: in the page where all together are small enough, else beside it."""

    def __init__(self, results: Results, folder: Path) -> None:
        self.folder = folder
        named = [
            video["file"]
            for told in results["prompts"]
            for video in (
                *(((told["gold"] or {}).get("video") and [told["gold"]["video"]]) or ()),
                *(video for outcome in told["planners"].values() for video in outcome["videos"]),
            )
            if video["file"]
        ]
        self.count = len(set(named))
        self.bytes = sum((folder / name).stat().st_size for name in named)
        self.embedded = self.bytes <= EMBEDDED_BYTES

    def address(self, name: str) -> str:
        if not self.embedded:
            return escape(name)
        return f"data:video/mp4;base64,{base64.b64encode((self.folder / name).read_bytes()).decode()}"


def _prompts(results: Results, videos: Videos) -> str:
    legend = "".join(
        f'<li><svg viewBox="0 0 1 1" aria-hidden="true"><rect class="s-{source}" width="1" height="1"/></svg>{source}</li>'
        for source in SOURCE_COLOURS
    )
    find = (
        '<div class="find"><label for="find">Find in prompts</label><input id="find" type="search" autocomplete="off">'
        f'<span id="found" role="status" class="soft">{len(results["prompts"])} shown</span></div>'
    )
    about = (
        "<p>Open a prompt to see every planner's scene graph over time and the videos made from it. A bar's colour says "
        "where a fact comes from:</p>"
    )
    shown = "".join(_prompt(told, videos) for told in results["prompts"])
    return f'{about}<ul class="legend">{legend}</ul>{find}{shown}'


def _prompt(told: Mapping[str, Any], videos: Videos) -> str:
    cards = [_card(label, outcome, videos) for label, outcome in told["planners"].items()]
    if told["gold"]:
        cards.insert(0, _gold_card(told["gold"], videos))
    scores = "; ".join(
        f"{text(label)} {number(right / judged)}"
        for label, outcome in told["planners"].items()
        for right, judged in [outcome["parts"].get("event F1", (0, 0))]
        if judged
    )
    line = f'<span class="soft">event F1: {scores}</span>' if scores else ""
    several = sum(card.count("<video") for card in cards) > 1
    play = '<button type="button" class="act">Play all from the start</button>' if several else ""
    return (
        f'<details data-prompt="{text(told["prompt"])}"><summary>{told["number"]}. {text(told["prompt"])}{line}</summary>'
        f'{play}<div class="side">{"".join(cards)}</div></details>'
    )


def _card(label: str, outcome: Mapping[str, Any], videos: Videos) -> str:
    why = f'<p class="bad">{text(outcome["degraded"])}</p>' if outcome["degraded"] else ""
    shown = "".join(_video(video, label, videos) for video in outcome["videos"])
    wanted = ("event F1", "order", "triplet recall", "events shown", "tokens out", "seconds")
    parts = ((name, outcome["parts"].get(name, (0, 0))) for name in wanted)
    figures = "".join(f"<dt>{name}</dt><dd>{number(right / of)}</dd>" for name, (right, of) in parts if of)
    drawn = timeline(DynamicSceneGraph.parse(outcome["dsg"]))
    return (
        f'<section><h3>{text(label)}</h3><p class="soft">{text(outcome["status"])}</p>{why}{drawn}{shown}'
        f"<dl>{figures}</dl></section>"
    )


def _gold_card(gold: Mapping[str, Any], videos: Videos) -> str:
    shown = _video(gold["video"], "the gold clip, as drawn", videos) if gold["video"] else ""
    return (
        '<section><h3>Gold</h3><p class="soft">what is right</p>'
        f"{timeline(DynamicSceneGraph.parse(gold['dsg']))}{shown}</section>"
    )


def _video(video: Mapping[str, Any], label: str, videos: Videos) -> str:
    if not video["file"]:
        return f'<p class="bad">no video: {text(video["error"])}</p>'
    return (
        f'<video controls muted loop playsinline preload="none" aria-label="{text(label)}, seed {video["seed"]}" '
        f'src="{videos.address(video["file"])}"></video><p class="soft">seed {video["seed"]}</p>'
    )


def _settings(results: Results, videos: Videos) -> str:
    where = ""
    if videos.count:
        size, limit = videos.bytes / 1e6, EMBEDDED_BYTES / 1e6
        where = (
            f"<p>The {videos.count} videos ({size:.1f} MB) are inside this page.</p>"
            if videos.embedded
            else f"<p>The {videos.count} videos ({size:.1f} MB, more than {limit:.0f} MB) are files beside this page: "
            "keep its <code>videos</code> folder with it.</p>"
        )
    told = {name: results[name] for name in ("format", "settings", "versions", "machine", "planners")}
    return f"{where}<pre>{text_block(json.dumps(told, ensure_ascii=False, indent=1))}</pre>"


def text_block(said: str) -> str:
    """As :func:`text`, its lines kept."""
    return "\n".join(text(line) for line in said.split("\n"))
