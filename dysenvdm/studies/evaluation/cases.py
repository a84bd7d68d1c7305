"""What a benchmark asks: prompts, and beside them what the data set has: a reference video, a gold graph and plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np

from dysenvdm.data.decoding import UndecodableError, decode
from dysenvdm.data.section import StageSource
from dysenvdm.data.usable import Usable
from dysenvdm.data.videos import check_clips, sampling_of
from dysenvdm.metrics import Item
from dysenvdm.models import locate
from dysenvdm.stage import sample
from dysenvdm.stage.export import FPS
from dysenvdm.studies.evaluation.recipe import EvaluationRecipe
from dysenvdm.text import TextEncoder
from dysenvdm.video import Frames
from planners.dsg import ActionPlan, DynamicSceneGraph, UserError

PATIENCE = 200
"""Unreadable captions before the first that can be read; more are no bad luck."""


@dataclass(frozen=True)
class Case:
    """One video to make. ``number`` is its place; several may ask for the same clip."""

    number: int
    prompt: str
    gold_graph: DynamicSceneGraph | None = None
    gold_plan: ActionPlan | None = None

    @property
    def id(self) -> str:
        return f"{self.number:06d}"


@dataclass(frozen=True)
class Benchmark:
    """Cases, reference clips, and what of the data set was rejected ("3 too short")."""

    cases: tuple[Case, ...]
    reference: tuple[Item, ...]
    rejected: str = ""


def read_benchmark(recipe: EvaluationRecipe, readable: Callable[[str], bool]) -> Benchmark:
    """The benchmark that a recipe says; raises :class:`UserError` where its data cannot be had.

    Stage clips whose captions are not ``readable`` (see :func:`reader`) give way to the next ones, and are counted.
    """
    return _stage(recipe, readable) if isinstance(recipe.data.source, StageSource) else _videos(recipe)


def reader(model: str) -> Callable[[str], bool]:
    """Whether the model takes a prompt of that length. A backbone's CLIP takes all, and warns of what it cuts."""
    folder = locate(model)
    kind = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["text_encoder"][1]
    if kind != TextEncoder.__name__:
        return lambda _: True
    encoder = TextEncoder.from_pretrained(folder / "text_encoder")
    return lambda prompt: not encoder.unread(prompt)


def _stage(recipe: EvaluationRecipe, readable: Callable[[str], bool]) -> Benchmark:
    data = recipe.data
    shown = {"frames": data.frames, "size": data.size, "ticks": data.ticks}
    assert recipe.split is not None
    clips, rejected = [], 0
    for number in count(recipe.first):
        clip = sample(number, split=recipe.split, events=recipe.events, actors=recipe.actors, **shown)
        if readable(clip.caption):
            clips.append(clip)
        else:
            rejected += 1
            if not clips and rejected == PATIENCE:
                raise UserError(f"model: reads none of {rejected} captions, they are too long; choose fewer events")
        if len(clips) == recipe.videos:
            break
    cases = [Case(i, clip.caption, clip.dsg, clip.plan) for i, clip in enumerate(clips)]
    shape = (data.frames, data.size, data.size)
    reference = [
        Item(case.id, clip.render, float(FPS), shape, clip.caption, gold_graph=clip.dsg)
        for case, clip in zip(cases, clips, strict=True)
    ]
    said = f"{rejected} with captions longer than the model reads" if rejected else ""
    return Benchmark(tuple(cases), tuple(reference), said)


def _videos(recipe: EvaluationRecipe) -> Benchmark:
    data = recipe.data
    checked = check_clips(data, held_out=recipe.split == "held_out", wanted=data.clips)
    clips = checked.clips
    if not clips:
        raise UserError(f"data.source: no {recipe.split} clip of it can be used: {checked.reasons or 'there are none'}")
    cases = []
    for number in range(recipe.videos):
        entry = clips[number % len(clips)].entry
        caption = int(np.random.default_rng([recipe.generation.seed, number]).integers(len(entry.captions)))
        cases.append(Case(number, entry.captions[caption]))
    shape = (data.frames, data.size, data.size)
    reference = [Item(clip.entry.id, _reader(clip, recipe), data.fps, shape) for clip in clips]
    return Benchmark(tuple(cases), tuple(reference), checked.reasons)


def _reader(clip: Usable, recipe: EvaluationRecipe) -> Callable[[], Frames]:
    return partial(_read, clip, recipe)


def _read(clip: Usable, recipe: EvaluationRecipe) -> Frames:
    """The middle of the clip, square."""
    data = recipe.data
    try:
        found = decode(clip.entry.path, clip.info, clip.entry.span, sampling_of(data), (data.size, data.size), 0.5)
    except UndecodableError as error:
        raise UserError(f"{clip.entry.path}: {error}; it could be read a moment ago") from None
    return found.frames
