"""How much is made at once; what a model was trained on, and words for where a video goes beyond it."""

from __future__ import annotations

from dataclasses import dataclass

FRAMES_AT_ONCE = 64
"""Frames of all videos that are denoised together, where they are more than one: more would not be faster on a CPU, and
would need more memory."""


@dataclass(frozen=True)
class TrainedRange:
    """Frames of a clip, frames per second, and pixels."""

    frames: int
    fps: int
    width: int
    height: int

    def notices(self, *, window: int, width: int, height: int, fps: int) -> list[str]:
        """One line for everything that is beyond the trained range; ``window``: frames that are denoised together."""
        found = []
        if window > self.frames:
            found.append(
                f"window: {window} frames at once, the model was trained on up to {self.frames}; things may repeat or "
                f"drift (windows of {self.frames} cover any length)"
            )
        if (width, height) != (self.width, self.height):
            found.append(
                f"size: {width}x{height}, the model was trained on {self.width}x{self.height}; things may be doubled "
                f"or cut"
            )
        if fps != self.fps:
            found.append(
                f"fps: {fps}, the model was trained at {self.fps}; motion will look {fps / self.fps:.3g} times as fast"
            )
        return found
