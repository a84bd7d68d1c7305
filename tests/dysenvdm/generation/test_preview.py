"""Previews: when and what they show, and that looking changes nothing."""

from __future__ import annotations

import numpy as np
import torch

from dysenvdm.generation.preview import Preview


def test_previews_show_the_video_as_it_emerges(pipeline, last_latents) -> None:
    shown: list[tuple[int, int, np.ndarray]] = []
    preview = Preview(lambda *what: shown.append(what), every=2, frames=2)
    watched = last_latents(num_inference_steps=5, preview=preview)
    torch.testing.assert_close(watched, last_latents(num_inference_steps=5), rtol=0, atol=0)
    assert [(step, steps) for step, steps, _ in shown] == [(2, 5), (4, 5), (5, 5)]
    video = pipeline.decode(watched)
    distances = [np.abs(frames.astype(int) - video[:, [1, 3]]).mean() for _, _, frames in shown]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.5  # the last guess is the video


def test_an_edit_is_previewed_in_its_second_pass_only(last_latents, scene) -> None:
    shown: list[int] = []
    preview = Preview(lambda step, *_: shown.append(step), every=1, frames=1)
    last_latents(edit_of=(["the girl walk"], [scene]), preview=preview)
    assert shown == [1, 2, 3]


def test_the_last_look_can_be_left_to_the_video() -> None:
    looks = [Preview(print, every=every, last=False).due(step, 4) for every in (1, 3) for step in range(1, 5)]
    assert looks == [True, True, True, False, False, False, True, False]


def test_chosen_frames_are_spread_evenly() -> None:
    assert Preview(print, frames=4).chosen(16) == [2, 6, 10, 14]
    assert Preview(print, frames=4).chosen(2) == [0, 1]
