"""Training on two nodes: two network namespaces with a cable between them, ``pytest -m slow tests/slow/test_nodes.py``,
four minutes. Ranks on one machine never show what happens where a node's name leads nowhere, or a cable is pulled."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.no_network import namespace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(namespace() is None, reason="no network namespaces here (needs unshare and ip)"),
]
PORT = 29577  # any will do in a network of one's own
SRUN = f"SLURM_STEP_ID=0 SLURM_NTASKS=2 SLURM_PROCID=$NODE SLURM_LOCALID=0 MASTER_PORT={PORT} {sys.executable} -m "
DEEPSPEED = (
    f"{sys.executable} -m deepspeed.launcher.runner --hostfile hosts --no_ssh --node_rank $NODE "
    f"--master_addr $MASTER_ADDR --master_port {PORT} --module "
)
LOST = "died without a word (killed, out of memory, or cut off?)"


def prepare(folder: Path, steps: int, **data: Any) -> None:
    """A small recipe, and a hostfile with both nodes."""
    folder.mkdir()
    content = {
        "name": "micro", "phase": "autoencoder", "run": "run",
        "data": {"frames": 16, "size": 64, "clips": 8, "validation_clips": 2, "workers": 0, **data},
        "model": {"preset": "micro"},
        "train": {"steps": steps, "batch_size": 2, "lr": 1e-3, "timeout": 0.5},
        "log": {"every": 1, "validate_every": 1000, "sample_every": 1000, "checkpoint_every": 1000},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    (folder / "hosts").write_text("10.77.0.1 slots=1\n10.77.0.2 slots=1\n")


def on_two_nodes(folder: Path, command: str, *pulled: str) -> tuple[int, list[str]]:
    """The exit status, and what the nodes said."""
    script = [*(namespace() or []), sys.executable, str(Path(__file__).with_name("two_nodes.py")), command, *pulled]
    code = subprocess.run(script, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False).returncode
    return code, [(folder / f"node{number}.txt").read_text() for number in range(2)]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error:")]


def weights(folder: Path) -> str:
    [file] = (folder / "run" / "model").rglob("*.safetensors")
    return sha256(file.read_bytes()).hexdigest()


def test_two_nodes_train_what_two_ranks_of_one_node_train(tmp_path: Path) -> None:
    for name, start in (("srun", SRUN), ("deepspeed", DEEPSPEED)):
        prepare(tmp_path / name, steps=4)
        code, said = on_two_nodes(tmp_path / name, f"{start} dysenvdm.training recipe.yaml")
        assert code == 0, said
    prepare(tmp_path / "one", steps=4)
    launcher = ["-m", "deepspeed.launcher.runner", "--num_accelerators", "2", "--master_addr", "127.0.0.1"]
    done = subprocess.run(
        [sys.executable, *launcher, "--master_port", free_port(), "--module", "dysenvdm.training", "recipe.yaml"],
        cwd=tmp_path / "one", env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert weights(tmp_path / "srun") == weights(tmp_path / "deepspeed") == weights(tmp_path / "one")


def test_a_node_that_is_cut_off_while_it_trains_ends_both_with_one_line_each(tmp_path: Path) -> None:
    prepare(tmp_path / "cut", steps=100_000)
    code, said = on_two_nodes(tmp_path / "cut", f"{SRUN} dysenvdm.training recipe.yaml", "run/log.jsonl")
    assert code == 1, said
    for number, text in enumerate(said):
        [line] = errors(text)
        assert line.startswith(f"error: rank {number} of 2: rank {1 - number} {LOST}")


def test_a_node_that_is_cut_off_while_it_fills_a_cache_is_not_waited_for_without_an_end(tmp_path: Path) -> None:
    prepare(tmp_path / "cut", steps=4, clips=1000, cache=True, caching={"shard_mb": 1})
    code, said = on_two_nodes(tmp_path / "cut", f"{SRUN} dysenvdm.cli.cache recipe.yaml", "cache/frames*/0*")
    assert code == 1, said
    for number, text in enumerate(said):
        [line] = errors(text)
        assert line.startswith(f"error: rank {number} of 2: rank {1 - number} {LOST}")
