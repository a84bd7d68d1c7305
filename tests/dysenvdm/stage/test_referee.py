"""The referee's network: it can learn, sees clips of any length and size, and is saved whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dysenvdm.backbones import build_vae
from dysenvdm.models import write_manifest
from dysenvdm.stage import VAL_SEED0, sample
from dysenvdm.stage.reading import Vocabulary, gold_reading
from dysenvdm.stage.referee import REFEREES, Referee, turned
from dysenvdm.stage.referee_accuracy import said_of
from dysenvdm.stage.referee_maps import labels_of, maps_of
from dysenvdm.stage.verdicts import compared, summed
from dysenvdm.training.autoencoder import to_images
from dysenvdm.training.referee import RefereeLoss, focal
from dysenvdm.training.referee_accuracy import measured, noted
from planners.dsg import UserError


@pytest.fixture
def referee() -> Referee:
    torch.manual_seed(0)
    return Referee(REFEREES["micro"]).eval()


def test_a_micro_referee_learns_some_clips_by_heart(referee: Referee) -> None:
    clips = [sample(seed, frames=8) for seed in range(3)]
    images = torch.stack([to_images(torch.from_numpy(clip.render())) for clip in clips])
    words = Vocabulary()
    labels = [labels_of(clip, words) for clip in clips]
    gold = maps_of({name: torch.stack([one[name] for one in labels]) for name in labels[0]}, words)
    module = RefereeLoss(referee)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2, betas=(0.9, 0.99))
    for _ in range(240):
        loss, _ = module(images, gold)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    readings = referee.read([clip.render() for clip in clips])
    found = summed([compared(mine, gold_reading(clip)) for mine, clip in zip(readings, clips, strict=True)])
    assert found.pop("place") > 0.5
    assert min(found.values()) > 0.95, found


def test_the_shipped_size_fits() -> None:
    with torch.device("meta"):
        referee = Referee(REFEREES["tiny"])
    assert sum(p.numel() for p in referee.parameters()) * 2 < 4 * 2**20


@pytest.mark.parametrize("frames", [1, 5, 16, 17, 40])
def test_clips_of_any_length(referee: Referee, frames: int) -> None:
    video = torch.rand(frames, 3, 64, 64) * 2 - 1
    maps = referee.maps(video)
    assert maps["heat"].shape == (1, frames, len(Vocabulary().kinds), 16, 16)
    if frames <= 16:
        with torch.no_grad():
            assert torch.equal(maps["action"], referee(video[None])["action"])
    else:  # the ends are seen in the first and the last window
        with torch.no_grad():
            first, last = referee(video[None, :16]), referee(video[None, -16:])
        assert torch.allclose(maps["action"][:, 0], first["action"][:, 0], atol=1e-5)
        assert torch.allclose(maps["action"][:, -1], last["action"][:, -1], atol=1e-5)


def test_pictures_of_any_size(referee: Referee) -> None:
    reading = referee.read([np.zeros((3, 96, 128, 3), np.uint8)])[0]
    assert len(reading.frames) == 3


def test_attention_knows_how_far_apart_frames_are_not_when_they_are() -> None:
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0))

    def score(a: int, b: int) -> float:
        return float((turned(q, torch.tensor([a])) * turned(k, torch.tensor([b]))).sum())

    assert score(2, 5) == pytest.approx(score(9, 12), abs=1e-5)
    assert score(2, 5) != pytest.approx(score(2, 9), abs=1e-3)


def test_the_focal_loss_is_least_for_the_gold_heat() -> None:
    heat = torch.tensor([[0.1, 0.6, 1.0, 0.6, 0.0]])
    gold = focal(torch.where(heat == 1, 9.0, -9.0), heat)
    for i in range(5):
        moved = torch.where(torch.arange(5) == i, 9.0, -9.0)[None]
        assert (focal(moved, heat) > gold) == (i != 2)


def test_saved_and_loaded_it_says_the_same(referee: Referee, tmp_path: Path) -> None:
    referee.save(tmp_path / "referee", source="a test")
    assert {path.name for path in (tmp_path / "referee").iterdir()} == {
        "README.md",
        "config.json",
        "manifest.json",
        "model.safetensors",
    }
    again = Referee.from_pretrained(tmp_path / "referee")
    video = torch.rand(1, 4, 3, 64, 64)
    with torch.no_grad():
        mine, theirs = referee(video), again(video)
    for name in mine:
        assert torch.allclose(mine[name], theirs[name], atol=2e-2), name


def test_its_folder_says_how_often_it_is_right(referee: Referee, tmp_path: Path) -> None:
    found = measured(referee, build_vae("micro").eval(), 2)
    assert found.keys() == {
        "clean",
        "behind the autoencoder",
        "blurred (1 pixel)",
        "at half the size",
        "noisy (0.1 of white)",
    }
    clean = sample(VAL_SEED0 + 20000), sample(VAL_SEED0 + 20001)
    readings = referee.read([clip.render() for clip in clean])
    mine = [compared(reading, gold_reading(clip)) for reading, clip in zip(readings, clean, strict=True)]
    referee.save(tmp_path, source="a test", accuracy=noted(found))
    again = Referee.from_pretrained(tmp_path).accuracy
    assert again == noted(found)
    assert again is not None
    assert again.shares["clean"]["actors"][0] == pytest.approx(summed(mine)["actors"])
    assert f"of 2 held-out clips: clean {summed(mine)['actors']:.3f} / " in said_of(again)
    (tmp_path / "accuracy.json").write_text("{}")
    write_manifest(tmp_path, source="a test", licence="Apache-2.0")
    with pytest.raises(UserError, match=r"accuracy\.json: .*clips.*; run: python -m benchmarks\.referee --note"):
        Referee.from_pretrained(tmp_path)


def test_a_referee_of_another_world_is_refused(referee: Referee, tmp_path: Path) -> None:
    referee.save(tmp_path, source="a test")
    config = json.loads((tmp_path / "config.json").read_text())
    config["vocabulary"]["actions"].pop()
    (tmp_path / "config.json").write_text(json.dumps(config))
    write_manifest(tmp_path, source="a test", licence="Apache-2.0")
    with pytest.raises(UserError, match="another Stage world"):
        Referee.from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    write_manifest(tmp_path, source="a test", licence="Apache-2.0")
    with pytest.raises(UserError, match="no referee there"):
        Referee.from_pretrained(tmp_path)
