"""Writing and reading MP4 files that carry their recipe.

Letters: ``f`` frame, ``h w`` pixels, 3 colour channels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from einops import repeat
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dysenvdm.files import written_whole
from dysenvdm.sheet import contact_sheet
from planners.dsg import UserError

__all__ = ["Frames", "contact_sheet", "open_h264", "read_mp4", "read_recipe", "shown_frames", "upscaled", "write_mp4"]

Frames = NDArray[np.uint8]

_FILE_OPTIONS = {
    "movflags": "use_metadata_tags+faststart",  # keeps our own metadata keys
    "fflags": "bitexact",  # no encoder version, no date: equal frames give equal bytes
}
# Small frames are cheap, so edges are kept crisp; more than one thread would make the bytes depend on the machine, and
# x264's macroblock tree reads memory that it has not written, which makes them depend on chance.
_CODEC_OPTIONS = {"preset": "slow", "crf": "12", "threads": "1", "x264-params": "mbtree=0"}


def write_mp4(path: str | Path, frames: Frames, fps: int, recipe: dict[str, Any]) -> None:
    """Write ``frames`` (f, h, w, 3) uint8 RGB as H.264 at ``fps`` frames per second, whole or not at all.

    ``recipe`` is plain JSON data; it goes into the metadata (:func:`read_recipe`). Equal input gives equal bytes.
    Raises :class:`UserError` where the folder is missing or the size is odd, which H.264's 4:2:0 colour cannot hold.
    """
    count, height, width, _ = frames.shape
    if not count or height % 2 or width % 2:
        raise UserError(f"{path}: {count} frames of {width}x{height}; H.264 takes at least one frame with even sides")
    with (
        written_whole(Path(path)) as temporary,
        open_h264(
            temporary,
            (width, height),
            Fraction(fps),
            {"recipe": json.dumps(recipe, ensure_ascii=False, sort_keys=True)},
        ) as (file, stream),
    ):
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


@contextmanager
def open_h264(
    path: Path, size: tuple[int, int], fps: Fraction, metadata: Mapping[str, str] | None = None
) -> Iterator[tuple[OutputContainer, VideoStream]]:
    """An MP4 file to write and its H.264 stream of ``size`` (width, height); it says nothing of date and encoder."""
    with av.open(str(path), "w", "mp4", options=_FILE_OPTIONS) as file:
        file.metadata.update(metadata or {})
        stream = file.add_stream("libx264", rate=fps, options=_CODEC_OPTIONS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        yield file, stream


def read_mp4(path: str | Path) -> Frames:
    """All frames (f, h, w, 3) uint8 RGB of a video file; raises :class:`UserError` where it cannot be read."""
    try:
        with av.open(str(path), metadata_errors="replace") as file:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    except (FFmpegError, OSError, IndexError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a video ({error})") from None


def read_recipe(path: str | Path) -> dict[str, Any]:
    """The recipe in a video's metadata; raises :class:`UserError` where the file has none."""
    try:
        with av.open(str(path), metadata_errors="replace") as file:
            text = file.metadata.get("recipe")
    except (FFmpegError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a video ({error})") from None
    if text is None:
        raise UserError(f"{path}: carries no recipe; it was not written by dysenvdm or was re-encoded since")
    try:
        recipe = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: the recipe that it carries is damaged ({error}); is there a copy?") from None
    if not isinstance(recipe, dict):
        raise UserError(f"{path}: the recipe that it carries is none; is there a copy?")
    return recipe


def upscaled(frames: Frames, scale: int) -> Frames:
    """Every pixel of ``frames`` (f, h, w, 3) as a block of ``scale`` x ``scale``: (f, scale h, scale w, 3)."""
    return repeat(frames, "f h w c -> f (h y) (w x) c", y=scale, x=scale)


def labelled(frames: Frames, text: str) -> Frames:
    """``frames`` (f h w 3) with ``text`` in a dark bar along the lower edge of each; raises :class:`UserError` where
    it does not fit."""
    _, height, width, _ = frames.shape
    font = ImageFont.load_default(max(8, height // 24))
    left, top, right, bottom = font.getbbox(text)
    margin = max(1, int(bottom - top) // 4)
    bar = int(bottom - top) + 1 + 2 * margin
    if right - left + 2 * margin > width or bar > height // 3:
        raise UserError(
            f"--label {text!r}: {round(right - left)} pixels wide, the frames have {width}; shorten it or raise --scale"
        )
    picture = Image.new("RGB", (width, bar), (0, 0, 0))
    ImageDraw.Draw(picture).text((margin - left, margin - top), text, font=font, fill=(255, 255, 255))
    written = frames.copy()
    written[:, height - bar :] = (frames[:, height - bar :] // 3 + np.asarray(picture)[None] * (2 / 3)).astype(np.uint8)
    return written


def shown_frames(frames: Frames, recipe: Mapping[str, Any]) -> Frames:
    """What a video's file shows of the frames (f h w 3) that the model made: enlarged, and labelled where the recipe
    says so."""
    large = upscaled(frames, recipe["scale"])
    return labelled(large, recipe["label"]) if recipe.get("label") else large
