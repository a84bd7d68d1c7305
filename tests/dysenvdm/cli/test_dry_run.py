"""``train --dry-run``: what it says is what training would do, and nothing is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from dysenvdm.backbones import UNETS, build_unet, build_vae
from dysenvdm.scene_attention import SceneAdapter
from dysenvdm.stage import sample as play
from dysenvdm.training import cost as costs
from dysenvdm.training.cost import META, Cost, denoiser_cost
from dysenvdm.training.dry_run import dry_run
from dysenvdm.training.groups import parameter_groups
from dysenvdm.training.networks import fit_for_training
from dysenvdm.training.sections import TrainSection
from dysenvdm.training.zero_memory import Parameters, Plan, largest_micro_batch, states
from planners.dsg import UserError


@pytest.fixture(autouse=True)
def _store(store: Path) -> None: ...


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A denoiser's at the size of tests, behind an autoencoder of that size."""
    build_vae("micro").save_pretrained(tmp_path / "vae")
    content = {
        "name": "micro",
        "phase": "denoiser",
        "run": str(tmp_path / "run"),
        "data": {"frames": 8, "size": 64, "clips": 100},
        "model": {"preset": "micro", "vae": str(tmp_path / "vae"), "max_tokens": 64},
        "train": {"steps": 50, "batch_size": 10, "lr": 1e-3, "scene_lr": 2e-3},
        "deepspeed": {"zero_optimization": {"stage": 2}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "recipe.yaml"


def report(recipe: Path, *overrides: str, ranks: int = 1, gpu_memory: float = 80, tflops: float | None = None) -> str:
    return dry_run(recipe, list(overrides), ranks=ranks, gpu_memory=gpu_memory, tflops=tflops)


def sections(text: str) -> dict[str, str]:
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in re.split(r"^# ", text, flags=re.M)[1:]}


def test_it_says_all_and_writes_nothing(recipe: Path, run, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = run("train", recipe, "--dry-run", "--ranks", 2, "--tflops", 1)
    assert done.code == 0, done.err
    assert sorted(tmp_path.rglob("*")) == before
    said = sections(done.out)
    assert yaml.safe_load(said["The resolved recipe"])["train"]["scene_lr"] == 2e-3
    config = yaml.safe_load(said["DeepSpeed's configuration (bf16)"])
    assert (config["train_micro_batch_size_per_gpu"], config["zero_optimization"]) == (5, {"stage": 2})
    assert "100 clips" in said["Work"]
    assert "assumed: 1 TFLOP/s" in said["Work"]
    assert "an epoch is 10.0 steps; the run sees each clip 5.00 times" in said["Work"]


def test_the_groups_are_those_of_the_optimizer(recipe: Path) -> None:
    rows = [re.split(r" {2,}", row) for row in sections(report(recipe))["Parameter groups"].strip().splitlines()[1:]]
    unet = build_unet(UNETS["micro"].model_copy(update={"text_width": 32}))  # as wide as the stand-in text encoder
    adapter = SceneAdapter.for_unet(unet, label_dim=32)
    train = TrainSection(steps=50, batch_size=10, lr=1e-3, scene_lr=2e-3)
    groups = parameter_groups(nn.ModuleDict({"unet": unet, "scene_adapter": adapter}), train)
    assert [row[0] for row in rows] == [group["name"] for group in groups]
    assert [int(row[2].replace(",", "")) for row in rows] == [sum(p.numel() for p in g["params"]) for g in groups]


def test_a_measured_step_counts_more_than_an_assumed_one(recipe: Path, tmp_path: Path) -> None:
    assert "--tflops" in sections(report(recipe))["Work"]
    (tmp_path / "run").mkdir()
    lines = [{"step": i, "kind": "train", "time": 0, "seconds_per_step": s} for i, s in enumerate((9, 2, 3, 1, 2))]
    (tmp_path / "run/log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    work = sections(report(recipe, tflops=1000))["Work"]
    assert "2 s a step (measured: the median of the last 5" in work
    assert "time per epoch: 20.0 s" in work


def test_the_micro_batch_that_fits_is_the_largest(recipe: Path) -> None:
    memory = sections(report(recipe, gpu_memory=1.0))["Memory per GPU, 1 rank(s) of 1 GiB"]
    [most] = re.findall(r"(\d+) <- the recipe's", memory)
    fits, too_large = (
        report(recipe, f"train.batch_size={n}", gpu_memory=1.0).split("With ZeRO 2: ")[1].splitlines()[0]
        for n in (int(most), int(most) + 1)
    )
    assert fits == f"train.micro_batch {most} fits."
    assert too_large == f"train.micro_batch {int(most) + 1} does not fit; lower it to {most} or less."


@pytest.mark.parametrize(
    ("overrides", "ranks", "message"),
    [
        (["model.vae=absent"], 1, r"model\.vae: no autoencoder in absent; train one first"),
        (["model.text_encoder=absent"], 1, "model 'absent': no such folder"),
        (["data.source={kind: folder, root: absent}"], 1, r"data\.source\.root: .*absent"),
        (["data.clips=4", "train.batch_size=8"], 8, "data: 4 clips for 8 ranks"),
        ([], 3, r"train\.batch_size: 10 cannot be shared by 3 ranks"),
        (["train.stepps=1"], 1, r"train\.stepps.*did you mean steps"),
        (["data.source={kind: ucf10, root: x}"], 1, "did you mean ucf101"),
        (["data.source={kind: ucf101, root: x, list: y}"], 1, "did you mean lists"),
        (["deepspeed.optimizer={}"], 1, r"deepspeed\.optimizer: .*train\.lr"),
    ],
)
def test_what_would_stop_training_is_one_line(recipe: Path, overrides: list[str], ranks: int, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        report(recipe, *overrides, ranks=ranks)
    assert "\n" not in str(caught.value)


# -- the estimates ---------------------------------------------------------------------------------------------------


def test_the_papers_sizes_can_be_built_and_cost_what_they_cost() -> None:
    """METHOD section 4, on the meta device; ModelScope's 1.4 billion parameters have the same shape."""
    with META:
        unet, vae = build_unet("paper"), build_vae("paper")
        adapter = SceneAdapter.for_unet(unet, width=768, layers=12, heads=8)
    assert 1.38e9 < sum(p.numel() for p in unet.parameters()) < 1.43e9
    assert vae.config["block_out_channels"] == (128, 256, 512, 512)
    fit_for_training(unet, torch.device("cuda"))
    dsg = play(1, frames=16).dsg
    cost = denoiser_cost(unet, adapter, dsg, frames=16, size=(32, 32), text=77)
    shorter = denoiser_cost(unet, adapter, dsg, frames=8, size=(32, 32), text=77)
    assert 1.9 < cost.flops / shorter.flops < 2.1
    assert 1.8 < cost.kept_each / shorter.kept_each < 2.2


def test_activations_on_paper_are_those_that_autograd_keeps_on_a_device() -> None:
    """The estimate against tensors with values: the network's own hooks count what is really kept."""
    torch.manual_seed(0)
    unet = build_unet("micro")
    fit_for_training(unet, torch.device("cpu"))
    sample, text = torch.randn(2, 4, 8, 16, 16), torch.randn(2, 8, 384)
    real = costs._kept(lambda: unet(sample, torch.zeros(2, dtype=torch.long), text).sample.sum(), [unet])
    on_paper = unet.to(META)
    meta = costs._kept(
        lambda: on_paper(sample.to(META), torch.zeros(2, device=META), text.to(META)).sample.sum(), [on_paper]
    )
    assert real == pytest.approx(meta, rel=0.02)


def test_states_divide_as_zero_says() -> None:
    parameters = Parameters(module=1000, trained=800, beside=100)
    none = states(parameters, Plan(0), ranks=4, precision="fp32")
    assert (none.weights, none.gradients, none.optimizer, none.average) == (4000, 3200, 6400, 800)
    one, two, three = (states(parameters, Plan(stage), ranks=4, precision="bf16", bucket=10) for stage in (1, 2, 3))
    assert (one.weights, one.gradients, one.optimizer) == (2000, 1600, 2400)
    assert (two.weights, two.gradients, two.optimizer) == (2000, 400, 2400)
    assert (three.weights, three.gradients, three.optimizer) == (500, 400, 2400)
    moved = states(parameters, Plan(3, True, True), ranks=4, precision="bf16", bucket=10)
    assert (moved.weights, moved.optimizer, moved.host) == (0, 0, 500 + 2400 + 800)
    assert moved.total < three.total < two.total < one.total


def test_a_frozen_backbone_needs_states_of_its_adapter_only() -> None:
    whole, adapter = (states(Parameters(1000, n, 0), Plan(1), ranks=1, precision="bf16") for n in (1000, 100))
    assert adapter.weights == whole.weights
    assert adapter.optimizer == whole.optimizer // 10


def test_nothing_fits_where_the_states_alone_are_too_large() -> None:
    kept = states(Parameters(10**9, 10**9, 0), Plan(0), ranks=1, precision="bf16")
    assert largest_micro_batch(kept, Cost(0, 1, 0), 10**9) == 0
