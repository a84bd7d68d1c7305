"""What ``dysenvdm dsg prompt`` prints: a scene graph's windows in English, with their frames and seconds."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from dysenvdm.cli.console import say
from planners.dsg import DynamicSceneGraph, UserError
from planners.narration import Narration, narrate, narrate_windows

CLIP_WORDS = 55
"""About as many words as the 77 tokens of a CLIP text encoder hold."""


@dataclass(frozen=True)
class ToldWindow:
    """One prompt, and the frames and seconds that it is about; ``left_out`` as in :class:`Narration`."""

    first_frame: int
    last_frame: int
    start_second: float
    end_second: float
    text: str
    left_out: tuple[str, ...]


def told_windows(
    dsg: DynamicSceneGraph, *, windows: int | Literal["segments"] | None, max_words: int | None, frames: int, fps: int
) -> list[ToldWindow]:
    """The prompts, with a warning for all that had to go or is still too long; raises :class:`UserError`."""

    def fits(text: str) -> bool:
        return max_words is None or len(text.split()) <= max_words

    if isinstance(windows, int) and windows > frames:
        raise UserError(f"--windows {windows}: more windows than the {frames} frames; give fewer, or more --frames")
    if windows is None:
        told = [narrate(dsg, fits=fits)]
    else:
        told = narrate_windows(dsg, None if windows == "segments" else windows, fits=fits)
    for narration in told:
        _warn(narration, max_words)
    return [_window(narration, dsg.ticks, frames, fps) for narration in told]


def _warn(narration: Narration, max_words: int | None) -> None:
    for left_out in narration.left_out:
        say(f"warning: left out for --max-words {max_words}: {left_out}", "yellow")
    count = len(narration.text.split())
    if max_words is not None and count > max_words:
        say(f"warning: {count} words in one sentence, --max-words {max_words} cannot be kept", "yellow")
    elif max_words is None and count > CLIP_WORDS:
        say(
            f"warning: {count} words; a CLIP text encoder reads some {CLIP_WORDS} of them and no more "
            f"(--max-words {CLIP_WORDS}, or --windows)",
            "yellow",
        )


def _window(narration: Narration, ticks: int, frames: int, fps: int) -> ToldWindow:
    first, end = (ceil(tick * frames / ticks) for tick in (narration.start, narration.end))
    return ToldWindow(first, end - 1, first / fps, end / fps, narration.text, narration.left_out)
