"""Long videos in overlapping windows: coverage, equality with the obvious twin, noise, bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dysenvdm.generation.noise import video_noise
from dysenvdm.generation.windows import Windows
from dysenvdm.pipeline import DysenVDMPipeline
from planners.dsg import DynamicSceneGraph, Fact, UserError


@given(frames=st.integers(1, 40), length=st.integers(1, 8), overlap=st.integers(0, 7))
def test_windows_cover_every_frame_in_order_and_overlap_as_asked(frames: int, length: int, overlap: int) -> None:
    windows = Windows.of(4 * frames, 4 * length, min(4 * overlap, 4 * length - 4), 4)
    assert windows.spans[0].start == 0
    assert windows.spans[-1].stop == 4 * frames
    assert (windows.total > 0).all()
    for one, two in zip(windows.spans, windows.spans[1:], strict=False):
        assert one.start < two.start
        assert one.stop - two.start >= min(4 * overlap, 4 * length - 4)


@pytest.mark.parametrize(
    ("length", "overlap", "message"),
    [
        (6, None, "window: 6"),
        (0, None, "window: 0"),
        (8, 8, "overlap: 8"),
        (8, 2, "overlap: 2"),
        (8, -4, "overlap: -4"),
    ],
)
def test_unfit_windows_are_refused(length: int, overlap: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Windows.of(16, length, overlap, 4)


def test_a_video_of_one_window_is_what_it_is_without_windows(last_latents) -> None:
    whole = last_latents(num_frames=8, window=8)
    torch.testing.assert_close(last_latents(num_frames=8, window=16), whole, rtol=0, atol=0)


def test_long_videos_average_what_the_windows_say(pipeline: DysenVDMPipeline, last_latents, monkeypatch) -> None:
    """Against the obvious twin: a network whose answer says which window it is in."""
    seen: list[int] = []

    def network(sample: Tensor, *_: Any, **__: Any) -> Any:
        seen.append(len(seen))
        return type("Out", (), {"sample": torch.full_like(sample, float(len(seen)))})

    monkeypatch.setattr(pipeline.unet, "forward", network)
    caught: list[Tensor] = []
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_ddim.DDIMScheduler.step",
        lambda self, output, timestep, latents, **_: (caught.append(output), (latents,))[1],
    )
    last_latents(num_frames=12, window=8, overlap=4, num_inference_steps=1, guidance_scale=1.0)
    weights = [1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0]
    for frame in range(12):
        of_windows = [(weights[frame - start], 1 + i) for i, start in enumerate((0, 4)) if 0 <= frame - start < 8]
        expected = sum(w * answer for w, answer in of_windows) / sum(w for w, _ in of_windows)
        torch.testing.assert_close(caught[0][:, :, frame], torch.full((1, 4, 8, 8), expected))


def with_fact(scene: DynamicSceneGraph, fact: Fact) -> DynamicSceneGraph:
    return scene.replace(facts=[*scene.facts, fact])


def test_every_window_sees_the_scene_graphs_of_its_own_frames(last_latents, scene: DynamicSceneGraph) -> None:
    """What is said of the last tick changes nothing in windows before it, while windows do not overlap."""
    options = {"num_frames": 16, "window": 4, "overlap": 0, "guidance_scale": 1.0}
    late = with_fact(scene, Fact(subject="girl", attribute="brown", start=3, end=4, source="user"))
    before, after = last_latents(**options), last_latents(**options, dsgs=[late])
    torch.testing.assert_close(after[:, :, :12], before[:, :, :12])
    assert (after[:, :, 12:] - before[:, :, 12:]).abs().max() > 1e-3


def test_later_windows_remember_earlier_ticks(last_latents, scene: DynamicSceneGraph) -> None:
    options = {"num_frames": 16, "window": 4, "overlap": 0, "guidance_scale": 1.0}
    early = with_fact(scene, Fact(subject="girl", predicate="jump", start=0, end=1, source="user"))
    before, after = last_latents(**options), last_latents(**options, dsgs=[early])
    assert (after[:, :, 12:] - before[:, :, 12:]).abs().max() > 1e-6


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_noise_is_reused_in_another_order_and_begins_as_that_of_a_short_video(share: float) -> None:
    def noise(frames: int, reuse: bool) -> Tensor:
        return video_noise(3, 4, (16, 16), Windows.of(frames, 16, 8, 4), share=share, reuse=reuse)

    short, long, fresh = noise(16, True), noise(64, True), noise(64, False)
    for video in (long, fresh):
        torch.testing.assert_close(video[:, :16], short)
        assert video.std() == pytest.approx(1, abs=0.05)
    known = {frame.numpy().tobytes() for frame in short.unbind(1)}
    assert {frame.numpy().tobytes() for frame in long.contiguous().unbind(1)} == known
    assert len({frame.numpy().tobytes() for frame in fresh.unbind(1)}) == 64
    for start in range(0, 49, 8):  # no window sees the same noise twice
        assert len({frame.numpy().tobytes() for frame in long[:, start : start + 16].unbind(1)}) == 16


class _Largest(TorchDispatchMode):
    """The most numbers that any one tensor held."""

    most = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else [made]:
            if isinstance(each, Tensor):
                self.most = max(self.most, each.untyped_storage().nbytes())
        return made


def test_memory_does_not_grow_with_the_length(pipeline: DysenVDMPipeline, last_latents) -> None:
    def largest(frames: int) -> int:
        with _Largest() as mode:
            last_latents(num_frames=frames, window=8, overlap=4, num_inference_steps=1)
        return mode.most

    assert largest(64) == largest(16)
