"""Caches made by DeepSpeed's launcher: ``pytest -m slow tests/slow/test_cache_ranks.py``, about a minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_ranks_make_the_files_that_one_process_makes(tmp_path: Path) -> None:
    recipe = {
        "name": "micro",
        "phase": "autoencoder",
        "run": "runs/micro",
        "data": {"frames": 16, "size": 64, "clips": 17, "cache": True, "validation_clips": 2, "workers": 1},
        "model": {"preset": "micro"},
        "train": {"steps": 2, "batch_size": 2, "lr": 1e-3},
    }
    recipe["data"]["caching"] = {"shard_mb": 1}  # five clips
    launcher = ["-m", "deepspeed.launcher.runner", "--num_accelerators", "2", "--master_addr", "127.0.0.1", "--module"]
    files = []
    for name, start in (("one", ["-m"]), ("two", launcher)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        done = subprocess.run(
            [sys.executable, *start, "dysenvdm.cli.cache", "recipe.yaml"],
            cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        assert "frames: 17 in 4 shards" in done.stderr
        made = folder / "runs" / "cache"
        files.append({path.relative_to(made): path.read_bytes() for path in made.rglob("*.*") if path.is_file()})
    assert files[0] == files[1]
