"""A pretrained backbone becomes a model of ours that makes the backbone's own videos until it is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dysenvdm.models import read_manifest, verify
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.pretrained import KINDS, add_backbone
from dysenvdm.scene_attention import scene_sites
from planners.dsg import DynamicSceneGraph, Fact, SceneObject, UserError

FRAMES, STEPS, SIZE = 4, 3, 16
PROMPT = "a girl jumps over a box"
SCENE = DynamicSceneGraph(
    ticks=2,
    objects=(SceneObject(id="girl", label="girl"),),
    facts=(Fact(subject="girl", predicate="jump", start=0, end=1, source="plan"),),
)
SMALL: dict[str, Any] = {"adapter_width": 16, "adapter_layers": 1}


@pytest.fixture
def ours(backbone_model: Path) -> DysenVDMPipeline:
    return DysenVDMPipeline.from_pretrained(backbone_model)


@pytest.fixture
def copy_of(backbone: Path, tmp_path: Path) -> Path:
    """A copy of the backbone to spoil."""
    return Path(shutil.copytree(backbone, tmp_path / "copy"))


def latents_of(pipeline: DysenVDMPipeline, *args: Any, **options: Any) -> Tensor:
    seen: list[Tensor] = []
    settings = {"seeds": [5], "num_frames": FRAMES, "height": SIZE, "width": SIZE, "num_inference_steps": STEPS}
    pipeline(*args, **{**settings, **options}, on_step=lambda _step, _total, latents: seen.append(latents.clone()))
    return seen[-1]


def plain(backbone: Path, **options: Any) -> Any:
    """What diffusers' own pipeline makes of the same seed."""
    from diffusers.pipelines.deprecated.text_to_video_synthesis import TextToVideoSDPipeline

    pipe = TextToVideoSDPipeline.from_pretrained(str(backbone), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(5)
    size = {"num_frames": FRAMES, "height": SIZE, "width": SIZE, "num_inference_steps": STEPS}
    return pipe(PROMPT, generator=generator, **size, **options).frames


@pytest.mark.parametrize("dsgs", [None, [SCENE]])
@pytest.mark.parametrize("guidance", [1.0, 9.0])
def test_untrained_it_is_the_backbone(
    backbone: Path, ours: DysenVDMPipeline, guidance: float, dsgs: list[DynamicSceneGraph] | None
) -> None:
    expected = plain(backbone, guidance_scale=guidance, output_type="latent")
    got = latents_of(ours, [PROMPT], dsgs, guidance_scale=guidance)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    assert (got - latents_of(ours, ["a dog"], dsgs, guidance_scale=guidance)).abs().max() > 1e-3


def test_its_frames_are_the_backbones(backbone: Path, ours: DysenVDMPipeline) -> None:
    expected = plain(backbone, guidance_scale=9.0, negative_prompt="dull", output_type="np")[0]
    size: dict[str, Any] = {"num_frames": FRAMES, "height": SIZE, "width": SIZE, "num_inference_steps": STEPS}
    got = ours([PROMPT], [SCENE], seeds=[5], guidance_scale=9.0, negative_prompt="dull", **size)[0]
    assert np.abs(got / 255 - expected).max() < 1 / 255


def test_all_of_it_is_loaded_in_one_number_format(backbone_model: Path) -> None:
    half = DysenVDMPipeline.from_pretrained(backbone_model, dtype=torch.bfloat16)
    for part in (half.unet, half.vae, half.text_encoder, half.scene_adapter):
        assert {parameter.dtype for parameter in part.parameters()} == {torch.bfloat16}
    assert torch.isfinite(latents_of(half, [PROMPT], [SCENE])).all()


def test_trained_its_scene_counts(ours: DysenVDMPipeline) -> None:
    for site in ours.scene_adapter.sites:
        torch.nn.init.normal_(site.output.weight, std=0.5)
    moved = latents_of(ours, [PROMPT], [SCENE]) - latents_of(ours, [PROMPT])
    assert moved.abs().max() > 1e-3


def test_weights_are_links_and_the_folder_stands_alone(copy_of: Path, tmp_path: Path) -> None:
    name = "unet/diffusion_pytorch_model.safetensors"
    added = add_backbone(copy_of, tmp_path / "ours", **SMALL)
    assert (added.folder / name).samefile(copy_of / name)
    assert added.copied == 0 < added.linked
    apart = add_backbone(copy_of, tmp_path / "apart", copy=True, **SMALL)
    assert not (apart.folder / name).samefile(copy_of / name)
    assert (apart.copied, apart.linked) == (added.linked, 0)
    before = (copy_of / "unet" / "config.json").read_bytes()
    assert json.loads(before)["sample_size"] == 8, "the backbone's own configuration was written to"
    shutil.rmtree(copy_of)
    latents_of(DysenVDMPipeline.from_pretrained(added.folder), [PROMPT])


def test_where_links_cannot_be_the_files_are_copied(
    backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr("os.link", refused)
    added = add_backbone(backbone, tmp_path / "ours", **SMALL)
    assert added.linked == 0 < added.copied
    verify(added.folder)


def test_links_of_a_hub_cache_are_followed(copy_of: Path, tmp_path: Path) -> None:
    weights = copy_of / "unet" / "diffusion_pytorch_model.safetensors"
    blob = weights.rename(tmp_path / "blob")
    weights.symlink_to(blob)
    added = add_backbone(copy_of, tmp_path / "ours", **SMALL)
    assert not (added.folder / "unet" / weights.name).is_symlink()


def test_it_records_what_it_is(backbone: Path, backbone_model: Path, ours: DysenVDMPipeline, tmp_path: Path) -> None:
    manifest = read_manifest(backbone_model)
    assert manifest["licence"] == "cc-by-nc-4.0"
    assert "text-to-video-ms" in manifest["source"]
    assert verify(backbone_model)["unet/diffusion_pytorch_model.safetensors"]
    assert (ours.trained.frames, ours.trained.width, ours.trained.height) == (16, 256, 256)
    assert ours.config["usual_guidance"] == KINDS["modelscope"].usual_guidance
    named = Path(shutil.copytree(backbone, tmp_path / "zeroscope_v2_576w"))
    assert add_backbone(named, tmp_path / "a", **SMALL).kind == "zeroscope"
    wide = DysenVDMPipeline.from_pretrained(tmp_path / "a")
    assert (wide.trained.frames, wide.trained.width, wide.trained.height) == (24, 576, 320)
    assert add_backbone(named, tmp_path / "b", kind="modelscope", **SMALL).kind == "modelscope"


def test_the_same_backbone_gets_the_same_adapter(backbone: Path, tmp_path: Path) -> None:
    first, second = (add_backbone(backbone, tmp_path / name, **SMALL).folder for name in "ab")
    weights = "scene_adapter/diffusion_pytorch_model.safetensors"
    assert (first / weights).read_bytes() == (second / weights).read_bytes()


def half_precision(folder: Path) -> None:
    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        whole = folder / part / f"{stem}.safetensors"
        halves = {name: tensor.half() for name, tensor in load_file(whole).items()}
        save_file(halves, whole.with_name(f"{stem}.fp16.safetensors"), {"format": "pt"})
        whole.unlink()


def in_shards(folder: Path) -> None:
    whole = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = sorted(load_file(whole).items())
    places = {}
    for number, part in enumerate((tensors[::2], tensors[1::2]), 1):
        shard = f"diffusion_pytorch_model-0000{number}-of-00002.safetensors"
        save_file(dict(part), whole.with_name(shard), {"format": "pt"})
        places |= dict.fromkeys((name for name, _ in part), shard)
    index = {"metadata": {"total_size": whole.stat().st_size}, "weight_map": places}
    whole.with_name(f"{whole.name}.index.json").write_text(json.dumps(index))
    whole.unlink()


@pytest.mark.parametrize(("change", "tolerance"), [(half_precision, 0.05), (in_shards, 1e-5)])
def test_other_forms_of_the_weights_load(
    ours: DysenVDMPipeline, copy_of: Path, tmp_path: Path, change: Callable[[Path], None], tolerance: float
) -> None:
    change(copy_of)
    other = DysenVDMPipeline.from_pretrained(add_backbone(copy_of, tmp_path / "ours", **SMALL).folder)
    torch.testing.assert_close(latents_of(other, [PROMPT]), latents_of(ours, [PROMPT]), atol=tolerance, rtol=tolerance)


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def an_image_model(folder: Path) -> None:
    rewritten(
        folder / "model_index.json",
        lambda index: index.update(_class_name="StableDiffusionPipeline", unet=["diffusers", "UNet2DConditionModel"]),
    )


def with_foreign_scheduler(folder: Path) -> None:
    rewritten(folder / "model_index.json", lambda index: index.update(scheduler=["os", "system"]))


def pickled(folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))


def cut_short(folder: Path) -> None:
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def of_another_size(folder: Path) -> None:
    rewritten(folder / "unet" / "config.json", lambda config: config.update(block_out_channels=[16, 64]))


def with_other_text(folder: Path) -> None:
    rewritten(folder / "text_encoder" / "config.json", lambda config: config.update(hidden_size=64))


def of_unknown_blocks(folder: Path) -> None:
    rewritten(folder / "unet" / "config.json", lambda config: config.update(down_block_types=["A", "B"]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "model_index.json").unlink(), "no model_index.json"),
        (lambda folder: (folder / "model_index.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "model_index.json").write_text("[]"), "not a JSON object"),
        (an_image_model, "StableDiffusionPipeline whose unet is UNet2DConditionModel; needed .*UNet3DConditionModel"),
        (with_foreign_scheduler, "scheduler is system"),
        (pickled, "unet: pickled weights only.*save_pretrained"),
        (lambda folder: shutil.rmtree(folder / "vae"), "vae: missing"),
        (lambda folder: (folder / "vae" / "config.json").unlink(), "vae/config.json: missing"),
        (lambda folder: (folder / "scheduler" / "scheduler_config.json").unlink(), "scheduler_config.json: missing"),
        (lambda folder: (folder / "tokenizer" / "merges.txt").unlink(), "tokenizer: neither vocab.json"),
        (lambda folder: (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink(), "safetensors: missing"),
        (cut_short, "vae.*no whole safetensors file"),
        (of_another_size, "tensors are not those of its config.json"),
        (with_other_text, "text width is 32 in unet, 64"),
        (of_unknown_blocks, "no UNet3DConditionModel can be built"),
    ],
)
def test_an_unfit_folder_is_named_and_nothing_is_left(
    copy_of: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(copy_of)
    with pytest.raises(UserError, match=message) as caught:
        add_backbone(copy_of, tmp_path / "ours", **SMALL)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [copy_of]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "sora"}, "'sora'.*modelscope, zeroscope"),
        ({"adapter_width": 12}, "adapter width 12"),
    ],
)
def test_bad_options_are_named(backbone: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        add_backbone(backbone, tmp_path / "ours", **{**SMALL, **options})


def test_what_is_there_is_kept(backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    with pytest.raises(UserError, match="exists already"):
        add_backbone(backbone, tmp_path / "ours", **SMALL)


def test_a_full_disk_is_seen_before_anything_is_written(
    backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"GiB are needed and 0.0 GiB free"):
        add_backbone(backbone, tmp_path / "ours", **SMALL)
    assert not list(tmp_path.iterdir())


# -- a text for every frame ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_one_text_for_all_frames_is_the_prompt_exactly(ours: DysenVDMPipeline, guidance: float) -> None:
    once = latents_of(ours, [PROMPT], guidance_scale=guidance)
    each = latents_of(ours, [PROMPT], guidance_scale=guidance, frame_prompts=[[PROMPT] * FRAMES])
    assert torch.equal(once, each)


@pytest.fixture
def heard(ours: DysenVDMPipeline) -> Iterator[list[Tensor]]:
    """What the text cross-attention of one block reads, call by call."""
    texts: list[Tensor] = []
    attention = ours.unet.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k")
    hook = attention.register_forward_pre_hook(lambda _module, args: texts.append(args[0]))
    yield texts
    hook.remove()


def test_every_frame_reads_its_own_text(ours: DysenVDMPipeline, heard: list[Tensor]) -> None:
    told = [["a dog", "a dog runs", "a cat", "a cat sits"], ["one", "two", "three", "four"]]
    latents_of(ours, ["x", "y"], seeds=[1, 2], guidance_scale=3.0, negative_prompt="dull", frame_prompts=told)
    expected = ours.text_encoder.encode(["dull"] * 2 * FRAMES + told[0] + told[1])
    assert len(heard) == STEPS
    assert all(torch.allclose(text, expected, atol=1e-6) for text in heard)
    assert not any(module._forward_pre_hooks for module in scene_sites(ours.unet))


def test_windows_read_the_texts_of_their_frames(ours: DysenVDMPipeline, heard: list[Tensor]) -> None:
    told = [f"frame {letter}" for letter in "abcdefgh"]
    latents_of(
        ours, ["x"], num_frames=8, window=4, overlap=0, guidance_scale=1.0, num_inference_steps=1, frame_prompts=[told]
    )
    expected = ours.text_encoder.encode(told)
    assert torch.allclose(torch.cat(heard), expected, atol=1e-6)


def test_a_frames_text_changes_the_video(ours: DysenVDMPipeline) -> None:
    told = [PROMPT] * FRAMES
    other = [*told[:-1], "a dog sleeps"]
    assert not torch.equal(
        latents_of(ours, [PROMPT], frame_prompts=[told]), latents_of(ours, [PROMPT], frame_prompts=[other])
    )


@pytest.mark.parametrize(
    ("frame_prompts", "message"),
    [([["a"] * 3], "list of 4 texts"), (["abcd"], "list of 4 texts"), ([["a"] * 4] * 2, "2 for 1 prompts")],
)
def test_frame_prompts_are_one_per_frame(ours: DysenVDMPipeline, frame_prompts: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        latents_of(ours, [PROMPT], frame_prompts=frame_prompts)
