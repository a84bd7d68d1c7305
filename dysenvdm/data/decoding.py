"""Video files as frames, by decord: what a file holds, which of its frames are taken, and their size.

Letters: ``f`` frame, ``h w`` pixels. Times are seconds since the file's first frame.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planners.dsg import UserError

Span = tuple[float, float]
Size = tuple[int, int]
"""(h, w) in pixels."""
SUBSTITUTED = 1
"""Frames that decord may replace by a neighbour before a file counts as damaged; some sound files lack their last."""
WHOLE = 0.9
"""Share of the length that is told of a file, below which it counts as cut off."""


class UndecodableError(Exception):
    """A file that is no video, or a damaged one. The message is short and says nothing of the path."""


@dataclass(frozen=True)
class Info:
    """What a file holds."""

    frames: int
    seconds: float
    height: int
    width: int

    @property
    def fps(self) -> float:
        """Its mean."""
        return self.frames / self.seconds


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are taken; the keys of a recipe's data section."""

    frames: int
    fps: float | None = None
    stride: int = 1
    spread: bool = False

    def too_short(self, info: Info, span: Span | None) -> str | None:
        """Why a clip does not give enough frames; None where it does."""
        start, end = window(info, span)
        seconds = max(0.0, end - start)
        rate = self.fps if self.fps and not self.spread else info.fps
        stride = 1 if self.spread else self.stride
        there = math.floor(seconds * rate + 1e-3)
        needed = (self.frames - 1) * stride + 1
        if there >= needed:
            return None
        of_stride = f" for {self.frames} with stride {stride}" if stride > 1 else ""
        return f"{seconds:.3g} s are {there} frames at {rate:.3g} fps; {needed} are needed{of_stride}"

    def choose(self, times: NDArray[np.float64], info: Info, span: Span | None, at: float) -> NDArray[np.int64]:
        """Numbers of the frames (f), given the time of every frame; ``at`` in [0, 1) is how late the first may be.

        With a target rate the frame that is on screen at each of its times: a file that has fewer frames repeats some.
        """
        start, end = window(info, span)
        first, stop = np.searchsorted(times, [start - 1e-6, end - 1e-6])
        if self.spread:
            wanted = start + (np.arange(self.frames) + 0.5) / self.frames * (end - start)
            chosen = np.searchsorted(times, wanted, side="right") - 1
        elif self.fps:
            needed = ((self.frames - 1) * self.stride + 1) / self.fps
            begin = start + at * max(0.0, end - start - needed)
            wanted = begin + np.arange(self.frames) * self.stride / self.fps
            chosen = np.searchsorted(times, wanted + 1e-6, side="right") - 1
        else:
            spare = max(0, stop - first - ((self.frames - 1) * self.stride + 1))
            chosen = first + int(at * (spare + 1)) + np.arange(self.frames) * self.stride
        return np.clip(chosen, 0, len(times) - 1).astype(np.int64)


def window(info: Info, span: Span | None) -> Span:
    """The part of a file that a clip is, as far as the file goes."""
    start, end = span or (0.0, info.seconds)
    return start, min(end, info.seconds)


def examine(path: Path, alive: Callable[[], None] = lambda: None) -> Info:
    """What a file holds, every frame of it decoded once; ``alive`` is called now and then.

    Raises :class:`UndecodableError`.
    """
    if path.is_file() and _frames_told(path) > path.stat().st_size:
        raise UndecodableError("its header tells of more frames than it has bytes")
    reader = _open(path)
    try:
        height, width = reader[0].shape[:2]
        shown = _shown(path, reader, alive)
        reader.seek(0)
        count = 0
        for count in range(1, shown + 1):
            reader.next()
            if count % 64 == 0:
                alive()
        times = _times(reader, shown)
    except _errors() as error:
        raise UndecodableError(_said(error)) from None
    end = float(times[-1] + (times[-1] - times[0]) / max(1, count - 1))
    if count < 2 or not end > 0:
        raise UndecodableError("it is a single frame")
    if (told := _seconds_told(path, end)) * WHOLE > end:
        raise UndecodableError(f"it is cut off ({end:.1f} s of the {told:.1f} s in its header): download it again")
    return Info(count, round(end, 6), height, width)


@dataclass(frozen=True)
class Decoded:
    """Frames of a clip."""

    frames: NDArray[np.uint8]
    """(f h w 3) RGB."""
    start: float
    """Where in the clip the first frame is and where the last ends, in [0, 1]."""
    end: float


def decode(path: Path, info: Info, span: Span | None, sampling: Sampling, size: Size, at: float) -> Decoded:
    """The frames that ``sampling`` takes, scaled to cover ``size`` and cropped around the centre.

    Raises :class:`UndecodableError`.
    """
    height, width = size
    scale = max(height / info.height, width / info.width)
    tall, wide = max(height, round(info.height * scale)), max(width, round(info.width * scale))
    wide += _misread(wide)
    reader = _open(path, wide, tall)
    try:
        times = _times(reader, info.frames)
        chosen = sampling.choose(times, info, span, at)
        frames = _taken(reader, chosen, cut=info.frames < len(reader))
    except _errors() as error:
        raise UndecodableError(_said(error)) from None
    top, left = (tall - height) // 2, (wide - width) // 2
    cropped = np.ascontiguousarray(frames[:, top : top + height, left : left + width])
    begin, end = window(info, span)
    step = (times[chosen[-1]] - times[chosen[0]]) / max(1, len(chosen) - 1)
    shares = (np.array([times[chosen[0]], times[chosen[-1]] + step]) - begin) / max(end - begin, 1e-9)
    first, last = (0.0, 1.0) if sampling.spread else shares.clip(0, 1).tolist()
    return Decoded(cropped, first, last)


def bucket_sizes(size: int) -> list[Size]:
    """Sizes (h, w) of about ``size`` x ``size`` pixels from 2.6 times as wide as high to as tall, square in the middle.

    Their sides are multiples of ``size`` / 8, which autoencoders divide.
    """
    unit = size // 8
    wide = [(short * unit, round(64 / short) * unit) for short in (5, 6, 7)]
    return [*wide, (size, size), *((w, h) for h, w in reversed(wide))]


def bucket_of(info: Info, sizes: list[Size]) -> int:
    """The number of the size whose aspect ratio is nearest to the file's."""
    aspect = math.log(info.width / info.height)
    return min(range(len(sizes)), key=lambda i: abs(math.log(sizes[i][1] / sizes[i][0]) - aspect))


def check_installed() -> None:
    """Raise :class:`UserError` where decord is missing."""
    try:
        _decord()
    except ImportError:
        raise UserError(
            "reading videos needs decord2; run: pip install -c constraints.txt decord2 (and never beside it: decord)"
        ) from None


def _decord() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import decord
    return decord


def _misread(width: int) -> bool:
    """Whether decord takes the padding of rows of this width for more colours (16, 24, 32, 48, 96 and 144 pixels)."""
    padded = -(-width // 64) * 64
    return padded != width and 3 * padded % width == 0


def _errors() -> tuple[type[BaseException], ...]:
    decord = _decord()
    return (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, IndexError, ValueError, OSError)


def _open(path: Path, width: int = -1, height: int = -1) -> Any:
    """One thread: the loader's processes are what runs side by side."""
    decord = _decord()
    decord.logging.set_level(decord.logging.QUIET)  # FFmpeg tells of damage that is named here anyway
    if not path.is_file():
        raise UndecodableError("the file is gone")
    try:
        reader = decord.VideoReader(str(path), decord.cpu(0), width, height, num_threads=1, fault_tol=SUBSTITUTED)
        if not len(reader):
            raise UndecodableError("it has no frames")
        return reader
    except _errors():
        raise UndecodableError("no video can be read from it") from None


def _frames_told(path: Path) -> int:
    """How many frames the header tells of, 0 where it does not: decord makes room for as many before it looks."""
    import av
    from av.error import FFmpegError

    with suppress(FFmpegError, OSError, ValueError, IndexError), av.open(str(path)) as file:
        return file.streams.video[0].frames
    return 0


def _shown(path: Path, reader: Any, alive: Callable[[], None]) -> int:
    """How many frames can be seen: a lossless cut's edit list hides those before its start, which decord counts too.

    It takes them for damaged, being given none. They are hidden only if FFmpeg shows exactly the others.
    """
    import av
    from av.error import FFmpegError

    frames = len(reader)
    hidden = int((_stamps(reader) < -1e-6).sum())
    if hidden > SUBSTITUTED:
        with suppress(FFmpegError, OSError, ValueError, IndexError), av.open(str(path)) as file:
            count = 0
            for count, _ in enumerate(file.decode(file.streams.video[0]), start=1):
                if count % 64 == 0:
                    alive()
            if count == frames - hidden:
                return count
    return frames


def _taken(reader: Any, chosen: NDArray[np.int64], *, cut: bool) -> NDArray[np.uint8]:
    """Frames by their numbers. Of a ``cut`` file decord numbers others after a seek, so it is read from its start."""
    if not cut:
        frames: NDArray[np.uint8] = reader.get_batch(chosen.tolist()).asnumpy()
        return frames
    wanted, taken = set(chosen.tolist()), {}
    for number in range(max(wanted) + 1):
        frame = reader.next()
        if number in wanted:
            taken[number] = frame.asnumpy()
    return np.stack([taken[number] for number in chosen.tolist()])


def _seconds_told(path: Path, seconds: float) -> float:
    """How long the header says that a file is, where nothing in it lasts so long; 0 where it does not say.

    Sound that goes on after the last frame makes a whole file longer than its ``seconds`` of frames.
    """
    import av
    from av.error import FFmpegError

    with suppress(FFmpegError, OSError, ValueError, IndexError), av.open(str(path)) as file:
        stream = file.streams.video[0]
        told = (file.duration or 0) / av.time_base
        if stream.duration and stream.time_base:
            told = float(stream.duration * stream.time_base)
        if file.format.name == "avi" and stream.average_rate:  # whose length FFmpeg guesses from its bytes
            told = float(stream.frames / stream.average_rate)
        if told * WHOLE <= seconds:
            return told
        for packet in file.demux():
            if packet.pts is not None and packet.time_base:
                seconds = max(seconds, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        return told if told * WHOLE > seconds else 0.0
    return 0.0


def _stamps(reader: Any) -> NDArray[np.float64]:
    stamps: NDArray[np.float64] = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0].astype(np.float64)
    return stamps


def _times(reader: Any, shown: int) -> NDArray[np.float64]:
    """When each ``shown`` frame appears; where the file does not say (AVI often does not), they are evenly spaced."""
    times = _stamps(reader)[-shown:]
    if len(times) > 1 and not ((np.diff(times) > 0).all() and np.isfinite(times).all()):
        return np.arange(len(times)) / reader.get_avg_fps()
    return times - times[0]


def _said(error: BaseException) -> str:
    return "its frames are damaged" if "duplicate frames" in str(error) else "decoding its frames fails"
