"""A scene graph file as a picture: the timeline above, the node-link graph of every segment below."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dysenvdm.files import written_whole
from dysenvdm.sheet import SOURCE_COLOURS, statement
from planners.dsg import DynamicSceneGraph, Segment

_PER_ROW = 4
_NO_MATH = {"parse_math": False}  # a label is text, whatever it contains


def save_picture(dsg: DynamicSceneGraph, path: Path) -> None:
    """Draw into an .svg or .png file, whole or not at all; equal graphs give equal bytes."""
    figure = draw(dsg)
    with written_whole(path) as temporary, rc_context({"svg.hashsalt": "dysenvdm", "svg.fonttype": "none"}):
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(temporary, dpi=150, metadata=metadata)


def draw(dsg: DynamicSceneGraph) -> Figure:
    """The whole figure, sized by its content."""
    segments = dsg.segments()
    rows = math.ceil(len(segments) / _PER_ROW)
    heights = [0.8 + 0.28 * max(len(dsg.facts), 1)] + [2.4] * rows
    figure = Figure(figsize=(12, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(1 + rows, _PER_ROW, height_ratios=heights)
    _draw_timeline(figure.add_subplot(grid[0, :]), dsg)
    for i, segment in enumerate(segments):
        _draw_graph(figure.add_subplot(grid[1 + i // _PER_ROW, i % _PER_ROW]), segment)
    return figure


def _draw_timeline(axes: Any, dsg: DynamicSceneGraph) -> None:
    for y, fact in enumerate(dsg.facts):
        axes.barh(y, fact.end - fact.start, left=fact.start, height=0.7, color=SOURCE_COLOURS[fact.source])
    axes.set_yticks(range(len(dsg.facts)), [statement(fact) for fact in dsg.facts], **_NO_MATH)
    axes.set_xlim(0, dsg.ticks)
    axes.set_xticks(range(dsg.ticks + 1))
    axes.set_ylim(max(len(dsg.facts), 1) - 0.5, -0.5)
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.set_title(dsg.prompt, loc="left", wrap=True, **_NO_MATH)
    axes.set_xlabel("tick")
    used = {fact.source for fact in dsg.facts}
    axes.legend(
        handles=[Patch(color=colour, label=source) for source, colour in SOURCE_COLOURS.items() if source in used],
        loc="upper left",
        bbox_to_anchor=(1, 1),
        frameon=False,
    )


def _draw_graph(axes: Any, segment: Segment) -> None:
    """Objects on a circle with what is said of them alone, and arrows for what relates two of them."""
    objects, facts = segment.graph.objects, segment.graph.facts
    place = {
        thing.id: (math.sin(2 * math.pi * i / len(objects)), math.cos(2 * math.pi * i / len(objects)))
        for i, thing in enumerate(objects)
    }
    for fact in facts:
        if fact.object is not None:
            (x0, y0), (x1, y1) = place[fact.subject], place[fact.object]
            style = {"arrowstyle": "-|>", "color": SOURCE_COLOURS[fact.source], "shrinkA": 18, "shrinkB": 18}
            axes.annotate("", (x1, y1), (x0, y0), arrowprops={**style, "connectionstyle": "arc3,rad=0.15"})
            middle = ((x0 + x1) / 2, (y0 + y1) / 2)
            paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            colour = style["color"]
            axes.text(*middle, fact.label, ha="center", va="center", size=8, color=colour, bbox=paper, **_NO_MATH)
    for thing in objects:
        own = [fact.label for fact in facts if fact.subject == thing.id and fact.object is None]
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "#222222"}
        text = "\n".join([thing.id, *(f"· {label}" for label in own)])
        axes.text(*place[thing.id], text, ha="center", va="center", size=8, bbox=box, **_NO_MATH)
    axes.set_xlim(-1.7, 1.7)
    axes.set_ylim(-1.5, 1.5)
    axes.set_title(f"ticks [{segment.start}, {segment.end})", size=9)
    axes.axis("off")
