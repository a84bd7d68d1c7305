"""Tiny videos whose frames tell their own number."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

LEVELS = 3
"""Grey levels between neighbouring frames."""


@pytest.fixture(scope="session")
def numbers_of() -> Callable[[np.ndarray], list[int]]:
    """Which frames of a made video some frames (f h w 3) are."""
    return lambda frames: [round((float(frame.mean()) - 10) / LEVELS) for frame in frames]


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    return _make_video


def _make_video(
    path: Path, frames: int = 24, *, fps: float = 8, height: int = 48, width: int = 64, times: list[float] | None = None
) -> Path:
    """Frame i is uniformly 10 + 3 i grey and appears at i / fps seconds, or at times[i]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = {".avi": "mpeg4", ".webm": "libvpx"}.get(path.suffix, "libx264")
    with av.open(str(path), "w") as file:
        rate = Fraction(fps).limit_denominator(1001)
        stream = file.add_stream(codec, rate=rate, options={"g": "12", "qscale": "2", "crf": "8", "b": "2M"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 10 + LEVELS * i, np.uint8), format="rgb24")
            frame.pts, frame.time_base = (
                (round(times[i] * 1000), Fraction(1, 1000)) if times else (i, Fraction(1) / rate)
            )
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
