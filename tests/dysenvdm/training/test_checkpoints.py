"""Checkpoints: a resumed run repeats an uninterrupted one, broken ones are recognised, no pickle leaves a run."""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from dysenvdm.backbones import build_vae
from dysenvdm.training import autoencoder, checkpoints, run
from dysenvdm.training.checkpoint_files import (
    RankFile,
    best_of,
    commit_of_code,
    differing_keys,
    find_checkpoints,
    read_checkpoint,
)
from dysenvdm.training.engine_settings import ZERO_LAYOUT
from dysenvdm.training.export import choose_checkpoint, export_run, refuse_pickles
from dysenvdm.training.logs import RunLog, read_log
from dysenvdm.training.recipe import load_recipe
from dysenvdm.training.run_folder import refuse_changes
from planners.dsg import UserError

RECIPE = {
    "name": "micro",
    "phase": "autoencoder",
    "data": {"frames": 8, "size": 32, "validation_clips": 2, "workers": 0},
    "model": {"preset": "micro"},
    "train": {"steps": 4, "batch_size": 2, "lr": 1e-3, "warmup": 1, "ema": 0.9},
    "log": {"every": 1, "validate_every": 2, "sample_every": 4, "checkpoint_every": 1, "keep": 4},
}


def recipe_file(folder: Path, **changes: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "run": str(folder / "run"), **changes}))
    return path


def tensors_of(value: Any, place: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors in nested containers, by where they are."""
    if isinstance(value, torch.Tensor):
        yield place, value
    elif isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in pairs:
            yield from tensors_of(part, f"{place}/{key}")


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint: weights, optimizer, averages, generators."""
    state = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".pt":
            state |= dict(tensors_of(torch.load(path, weights_only=False), path.name))
        if path.suffix == ".safetensors":
            state |= {f"{path.name}/{name}": value for name, value in load_file(path).items()}
    return state


def assert_same_run(ours: Path, theirs: Path) -> None:
    """The newest checkpoints, the exported weights and the logged values of two run folders."""
    states = [state_of(find_checkpoints(folder)[0][-1].folder) for folder in (ours, theirs)]
    assert len(states[0]) > 100
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    models = [(folder / "model" / "diffusion_pytorch_model.safetensors").read_bytes() for folder in (ours, theirs)]
    assert models[0] == models[1]
    logs = [sorted(read_log(folder), key=lambda line: (line["step"], line["kind"])) for folder in (ours, theirs)]
    of_the_clock = ("time", "seconds_per_step", "samples_per_second")
    said = [[{key: value for key, value in line.items() if key not in of_the_clock} for line in log] for log in logs]
    assert said[0] == said[1]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(recipe_file(folder), [])
    return folder / "run"


@pytest.fixture
def cut(uninterrupted: Path, tmp_path: Path) -> Path:
    """The run's folder as if its process had died between steps 3 and 4."""
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted, folder, ignore=shutil.ignore_patterns("model", "step-0000004", "curves.png"))
    (folder / "checkpoints" / "latest").write_text("step-0000003")
    lines = (folder / "log.jsonl").read_text().splitlines()
    (folder / "log.jsonl").write_text("\n".join(lines[:-2]) + '\n{"step": 4, "ki')  # it died while it wrote
    return folder


def test_a_checkpoint_has_all_of_a_run(uninterrupted: Path) -> None:
    checkpoint = read_checkpoint(uninterrupted / "checkpoints" / "step-0000002")
    manifest = checkpoint.manifest
    assert (manifest.step, manifest.world, manifest.precision) == (2, 1, "fp32")
    assert set(manifest.validation) == {"psnr", "psnr_min"}
    assert manifest.commit == commit_of_code()
    on_disk = {path.name for path in checkpoint.folder.iterdir()}
    assert on_disk == {*manifest.files, "checkpoint.json"} >= {"recipe.yaml", "rank-00000.safetensors"}
    assert (uninterrupted / "checkpoints" / "latest").read_text() == "step-0000004"
    assert read_checkpoint(uninterrupted / "checkpoints" / "step-0000001").manifest.validation == {}


def test_resumed_repeats_the_uninterrupted(uninterrupted: Path, cut: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(recipe_file(cut.parent), [])
    assert_same_run(cut, uninterrupted)
    assert "resuming micro at step 3" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch of itself
@pytest.mark.filterwarnings("ignore:.*torch.distributed:FutureWarning")  # DeepSpeed's calls
@pytest.mark.parametrize(("stage", "precision"), [(3, "fp32"), (2, "fp32"), (1, "bf16"), (0, "bf16")])
def test_resumed_repeats_the_uninterrupted_in_every_layout(stage: int, precision: str, tmp_path: Path) -> None:
    # DeepSpeed's own bucket takes gigabytes.
    layout = [f"deepspeed.zero_optimization={{stage: {stage}, reduce_bucket_size: 100000}}"]
    layout += [f"train.precision={precision}", "train.steps=3"]
    recipe, other = recipe_file(tmp_path), tmp_path / "other"
    run(recipe, layout)
    shutil.copytree(tmp_path / "run", other, ignore=shutil.ignore_patterns("model", "step-0000003"))
    run(recipe, [*layout, f"run={other}"])
    assert_same_run(other, tmp_path / "run")
    export_run(other, tmp_path / "raw", raw=True)
    assert load_file(tmp_path / "raw" / "diffusion_pytorch_model.safetensors")["encoder.conv_in.weight"].any()


def test_generators_go_on_where_they_were(tmp_path: Path) -> None:
    def draws() -> list[float]:
        return [random.random(), float(np.random.standard_normal()), torch.rand(1).item()]

    draws()
    RankFile.of_process({}, {"steps": 0, "updates": 0}, {}).write(tmp_path / "rank-00000.safetensors")
    expected = draws()
    assert draws() != expected
    RankFile.read(tmp_path / "rank-00000.safetensors").restore_generators()
    assert draws() == expected


def test_a_damaged_checkpoint_is_passed_over(uninterrupted: Path, cut: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = cut / "checkpoints" / "step-0000003" / "mp_rank_00_model_states.pt"
    size = weights.stat().st_size
    os.truncate(weights, size - 1)
    run(recipe_file(cut.parent), [])
    assert_same_run(cut, uninterrupted)
    said = capfd.readouterr().err
    assert f"(mp_rank_00_model_states.pt has {size - 1} of {size} bytes); going back to step 2" in said
    assert "resuming micro at step 2; the 1 after it are made again" in said


def test_without_a_complete_checkpoint_nothing_is_trained(cut: Path) -> None:
    for folder in (cut / "checkpoints").glob("step-*"):
        (folder / "checkpoint.json").unlink()
    with pytest.raises(UserError, match=r"step-0000003 is not complete \(no checkpoint.json;.*--set run="):
        run(recipe_file(cut.parent), [])


@pytest.mark.parametrize("dies_at", ["to_disk", "find_checkpoints"])
def test_a_process_that_dies_in_a_write_leaves_the_last_good_one(
    uninterrupted: Path, cut: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], dies_at: str
) -> None:
    """Before the new checkpoint has its name, and after, when an old one is to be removed."""
    original = getattr(checkpoints, dies_at)

    def die(path: Path) -> Any:
        if (cut / "checkpoints" / ".writing-step-0000004").exists() or (cut / "checkpoints" / "step-0000004").exists():
            raise KeyboardInterrupt
        return original(path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, dies_at, die)
        with pytest.raises(KeyboardInterrupt):
            run(recipe_file(cut.parent), [])
    capfd.readouterr()
    run(recipe_file(cut.parent), [])
    assert_same_run(cut, uninterrupted)
    said = capfd.readouterr().err
    assert "ended before its time" in said
    if dies_at == "to_disk":
        assert "removed a half-written checkpoint of step-0000004" in said
        assert "resuming micro at step 3; the 1 after it are made again" in said
    else:
        assert "resuming micro at step 4\n" in said
    assert not list((cut / "checkpoints").glob(".*"))


def test_a_full_disk_leaves_the_last_good_one(uninterrupted: Path, cut: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(UserError, match=r"step-0000004.*: cannot be written .*; make room, then run"):
            run(recipe_file(cut.parent), [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not list((cut / "checkpoints").glob(".*"))
    run(recipe_file(cut.parent), [])
    assert_same_run(cut, uninterrupted)


def test_a_log_that_cannot_be_written_is_named(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = RunLog.__init__

    def on_a_full_disk(self: RunLog, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self._file.close()
        self._file = Path("/dev/full").open("a", buffering=1)  # noqa: SIM115 - the log closes it

    monkeypatch.setattr(RunLog, "__init__", on_a_full_disk)
    with pytest.raises(UserError, match=r"log.jsonl: cannot be written \(No space left on device\)"):
        run(recipe_file(cut.parent), [])


def test_another_architecture_is_refused_by_its_keys(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoder, "build_vae", lambda preset: build_vae("nano"))
    before = (cut / "log.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"of another architecture: .*missing \(vae\..*of another shape \(vae\."):
        run(recipe_file(cut.parent), [])
    assert (cut / "log.jsonl").read_bytes() == before


def test_differing_keys_are_named_by_kind() -> None:
    theirs = {"a": (1,), "b": (2, 2), "d": (3,)}
    assert differing_keys(theirs, theirs) == ""
    said = differing_keys(theirs, {"b": (2, 3), "c": (1,), "d": (3,)})
    assert said == "1 missing (c); 1 unexpected (a); 1 of another shape (b [2, 2], here [2, 3])"


def test_changed_keys_are_refused_by_name_and_some_may_change(tmp_path: Path, uninterrupted: Path) -> None:
    there = uninterrupted / "recipe.yaml"
    allowed = ["train.lr=5e-4", "train.steps=9", "train.minutes=2", "log.keep=7", "data.workers=1", f"run={tmp_path}"]
    refuse_changes(load_recipe(there, allowed), there)
    same = [f"deepspeed.zero_optimization.{key}={value}" for key, value in ZERO_LAYOUT.items()]
    refuse_changes(load_recipe(there, same), there)  # said or not, they are what they are
    for setting in ("round_robin_gradients=true", "sub_group_size=1000"):
        with pytest.raises(UserError, match=f"another 'deepspeed.zero_optimization.{setting.split('=')[0]}'"):
            refuse_changes(load_recipe(there, [f"deepspeed.zero_optimization.{setting}"]), there)
    with pytest.raises(UserError) as caught:
        refuse_changes(load_recipe(there, ["train.ema=0.5", "seed=3", "deepspeed.zero_optimization.stage=2"]), there)
    for named in (
        "another 'seed' (0 there, 3 here)",
        "another 'train.ema' (0.9 there, 0.5 here)",
        "zero_optimization.stage",
    ):
        assert named in str(caught.value)
    assert "train.lr" not in str(caught.value)


def test_another_learning_rate_is_heard_on_resume(cut: Path) -> None:
    run(recipe_file(cut.parent), ["train.lr=5e-4", "train.steps=6"])
    rates = {line["step"]: line["lr"] for line in read_log(cut) if line["kind"] == "train"}
    assert rates[1] == pytest.approx(1e-3)
    assert rates[4] == pytest.approx(5e-4)


def test_the_best_checkpoint_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([3.0, 1.0, 2.0, 1.0])
    monkeypatch.setattr(autoencoder.AutoencoderPhase, "validate", lambda self: {"error": next(values)})
    log = {**RECIPE["log"], "validate_every": 1, "keep": 1, "keep_best": {"name": "error"}}  # type: ignore[dict-item]
    run(recipe_file(tmp_path, log=log), [])
    whole, faults = find_checkpoints(tmp_path / "run")
    assert not faults
    assert [checkpoint.step for checkpoint in whole] == [2, 4]
    assert choose_checkpoint(tmp_path / "run", best=True).step == 2
    highest = best_of(whole, "error", lowest=False)
    assert highest is not None
    assert best_of(whole, "other", lowest=True) is None


def test_a_best_by_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"keep_best.name: no 'eror' in validation; there are psnr, psnr_min"):
        run(recipe_file(tmp_path), ["log.keep_best={name: eror}", "log.checkpoint_every=2"])
    with pytest.raises(UserError, match="must be a multiple of validate_every"):
        run(recipe_file(tmp_path), ["log.keep_best={name: psnr}", "log.checkpoint_every=3"])


def test_two_processes_on_one_folder_refuse_each_other(cut: Path) -> None:
    hold = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX); "
        "file.write('process 7 on elsewhere'); file.flush(); print('held', flush=True); sys.stdin.read()"
    )
    lock = cut / "run.lock"
    command = [sys.executable, "-c", hold, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UserError, match=r"process 7 on elsewhere trains in this folder.*--set run=FOLDER"):
            run(recipe_file(cut.parent), [])
        assert other.stdin is not None
        other.stdin.close()
    assert lock.read_text() == "process 7 on elsewhere"  # it is stale now
    run(recipe_file(cut.parent), [])
    assert lock.read_text() == ""


# -- export ------------------------------------------------------------------------------------------------------------


def test_an_export_is_what_the_run_leaves(uninterrupted: Path, tmp_path: Path) -> None:
    assert export_run(uninterrupted, tmp_path / "out").step == 4
    exported = {
        str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    left = {str(p.relative_to(uninterrupted / "model")): p.read_bytes() for p in (uninterrupted / "model").rglob("*")}
    assert exported == left
    assert {Path(name).suffix for name in exported} == {".json", ".safetensors"}


def test_an_unfinished_run_gives_its_checkpoints(cut: Path, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("newest", "second", "raw", "half")}
    export_run(cut, folders["newest"])
    export_run(cut, folders["second"], step=2)
    export_run(cut, folders["raw"], raw=True)
    export_run(cut, folders["half"], dtype="fp16")
    weights = {name: load_file(folder / "diffusion_pytorch_model.safetensors") for name, folder in folders.items()}
    key = "decoder.conv_in.weight"
    assert not torch.equal(weights["newest"][key], weights["second"][key])
    assert not torch.equal(weights["newest"][key], weights["raw"][key])
    stored = torch.load(cut / "checkpoints" / "step-0000003" / "mp_rank_00_model_states.pt", weights_only=False)
    assert torch.equal(weights["raw"][key], stored["module"][f"vae.{key}"])
    assert weights["half"][key].dtype == torch.float16
    assert torch.equal(weights["half"][key], weights["newest"][key].half())


def test_what_cannot_be_exported_is_said(cut: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--step 9: no such checkpoint; there are 1, 2, 3"):
        export_run(cut, tmp_path / "out", step=9)
    with pytest.raises(UserError, match=r"--best: .* set log.keep_best"):
        export_run(cut, tmp_path / "out", best=True)
    with pytest.raises(UserError, match=r"no run's folder"):
        export_run(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match=r"is there already"):
        export_run(cut, cut)
    assert not (tmp_path / "out").exists()


def test_a_pickle_never_leaves_a_run(cut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = autoencoder.AutoencoderPhase.export

    def careless(self: autoencoder.AutoencoderPhase, folder: Path, steps: int) -> None:
        export(self, folder, steps)
        torch.save({"step": 3}, folder / "extra.pt")

    monkeypatch.setattr(autoencoder.AutoencoderPhase, "export", careless)
    with pytest.raises(UserError, match=r"extra\.pt: neither safetensors nor text"):
        export_run(cut, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "fine").mkdir()
    (tmp_path / "fine" / "config.json").write_text(json.dumps({}))
    refuse_pickles(tmp_path / "fine")
