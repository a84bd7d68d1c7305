"""A scene graph file as a picture: the timeline above, the node-link graph of every segment below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch

from dysenvdm.files import written_whole
from dysenvdm.sheet import SOURCE_COLOURS, statement
from planners.dsg import SOURCES, DynamicSceneGraph, Fact, Segment

WIDTH = 12.0
"""Inches of the whole picture."""
MOST_PIXELS = 60_000
"""Of a picture's height; the library draws no more than 65,535."""
SWAPPED_UP_TO = 24
"""Objects; to find good places for more would take minutes, and no picture of so many is clear."""
_LABEL_SIZE = (0.07, 0.16)
"""Inches of a letter and of a line of small text, roughly: enough to keep labels apart."""
_NO_MATH = {"parse_math": False}  # a label is text, whatever it contains

_BEND = 0.12
"""How much arrows bend, so that one there and one back stay apart."""

Point = tuple[float, float]
Box = tuple[float, float, float, float]


def save_picture(dsg: DynamicSceneGraph, path: Path) -> None:
    """Draw into an .svg or .png file, whole or not at all; equal graphs give equal bytes."""
    figure = draw(dsg)
    with written_whole(path) as temporary, rc_context({"svg.hashsalt": "dysenvdm", "svg.fonttype": "none"}):
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(temporary, dpi=min(150, MOST_PIXELS / figure.get_figheight()), metadata=metadata)


def draw(dsg: DynamicSceneGraph) -> Figure:
    """The whole figure, sized by its content: the more objects, the larger each graph."""
    segments = dsg.segments()
    most = len(dsg.objects)
    columns = min(4 if most <= 3 else 3 if most <= 5 else 2 if most <= 8 else 1, len(segments))
    rows = math.ceil(len(segments) / columns)
    size = (WIDTH / columns, 2.4 + 0.4 * min(max(0, most - 3), SWAPPED_UP_TO))
    timeline = 0.8 + 0.28 * max(len(dsg.facts), 1)
    heights = [timeline] + [size[1]] * rows
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    # The timeline's labels are long, and the graphs shall have the whole width all the same.
    parts: Any = figure.subfigures(2, 1, height_ratios=(heights[0], sum(heights[1:])))
    above, below = parts
    _draw_timeline(above.add_subplot(), dsg)
    grid = below.add_gridspec(rows, columns)
    relations = {(fact.subject, fact.object): None for fact in dsg.facts if fact.object is not None}
    place = _places([thing.id for thing in dsg.objects], list(relations), size)
    for i, segment in enumerate(segments):
        _draw_graph(below.add_subplot(grid[i // columns, i % columns]), segment, place, size)
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


def _draw_graph(axes: Any, segment: Segment, place: dict[str, Point], size: tuple[float, float]) -> None:
    """Objects at their places with what is said of them alone, and arrows for what relates two of them; in inches."""
    objects, facts = segment.graph.objects, segment.graph.facts
    texts = {
        thing.id: "\n".join([thing.id, *(f"· {f.label}" for f in facts if f.subject == thing.id and f.object is None)])
        for thing in objects
    }
    relations: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        if fact.object is not None:
            relations.setdefault((fact.subject, fact.object), []).append(fact)
    boxes = {ident: _box(place[ident], text) for ident, text in texts.items()}
    taken = list(boxes.values())
    for (subject, target), said in relations.items():
        colour = SOURCE_COLOURS[min((fact.source for fact in said), key=SOURCES.index)]
        start, end = place[subject], place[target]
        arrow = FancyArrowPatch(
            _rim(start, end, boxes[subject]), _rim(end, start, boxes[target]), connectionstyle=f"arc3,rad={_BEND}",
            arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=0.9,
        )  # fmt: skip
        axes.add_patch(arrow)
        text = ",\n".join(fact.label for fact in said)
        at = min(_along(start, end), key=lambda point: sum(_overlap(_box(point, text), box) for box in taken))
        taken.append(_box(at, text))
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axes.text(*at, text, ha="center", va="center", size=8, color=colour, bbox=paper, **_NO_MATH)
    frame = {"boxstyle": "round", "facecolor": "white", "edgecolor": "#222222"}
    for ident, text in texts.items():
        axes.text(*place[ident], text, ha="center", va="center", size=8, bbox=frame, **_NO_MATH)
    axes.set_xlim(-size[0] / 2, size[0] / 2)
    axes.set_ylim(-size[1] / 2, size[1] / 2)
    axes.set_title(f"ticks [{segment.start}, {segment.end})", size=9)
    axes.axis("off")


def _places(idents: Sequence[str], relations: Sequence[tuple[str, str]], size: tuple[float, float]) -> dict[str, Point]:
    """Places on an ellipse, the same in every segment, swapped as long as that brings related objects nearer."""
    count, (width, height) = len(idents), (size[0] / 2 - 0.8, size[1] / 2 - 0.5)
    angles = [2 * math.pi * i / max(count, 1) for i in range(count)]
    spots = [(width * math.sin(angle), height * math.cos(angle)) for angle in angles]
    spot = {ident: i for i, ident in enumerate(idents)}

    def length() -> float:
        return sum(math.dist(spots[spot[a]], spots[spot[b]]) for a, b in relations)

    best, improved = length(), count <= SWAPPED_UP_TO
    while improved:
        improved = False
        for a, b in combinations(idents, 2):
            spot[a], spot[b] = spot[b], spot[a]
            if length() < best - 1e-9:
                best, improved = length(), True
            else:
                spot[a], spot[b] = spot[b], spot[a]
    return {ident: spots[i] for ident, i in spot.items()}


def _box(center: Point, text: str) -> Box:
    """Left, bottom, right, top of a text."""
    lines = text.split("\n")
    width, height = max(map(len, lines)) * _LABEL_SIZE[0] + 0.15, len(lines) * _LABEL_SIZE[1] + 0.1
    return center[0] - width / 2, center[1] - height / 2, center[0] + width / 2, center[1] + height / 2


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _rim(start: Point, end: Point, box: Box) -> Point:
    """Where the straight line from ``start``, the middle of ``box``, to ``end`` leaves the box."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    reach = min(
        (box[2] - box[0]) / 2 / abs(dx) if dx else math.inf, (box[3] - box[1]) / 2 / abs(dy) if dy else math.inf, 1.0
    )
    return start[0] + reach * dx, start[1] + reach * dy


def _along(start: Point, end: Point) -> list[Point]:
    """Where on a bent arrow its label may stand, the middle first."""
    bend = (
        (start[0] + end[0]) / 2 + _BEND * (end[1] - start[1]),
        (start[1] + end[1]) / 2 - _BEND * (end[0] - start[0]),
    )
    points = []
    for t in (0.5, 0.42, 0.58, 0.35, 0.65, 0.28, 0.72):
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
        points.append(
            (a * start[0] + b * bend[0] + c * end[0], a * start[1] + b * bend[1] + c * end[1]),
        )
    return points
