"""What stops a run is one line that says what to do, before it can do harm."""

import json
import os
import re
import socket
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dysenvdm.training import logs, loop, run
from dysenvdm.training.autoencoder import AutoencoderLoss, AutoencoderPhase
from dysenvdm.training.memory import lack_named
from dysenvdm.training.ranks import _environment, is_launcher, is_lost_connection, join_ranks
from planners.dsg import UserError

RECIPE = {
    "name": "micro-autoencoder",
    "phase": "autoencoder",
    "data": {"frames": 8, "size": 16, "validation_clips": 1, "workers": 0},
    "model": {"preset": "micro"},
    "train": {"steps": 3, "batch_size": 4, "lr": 1e-3, "warmup": 0},
    "log": {"every": 1, "validate_every": 5, "sample_every": 5, "checkpoint_every": 1},
}


def recipe_file(folder: Path, **changes: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "run": str(folder / "run"), **changes}))
    return path


def from_step(step: int, monkeypatch: pytest.MonkeyPatch, worse: Any) -> list[loop.Trainer]:
    """From that step on the loss goes through ``worse``; returns a list that will hold the trainer."""
    forward, trainers, init = AutoencoderLoss.forward, [], loop.Trainer.__init__

    def noted(self: loop.Trainer, *args: Any) -> None:
        trainers.append(self)
        init(self, *args)

    def worsened(self: AutoencoderLoss, **inputs: Any) -> Any:
        loss, values = forward(self, **inputs)
        return (worse(loss) if trainers[0].step >= step else loss), values

    monkeypatch.setattr(loop.Trainer, "__init__", noted)
    monkeypatch.setattr(AutoencoderLoss, "forward", worsened)
    return trainers


class _BadGradient(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, loss: torch.Tensor) -> torch.Tensor:
        return loss.clone()

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * torch.nan


@pytest.mark.parametrize("worse", [lambda loss: loss * torch.nan, _BadGradient.apply], ids=["loss", "gradient"])
@pytest.mark.parametrize("stage", [0, 2])
def test_what_is_not_finite_stops_before_it_does_harm(
    worse: Any, stage: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clips are named, no weight or average of a whole run is touched, and the last checkpoint is that before."""
    trainers = from_step(2, monkeypatch, worse)
    zero = {"deepspeed": {"zero_optimization": {"stage": stage}}}
    with pytest.raises(UserError, match=r"step 2: .*not finite on clips \[\d+, .*\(stage seed \d+, .*same command"):
        run(recipe_file(tmp_path, **zero), ["train.micro_batch=2"])
    assert all(torch.isfinite(value).all() for value in trainers[0].ema.average.values())
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    assert names[-1] == "step-0000002"
    if stage == 0:
        assert all(torch.isfinite(p).all() for p in trainers[0].phase.module.parameters())


def test_only_the_clips_of_the_bad_part_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def second_part(loss: torch.Tensor) -> torch.Tensor:
        calls.append(loss)
        return loss * (torch.nan if len(calls) == 2 else 1)

    from_step(0, monkeypatch, second_part)
    with pytest.raises(UserError, match=r"on clips \[2, 3\]"):
        run(recipe_file(tmp_path), ["train.micro_batch=2"])


def test_out_of_memory_says_which_number_to_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(self: AutoencoderPhase, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"images": torch.empty(2**60)}

    monkeypatch.setattr(AutoencoderPhase, "prepare", too_large)
    with pytest.raises(UserError, match=r"out of RAM: lower train\.micro_batch from 4 to 2, or set train\.check") as e:
        run(recipe_file(tmp_path), [])
    assert "\n" not in str(e.value)


def test_out_of_gpu_memory_and_other_errors() -> None:
    def fail(error: BaseException, micro: int = 6, checkpointed: bool = False) -> None:
        with lack_named(micro, 12, checkpointed=checkpointed):
            raise error

    with pytest.raises(UserError, match=r"out of GPU memory: lower train\.micro_batch from 6 to 4, or set.*\(CUDA"):
        fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB\nmore"))
    with pytest.raises(UserError, match=r"out of RAM: take a higher ZeRO stage"):
        fail(MemoryError(), micro=1, checkpointed=True)
    with pytest.raises(RuntimeError, match="shapes"):
        fail(RuntimeError("shapes differ"))


def test_interrupted_it_says_that_the_same_command_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_loss: torch.Tensor) -> None:
        raise KeyboardInterrupt

    from_step(1, monkeypatch, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(recipe_file(tmp_path), [])
    assert "stopped in step 1; the same command resumes" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("command", "is_one"),
    [
        ("/venv/bin/python3.11 /venv/bin/deepspeed --num_accelerators 2 --module dysenvdm.training r.yaml", True),
        ("/venv/bin/python -u -m deepspeed.launcher.launch --world_info=eyJ", True),
        ("python -m deepspeed.launcher.runner --num_accelerators 2", True),
        ("sh ./run-deepspeed.sh", False),
        ("bash -c deepspeed", False),
        ("/home/deepspeed/venv/bin/python my.py", False),
        ("", False),
    ],
)
def test_only_deepspeeds_own_launcher_counts_as_one(command: str, is_one: bool) -> None:
    """A shell that started it in the background may end without the run's end."""
    assert is_launcher(command.split()) == is_one


def test_half_of_a_launchers_environment_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="RANK is set and LOCAL_RANK, MASTER_ADDR, MASTER_PORT not; unset RANK"):
        join_ranks()


def test_a_rendezvous_that_never_comes_ends_in_time(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dysenvdm.training", str(recipe_file(tmp_path)), "--set", "train.timeout=0.05"]
    environment = {**os.environ, "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(
        command, env={**environment, "MASTER_PORT": "29871"}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "rank 0 of 2: no rendezvous at 127.0.0.1:29871 within 0.05 minutes" in errors[0]
    assert "Traceback" not in done.stderr


def test_slurm_says_who_a_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that what the code sets is taken back
        monkeypatch.delenv(name)
    slurm = {"SLURM_PROCID": "5", "SLURM_NTASKS": "16", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "0"}
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"MASTER_ADDR is not set.*slurm\.sbatch"):
        _environment()
    monkeypatch.setenv("MASTER_ADDR", "node1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    _environment()
    assert [os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")] == ["5", "16", "1"]


def test_a_lost_connection_is_told_from_a_mistake() -> None:
    gloo = "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:3"
    assert is_lost_connection(RuntimeError(gloo))
    assert is_lost_connection(torch.distributed.DistBackendError("NCCL error"))
    assert not is_lost_connection(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_lost_connection(KeyError("gloo"))


def test_wandb_is_offline_and_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points: list[tuple[int, dict[str, float]]] = []
    opened: dict[str, Any] = {}
    fake = types.ModuleType("wandb")
    fake.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    handle = types.SimpleNamespace(log=lambda values, step: points.append((step, values)), finish=lambda: None)
    fake.init = lambda **given: opened.update(given) or handle  # type: ignore[attr-defined]
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with (
        monkeypatch.context() as patch,
        pytest.raises(UserError, match="wandb is not installed; run: pip install wandb"),
    ):
        patch.setattr(logs, "find_spec", lambda name: None)
        run(recipe_file(tmp_path), ["log.wandb=true"])
    run(recipe_file(tmp_path), ["log.wandb=true", "train.steps=1"])
    assert os.environ["WANDB_MODE"] == opened["mode"] == "offline"
    logged = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert points[0][0] == 1
    assert points[0][1]["train/loss"] == pytest.approx(logged["loss"], rel=1e-5)


def test_wandb_itself_writes_all_values_and_calls_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="an optional package, in no extra: pip install wandb")
    with socket.create_server(("127.0.0.1", 0)) as home:
        place = f"http://127.0.0.1:{home.getsockname()[1]}"
        for name in ("WANDB_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, place)
        monkeypatch.setenv("WANDB_MODE", "online")
        run(recipe_file(tmp_path), ["log.wandb=true", "train.steps=2"])
        wandb.teardown()
        home.settimeout(0.5)
        with pytest.raises(TimeoutError):
            home.accept()
    [file] = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    noted = re.findall(rb"train/loss\x82\x01.([0-9.]+)", file.read_bytes(), re.DOTALL)  # protobuf: a key, then JSON
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert len(losses) == 2
    assert [float(loss) for loss in dict.fromkeys(noted)] == pytest.approx(losses, rel=1e-5)
