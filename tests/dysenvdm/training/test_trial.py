"""Before the first step of a curriculum its largest batch is tried: what does not fit is known, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dysenvdm.backbones import build_vae
from dysenvdm.training import loop, run
from dysenvdm.training.denoiser import DenoiserLoss, DenoiserPhase
from planners.dsg import UserError

FRAMES = 8


@pytest.fixture(autouse=True)
def _store(store: Path) -> None: ...


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """With several, oneDNN's backward passes add up in an order that is not always the same, as documented."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def recipe_file(folder: Path, **zero: Any) -> Path:
    """Two steps of stills, one of every second frame, one of all frames."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    build_vae("micro").save_pretrained(folder / "vae")
    content = {
        "name": "micro-curriculum",
        "phase": "denoiser",
        "run": str(folder / "run"),
        "data": {"frames": FRAMES, "size": 32, "clips": 4, "cache": True, "validation_clips": 1, "workers": 0},
        "model": {"preset": "micro", "vae": str(folder / "vae"), "gate": 0.0, "max_tokens": 256},
        "train": {
            "steps": 4, "batch_size": 2, "micro_batch": 1, "lr": 1e-3, "warmup": 0, "weight_decay": 0.5,
            "stills": 0.5, "stills_batch": 2, "coarse": 0.75,
        },
        "log": {"every": 1, "validate_every": 9, "sample_every": 9, "checkpoint_every": 1, "sample_steps": 1},
        "deepspeed": {"zero_optimization": zero or {"stage": 0}},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def weights(model: Path) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": value
        for part in ("unet", "scene_adapter")
        for name, value in load_file(model / part / "diffusion_pytorch_model.safetensors").items()
    }


def losses(model: Path) -> list[float]:
    lines = [json.loads(line) for line in (model.parent / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["kind"] == "train"]


@pytest.mark.parametrize(("zero", "precision"), [({"stage": 0}, "fp32"), ({"stage": 2}, "bf16")])
def test_the_trial_leaves_no_trace(
    zero: dict[str, Any], precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and losses are bit by bit those of a run without a trial."""
    seen: list[int] = []
    forward = DenoiserLoss.forward

    def noted(self: DenoiserLoss, **inputs: Any) -> Any:
        seen.append(inputs["latents"].shape[2])
        return forward(self, **inputs)

    override = [f"train.precision={precision}", "log.validate_every=4"]
    with monkeypatch.context() as patch:
        patch.setattr(loop, "try_largest", lambda *_: False)
        without = run(recipe_file(tmp_path / "without", **zero), override)
    monkeypatch.setattr(DenoiserLoss, "forward", noted)
    tried = run(recipe_file(tmp_path / "tried", **zero), override)
    assert seen[:3] == [FRAMES, 1, 1], "the largest first, then the steps as ever"
    assert losses(tried) == losses(without)
    for name, value in weights(without).items():
        assert torch.equal(value, weights(tried)[name]), name


def test_a_resumed_run_repeats_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(recipe_file(tmp_path / "whole"), [])
    prepare, calls = DenoiserPhase.prepare, []

    def power_cut(self: DenoiserPhase, inputs: dict[str, Any]) -> dict[str, Any]:
        calls.append(inputs)
        if len(calls) == 4:  # the trial, two micro-batches of the first step, one of the second
            raise KeyboardInterrupt
        return prepare(self, inputs)

    recipe = recipe_file(tmp_path / "cut")
    with monkeypatch.context() as patch:
        patch.setattr(DenoiserPhase, "prepare", power_cut)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, [])
    resumed = run(recipe, [])
    assert losses(resumed) == losses(whole)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name


def test_what_fits_only_small_batches_is_named_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = DenoiserLoss.forward

    def little_memory(self: DenoiserLoss, **inputs: Any) -> Any:
        if inputs["latents"].shape[2] == FRAMES:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")
        return forward(self, **inputs)

    monkeypatch.setattr(DenoiserLoss, "forward", little_memory)
    with pytest.raises(
        UserError, match=r"out of GPU memory: lower train\.micro_batch from 2 to 1, or set train\.check"
    ):
        run(recipe_file(tmp_path), ["train.micro_batch=2"])
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not (tmp_path / "run" / "log.jsonl").exists() or not losses(tmp_path / "run" / "model")


@pytest.mark.parametrize(("look", "what"), [("validate", "validation"), ("sheet", "the sample sheet")])
def test_validation_and_sheets_name_the_number_to_lower(
    look: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little_memory(_phase: DenoiserPhase) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(DenoiserPhase, look, little_memory)
    with pytest.raises(UserError, match=rf"out of GPU memory in {what}: lower log\.at_once from 8, or .*data\.size"):
        run(recipe_file(tmp_path), ["train.steps=1", "train.stills=0", "train.coarse=0"])
