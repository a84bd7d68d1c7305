"""Sizes and the trained range: what is impossible is refused, what is beyond training is named, the rest is silent."""

from __future__ import annotations

from typing import Any

import pytest

from dysenvdm.generation.limits import TrainedRange
from dysenvdm.pipeline import DysenVDMPipeline
from planners.dsg import UserError

WITHIN = {"window": 16, "width": 64, "height": 64, "fps": 8}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"window": 8}, []),
        ({"window": 24}, ["window: 24 frames at once, the model was trained on up to 16"]),
        ({"width": 96}, ["size: 96x64, the model was trained on 64x64"]),
        ({"fps": 24}, ["fps: 24, the model was trained at 8; motion will look 3 times as fast"]),
        ({"window": 20, "height": 32, "fps": 4}, ["window: 20", "size: 64x32", "fps: 4"]),
    ],
)
def test_what_is_beyond_training_is_named(change: dict[str, int], words: list[str]) -> None:
    notices = TrainedRange(16, 8, 64, 64).notices(**{**WITHIN, **change})
    assert len(notices) == len(words)
    for notice, said in zip(notices, words, strict=True):
        assert said in notice


def test_the_trained_range_is_saved_with_the_model(pipeline: DysenVDMPipeline, tmp_path) -> None:
    pipeline.register_to_config(trained_frames=24, trained_fps=12)
    pipeline.save_pretrained(tmp_path)
    assert DysenVDMPipeline.from_pretrained(tmp_path).trained == TrainedRange(24, 12, 16, 16)


def test_frames_may_have_another_size(pipeline: DysenVDMPipeline) -> None:
    options: dict[str, Any] = {"seeds": [1], "num_frames": 4, "num_inference_steps": 1}
    assert pipeline(["a dog"], height=8, width=24, **options).shape == (1, 4, 8, 24, 3)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"width": 18}, "width: 18 pixels is not a positive multiple of 4.* nearest is 16"),
        ({"height": 0}, "height: 0"),
    ],
)
def test_impossible_sizes_are_refused(pipeline: DysenVDMPipeline, size: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        pipeline(["a dog"], seeds=[1], num_frames=4, num_inference_steps=1, **size)
