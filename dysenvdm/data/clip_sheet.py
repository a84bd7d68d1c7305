"""A picture of some clips of a data set as training sees them: first, middle and last frame beside the caption.

Letters: ``f`` frame, ``h w`` pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dysenvdm.data import decoding
from dysenvdm.data.checking import Look
from dysenvdm.data.corpora import StageCorpus
from dysenvdm.data.section import StageSource
from dysenvdm.data.sources import lot
from dysenvdm.data.videos import sampling_of
from dysenvdm.sheet import wrapped
from planners.dsg import DynamicSceneGraph

HEIGHT = 144
"""Pixels of a frame on the sheet; its width follows."""
_TEXT_WIDTH, _MARGIN, _GAP, _LINE, _TITLE = 460, 12, 4, 18, 14
_PAPER, _INK, _GREY = "#ffffff", "#222222", "#777777"


@dataclass(frozen=True)
class Shown:
    """One row."""

    id: str
    about: str
    caption: str
    frames: NDArray[np.uint8]
    """(f h w 3): the first, the middle and the last that training sees."""


def shown(look: Look, clips: int) -> list[Shown]:
    """Up to ``clips`` clips that are trained on, a fixed random choice; one that fails now says so in its caption."""
    if isinstance(look.data.source, StageSource):
        return list(_stage(look, clips))
    data, sampling = look.data, sampling_of(look.data)
    sizes = decoding.bucket_sizes(data.size) if data.buckets else [(data.size, data.size)]
    rows = []
    for clip in sorted(look.trained.usable, key=lambda clip: lot(clip.entry.id))[:clips]:
        entry, info = clip.entry, clip.info
        size = sizes[decoding.bucket_of(info, sizes)]
        caption = entry.captions[0]
        try:
            frames = _three(decoding.decode(entry.path, info, entry.span, sampling, size, 0.0).frames)
        except decoding.UndecodableError as error:
            frames, caption = np.zeros((3, *size, 3), np.uint8), f"({error}) {caption}"
        start, end = decoding.window(info, entry.span)
        graph = _size(clip.dsg) if clip.dsg else "no scene graph"
        more = f", {len(entry.captions)} captions" if len(entry.captions) > 1 else ""
        about = f"{info.width}x{info.height}, {info.fps:.4g} fps, {end - start:.3g} s; {graph}{more}"
        rows.append(Shown(entry.id, about, caption, frames))
    return rows


def _stage(look: Look, clips: int) -> Iterator[Shown]:
    corpus = StageCorpus(look.data)
    for clip in range(min(clips, len(look.trained.seen))):
        sample = corpus.read(clip, clip, np.random.default_rng(clip))
        about = f"{len(sample.pixels)} frames; {_size(sample.dsg)}"
        yield Shown(corpus.name(clip), about, sample.caption, _three(sample.pixels))


def _size(dsg: DynamicSceneGraph) -> str:
    return f"{len(dsg.facts)} fact{'' if len(dsg.facts) == 1 else 's'} in {dsg.ticks} ticks"


def _three(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frames[[0, len(frames) // 2, -1]]


def draw(rows: Sequence[Shown], title: str) -> Image.Image:
    """The rows one below the other under a title."""
    font = ImageFont.load_default(_TITLE)
    widths = [round(row.frames.shape[2] / row.frames.shape[1] * HEIGHT) for row in rows]
    left = 3 * (max(widths, default=0) + _GAP) + 2 * _MARGIN
    texts = [
        [(row.id, _INK), (row.about, _GREY), *((line, _INK) for line in wrapped(row.caption, font, _TEXT_WIDTH))]
        for row in rows
    ]
    heights = [max(HEIGHT, len(lines) * _LINE) + _MARGIN for lines in texts]
    top = _LINE + 2 * _MARGIN
    sheet = Image.new("RGB", (left + _TEXT_WIDTH + _MARGIN, top + sum(heights)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title, _INK, font)
    y = top
    for row, width, lines, height in zip(rows, widths, texts, heights, strict=True):
        for i, frame in enumerate(row.frames):
            picture = Image.fromarray(frame).resize((width, HEIGHT), Image.Resampling.LANCZOS)
            sheet.paste(picture, (_MARGIN + i * (width + _GAP), y))
        for i, (line, colour) in enumerate(lines):
            pen.text((left, y + i * _LINE), line, colour, font)
        y += height
    return sheet
