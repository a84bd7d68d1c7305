"""Every ZeRO stage trains what stage 0 trains; settings that cannot work are one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dysenvdm.training import run
from dysenvdm.training.export import export_run
from planners.dsg import UserError

RECIPE = {
    "name": "micro-autoencoder",
    "phase": "autoencoder",
    "data": {"frames": 8, "size": 16, "validation_clips": 1, "workers": 0},
    "model": {"preset": "micro"},
    "train": {"steps": 3, "batch_size": 2, "micro_batch": 1, "lr": 1e-3, "warmup": 0, "ema": 0.5},
    "log": {"every": 1, "validate_every": 2, "sample_every": 3, "checkpoint_every": 3},
}
STAGES: dict[str, dict[str, Any]] = {
    "1": {"stage": 1},
    "2": {"stage": 2},
    "2, optimizer on the CPU": {"stage": 2, "offload_optimizer": {"device": "cpu"}},
    # Nothing is small enough to stay whole.
    "3": {"stage": 3, "stage3_param_persistence_threshold": 0},
    "3, all on the CPU": {
        "stage": 3, "stage3_param_persistence_threshold": 0, "offload_optimizer": {"device": "cpu"},
        "offload_param": {"device": "cpu"},
    },
}  # fmt: skip


def trained(folder: Path, zero: dict[str, Any], *overrides: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "run": str(folder / "run"), "deepspeed": {"zero_optimization": zero}}))
    return run(path, list(overrides))


def lines(model: Path) -> list[dict[str, Any]]:
    text = (model.parent / "log.jsonl").read_text(encoding="utf-8")
    unlike = ("time", "seconds_per_step", "samples_per_second")
    return [{k: v for k, v in json.loads(line).items() if k not in unlike} for line in text.splitlines()]


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("stage0"), {"stage": 0})


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_trains_what_stage_0_trains(name: str, without: Path, tmp_path: Path) -> None:
    """Losses, norms, what validation says of the averages, and the averages themselves."""
    model = trained(tmp_path, STAGES[name])
    for ours, theirs in zip(lines(model), lines(without), strict=True):
        assert ours.pop("kind") == theirs.pop("kind")
        assert ours == pytest.approx(theirs, rel=1e-4), name
    ours, theirs = (load_file(folder / "diffusion_pytorch_model.safetensors") for folder in (model, without))
    for weight, value in theirs.items():
        assert torch.allclose(value, ours[weight], atol=1e-5), weight


@pytest.mark.parametrize(
    ("zero", "override", "message"),
    [
        ({"stage": 2}, "train.precision=fp16", r"train\.precision: fp16 needs a GPU; use bf16"),
        ({"stage": 5}, "seed=0", r"deepspeed\.zero_optimization\.stage: 5 is no stage"),
        (
            {"stage": 1, "offload_optimiser": {}},
            "seed=0",
            r"deepspeed\.zero_.*offload_optimiser: .*mean offload_optimizer",
        ),
        ({"stage": 1, "allgather_bucket_size": -1}, "seed=0", r"deepspeed: .*allgather_bucket_size"),
        ({"stage": 1}, "train.backend=nccl", r"train\.backend: nccl needs GPUs"),
    ],
)
def test_settings_that_cannot_work_are_one_line(
    zero: dict[str, Any], override: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        trained(tmp_path, zero, override)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_bf16_trains_on_cpus_with_averages_of_its_fp32_weights(stage: int, tmp_path: Path) -> None:
    """An average that saw only 16-bit weights would move in 16-bit steps: with a decay of 0 it is those weights."""
    model = trained(tmp_path, {"stage": stage}, "train.precision=bf16", "train.ema=0.0", "train.lr=1e-5")
    averages = load_file(model / "diffusion_pytorch_model.safetensors")
    weight = averages["decoder.conv_in.weight"]
    assert weight.dtype == torch.float32
    assert not torch.equal(weight, weight.bfloat16().float())
    export_run(model.parent, tmp_path / "raw", raw=True)  # which are the same ones
    raw = load_file(tmp_path / "raw" / "diffusion_pytorch_model.safetensors")
    assert raw.keys() == averages.keys()
    assert all(torch.equal(raw[name], value) for name, value in averages.items())


def test_under_bf16_a_resumed_average_goes_on_in_fp32(tmp_path: Path) -> None:
    settings = ("train.precision=bf16", "train.ema=0.0", "train.lr=1e-5", "train.steps=6", "train.cooldown=0")
    whole = trained(tmp_path, {"stage": 0}, *settings)
    for checkpoint in (tmp_path / "run" / "checkpoints").iterdir():
        if checkpoint.name.startswith("step-") and int(checkpoint.name.removeprefix("step-")) > 3:
            shutil.rmtree(checkpoint)
    kept = load_file(whole / "diffusion_pytorch_model.safetensors")
    again = load_file(trained(tmp_path, {"stage": 0}, *settings) / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(again[name], value) for name, value in kept.items())
