"""Checkpoints of two ranks: ``pytest -m slow tests/slow/test_checkpoints.py``, some minutes on two cores.

Ranks are forks of one process that has imported torch, not of this one, which may have threads.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest

PLAY = """
import json, os, sys
os.environ["OMP_NUM_THREADS"] = "1"
import deepspeed, torch
import dysenvdm.training.autoencoder, torch.utils.tensorboard
from pathlib import Path
from benchmarks.training_faults import RECIPE, Run
from dysenvdm.training import loop

torch.set_num_threads(1)
base, stage = Path(sys.argv[1]), int(sys.argv[2])
recipe = {
    **RECIPE,
    "train": {**RECIPE["train"], "steps": 6},
    "log": {**RECIPE["log"], "checkpoint_every": 2, "keep": 9},
    "deepspeed": {"zero_optimization": {"stage": stage, "reduce_bucket_size": 100000}},
}

def until(step):
    def prepare():
        look = loop.Trainer._look
        def cut(self, log, *, last):
            look(self, log, last=last)
            if self.step == step:
                os._exit(9)
        loop.Trainer._look = cut
    return prepare

def play(name, *parts):
    run = Run(base / name, recipe)
    codes = [run.finish(ranks=ranks, before=until(step)) for ranks, step in parts]
    assert codes == [9] * (len(parts) - 1) + [0], (codes, run.output[-3000:])

play("whole", (2, None))
play("resumed", (2, 4), (2, None))
play("shared-out-anew", (2, 2), (1, 4), (2, None))

recipe["train"]["batch_size"] = 6
play("whole-six", (2, None))
play("shared-out-six", (2, 2), (3, 4), (1, None))
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_two_ranks_go_on_as_if_nothing_had_happened_and_so_do_one_and_three(stage: int, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from dysenvdm.training.checkpoint_files import find_checkpoints
    from dysenvdm.training.logs import read_log

    done = subprocess.run(
        [sys.executable, "-c", PLAY, str(tmp_path), str(stage)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    whole, resumed, anew = (tmp_path / name / "run" for name in ("whole", "resumed", "shared-out-anew"))

    def losses(folder: Path) -> list[float]:
        return [line["loss"] for line in read_log(folder) if line["kind"] == "train"]

    last = [find_checkpoints(folder)[0][-1] for folder in (whole, resumed)]
    assert [checkpoint.manifest.world for checkpoint in last] == [2, 2]
    for ours, theirs in zip(last[1].rank_files, last[0].rank_files, strict=True):  # averages and generators
        ours_tensors, theirs_tensors = load_file(ours), load_file(theirs)
        assert ours_tensors.keys() == theirs_tensors.keys()
        for name, value in theirs_tensors.items():
            assert torch.equal(value, ours_tensors[name]), name
    names = sorted(path.name for path in last[0].folder.glob("*_states.pt"))  # weights and optimizer
    assert names
    for name in names:
        ours, theirs = (json.dumps(_state(checkpoint.folder, name)) for checkpoint in reversed(last))
        assert ours == theirs, name
    assert losses(resumed) == losses(whole)
    assert losses(anew) == pytest.approx(losses(whole), rel=1e-4)
    models = [load_file(folder / "model" / "diffusion_pytorch_model.safetensors") for folder in (whole, anew)]
    for name, value in models[0].items():
        assert torch.allclose(value, models[1][name], atol=1e-5), name
    six, six_anew = (tmp_path / name / "run" for name in ("whole-six", "shared-out-six"))
    assert losses(six_anew) == pytest.approx(losses(six), rel=1e-4)
    models = [load_file(folder / "model" / "diffusion_pytorch_model.safetensors") for folder in (six, six_anew)]
    for name, value in models[0].items():  # larger gradients: in a few weights Adam amplifies the order of sums
        assert torch.allclose(value, models[1][name], atol=5e-5), name
    said = [(tmp_path / name / "output.txt").read_text() for name in ("shared-out-anew", "shared-out-six")]
    for output, changes in zip(said, (((2, 1), (1, 2)), ((2, 3), (3, 1))), strict=True):
        for before, after in changes:
            assert f"ranks were {before} and are {after}" in output


def _state(folder: Path, name: str) -> object:
    """A file of DeepSpeed's as plain numbers and text; its own settings name the run's folder and are left out."""
    import torch

    rank = int((re.search(r"rank_(\d)_", name) or [0, 0])[1])
    partitioned = folder / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt"
    padding: dict[int, list[int]] = {}  # by the length of a parameter group's flat tensor
    if partitioned.exists():  # ZeRO 3 pads each parameter to the number of ranks, and never sets what it pads with
        for group in torch.load(partitioned, weights_only=False)["param_shapes"]:
            ends = list(accumulate(-(-shape.numel() // 2) for shape in group.values()))
            odd = [end - 1 for end, shape in zip(ends, group.values(), strict=True) if shape.numel() % 2]
            padding[ends[-1]] = odd if rank == 1 else []

    def plain(value: object) -> object:
        if isinstance(value, torch.Tensor):
            if value.ndim == 1 and padding.get(len(value)):
                value = value.index_fill(0, torch.tensor(padding[len(value)]), 0)
            return value.double().tolist()
        if isinstance(value, dict):
            return {str(key): plain(part) for key, part in value.items() if key != "ds_config"}
        if isinstance(value, list | tuple):
            return [plain(part) for part in value]
        return value if isinstance(value, int | float | str | bool | None) else type(value).__name__

    return plain(torch.load(folder / name, weights_only=False))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_faults_lose_nothing_but_the_steps_since_the_last_checkpoint() -> None:
    command = [sys.executable, "-m", "benchmarks.training_faults", "--kills", "4"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.count("|\n") >= 9
    assert "\n| a corrupt clip in the middle, then kill -9 | 2 | 2 |" in done.stdout
