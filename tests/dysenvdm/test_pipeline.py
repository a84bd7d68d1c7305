"""The pipeline at a tiny size: guidance, seeds, schedulers, saving, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dysenvdm.pipeline import SCHEDULERS, Cancelled, DysenVDMPipeline, guidance_branches
from planners.dsg import DynamicSceneGraph, Fact, SceneObject, UserError

FRAMES, STEPS = 4, 3
PROMPTS = ["the girl walk to the box", "a red dog jump"]


def scene(label: str, predicate: str, ticks: int = 4) -> DynamicSceneGraph:
    return DynamicSceneGraph(
        ticks=ticks,
        objects=(SceneObject(id="it", label=label),),
        facts=(Fact(subject="it", predicate=predicate, start=1, end=2, source="plan"),),
    )


SCENES = [scene("girl", "walk"), scene("dog", "jump", ticks=2)]


def latents_of(pipeline: DysenVDMPipeline, *args: Any, **options: Any) -> Tensor:
    """The last latents of a run."""
    seen: list[Tensor] = []
    options = {"num_frames": FRAMES, "num_inference_steps": STEPS, **options}
    pipeline(*args, **options, on_step=lambda _step, _total, latents: seen.append(latents.clone()))
    assert len(seen) == options["num_inference_steps"]
    return seen[-1]


def test_videos_are_frames_of_bytes(pipeline: DysenVDMPipeline) -> None:
    videos = pipeline(PROMPTS, SCENES, seeds=[1, 2], num_frames=FRAMES, num_inference_steps=STEPS)
    assert videos.shape == (2, FRAMES, 16, 16, 3)
    assert videos.dtype == np.uint8
    assert videos.std() > 0


def test_a_seed_gives_the_same_video_whatever_the_batch(pipeline: DysenVDMPipeline) -> None:
    together = latents_of(pipeline, PROMPTS, SCENES, seeds=[7, 8])
    reversed_ = latents_of(pipeline, PROMPTS[::-1], SCENES[::-1], seeds=[8, 7])
    alone = torch.cat([latents_of(pipeline, [PROMPTS[i]], [SCENES[i]], seeds=[7 + i]) for i in range(2)])
    torch.testing.assert_close(reversed_.flip(0), together, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-4)


def test_the_same_call_gives_the_same_video_and_another_seed_another(pipeline: DysenVDMPipeline) -> None:
    first, again, other = (
        pipeline(PROMPTS[:1], SCENES[:1], seeds=[seed], num_frames=FRAMES, num_inference_steps=STEPS)
        for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def evaluations(pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch, **options: Any) -> int:
    """Videos that the UNet sees in one step of one video."""
    batches: list[int] = []
    forward = pipeline.unet.forward
    monkeypatch.setattr(
        pipeline.unet,
        "forward",
        lambda sample, *rest, **more: batches.append(len(sample)) or forward(sample, *rest, **more),
    )
    latents_of(pipeline, PROMPTS[:1], seeds=[1], num_inference_steps=1, **options)
    (batch,) = batches
    return batch


@pytest.mark.parametrize(
    ("scales", "expected"), [((1.0, 1.0), 1), ((3.0, 3.0), 2), ((3.0, 0.0), 2), ((1.0, 4.0), 2), ((3.0, 5.0), 3)]
)
def test_guidance_costs_no_more_evaluations_than_it_needs(
    pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch, scales: tuple[float, float], expected: int
) -> None:
    text, scene = scales
    options = {"dsgs": SCENES[:1], "guidance_scale": text, "scene_guidance_scale": scene}
    assert evaluations(pipeline, monkeypatch, **options) == expected


def test_without_a_scene_there_is_no_scene_guidance(
    pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluations(pipeline, monkeypatch, guidance_scale=3.0, scene_guidance_scale=5.0) == 2


@pytest.mark.parametrize(("text", "scene"), [(1.0, 1.0), (3.0, 3.0), (3.0, 0.0), (1.0, 4.0), (2.5, 6.0)])
def test_branches_add_up_to_the_guidance_formula(text: float, scene: float) -> None:
    answers = {"uncond": 0.3, "text": -1.7, "full": 2.2}
    got = sum(weight * answers[name] for name, weight in guidance_branches(text, scene).items())
    u, t, f = answers.values()
    assert got == pytest.approx(u + text * (t - u) + scene * (f - t))


def test_guided_step_equals_three_separate_evaluations(pipeline: DysenVDMPipeline) -> None:
    """One DDIM step against the formula, each branch run alone without guidance."""
    once = {"seeds": [3], "num_inference_steps": 1, "scene_guidance_scale": 1.0, "guidance_scale": 1.0}
    uncond = latents_of(pipeline, ["brown chair"], **once)
    text = latents_of(pipeline, PROMPTS[:1], **once)
    full = latents_of(pipeline, PROMPTS[:1], SCENES[:1], **once)
    scales = {"guidance_scale": 2.0, "scene_guidance_scale": 3.5}
    got = latents_of(pipeline, PROMPTS[:1], SCENES[:1], **{**once, **scales}, negative_prompt="brown chair")
    expected = uncond + 2.0 * (text - uncond) + 3.5 * (full - text)  # the last step is linear in the prediction
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "change", [{"prompts": PROMPTS[1:]}, {"dsgs": SCENES[1:]}, {"negative_prompt": "red"}, {"scene_mode": "none"}]
)
def test_everything_that_is_said_has_an_effect(pipeline: DysenVDMPipeline, change: dict[str, Any]) -> None:
    said = {"prompts": PROMPTS[:1], "dsgs": SCENES[:1], "seeds": [1]}
    assert (latents_of(pipeline, **said) - latents_of(pipeline, **{**said, **change})).abs().max() > 1e-3


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # diffusers' schedulers
@pytest.mark.parametrize("name", [None, *SCHEDULERS])
def test_every_scheduler_solves_a_case_with_a_known_solution(
    pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """Where all data are N(mean, spread), the exact velocity is known, and noise z must end as mean + spread z."""
    alphas, mean, spread = pipeline.scheduler.alphas_cumprod, 0.8, 0.3

    def velocity(sample: Tensor, timestep: Tensor, **_: Any) -> SimpleNamespace:
        a = alphas[int(timestep)]
        gain = a.sqrt() * spread**2 / (a * spread**2 + 1 - a)
        clean = mean + gain * (sample - a.sqrt() * mean)
        noise = (sample - a.sqrt() * clean) / (1 - a).sqrt()
        return SimpleNamespace(sample=a.sqrt() * noise - (1 - a).sqrt() * clean)

    monkeypatch.setattr(pipeline.unet, "forward", velocity)
    got = latents_of(pipeline, PROMPTS[:1], seeds=[1], num_inference_steps=60, guidance_scale=1.0, scheduler=name)
    noise = torch.randn(4, FRAMES, 8, 8, generator=torch.Generator().manual_seed(1))
    assert (got[0] - (mean + spread * noise)).abs().max() < 0.12


def test_saved_and_loaded_it_makes_the_same_video(pipeline: DysenVDMPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    files = {str(path.relative_to(tmp_path / "model")) for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert {name for name in files if "text_encoder" in name} == {"text_encoder/config.json"}
    assert not [name for name in files if not name.endswith((".json", ".safetensors"))]
    loaded = DysenVDMPipeline.from_pretrained(tmp_path / "model")
    options = {"seeds": [4], "num_frames": FRAMES, "num_inference_steps": STEPS}
    assert np.array_equal(loaded(PROMPTS[:1], SCENES[:1], **options), pipeline(PROMPTS[:1], SCENES[:1], **options))


def test_sixteen_bit_weights_are_computed_with_in_thirty_two(pipeline: DysenVDMPipeline, tmp_path: Path) -> None:
    for part in (pipeline.vae, pipeline.unet, pipeline.scene_adapter):
        part.half()
    pipeline.save_pretrained(tmp_path / "model")
    loaded = DysenVDMPipeline.from_pretrained(tmp_path / "model")
    for part in (loaded.vae, loaded.unet, loaded.scene_adapter, loaded.text_encoder):
        assert {parameter.dtype for parameter in part.parameters()} == {torch.float32}
    half, whole = (part.conv_in.weight for part in (pipeline.unet, loaded.unet))
    assert torch.equal(half.float(), whole)


def test_a_step_can_stop_the_run_and_leaves_the_network_clean(pipeline: DysenVDMPipeline) -> None:
    done: list[tuple[int, int]] = []

    def stop_at_two(step: int, total: int, _latents: Tensor) -> bool:
        done.append((step, total))
        return step == 2

    with pytest.raises(Cancelled, match="step 2 of 3"):
        pipeline(PROMPTS, SCENES, seeds=[1, 2], num_frames=FRAMES, num_inference_steps=STEPS, on_step=stop_at_two)
    assert done == [(1, 3), (2, 3)]
    assert not any(module._forward_hooks for module in pipeline.unet.modules())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": []}, "at least one prompt"),
        ({"prompts": "a dog"}, "give a list"),
        ({"seeds": [1, 2]}, "seeds: 2 for 1 prompts"),
        ({"dsgs": SCENES}, "dsgs: 2 for 1 prompts"),
        ({"num_frames": 6}, "frames: 6 is not a positive multiple of 4"),
        ({"num_frames": 0}, "frames: 0"),
        ({"dsgs": [scene("dog", "run", ticks=5)]}, "5 ticks"),
        ({"num_inference_steps": 0}, "steps: 0"),
        ({"num_inference_steps": 1001}, "steps: 1001"),
        ({"scheduler": "euler!"}, r"'euler!'.*ddim, dpmsolver\+\+, unipc"),
        ({"prompts": ["dog " * 100]}, "102 tokens"),
        ({"negative_prompt": "red", "guidance_scale": 1.0}, "no effect at guidance 1"),
        ({"scene_mode": "sometimes"}, "'sometimes'"),
    ],
)
def test_bad_arguments_are_named_in_one_line(pipeline: DysenVDMPipeline, options: dict[str, Any], message: str) -> None:
    good = {"prompts": PROMPTS[:1], "seeds": [1], "num_frames": FRAMES, "num_inference_steps": STEPS}
    with pytest.raises(UserError, match=message) as caught:
        pipeline(**{**good, **options})
    assert "\n" not in str(caught.value)


def without_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def with_other_class(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "TextToVideoSDPipeline"}))


def with_broken_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


def with_pickled_unet(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.bin")


def with_wrong_hash(folder: Path) -> None:
    from dysenvdm.models import write_manifest

    write_manifest(folder, source="test", licence="none")
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_index, "no model_index.json"),
        (with_other_class, "holds a TextToVideoSDPipeline"),
        (with_broken_index, "cannot be read"),
        (with_pickled_unet, "unet.*no safetensors weights"),
        (with_wrong_hash, "vae.*SHA-256"),
    ],
)
def test_unfit_folder_is_named_in_one_line(
    pipeline: DysenVDMPipeline, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "model"
    pipeline.save_pretrained(folder)
    spoil(folder)
    with pytest.raises(UserError, match=message) as caught:
        DysenVDMPipeline.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_scales_too(pipeline: DysenVDMPipeline) -> None:
    """``guidance_scale=4`` is 4.0."""
    options: dict[str, Any] = {"seeds": [0], "num_frames": 4, "num_inference_steps": 2}
    whole, decimal = (pipeline(PROMPTS[:1], None, **options, guidance_scale=scale) for scale in (4, 4.0))
    assert np.array_equal(whole, decimal)


IMAGINED = SCENES[0].extended([Fact(subject="it", attribute="red", start=0, end=4, source="imagined")])


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize(("weight", "other"), [(0.0, SCENES[0]), (1.0, IMAGINED)])
def test_imagined_weight_0_is_a_veto_and_1_changes_nothing(
    pipeline: DysenVDMPipeline, weight: float, other: DynamicSceneGraph, guidance: float
) -> None:
    said: dict[str, Any] = {"seeds": [1], "guidance_scale": guidance}
    weighed = latents_of(pipeline, PROMPTS[:1], [IMAGINED], **said, imagined_weight=weight)
    assert torch.equal(weighed, latents_of(pipeline, PROMPTS[:1], [other], **said))


def test_imagined_weight_goes_on_from_stated_to_full_and_beyond(pipeline: DysenVDMPipeline) -> None:
    """One DDIM step, which is linear in the prediction."""
    said: dict[str, Any] = {"seeds": [1], "num_inference_steps": 1, "guidance_scale": 1.5, "scene_guidance_scale": 2.5}
    stated, half, full, double = (
        latents_of(pipeline, PROMPTS[:1], [IMAGINED], **said, imagined_weight=weight) for weight in (0, 0.5, 1, 2)
    )
    assert (full - stated).abs().max() > 1e-3
    torch.testing.assert_close(half, (stated + full) / 2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(double, 2 * full - stated, atol=1e-4, rtol=1e-4)


def test_imagined_weight_costs_nothing_where_nothing_is_imagined(
    pipeline: DysenVDMPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = {"guidance_scale": 3.0, "scene_guidance_scale": 3.0, "imagined_weight": 0.5}
    assert evaluations(pipeline, monkeypatch, dsgs=SCENES[:1], **scales) == 2
    assert evaluations(pipeline, monkeypatch, dsgs=[IMAGINED], **scales) == 3


@pytest.mark.parametrize("weight", [-0.5, float("nan"), float("inf")])
def test_imagined_weight_below_nothing_is_refused(pipeline: DysenVDMPipeline, weight: float) -> None:
    with pytest.raises(UserError, match=r"imagined weight: .*give 0"):
        latents_of(pipeline, PROMPTS[:1], [IMAGINED], seeds=[1], imagined_weight=weight)


def test_a_scene_of_more_nodes_than_the_model_takes_is_refused(pipeline: DysenVDMPipeline) -> None:
    pipeline.scene_adapter.max_nodes = 2
    with pytest.raises(UserError, match="1 objects and 2 facts are 3 nodes, this model takes 2"):
        latents_of(pipeline, PROMPTS[:1], [IMAGINED], seeds=[1])
