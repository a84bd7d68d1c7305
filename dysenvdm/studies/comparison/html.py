"""HTML from text and numbers that nobody vouches for, and the report's drawings: bars, and scene graphs over time."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from dysenvdm.cli.console import plain
from dysenvdm.sheet import statement
from planners.dsg import DynamicSceneGraph

TICK_MARKS = 64
"""A timeline of more ticks has no marks."""


def text(said: object) -> str:
    """Text as HTML, without what a browser would obey or hide."""
    raw = str(said)
    return escape(raw if raw.isprintable() else plain(raw))  # a video's address is long


def tag(element: str, *content: str, **attributes: object) -> str:
    """An element around HTML. Attributes are escaped, those that are None left out; ``_`` stands for ``-``."""
    told = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{element}{told}>{''.join(content)}</{element}>"


def spread(left: str, right: str) -> str:
    """Two texts at the two ends of a line."""
    return tag("span", tag("span", text(left)), tag("span", text(right)), class_="what")


def bar(cell: Mapping[str, Any], scale: float) -> str:
    """A value as a bar with its interval; ``scale`` is as long as there is room."""
    value, low, high = (100 * cell[name] / scale for name in ("value", "low", "high"))
    whisker = f"M{low:.2f} 3V7M{low:.2f} 5H{high:.2f}M{high:.2f} 3V7"
    return _drawing(
        "bar",
        "0 0 100 10",
        tag("rect", class_="track", width=100, height=10),
        tag("rect", width=f"{value:.2f}", height=10),
        tag("path", d=whisker) if high > low else "",
    )


def timeline(dsg: DynamicSceneGraph) -> str:
    """A list of the facts, each with a bar over the ticks in which it holds, coloured by its source."""
    if not dsg.facts:
        return tag("p", "No facts.")
    marks = "".join(f"M{tick} 0V1" for tick in range(1, dsg.ticks)) if dsg.ticks <= TICK_MARKS else ""
    track = tag("rect", class_="track", width=dsg.ticks, height=1)
    rows = []
    for fact in dsg.facts:
        span = tag("rect", class_=f"s-{fact.source}", x=fact.start, width=fact.end - fact.start, height=1)
        drawn = _drawing("time", f"0 0 {dsg.ticks} 1", track, span, tag("path", d=marks))
        rows.append(tag("li", spread(statement(fact), f"{fact.source} [{fact.start}, {fact.end})"), drawn))
    return tag("ul", *rows, class_="facts")


def swatch(source: str) -> str:
    """A small square in a source's colour."""
    return _drawing("swatch", "0 0 1 1", tag("rect", class_=f"s-{source}", width=1, height=1))


def _drawing(kind: str, box: str, *shapes: str) -> str:
    """A drawing that stretches with the page; what it shows is also told in words, so screen readers pass it by."""
    return tag("svg", *shapes, class_=kind, viewBox=box, preserveAspectRatio="none", aria_hidden="true")
