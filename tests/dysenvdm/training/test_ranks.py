"""Two real ranks: every ZeRO stage trains what one rank trains, and a rank that dies ends the run with one line."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file

from dysenvdm.backbones import build_vae

pytestmark = pytest.mark.slow

STAGES: dict[str, dict[str, Any]] = {
    "0": {"stage": 0},
    "1": {"stage": 1},
    "2": {"stage": 2, "offload_optimizer": {"device": "cpu"}},
    "3": {"stage": 3, "stage3_param_persistence_threshold": 0},
    "3-checkpointed": {"stage": 3, "stage3_param_persistence_threshold": 0, "offload_param": {"device": "cpu"}},
    "3-none": {"stage": 3, "stage3_param_persistence_threshold": 0},
    "0-none": {"stage": 0},
}  # fmt: skip


def recipe_file(folder: Path, name: str, steps: int = 4) -> Path:
    path = folder / f"{name}.yaml"
    content = {
        "name": f"micro-{name}", "phase": "denoiser", "run": str(folder / name),
        "data": {"frames": 8, "size": 64, "clips": 4, "cache": True, "validation_clips": 1, "workers": 0},
        "model": {"preset": "micro", "vae": str(folder / "vae"), "gate": 0.0, "max_tokens": 256},
        "scene": {"mode": "none" if "none" in name else "aligned"},
        "loss": {"offset_noise": 0.1},
        "train": {"steps": steps, "batch_size": 4, "micro_batch": 1, "lr": 1e-3, "warmup": 0, "ema": 0.5,
                  "checkpoint_activations": "checkpointed" in name, "timeout": 3.0},
        "log": {"every": 1, "validate_every": 2, "sample_every": 4, "checkpoint_every": 4, "sample_steps": 1,
                "prompts": ["a red dog"]},
        "deepspeed": {"zero_optimization": STAGES[name]},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(content))
    return path


def start(arguments: list[str], store: Path, folder: Path) -> list[subprocess.Popen]:
    """Two ranks; what they say is in ``folder``, rank0.txt and rank1.txt."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    shared |= {"DYSENVDM_HOME": str(store)}
    ranks = []
    for rank in range(2):
        environment = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        with (folder / f"rank{rank}.txt").open("w") as said:
            ranks.append(subprocess.Popen([sys.executable, *arguments], env=environment, stdout=said, stderr=said))
    return ranks


def log(folder: Path) -> list[dict[str, Any]]:
    unlike = ("time", "seconds_per_step", "samples_per_second", "kind")
    text = (folder / "log.jsonl").read_text(encoding="utf-8")
    return [{k: v for k, v in json.loads(line).items() if k not in unlike} for line in text.splitlines()]


@pytest.mark.timeout(1500)
def test_every_stage_trains_what_stage_0_trains(tmp_path: Path, store: Path) -> None:
    build_vae("micro").save_pretrained(tmp_path / "vae")
    recipes = [str(recipe_file(tmp_path, name)) for name in STAGES]
    ranks = start([str(Path(__file__).with_name("two_ranks.py")), *recipes], store, tmp_path)
    codes = [rank.wait(timeout=1400) for rank in ranks]
    assert codes == [0, 0], [(tmp_path / f"rank{rank}.txt").read_text()[-3000:] for rank in range(2)]
    for name in STAGES:
        twin = "0-none" if "none" in name else "0"
        for ours, theirs in zip(log(tmp_path / name), log(tmp_path / twin), strict=True):
            assert ours == pytest.approx(theirs, rel=2e-3), name
        for part in ("unet", "scene_adapter"):
            where = f"model/{part}/diffusion_pytorch_model.safetensors"
            ours, theirs = load_file(tmp_path / name / where), load_file(tmp_path / twin / where)
            for weight, value in theirs.items():  # 16 bits, and Adam amplifies the order of sums
                assert torch.allclose(value.float(), ours[weight].float(), atol=5e-3), (name, weight)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_launcher_is_that_of_its_ranks(told: signal.Signals, tmp_path: Path, store: Path) -> None:
    build_vae("micro").save_pretrained(tmp_path / "vae")
    recipe = recipe_file(tmp_path, "0", steps=100_000)
    command = [sys.executable, "-m", "deepspeed.launcher.runner", "--num_accelerators", "2"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        command += ["--master_addr", "127.0.0.1", "--master_port", str(probe.getsockname()[1])]
    with (tmp_path / "said.txt").open("w") as said:
        launcher = subprocess.Popen(
            [*command, "--module", "dysenvdm.training", str(recipe)], stdout=said, stderr=said,
            env={**os.environ, "OMP_NUM_THREADS": "1", "DYSENVDM_HOME": str(store)},
        )  # fmt: skip
    written, started = tmp_path / "0" / "log.jsonl", []
    try:
        for _ in range(600):
            if written.exists() and written.read_text().count("\n") > 3:
                break
            assert launcher.poll() is None, (tmp_path / "said.txt").read_text()[-2000:]
            time.sleep(0.5)
        started = psutil.Process(launcher.pid).children(recursive=True)
        assert len(started) >= 3  # its second process and the ranks
        launcher.send_signal(told)
        launcher.wait(timeout=30)
        _, left = psutil.wait_procs(started, timeout=60)
    finally:
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        launcher.kill()
    assert not left
    assert "asked to end; the same command resumes" in (tmp_path / "said.txt").read_text()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_is_killed_ends_the_other_with_one_line_that_names_it(
    killed: int, tmp_path: Path, store: Path
) -> None:
    build_vae("micro").save_pretrained(tmp_path / "vae")
    recipe = recipe_file(tmp_path, "0", steps=100_000)
    ranks = start(["-m", "dysenvdm.training", str(recipe)], store, tmp_path)
    written = tmp_path / "0" / "log.jsonl"
    try:
        for _ in range(600):
            if written.exists() and written.read_text().count("\n") > 3:
                break
            assert all(rank.poll() is None for rank in ranks), (tmp_path / "rank0.txt").read_text()[-2000:]
            time.sleep(0.5)
        ranks[killed].send_signal(signal.SIGKILL)
        ranks[1 - killed].wait(timeout=60)
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert ranks[1 - killed].returncode == 1
    output = (tmp_path / f"rank{1 - killed}.txt").read_text()
    errors = [line for line in output.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, output[-2000:]
    assert f"rank {killed} died without a word" in errors[0]
    assert "the same command resumes" in errors[0]
    assert "Traceback" not in output
