"""The referee phase: its recipe runs end to end, and degradations do what they say to the clips they are meant for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dysenvdm.backbones import build_vae
from dysenvdm.models import CHECKPOINTS
from dysenvdm.stage import sample
from dysenvdm.stage.referee import Referee
from dysenvdm.training import run
from dysenvdm.training.autoencoder import to_images
from dysenvdm.training.degradations import blurred, noised, rescaled, round_trip, tinted
from dysenvdm.training.recipe import load_recipe
from dysenvdm.training.referee import degraded, put_behind, seen_through, to_pixels
from dysenvdm.training.sections import DegradeSection
from planners.dsg import UserError

NOTHING = DegradeSection(vae=0, rescale=0, blur=0, tint=0, noise=0)


@pytest.fixture(scope="module")
def videos() -> torch.Tensor:
    return torch.stack([to_images(torch.from_numpy(sample(seed, frames=8, size=32).render())) for seed in range(3)])


def recipe_file(folder: Path) -> Path:
    build_vae("micro").save_pretrained(folder / "vae")
    path = folder / "recipe.yaml"
    content = {
        "name": "micro-referee",
        "phase": "referee",
        "run": str(folder / "run"),
        "data": {"frames": 8, "clips": 4, "cache": True, "validation_clips": 1, "workers": 0},
        "model": {"preset": "micro", "vae": str(folder / "vae")},
        "train": {"steps": 4, "batch_size": 2, "lr": 1e-3, "stills": 0.5, "stills_batch": 4},
        "log": {"every": 1, "validate_every": 4, "sample_every": 4, "checkpoint_every": 4},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_recipe_makes_a_referee(tmp_path: Path) -> None:
    folder = run(recipe_file(tmp_path), [])
    clip = sample(1, frames=8)
    assert len(Referee.from_pretrained(folder).read([clip.render()])[0].frames) == 8
    assert str(tmp_path) not in "".join(path.read_text() for path in folder.glob("*.[jm][sd]*"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    validation = next(line for line in lines if line["kind"] == "validation")
    assert {"actions", "actors", "vae_actions", "vae_actors"} <= validation.keys()
    assert (tmp_path / "run" / "samples" / "step-000004.png").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.cache=false", r"data\.cache"),
        ("train.coarse=0.5", r"train\.coarse"),
        ("model.init=somewhere", r"model\.init"),
        ("model.vae=absent", r"no autoencoder in absent"),
        ("degrade.blur=2", r"degrade\.blur"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(recipe_file(tmp_path), [change])


def test_without_faults_clips_stay_as_they_are(videos: torch.Tensor) -> None:
    same = degraded(videos, NOTHING, [(0, i) for i in range(3)])
    assert torch.allclose(same, videos, atol=1e-5)


@pytest.mark.parametrize("fault", ["rescale", "blur", "tint", "noise"])
def test_faults_hit_their_share_of_clips_and_are_repeatable(videos: torch.Tensor, fault: str) -> None:
    certain = NOTHING.model_copy(update={fault: 1.0})
    spoilt = degraded(videos, certain, [(0, i) for i in range(3)])
    assert spoilt.shape == videos.shape
    assert spoilt.abs().max() <= 1
    assert (spoilt != videos).flatten(1).any(1).all()
    assert torch.equal(spoilt, degraded(videos, certain, [(0, i) for i in range(3)]))
    some = NOTHING.model_copy(update={fault: 0.5})
    hit = [
        not torch.allclose(degraded(one[None], some, [(0, seed)])[0], one, atol=1e-5)
        for seed in range(20)
        for one in videos[:1]
    ]
    assert {True, False} == set(hit)


def test_a_share_of_the_corpus_is_seen_through_the_autoencoder(videos: torch.Tensor) -> None:
    vae = build_vae("micro").eval()
    drawn = torch.from_numpy(np.stack([to_pixels(videos[i % 3]) for i in range(12)]))

    def behind(share: float) -> torch.Tensor:
        seen = drawn.clone()
        put_behind(vae, seen, NOTHING.model_copy(update={"vae": share}), seed=5)
        return seen

    changed = (behind(0.5) != drawn).flatten(1).any(1)
    assert {True, False} == set(changed.tolist())
    assert torch.equal(behind(0.5), behind(0.5))
    assert torch.equal(behind(0.5)[changed], behind(1.0)[changed])  # who is hit looks the same at any share
    assert torch.equal(behind(0.0), drawn)


def test_each_fault_keeps_the_shape(videos: torch.Tensor) -> None:
    ones = torch.ones(3, 3)
    vae = build_vae("micro").eval()
    for spoilt in (
        blurred(videos, torch.tensor([0.0, 1.0, 2.0])),
        rescaled(videos, 12),
        noised(videos, torch.randn_like(videos), torch.tensor([0.0, 0.1, 0.2])),
        tinted(videos, ones * 1.1, ones * 0.1),
        round_trip(vae, videos),
    ):
        assert spoilt.shape == videos.shape
    pixels = sample(0, frames=8).render()
    assert seen_through(vae, pixels).shape == pixels.shape


def test_blur_is_of_each_clip_and_keeps_brightness(videos: torch.Tensor) -> None:
    soft = blurred(videos, torch.tensor([0.0, 1.0, 2.0]))
    assert torch.allclose(soft[0], videos[0], atol=1e-5)
    edges = [(soft[i].diff(dim=-1).abs().mean() / videos[i].diff(dim=-1).abs().mean()).item() for i in range(3)]
    assert edges[0] > edges[1] > edges[2]
    assert soft.mean().item() == pytest.approx(videos.mean().item(), abs=0.02)


def test_the_shipped_recipe_trains_the_shipped_size() -> None:
    recipe = load_recipe(Path(__file__).parents[3] / "recipes" / "stage" / "referee.yaml", [])
    assert recipe.model.preset == "tiny"
    assert recipe.model.vae == CHECKPOINTS / "stage-nano" / "vae"  # wherever the command runs
    assert (recipe.model.vae / "config.json").is_file()
