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
from dysenvdm.training.cost import META, denoiser_cost
from dysenvdm.training.dry_run import STOPS, WAITS, dry_run
from dysenvdm.training.groups import parameter_groups
from dysenvdm.training.networks import fit_for_training
from dysenvdm.training.sections import TrainSection
from dysenvdm.training.shipped import shipped_recipes
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
    memory = sections(report(recipe, gpu_memory=2.0))["Memory per GPU, 1 rank(s) of 2 GiB"]
    [most] = re.findall(r"(\d+) <- the recipe's", memory)
    fits, too_large = (
        report(recipe, f"train.batch_size={n}", gpu_memory=2.0).split("With ZeRO 2: ")[1].splitlines()[0]
        for n in (int(most), int(most) + 1)
    )
    assert fits == f"train.micro_batch {most} fits."
    assert too_large == f"train.micro_batch {int(most) + 1} does not fit; lower it to {most} or less."


@pytest.mark.parametrize(
    ("overrides", "ranks", "message"),
    [
        (["data.clips=4", "train.batch_size=8"], 8, "data: 4 clips for 8 ranks"),
        ([], 3, r"train\.batch_size: 10 cannot be shared by 3 ranks"),
        (["train.stepps=1"], 1, r"train\.stepps.*did you mean steps"),
        (["data.source={kind: ucf10, root: x}"], 1, "did you mean ucf101"),
        (["data.source={kind: ucf101, root: x, list: y}"], 1, "did you mean lists"),
        (["data.source={kind: folder, root: absent}", "data.clips=4"], 1, "more than the 4 clips"),
        (["model.init=absent", "lora={targets: [nowhere]}"], 1, "nowhere"),
        (["deepspeed.optimizer={}"], 1, r"deepspeed\.optimizer: .*train\.lr"),
        (["deepspeed.zero_optimization.stage=two"], 1, r"deepspeed\.zero_optimization\.stage: 'two'"),
        (["deepspeed.zero_optimization.stage=null"], 1, r"deepspeed\.zero_optimization\.stage: None"),
        (["deepspeed.zero_optimization.offload_optimizer=cpu"], 1, r"offload_optimizer: 'cpu'.*device: cpu"),
        (["deepspeed.zero_optimization.reduce_bucket_size=big"], 1, r"reduce_bucket_size: 'big'"),
        (["train.precision=fp16", "deepspeed.zero_optimization.stage=0"], 1, r"train\.precision: fp16 needs"),
    ],
)
def test_what_would_stop_training_is_one_line(recipe: Path, overrides: list[str], ranks: int, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        report(recipe, *overrides, ranks=ranks)
    assert "\n" not in str(caught.value)


# -- what is missing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "note"),
    [
        (
            ["model.vae=absent"],
            r"model\.vae: no autoencoder in absent; train one first, .* \[one of preset micro is .*",
        ),
        (
            ["model.text_encoder=absent"],
            r"the text encoder: model 'absent': no such folder.*\[64 tokens of width 384 are .*",
        ),
        (
            ["model.init=absent"],
            r"model\.init: model 'absent': no such folder.* \[sizes are those of model\.preset, mi.*",
        ),
        (["data.source={kind: folder, root: absent}"], r"data\.source\.root: no folder absent; expected .* \[clips .*"),
    ],
)
def test_what_is_missing_is_a_line_and_the_rest_is_reported(recipe: Path, run, overrides: list[str], note: str) -> None:
    changes = [part for change in overrides for part in ("--set", change)]
    done = run("train", recipe, "--dry-run", "--tflops", 1, *changes)
    assert done.code == 0, done.err
    said = sections(done.out)
    [line] = said.pop(STOPS).strip().splitlines()
    assert re.fullmatch(f"- {note}", line), line
    assert said.keys() == sections(report(recipe)).keys()
    assert WAITS not in done.out
    assert "assumed: 1 TFLOP/s" in said["Work"]


def test_nothing_missing_is_nothing_said(recipe: Path) -> None:
    assert STOPS not in report(recipe)


def test_all_that_is_missing_is_told_at_once(recipe: Path) -> None:
    lines = sections(report(recipe, "model.vae=absent", "data.source={kind: folder, root: absent}"))[STOPS]
    assert [line.partition(":")[0] for line in lines.strip().splitlines()] == ["- data.source.root", "- model.vae"]


def test_without_an_autoencoder_one_of_the_preset_is_counted(recipe: Path) -> None:
    """The recipe's own is of that preset too, so nothing but the note differs."""
    whole, lacking = sections(report(recipe)), sections(report(recipe, "model.vae=absent"))
    for title in whole.keys() - {"The resolved recipe"}:
        assert lacking[title].strip() == whole[title].strip()


def test_clips_that_are_not_there_make_no_epoch(recipe: Path, tmp_path: Path) -> None:
    work = sections(report(recipe, "data.source={kind: folder, root: absent}", tflops=1))["Work"]
    assert work.startswith("clips: not known before the data set is there")
    assert "time per epoch" not in work
    assert "the run sees each clip" not in work
    assert "for the run" in work


def test_what_depends_on_a_start_that_nothing_tells_waits_for_it(recipe: Path) -> None:
    said = sections(report(recipe, "model.preset=null", "model.init=absent", "train.shared_noise=0", tflops=1))
    assert said["Parameter groups"].strip() == WAITS
    assert said["Memory per GPU, 1 rank(s) of 80 GiB"].strip() == WAITS
    assert f"FLOPs: {WAITS}" in said["Work"]
    assert f"time: {WAITS}" in said["Work"]
    assert "an epoch is 10.0 steps" in said["Work"]
    assert "train_micro_batch_size_per_gpu" in said["DeepSpeed's configuration (bf16)"]
    assert re.fullmatch(r"- model\.init: .* \[its sizes are not known\]", said[STOPS].strip())


@pytest.mark.parametrize("name", ["rehearsal/dysen", "rehearsal/finetune"])
def test_a_start_that_a_recipe_makes_has_that_recipes_sizes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Straight from the rehearsal's backbone, or by way of the model that was made from it."""
    monkeypatch.chdir(tmp_path)

    def parameters(text: str) -> set[str]:
        rows = sections(text)["Parameter groups"].strip().splitlines()[1:]
        return {cell for row in rows for cell in re.findall(r"[\d,]{5,}", row)}

    made = dry_run(name, [], ranks=1, gpu_memory=80, tflops=None)
    maker = dry_run("rehearsal/backbone", [], ranks=1, gpu_memory=80, tflops=None)
    assert parameters(made) == parameters(maker)
    assert re.search(r"- model\.init: .* \[recipe rehearsal/\w+ makes it, and its sizes are taken\]", made)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("phase", "model", "missing"),
    [
        ("autoencoder", {"preset": "micro", "init": "absent"}, "model.init"),
        ("referee", {"preset": "micro", "init": "absent"}, "model.init"),
        ("referee", {"preset": "micro", "vae": "absent"}, "model.vae"),
    ],
)
def test_other_phases_are_sized_by_their_preset(
    phase: str, model: dict[str, str], missing: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    data = {"frames": 8, "clips": 8, "cache": phase == "referee"}
    content = {"name": "micro", "phase": phase, "run": str(tmp_path / "run"), "data": data}
    content["train"] = {"steps": 5, "batch_size": 2, "lr": 1e-3}
    path.write_text(yaml.safe_dump({**content, "model": {"preset": "micro"}}))
    whole = sections(report(path))
    path.write_text(yaml.safe_dump({**content, "model": model}))
    lacking = sections(report(path))
    assert lacking.pop(STOPS).startswith(f"- {missing}: ")
    assert lacking["Parameter groups"] == whole["Parameter groups"]
    assert lacking["Work"].strip() == whole["Work"].strip()


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_that_ships_dry_runs_on_an_empty_machine(
    name: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "store"))
    done = run("train", name, "--dry-run", "--ranks", 2)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


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
