"""FID of videos' frames, with a stand-in for the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from dysenvdm.metrics import Material, measure, weights
from dysenvdm.metrics.frechet import frechet_distance
from dysenvdm.metrics.networks import inception
from dysenvdm.models import write_manifest
from tests.dysenvdm.metrics.conftest import Frames, items


class Colours(nn.Module):
    """The mean colours of the upper and the lower half."""

    def forward(self, pictures: Tensor) -> Tensor:
        upper, lower = pictures.chunk(2, dim=2)
        return nn.functional.pad(upper.mean(dim=(2, 3)), (0, 3)) + nn.functional.pad(lower.mean(dim=(2, 3)), (3, 0))


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path))
    folder = tmp_path / "models" / "inception-2015"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")
    write_manifest(folder, source="none", licence="none")
    monkeypatch.setattr(weights, "loaded", lambda network, folder, device: Colours())
    monkeypatch.setattr(inception, "Inception", nn.Identity)
    monkeypatch.setattr(inception, "SIZE", 64)


def distance(mine: list[Frames], theirs: list[Frames], **settings: int) -> float:
    [result] = measure("fid", Material(items(mine), items(theirs)), {"clips": 0, **settings})
    assert result.value is not None
    return result.value


def colours(clips: list[Frames]) -> np.ndarray:
    """What the stand-in sees in every frame, in other words."""
    frames = np.concatenate(clips).astype(np.float32) / 127.5 - 1
    return np.hstack([frames[:, half].mean((1, 2)) for half in (slice(32), slice(32, None))])


def test_it_is_the_frechet_distance_of_all_frames(clips: list[Frames]) -> None:
    mine, theirs = clips[:4], clips[4:9]
    wanted = frechet_distance(colours(mine), colours(theirs))
    assert distance(mine, theirs) == pytest.approx(wanted, rel=1e-4)
    assert distance(mine, mine) == pytest.approx(0, abs=1e-6)


def test_frames_are_spread_over_the_clip(clips: list[Frames]) -> None:
    chosen = [clip[[2, 6, 10, 14]] for clip in clips[:6]]
    assert distance(clips[:3], clips[3:6], frames=4) == pytest.approx(distance(chosen[:3], chosen[3:6]), abs=1e-9)
