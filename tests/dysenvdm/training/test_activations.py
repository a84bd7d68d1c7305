"""Activation checkpointing: the same loss and gradients from less memory, with the scene attention in place."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dysenvdm.backbones import build_vae
from dysenvdm.data.steps import Curriculum, Steps
from dysenvdm.training.activations import checkpoint_activations
from dysenvdm.training.denoiser import DenoiserPhase
from dysenvdm.training.recipe import load_recipe


@pytest.fixture(autouse=True)
def _store(store: Path) -> None: ...


def phase_of(folder: Path, **scene: Any) -> DenoiserPhase:
    build_vae("micro").save_pretrained(folder / "vae")
    path = folder / "recipe.yaml"
    content = {
        "name": "micro-denoiser", "phase": "denoiser", "run": str(folder / "run"),
        "data": {"frames": 8, "size": 64, "clips": 4, "cache": True, "validation_clips": 1, "workers": 0},
        "model": {"preset": "micro", "vae": str(folder / "vae"), "gate": 0.0, "max_tokens": 256},
        "scene": scene, "train": {"steps": 2, "batch_size": 2, "lr": 1e-3},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(content))
    torch.manual_seed(0)
    phase = DenoiserPhase(load_recipe(path, []), torch.device("cpu"))
    for site in phase.scene_adapter.sites:
        torch.nn.init.normal_(site.output.weight)  # zero at first, which would hide what is behind it
    return phase


def passed(phase: DenoiserPhase) -> tuple[float, dict[str, torch.Tensor], int]:
    """Loss, gradients, and the bytes that are kept from the forward for the backward pass."""
    frames = phase.recipe.data.frames
    batch = Steps(Curriculum(batch=2), seed=0, rank=0, world=1, clips=4, frames=frames, read=phase.read)[0]
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    inputs = phase.prepare(phase.collate(batch))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss, _ = phase.module(**inputs)
    weights = {parameter.untyped_storage().data_ptr() for parameter in phase.module.parameters()}
    size = sum(size for place, size in kept.items() if place not in weights)
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in phase.module.named_parameters() if p.grad is not None}
    phase.module.zero_grad()
    return loss.item(), gradients, size


@pytest.mark.parametrize("encoder", ["rgtrm", "recurrent_gnn"])
def test_the_same_gradients_from_less_memory(encoder: str, tmp_path: Path) -> None:
    phase = phase_of(tmp_path, encoder=encoder)
    loss, gradients, kept = passed(phase)
    assert checkpoint_activations(phase.module) > 10
    again, ours, less = passed(phase)
    assert again == loss
    assert ours.keys() == gradients.keys()
    assert any("graph" in name for name in ours)
    for name, gradient in gradients.items():
        assert torch.allclose(ours[name], gradient, rtol=1e-4, atol=1e-7), name
    assert less < 0.5 * kept


def test_weights_keep_their_names_and_validation_its_values(tmp_path: Path) -> None:
    phase = phase_of(tmp_path)
    names = [name for name, _ in phase.module.named_parameters()]
    with torch.no_grad():
        before = phase.validate()
        checkpoint_activations(phase.module)
        assert phase.validate() == before
    assert [name for name, _ in phase.module.named_parameters()] == names
