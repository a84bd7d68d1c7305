"""LoRAs made by peft, in the layouts that peft and diffusers write, merged into a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dysenvdm.generation.lora import DIFFUSERS_WEIGHTS, PEFT_CONFIG, PEFT_WEIGHTS, Lora, merge
from dysenvdm.pipeline import DysenVDMPipeline
from planners.dsg import UserError

LAYERS = {"unet": ["to_q", "to_v", "conv_shortcut", "conv3.3", "conv4.3"], "scene_adapter": ["query", "key_value"]}


@pytest.fixture
def parts(pipeline: DysenVDMPipeline) -> dict[str, nn.Module]:
    return {name: getattr(pipeline, name) for name in LAYERS}


def trained(part: nn.Module, layers: list[str], folder: Path) -> Callable[[], dict[str, Tensor]]:
    """Save a peft adapter whose weights are not zero; gives what peft itself makes of the weights."""
    import copy

    config = LoraConfig(r=2, lora_alpha=4, target_modules=layers, init_lora_weights=False)
    torch.manual_seed(1)
    model = get_peft_model(copy.deepcopy(part), config)
    model.save_pretrained(folder)
    card = json.loads((folder / PEFT_CONFIG).read_text())
    (folder / PEFT_CONFIG).write_text(json.dumps({**card, "base_model_name_or_path": "/somewhere/other-model"}))
    return lambda: model.merge_and_unload().state_dict()


@pytest.fixture(params=["peft", "parts", "diffusers"])
def lora(request, parts, tmp_path: Path) -> tuple[Path, dict[str, dict[str, Tensor]]]:
    """A LoRA of the UNet (and of the adapter, where the layout holds both), and the merged weights by peft."""
    names = ["unet"] if request.param == "peft" else list(LAYERS)
    expected = {}
    for name in names:
        folder = tmp_path / "lora" if request.param == "peft" else tmp_path / "lora" / name
        expected[name] = trained(parts[name], LAYERS[name], folder)()
    if request.param == "diffusers":
        weights = {}
        for name in names:
            for key, value in load_file(tmp_path / "lora" / name / PEFT_WEIGHTS).items():
                weights[f"{name}.{key.removeprefix('base_model.model.')}"] = value
        told = json.dumps({"unet.lora_alpha": 4, "unet.r": 2})
        (tmp_path / "one").mkdir()
        save_file(weights, tmp_path / "one" / DIFFUSERS_WEIGHTS, metadata={"lora_adapter_metadata": told})
        return tmp_path / "one", expected
    return tmp_path / "lora", expected


def test_merged_weights_are_what_peft_makes_of_them(lora, parts) -> None:
    folder, expected = lora
    before = {name: {key: value.clone() for key, value in part.state_dict().items()} for name, part in parts.items()}
    hashes = merge(Lora(folder), parts, "tiny")
    assert hashes
    for name, part in parts.items():
        changed = 0
        for key, value in part.state_dict().items():
            torch.testing.assert_close(value, expected.get(name, before[name])[key], atol=1e-5, rtol=1e-5)
            changed += not torch.equal(value, before[name][key])
        assert (changed > 0) == (name in expected)


def test_half_the_scale_is_half_the_change_and_none_is_none(lora, parts, last_latents) -> None:
    folder, expected = lora
    name, merged = next(iter(expected.items()))
    original = {key: value.clone() for key, value in parts[name].state_dict().items()}
    untouched = last_latents()
    merge(Lora(folder, 0.0), parts, "tiny")
    torch.testing.assert_close(last_latents(), untouched, rtol=0, atol=0)
    merge(Lora(folder, 0.5), parts, "tiny")
    assert (last_latents() - untouched).abs().max() > 1e-3
    for key, value in parts[name].state_dict().items():
        torch.testing.assert_close(value, (original[key] + merged[key]) / 2, atol=1e-5, rtol=1e-5)


def test_a_lora_of_diffusers_own_saving_is_read(parts, tmp_path: Path) -> None:
    """As a diffusers training script saves it."""
    import copy

    from diffusers.loaders import StableDiffusionLoraLoaderMixin

    torch.manual_seed(1)
    model = get_peft_model(
        copy.deepcopy(parts["unet"]), LoraConfig(r=2, lora_alpha=2, target_modules=["to_q"], init_lora_weights=False)
    )
    layers = {
        key.removeprefix("base_model.model."): value.clone() for key, value in get_peft_model_state_dict(model).items()
    }
    StableDiffusionLoraLoaderMixin.save_lora_weights(tmp_path, unet_lora_layers=layers)
    merge(Lora(tmp_path), parts, "tiny")
    for key, value in model.merge_and_unload().state_dict().items():
        torch.testing.assert_close(parts["unet"].state_dict()[key], value, atol=1e-5, rtol=1e-5)


def wider(folder: Path) -> None:
    weights = load_file(folder / PEFT_WEIGHTS)
    save_file({k: torch.cat([v, v], int(".lora_A." in k)) for k, v in weights.items()}, folder / PEFT_WEIGHTS)


def renamed(folder: Path) -> None:
    weights = load_file(folder / PEFT_WEIGHTS)
    save_file({k.replace("blocks.", "layers."): v for k, v in weights.items()}, folder / PEFT_WEIGHTS)


def with_dora(folder: Path) -> None:
    config = json.loads((folder / PEFT_CONFIG).read_text())
    (folder / PEFT_CONFIG).write_text(json.dumps({**config, "use_dora": True}))


def without_config(folder: Path) -> None:
    (folder / PEFT_CONFIG).unlink()


def cut_short(folder: Path) -> None:
    (folder / PEFT_WEIGHTS).write_bytes((folder / PEFT_WEIGHTS).read_bytes()[:100])


def with_other_weights(folder: Path) -> None:
    weights = load_file(folder / PEFT_WEIGHTS)
    save_file({**weights, "base_model.model.conv_in.weight": torch.zeros(1)}, folder / PEFT_WEIGHTS)


def without_weights(folder: Path) -> None:
    (folder / PEFT_WEIGHTS).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (wider, r"a LoRA for 'other-model', not for 'tiny': its unet\.\S+ has shape \(\d+, \d+.*, this model's \("),
        (renamed, "a LoRA for 'other-model', not for 'tiny': there is no layer"),
        (with_dora, "its use_dora is not supported"),
        (without_config, "not a usable LoRA"),
        (cut_short, "not a usable LoRA"),
        (with_other_weights, "is no LoRA weight"),
        (without_weights, "no LoRA there"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line_and_changes_nothing(parts, tmp_path: Path, spoil, message) -> None:
    trained(parts["unet"], LAYERS["unet"], tmp_path)
    spoil(tmp_path)
    before = {key: value.clone() for key, value in parts["unet"].state_dict().items()}
    with pytest.raises(UserError, match=message) as caught:
        merge(Lora(tmp_path), parts, "tiny")
    assert "\n" not in str(caught.value)
    for key, value in parts["unet"].state_dict().items():
        assert torch.equal(value, before[key])


def test_folder_and_scale_are_told_apart(tmp_path: Path) -> None:
    assert Lora.parse("a/b") == Lora(Path("a/b"))
    assert Lora.parse("a/b:0.5") == Lora(Path("a/b"), 0.5)
    odd = tmp_path / "with:colon"
    odd.mkdir()
    assert Lora.parse(str(odd)) == Lora(odd)
    with pytest.raises(UserError, match="'half' is not a scale"):
        Lora.parse("a/b:half")
