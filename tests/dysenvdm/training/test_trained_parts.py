"""What a recipe trains and what stays: frozen backbones, LoRAs, models that go on learning, parameter groups."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

from dysenvdm.generation.lora import Lora, merge
from dysenvdm.pipeline import DysenVDMPipeline
from dysenvdm.training import run
from dysenvdm.training.denoiser import DenoiserLoss, DenoiserPhase
from dysenvdm.training.groups import parameter_groups
from dysenvdm.training.networks import WEIGHTS
from dysenvdm.training.recipe import Recipe, load_recipe
from dysenvdm.training.sections import LossSection, TrainSection
from planners.dsg import UserError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _store(store: Path) -> None: ...


def recipe_of(folder: Path, overrides: list[str] | None = None, **sections: Any) -> Recipe:
    content = {
        "name": "going-on",
        "phase": "denoiser",
        "run": str(folder / "run"),
        "data": {"frames": 8, "size": 32, "ticks": 4, "clips": 4, "validation_clips": 1, "workers": 0},
        "train": {"steps": 2, "batch_size": 2, "lr": 1e-2},
        **sections,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_recipe(path, overrides or [])


def state(part: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in part.state_dict().items()}


def learn(phase: DenoiserPhase, steps: int = 2) -> None:
    """Some steps of the loop's optimizer, without its ranks."""
    recipe = phase.recipe
    optimizer = torch.optim.AdamW(parameter_groups(phase.module, recipe.train))
    drawn = [phase.source.read(i, i, np.random.default_rng(i)) for i in range(2)]
    samples = [replace(sample, caption="a girl walks") for sample in drawn]
    for _ in range(steps):
        loss, _values = phase.module(**phase.prepare(phase.collate(samples)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture
def scene_adapter_phase(backbone_model: Path, tmp_path: Path) -> DenoiserPhase:
    model = {"init": str(backbone_model), "freeze": ["unet"], "gate": -10}
    return DenoiserPhase(recipe_of(tmp_path, model=model), CPU)


def test_of_a_frozen_backbone_only_the_scene_adapter_learns(
    scene_adapter_phase: DenoiserPhase, backbone_model: Path, tmp_path: Path
) -> None:
    phase = scene_adapter_phase
    frozen, learning = state(phase.unet), state(phase.scene_adapter)
    optimized = {id(p) for group in parameter_groups(phase.module, phase.recipe.train) for p in group["params"]}
    assert optimized == {id(p) for p in phase.scene_adapter.parameters()}
    learn(phase)
    assert all(torch.equal(value, frozen[name]) for name, value in phase.unet.state_dict().items())
    assert any(not torch.equal(value, learning[name]) for name, value in phase.scene_adapter.state_dict().items())
    phase.export(tmp_path / "model", 0)
    assert (tmp_path / "model/unet" / WEIGHTS).read_bytes() == (backbone_model / "unet" / WEIGHTS).read_bytes()
    exported = DysenVDMPipeline.from_pretrained(tmp_path / "model")
    assert (
        exported.config["usual_guidance"] == DysenVDMPipeline.from_pretrained(backbone_model).config["usual_guidance"]
    )
    for name, value in exported.scene_adapter.state_dict().items():
        assert torch.equal(value, phase.scene_adapter.state_dict()[name].float()), "16 bits"


def test_a_pretrained_backbone_is_trained_to_predict_what_its_scheduler_wants(
    scene_adapter_phase: DenoiserPhase,
) -> None:
    assert scene_adapter_phase.module.predicts == "epsilon"
    assert scene_adapter_phase.settings["shared_noise"] == 0


class Oracle(nn.Module):
    """A UNet that knows the answer."""

    dtype = torch.float32

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *_args: Any, **_options: Any) -> Any:
        return type("Output", (), {"sample": self.answer})


class Deaf(nn.Module):
    """A scene adapter that adds nothing."""

    def encode(self, *_args: Any, **_options: Any) -> None: ...

    def keys_values(self, *_args: Any) -> None: ...

    def attached(self, *_args: Any) -> Any:
        from contextlib import nullcontext

        return nullcontext()


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_the_loss_of_the_right_answer_is_zero(predicts: Any) -> None:
    torch.manual_seed(0)
    latents, noise = torch.randn(2, 1, 4, 1, 2, 2)
    alpha = torch.tensor(0.36)
    right = noise if predicts == "epsilon" else 0.6 * noise - 0.8 * latents
    for answer, wrong in ((right, False), (right + 1, True)):
        loss = DenoiserLoss(Oracle(answer), Deaf(), alpha[None], LossSection(min_snr=5), predicts)  # type: ignore[arg-type]
        scene: Any = type("Scene", (), {"to": lambda self, **_options: self})()
        value, _ = loss(
            latents, noise, torch.tensor([0]), torch.zeros(1, 1, 1), scene, torch.ones(1, 1, 2, 2, dtype=torch.bool),
            torch.tensor([[0]]), 1,
        )  # fmt: skip
        snr = 0.36 / 0.64
        assert value.item() == pytest.approx(wrong * (1 if predicts == "epsilon" else snr / (snr + 1)), abs=1e-6)


def test_a_trained_lora_is_what_generate_merges(pipeline: DysenVDMPipeline, tmp_path: Path) -> None:
    init = tmp_path / "init"
    pipeline.save_pretrained(init)
    lora = {"rank": 2, "alpha": 4, "targets": ["to_q", "to_out.0", "key_value"]}
    phase = DenoiserPhase(recipe_of(tmp_path, model={"init": str(init), "gate": -10}, lora=lora), CPU)
    adapted = [name for name, p in phase.module.named_parameters() if p.requires_grad]
    assert all("lora_" in name for name in adapted)
    assert {name.partition(".")[0] for name in adapted} == {"unet", "scene_adapter"}
    before = state(phase.unet)
    learn(phase, 3)
    assert all(torch.equal(v, before[n]) for n, v in phase.unet.state_dict().items() if "lora_" not in n)
    phase.export(tmp_path / "lora", 3)

    fresh = DysenVDMPipeline.from_pretrained(init)
    asked: dict[str, Any] = {"num_frames": 8, "num_inference_steps": 2, "seeds": [0]}
    dsgs = [phase.source.told(0).dsg]
    trained = phase.pipeline()(["a girl walks"], dsgs, **asked)
    untouched = fresh(["a girl walks"], dsgs, **asked)
    merge(Lora(tmp_path / "lora"), {"unet": fresh.unet, "scene_adapter": fresh.scene_adapter}, "init")
    merged = fresh(["a girl walks"], dsgs, **asked)
    assert (merged != untouched).any(), "it learned something"
    assert abs(merged.astype(int) - trained.astype(int)).max() <= 1


def test_a_lora_target_that_is_no_layer_is_named_with_those_that_are(
    pipeline: DysenVDMPipeline, tmp_path: Path
) -> None:
    pipeline.save_pretrained(tmp_path / "init")
    recipe = recipe_of(tmp_path, ["lora.targets=[to_queue]"], model={"init": str(tmp_path / "init"), "gate": -10})
    with pytest.raises(UserError, match=r"lora\.targets: no layer's name ends in 'to_queue'; there are: .*to_q"):
        DenoiserPhase(recipe, CPU)


def test_norms_and_biases_are_not_decayed_and_the_scene_adapter_may_have_its_own_rate() -> None:
    module = nn.ModuleDict({"unet": nn.Linear(2, 2), "scene_adapter": nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))})
    train = TrainSection(steps=1, batch_size=1, lr=1.0, weight_decay=0.1)
    groups = {group["name"]: group for group in parameter_groups(module, train)}
    assert {name: (len(g["params"]), g["lr"], g["weight_decay"]) for name, g in groups.items()} == {
        "weights": (2, 1.0, 0.1),
        "norms and biases": (4, 1.0, 0.0),
    }
    apart = parameter_groups(module, train.model_copy(update={"scene_lr": 0.5}))
    assert {g["name"]: (len(g["params"]), g["lr"]) for g in apart} == {
        "weights": (1, 1.0),
        "norms and biases": (1, 1.0),
        "scene adapter, weights": (1, 0.5),
        "scene adapter, norms and biases": (3, 0.5),
    }


@pytest.mark.parametrize(
    ("model", "overrides", "message"),
    [
        ({"preset": "micro", "vae": "x", "freeze": ["unet"]}, [], r"model\.freeze: what stays as it is"),
        ({"preset": "micro", "vae": "x"}, ["lora.rank=2"], "lora: what stays as it is must come trained"),
        ({}, [], r"model\.preset: say which size"),
        ({"init": "x", "freeze": ["unet", "scene_adapter"]}, [], "nothing would be trained"),
        ({"init": "x"}, ["scene.width=64"], "scene adapter is that of model.init"),
        ({"init": "x"}, ["train.shared_noise=0.5"], r"train\.shared_noise: model\.init keeps its own"),
        ({"preset": "micro"}, ["phase=autoencoder", "train.scene_lr=1"], r"train\.scene_lr: only the denoiser"),
    ],
)
def test_what_contradicts_itself_is_one_line(
    tmp_path: Path, model: dict[str, Any], overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        recipe_of(tmp_path, overrides, model=model)
    assert "\n" not in str(caught.value)


def test_a_model_to_start_from_is_looked_for_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.init: model 'stage-nono': no such folder"):
        DenoiserPhase(recipe_of(tmp_path, model={"init": "stage-nono"}), CPU)


def test_the_exported_scene_adapter_of_a_backbone_is_read_back(
    scene_adapter_phase: DenoiserPhase, tmp_path: Path
) -> None:
    scene_adapter_phase.export(tmp_path / "model", 0)
    weights = load_file(tmp_path / "model/scene_adapter" / WEIGHTS)
    assert weights.keys() == scene_adapter_phase.scene_adapter.state_dict().keys()


# -- through the loop ------------------------------------------------------------------------------------------------

LOG = {"every": 1, "validate_every": 2, "sample_every": 2, "checkpoint_every": 2, "sample_steps": 1}


@pytest.mark.filterwarnings("ignore::dysenvdm.clip_text.TextCutWarning")
def test_a_run_on_a_frozen_backbone_leaves_its_files_as_they_are(backbone_model: Path, tmp_path: Path) -> None:
    model = {"init": str(backbone_model), "freeze": ["unet"], "gate": -10}
    recipe_of(tmp_path, model=model, log=LOG)
    folder = run(tmp_path / "recipe.yaml", ["train.warmup=0"])
    assert (folder / "unet" / WEIGHTS).read_bytes() == (backbone_model / "unet" / WEIGHTS).read_bytes()
    new, old = (load_file(f / "scene_adapter" / WEIGHTS) for f in (folder, backbone_model))
    assert any(not torch.equal(value, old[name].to(value.dtype)) for name, value in new.items())
    settings = json.loads((tmp_path / "run/deepspeed.json").read_text())
    assert settings["zero_optimization"] == {"stage": 0}
    assert yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())["model"]["freeze"] == ["unet"]


def test_a_run_of_a_lora_exports_what_generate_takes(pipeline: DysenVDMPipeline, tmp_path: Path) -> None:
    pipeline.text_encoder.max_tokens = 256  # the stand-in spells most words
    pipeline.save_pretrained(tmp_path / "init")
    model, lora = {"init": str(tmp_path / "init"), "gate": -10}, {"rank": 2, "targets": ["to_q", "key_value"]}
    recipe_of(tmp_path, model=model, lora=lora, log=LOG)
    folder = run(tmp_path / "recipe.yaml", ["train.warmup=0"])
    assert {path.name for path in folder.iterdir()} == {"unet", "scene_adapter", "manifest.json"}
    fresh = DysenVDMPipeline.from_pretrained(tmp_path / "init")
    before = state(fresh.unet)
    merge(Lora(folder), {"unet": fresh.unet, "scene_adapter": fresh.scene_adapter}, "init")
    changed = [name for name, value in state(fresh.unet).items() if not torch.equal(value, before[name])]
    assert {name.rsplit(".", 2)[-2] for name in changed} == {"to_q"}
