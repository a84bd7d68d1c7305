"""The contact sheet: a video's frames in rows, and under each row the facts that hold in those frames.

A fact's bar spans exactly the frames in which it is true, so that one sees whether the picture obeys the plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from planners.dsg import DynamicSceneGraph, Fact, Source, tick_of_frame

SOURCE_COLOURS: dict[Source, str] = {
    "prompt": "#0072b2",
    "plan": "#d55e00",
    "imagined": "#009e73",
    "polished": "#56b4e9",
    "user": "#cc79a7",
}
"""One colour per source of facts, told apart also by colour-blind eyes (Okabe and Ito's palette)."""

_PAPER, _INK, _FAINT = "#ffffff", "#222222", "#e4e4e4"
_MARGIN, _BAR, _GAP, _TEXT = 12, 20, 4, 14


@dataclass(frozen=True)
class _Row:
    """One line of frames ``[first, last)`` and the facts that hold in any of them."""

    first: int
    last: int
    facts: tuple[Fact, ...]


def contact_sheet(
    frames: NDArray[np.uint8], dsg: DynamicSceneGraph | None = None, *, columns: int = 8, scale: int = 3
) -> Image.Image:
    """Draw ``frames`` (f, h, w, 3) in rows of ``columns``, enlarged ``scale`` times, with bars under each row."""
    count, height, width, _ = frames.shape
    cell_w, cell_h = width * scale + _GAP, height * scale
    font = ImageFont.load_default(_TEXT)
    rows = [_row(first, min(first + columns, count), count, dsg) for first in range(0, count, columns)]
    labels = [statement(fact) for row in rows for fact in row.facts]
    gutter = _MARGIN + (max((int(font.getlength(text)) for text in labels), default=0) + _MARGIN if labels else 0)
    title = wrapped(dsg.prompt, font, gutter + min(columns, count) * cell_w - _MARGIN) if dsg else []
    row_heights = [cell_h + _TEXT + 2 * _GAP + len(row.facts) * (_BAR + _GAP) + _MARGIN for row in rows]
    legend = _TEXT + _MARGIN if labels else 0
    size = (
        gutter + min(columns, count) * cell_w + _MARGIN,
        2 * _MARGIN + len(title) * (_TEXT + _GAP) + sum(row_heights) + legend,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    y = _MARGIN
    for line in title:
        draw.text((_MARGIN, y), line, _INK, font)
        y += _TEXT + _GAP
    y += _GAP
    for row, row_height in zip(rows, row_heights, strict=True):
        for frame in range(row.first, row.last):
            x = gutter + (frame - row.first) * cell_w
            picture = Image.fromarray(frames[frame]).resize((cell_w - _GAP, cell_h), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x, y))
            draw.text((x + (cell_w - _GAP) / 2, y + cell_h + _GAP), str(frame), _INK, font, anchor="ma")
        if dsg:
            _draw_bars(draw, row, dsg.ticks, count, (gutter, y + cell_h + _TEXT + 2 * _GAP), cell_w)
        y += row_height
    if labels:
        _draw_legend(draw, (gutter, y))
    return sheet


def _row(first: int, last: int, count: int, dsg: DynamicSceneGraph | None) -> _Row:
    if dsg is None:
        return _Row(first, last, ())
    ticks = {tick_of_frame(frame, count, dsg.ticks) for frame in range(first, last)}
    facts = [fact for fact in dsg.facts if any(fact.active(tick) for tick in ticks)]
    # What happens first, then what somebody looks like.
    return _Row(first, last, tuple(sorted(facts, key=lambda fact: fact.attribute is not None)))


def statement(fact: Fact) -> str:
    return " · ".join([fact.subject, fact.label, *([fact.object] if fact.object else [])])


def _draw_bars(
    draw: ImageDraw.ImageDraw, row: _Row, ticks: int, count: int, corner: tuple[int, int], cell_w: int
) -> None:
    """One line per fact: its label in the gutter, and a bar under each run of frames in which it holds."""
    left, y = corner
    font = ImageFont.load_default(_TEXT)
    for fact in row.facts:
        draw.text((left - _MARGIN / 2, y + _BAR / 2), statement(fact), _INK, font, anchor="rm")
        draw.rectangle((left, y, left + (row.last - row.first) * cell_w - _GAP - 1, y + _BAR - 1), _FAINT)
        held = [f for f in range(row.first, row.last) if fact.active(tick_of_frame(f, count, ticks))]
        begin, end = held[0] - row.first, held[-1] + 1 - row.first  # an interval: the frames are consecutive
        box = (left + begin * cell_w, y, left + end * cell_w - _GAP - 1, y + _BAR - 1)
        draw.rectangle(box, SOURCE_COLOURS[fact.source])
        y += _BAR + _GAP


def _draw_legend(draw: ImageDraw.ImageDraw, corner: tuple[int, int]) -> None:
    x, y = corner
    font = ImageFont.load_default(_TEXT)
    for source, colour in SOURCE_COLOURS.items():
        draw.rectangle((x, y + 2, x + _TEXT - 2, y + _TEXT), colour)
        draw.text((x + _TEXT + _GAP, y), source, _INK, font)
        x += _TEXT + _GAP + int(font.getlength(source)) + 2 * _MARGIN


def wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Lines of whole words that fit into ``width`` pixels."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
