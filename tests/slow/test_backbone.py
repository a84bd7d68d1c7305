"""A backbone of ModelScope's full architecture, random weights: ``pytest -m slow tests/slow/test_backbone.py``.

Writes some 4 GB and takes minutes; the figures of the same command are in docs/backbones.md.
"""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_full_architecture_runs_within_its_memory_and_untrained_adds_nothing() -> None:
    command = [sys.executable, "-m", "benchmarks.backbone", "--runs", "1", "--frames", "2"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.count("holds") == 2
