"""A picture as the first frame: it is the first frame, the others see it, and unfit pictures are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dysenvdm.generation.first_frame import first_moment, image_latents, inverted_noise, read_image
from dysenvdm.generation.samplers import SCHEDULERS, new_sampler, output_for
from planners.dsg import DynamicSceneGraph, UserError


@pytest.fixture
def picture() -> np.ndarray:
    """(1 16 16 3)."""
    return np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # diffusers' schedulers
@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("frames", [4, 12])
def test_the_first_frame_is_the_picture(pipeline, last_latents, picture, name: str, frames: int) -> None:
    got = last_latents(first_frames=picture, scheduler=name, num_frames=frames, window=8)
    clean = image_latents(pipeline.vae, picture, torch.device("cpu"))
    torch.testing.assert_close(got[:, :, 0], clean, atol=2e-3, rtol=2e-3)


def test_the_other_frames_see_the_picture(last_latents, picture) -> None:
    without, with_it, other = (last_latents(first_frames=first) for first in (None, picture, 255 - picture))
    for changed in (without, other):
        assert (with_it[:, :, 1:] - changed[:, :, 1:]).abs().max() > 1e-3


def test_each_video_of_a_batch_has_its_own_picture(last_latents, picture) -> None:
    both = np.concatenate([picture, 255 - picture])
    together = last_latents(first_frames=both, seeds=[1, 2])
    alone = torch.cat([last_latents(first_frames=both[i : i + 1], seeds=[1 + i]) for i in range(2)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_inversion_finds_the_noise_that_a_picture_comes_from(pipeline) -> None:
    """Where all data are N(mean, spread), noise z ends as mean + spread z, and the exact velocity is known."""
    mean, spread, sampler = 0.8, 0.3, new_sampler(pipeline.scheduler, "ddim")

    def predict(sampler: Any, latents: Tensor, timestep: Tensor) -> Tensor:
        a = sampler.alphas_cumprod[timestep]
        clean = mean + a.sqrt() * spread**2 / (a * spread**2 + 1 - a) * (latents - a.sqrt() * mean)
        return output_for(sampler, clean, latents, timestep)

    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    found = inverted_noise(mean + spread * z, predict, sampler, 4)
    assert (found.squeeze(2) - z).abs().mean() < 0.1


def test_frames_that_share_noise_share_that_of_the_picture(pipeline, last_latents, picture) -> None:
    """The seed then decides nothing; without a picture it does."""
    pipeline.register_to_config(shared_noise=1.0)
    for first, same in ((picture, True), (None, False)):
        one, other = (last_latents(first_frames=first, seeds=[seed]) for seed in (1, 2))
        assert torch.equal(one, other) is same


def test_an_edits_first_pass_is_the_original(pipeline, scene, picture) -> None:
    """Also where the change is in the first moment, which the picture's noise is found with."""
    pipeline.register_to_config(shared_noise=0.7)
    other = scene.replace(facts=[fact for fact in scene.facts if not fact.attribute])
    seen: list[Tensor] = []

    def run(dsg: DynamicSceneGraph, **options: Any) -> None:
        pipeline(
            ["the girl"], [dsg], seeds=[1], num_frames=4, num_inference_steps=2, first_frames=picture,
            on_step=lambda _step, _total, latents: seen.append(latents), **options,
        )  # fmt: skip

    run(scene)
    run(other, edit_of=(["the girl"], [scene]))
    for original, first_pass in zip(seen[:2], seen[2:4], strict=True):
        torch.testing.assert_close(first_pass, original, rtol=0, atol=0)
    run(other)
    assert (seen[-1] - seen[1]).abs().max() > 1e-3


def test_the_first_moment_is_the_scene_graph_of_tick_0(scene) -> None:
    moment = first_moment(scene)
    assert moment.ticks == 1
    assert moment.at(0).triplets == scene.at(0).triplets
    assert len(moment.facts) == 1


def saved(folder: Path, width: int, height: int) -> Path:
    """Red, with a blue column at the left and at the right edge."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0] = 255
    pixels[:, [0, -1]] = (0, 0, 255)
    Image.fromarray(pixels).save(folder / "picture.png")
    return folder / "picture.png"


def test_a_picture_of_the_right_aspect_needs_no_fit(tmp_path: Path) -> None:
    assert (read_image(saved(tmp_path, 64, 32), 32, 16)[4:-4, 4:-4] == (255, 0, 0)).all()
    assert read_image(saved(tmp_path, 853, 480), 32, 18).shape == (18, 32, 3)  # 16:9 up to rounding


def test_another_aspect_is_refused_or_fitted_as_asked(tmp_path: Path) -> None:
    file = saved(tmp_path, 64, 32)
    with pytest.raises(UserError, match=r"64x32 has another aspect than the video's 32x32; choose --first-frame-fit"):
        read_image(file, 32, 32)
    crop, pad, stretch = (read_image(file, 32, 32, fit) for fit in ("crop", "pad", "stretch"))
    assert (crop == (255, 0, 0)).all()  # the edges are cut away
    assert (pad[0] == 0).all()
    assert (pad[16, 4:-4] == (255, 0, 0)).all()
    assert (stretch[:, 4:-4] == (255, 0, 0)).all()
    assert stretch[:, 0, 2].min() > 100


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png", 8, 8) == 255).all()


def test_a_corrupt_picture_is_named_in_one_line(tmp_path: Path) -> None:
    whole = saved(tmp_path, 64, 64).read_bytes()
    for content in (b"", b"no picture", whole[:80]):
        (tmp_path / "bad.png").write_bytes(content)
        with pytest.raises(UserError, match=r"bad\.png: cannot be read as a picture") as caught:
            read_image(tmp_path / "bad.png", 64, 64)
        assert "\n" not in str(caught.value)
