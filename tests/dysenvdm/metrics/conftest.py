"""Clips to measure: real ones where the shared data lie beside the project, drawn ones elsewhere; a random referee."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dysenvdm.metrics import Item
from dysenvdm.stage import sample
from dysenvdm.stage.referee import REFEREES, Referee
from dysenvdm.video import read_mp4

Frames = NDArray[np.uint8]


@pytest.fixture(scope="session")
def clips() -> list[Frames]:
    """Twenty-four clips of 16 frames, 64x64."""
    shared = Path(os.environ.get("DYSENVDM_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")
    files = sorted(path for path in (shared / "clips").glob("*") if path.suffix in (".mp4", ".avi"))
    found: list[Frames] = []
    for file in files:
        video = read_mp4(file)
        step = max(1, (len(video) - 16) // 4)
        rows, columns = (np.linspace(0, size - 1, 64).astype(int) for size in video.shape[1:3])
        starts = range(0, len(video) - 15, step)
        found += [video[start : start + 16, rows[:, None], columns] for start in starts[:4]]
    return found[:24] if len(found) >= 24 else [sample(i, split="val").render() for i in range(24)]


@pytest.fixture(scope="session")
def referee(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a referee of random weights."""
    folder = tmp_path_factory.mktemp("referee") / "random-referee"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Referee(REFEREES["micro"]).save(folder, source="random weights")
    return folder


def items(videos: Sequence[Frames], name: str = "clip") -> list[Item]:
    return [Item(f"{name}{i}", lambda video=video: video, 8.0, video.shape[:3]) for i, video in enumerate(videos)]
