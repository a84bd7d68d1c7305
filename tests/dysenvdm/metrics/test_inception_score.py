"""IS of videos: what of the logits counts, with a stand-in for the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dysenvdm.metrics import Material, measure, weights
from dysenvdm.metrics.networks import c3d
from dysenvdm.models import write_manifest
from planners.dsg import UserError
from tests.dysenvdm.metrics.conftest import Frames, items


class ByBrightness(nn.Module):
    """As sure as can be of the class that the mean brightness says."""

    def forward(self, clips: Tensor) -> Tensor:
        level = ((clips.mean(dim=(1, 2, 3, 4)) + 1) / 2 * 100).round().long()
        return nn.functional.one_hot(level, c3d.CLASSES) * 1000.0


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path))
    folder = tmp_path / "models" / "c3d-ucf101"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")
    write_manifest(folder, source="none", licence="none")
    monkeypatch.setattr(weights, "loaded", lambda network, folder, device: ByBrightness())
    monkeypatch.setattr(c3d, "C3D", nn.Identity)


def levels(*values: int) -> list[Frames]:
    return [np.full((20, 8, 8, 3), value, np.uint8) for value in values]


def score(videos: list[Frames], **settings: int) -> tuple[float | None, int, int]:
    [result] = measure("is", Material(items(videos)), {"clips": 0, **settings})
    return result.value, result.n, result.runs


def test_videos_that_look_alike_score_1_and_others_as_many_as_they_are() -> None:
    assert score(levels(*[90] * 8), splits=2) == (pytest.approx(1), 4, 2)
    assert score(levels(0, 60, 120, 180), splits=1) == (pytest.approx(4), 4, 1)


def test_splits_are_shuffled_by_their_seed() -> None:
    videos = levels(0, 0, 80, 80, 160, 160, 240, 240)
    assert score(videos, splits=4, seed=1) == score(videos, splits=4, seed=1)
    assert len({score(videos, splits=4, seed=seed)[0] for seed in range(6)}) > 1


def test_sixteen_frames_are_needed() -> None:
    short = [torch.zeros(15, 8, 8, 3, dtype=torch.uint8).numpy()] * 2
    with pytest.raises(UserError, match="metric is: clip0: has 15 frames, it needs at least 16"):
        score(short)
