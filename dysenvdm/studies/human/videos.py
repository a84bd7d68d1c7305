"""The videos of a study: what they are, and copies that tell nothing but what they show.

Every copy is encoded anew, by one encoder with one setting: metadata, the embedded recipe, content credentials and the
traces that another encoder leaves in its stream would all say who made a video.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
from av.error import FFmpegError

from dysenvdm.files import written_whole
from dysenvdm.video import open_h264, read_recipe
from planners.dsg import UserError

SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")


@dataclass(frozen=True)
class Video:
    """A video file: frames, their size (width, height), frames per second, and the prompt that its recipe names."""

    path: Path
    frames: int
    size: tuple[int, int]
    fps: Fraction
    prompt: str | None

    @property
    def shape(self) -> str:
        return f"{self.size[0]}x{self.size[1]} at {float(self.fps):g} frames a second"


def examine(path: Path) -> Video:
    """Decode all of it; raises :class:`UserError` where it cannot be read to its end."""
    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            rate = stream.average_rate
            frames = sum(1 for _ in file.decode(stream))
            if not frames or not rate:
                raise UserError(f"{path}: cannot be read as a video (no frames in it); make it again or leave it out")
            found = Video(path, frames, (stream.width, stream.height), Fraction(rate), None)
    except (FFmpegError, OSError, IndexError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a video ({error}); make it again or leave it out") from None
    try:
        prompt = read_recipe(path).get("prompt")
    except (UserError, ValueError, AttributeError):  # made by something else
        return found
    return Video(path, found.frames, found.size, found.fps, prompt if isinstance(prompt, str) else None)


def blind_copy(video: Video, target: Path, size: tuple[int, int], fps: Fraction) -> None:
    """Write the video as H.264 of that size (width, height) and rate, without sound and without a word in its metadata.

    Where the rate changes, frames are repeated or left out, so that the copy lasts as long as the video.
    """
    length = max(1, round(video.frames / video.fps * fps))
    with (
        written_whole(target) as temporary,
        open_h264(temporary, size, fps) as (file, stream),
        av.open(str(video.path)) as source,
    ):
        written = count()
        shown = 0
        for index, frame in enumerate(source.decode(video=0)):
            until = length if index == video.frames - 1 else min(length, round((index + 1) / video.fps * fps))
            picture = frame.reformat(*size, format="yuv420p")
            for _ in range(shown, until):
                picture.pts, picture.time_base = next(written), 1 / fps
                file.mux(stream.encode(picture))
            shown = max(shown, until)
        file.mux(stream.encode(None))
