"""The files of a finished video: the MP4 with its recipe inside, and pictures that the page shows of it.

Letters: ``f`` frame, ``h w`` pixels, 3 colour channels.
"""

from __future__ import annotations

import io
from math import ceil
from typing import TYPE_CHECKING, Any

from planners.dsg import DynamicSceneGraph
from serving.results import Publication

if TYPE_CHECKING:
    from PIL.Image import Image

    from dysenvdm.video import Frames

TILES, COLUMNS, TILE_WIDTH = 64, 8, 160
"""A sprite sheet has so many frames at most, so many in a row; each is at most so many pixels wide."""
THUMBNAIL_WIDTH = 320


def write_result(made: Publication, video: Frames, recipe: dict[str, Any], dsg: DynamicSceneGraph | None) -> None:
    """Write all files of one video (f h w 3) where they are published from."""
    from dysenvdm.generation.recipe import recipe_text
    from dysenvdm.video import write_mp4

    write_mp4(made.path("video.mp4"), video, recipe["fps"], recipe)
    made.path("recipe.json").write_text(recipe_text(recipe), encoding="utf-8")
    if dsg is not None:
        dsg.save(made.path("dsg.json"))
    _picture(video[len(video) // 2], THUMBNAIL_WIDTH).save(made.path("thumbnail.webp"), quality=85)
    sprite_sheet(video).save(made.path("spritesheet.jpg"), quality=85)


def sprite_sheet(video: Frames) -> Image:
    """Frames of a video (f h w 3), evenly spaced, row by row: frame f is shown by tile ``f * tiles // frames``."""
    from PIL import Image

    count = len(video)
    tiles = min(count, TILES)
    pictures = [_picture(video[ceil(tile * count / tiles)], TILE_WIDTH) for tile in range(tiles)]
    width, height = pictures[0].size
    sheet = Image.new("RGB", (min(tiles, COLUMNS) * width, ceil(tiles / COLUMNS) * height))
    for tile, picture in enumerate(pictures):
        sheet.paste(picture, (tile % COLUMNS * width, tile // COLUMNS * height))
    return sheet


def preview_picture(frames: Frames) -> bytes:
    """Some frames of an unfinished video (k h w 3), side by side, as a WebP."""
    import numpy as np

    buffer = io.BytesIO()
    _picture(np.concatenate(list(frames), axis=1), 4 * TILE_WIDTH).save(buffer, "WEBP", quality=75)
    return buffer.getvalue()


def _picture(frame: Frames, most: int) -> Image:
    """One frame (h w 3), made smaller where it is wider than ``most`` pixels."""
    from PIL import Image

    picture = Image.fromarray(frame)
    if picture.width <= most:
        return picture
    return picture.resize((most, max(1, round(picture.height * most / picture.width))), Image.Resampling.LANCZOS)
