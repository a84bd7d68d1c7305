"""A clip of the Stage world: everything about it follows from its seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray

from dysenvdm.stage.actions import BEATS, FRAMES_PER_BEAT
from dysenvdm.stage.captions import Telling, Wording, told
from dysenvdm.stage.compositions import SPLITS, Split, split_of, wanted_counts
from dysenvdm.stage.gold import gold_dsg, gold_plan
from dysenvdm.stage.render import boxes, render
from dysenvdm.stage.sampling import sample_script
from dysenvdm.stage.script import Script
from planners.dsg import MAX_TICKS, ActionPlan, DynamicSceneGraph, UserError

STAGE_VERSION = 2
"""Of the corpus: the same version and seed give the same clip, on every machine."""
Counts = Iterable[int]


@dataclass(frozen=True)
class StageClip:
    """One clip: a caption, other ``captions`` of the same meaning, the gold plan and DSG of all of them, the video."""

    seed: int
    script: Script
    wording: Wording
    tellings: tuple[Telling, ...]
    frames: int
    size: int
    split: str = "train"
    version: int = STAGE_VERSION

    @property
    def caption(self) -> str:
        return self.tellings[0].text

    @property
    def captions(self) -> tuple[str, ...]:
        return tuple(telling.text for telling in self.tellings[1:])

    @property
    def setting(self) -> str:
        return self.script.setting

    @cached_property
    def plan(self) -> ActionPlan:
        """What the caption says: objects, attributes, and the events in order of occurrence."""
        return gold_plan(self.script, self.caption, self.wording)

    @cached_property
    def dsg(self) -> DynamicSceneGraph:
        """The whole scene; what the caption does not state has the source "imagined"."""
        return gold_dsg(self.script, self.caption, self.wording)

    @cached_property
    def boxes(self) -> dict[str, NDArray[np.float32]]:
        """For every actor and prop ``(frames, 4)``: x0, y0, x1, y1 in 0..1, y downwards."""
        return boxes(self.script, self.frames)

    def render(self) -> NDArray[np.uint8]:
        """The video ``(frames, size, size, 3)``, RGB."""
        return render(self.script, self.frames, self.size)


def sample(
    seed: int,
    *,
    split: str = "train",
    events: Counts | None = None,
    actors: Counts | None = None,
    frames: int | None = 16,
    ticks: int | None = None,
    size: int = 64,
) -> StageClip:
    """The clip of a seed.

    ``seed`` counts the clips of its ``split`` from 0, or is a clip's number in the whole corpus
    (:attr:`StageClip.seed`), which alone says the split: ``sample(VAL_SEED0 + 3)`` is ``sample(3, split="val")``.
    ``events`` and ``actors`` are the numbers to choose from, by default those of the split. ``frames`` says how long
    the clip is, two frames a beat, 8 frames a second; None: as long as its events need. Fewer than 16 frames show the
    shortest script more coarsely. ``ticks`` (None: one per beat) and ``size`` (pixels) only change how finely the
    same script is shown.

    Raises UserError for an unknown split, a seed that is not its, numbers of events or actors that it does not have or
    that do not fit into so many frames, and frames, ticks or sizes out of range.
    """
    whole, chosen = _seed_and_split(seed, split)
    for name, value, low, high in (
        ("frames", frames, BEATS, FRAMES_PER_BEAT * MAX_TICKS),
        ("size", size, 16, 4096),
        ("ticks", ticks, BEATS // 2, MAX_TICKS),
    ):
        if value is not None and not low <= value <= high:
            raise UserError(f"{name} {value}: choose a value from {low} to {high}")
    rng = Random(whole)
    wanted = wanted_counts(chosen, events, actors)
    beats = None if frames is None else max(BEATS, frames // FRAMES_PER_BEAT)
    found = None
    while found is None:  # too much for a caption is rare
        found = told(sample_script(rng, chosen, *wanted, beats=beats, ticks=ticks), rng)
    shown = frames or FRAMES_PER_BEAT * found.script.beats
    return StageClip(whole, found.script, found.wording, found.tellings, shown, size, chosen.name)


def _seed_and_split(seed: int, split: str) -> tuple[int, Split]:
    """The clip's number in the whole corpus and its split."""
    if split not in SPLITS:
        raise UserError(f"split {split!r}: choose one of {', '.join(SPLITS)}")
    chosen = SPLITS[split]
    if not 0 <= seed < 2**32:
        raise UserError(f"seed {seed}: choose a value from 0 to {2**32 - 1}")
    if seed < len(chosen.seeds):
        return chosen.seeds[seed], chosen
    found = split_of(seed)
    if found is None or (found is not chosen and split != "train"):
        raise UserError(f"seed {seed}: split {split} has clips 0 to {len(chosen.seeds) - 1}")
    return seed, found
