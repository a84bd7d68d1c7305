"""Pictures: still background, figures within their boxes, in their colours, moving while they act."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from PIL import ImageColor

from dysenvdm.stage import StageClip, sample
from dysenvdm.stage.catalogue import scene
from dysenvdm.stage.render import render
from dysenvdm.stage.world import COLORS


@cache
def clips() -> tuple[tuple[StageClip, np.ndarray], ...]:
    return tuple((clip, clip.render()) for clip in map(sample, range(1000, 1040)))


def empty_stage(clip: StageClip) -> np.ndarray:
    """The clip's setting in its weather without anybody, (f h w 3)."""
    nobody = scene(clip.setting, weather=clip.script.weather)
    return render(replace(nobody, beats=clip.script.beats), clip.frames, clip.size)


def in_boxes(clip: StageClip, frame: int, margin: float = 1.0) -> np.ndarray:
    """(h w): which pixels lie in any box."""
    inside = np.zeros((64, 64), bool)
    for box in clip.boxes.values():
        x0, y0, x1, y1 = box[frame] * 64
        inside[max(0, int(y0 - margin)) : int(y1 + margin) + 1, max(0, int(x0 - margin)) : int(x1 + margin) + 1] = True
    return inside


def test_outside_the_boxes_is_the_empty_stage() -> None:
    for clip, video in clips():
        background = empty_stage(clip)
        for frame in range(16):
            changed = (video[frame] != background[frame]).any(-1)
            assert not (changed & ~in_boxes(clip, frame)).any()


def test_boxes_are_tight_and_in_the_picture() -> None:
    for clip, _ in clips():
        for ident, box in clip.boxes.items():
            assert box.shape == (16, 4)
            assert box.dtype == np.float32
            assert (box >= 0).all()
            assert (box <= 1).all()
            assert (box[:, 2] - box[:, 0] > 0.04).all(), ident
            assert (box[:, 3] - box[:, 1] > 0.07).all(), ident


def test_colours_are_seen() -> None:
    """Every actor shows a patch of its own colour in most frames, unless the other actor is in the way."""
    for clip, video in clips():
        if len(clip.script.roles) > 1:
            continue
        [role] = clip.script.roles
        paint = np.array(ImageColor.getrgb(COLORS[role.color]))
        near = (np.abs(video.astype(int) - paint) < 24).all(-1).sum((1, 2))
        assert np.median(near) >= 20, (clip.seed, role)


def test_what_acts_moves_and_what_waits_does_not() -> None:
    for clip, video in clips():
        if clip.script.weather:
            video = render(replace(clip.script, weather=""), clip.frames, clip.size)
        change = (video[1:] != video[:-1]).any((1, 2, 3))
        spans = [clip.script.frames_of(act, 16) for act in clip.script.acts]
        assert not change[: max(0, min(f0 for f0, _ in spans) - 1)].any()
        for f0, f1 in spans:
            assert change[f0 : f1 - 1].sum() >= 2, clip.seed  # who lies down lies still in the end


def test_pictures_are_training_data() -> None:
    video = sample(3).render()
    assert video.shape == (16, 64, 64, 3)
    assert video.dtype == np.uint8
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of memory that must not be written to
        torch.from_numpy(video)


@pytest.mark.parametrize(("frames", "size"), [(8, 32), (24, 64), (16, 128)])
def test_other_sizes_show_the_same_scene(frames: int, size: int) -> None:
    clip = sample(11, frames=frames, size=size)
    video = clip.render()
    assert video.shape == (frames, size, size, 3)
    assert all(box.shape == (frames, 4) for box in clip.boxes.values())
    large, small = sample(11, size=128).render(), sample(11, size=64).render()
    shrunk = large.reshape(16, 64, 2, 64, 2, 3).mean((2, 4))
    assert np.abs(shrunk - small).mean() < 2
