"""The referee phase: its recipe runs end to end, and degradations do what they say to the clips they are meant for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from dysenvdm.backbones import build_vae
from dysenvdm.cli.main import main
from dysenvdm.models import CHECKPOINTS
from dysenvdm.stage import sample
from dysenvdm.stage.reading import Vocabulary
from dysenvdm.stage.referee import Referee
from dysenvdm.stage.referee_maps import labels_of
from dysenvdm.training import run
from dysenvdm.training.autoencoder import to_images
from dysenvdm.training.degradations import blurred, noised, rescaled, round_trip, tinted
from dysenvdm.training.dry_run import dry_run
from dysenvdm.training.recipe import load_recipe
from dysenvdm.training.referee import RefereePhase, degraded, seen_through, to_pixels
from dysenvdm.training.referee_corpus import behind
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
        ("model.init=somewhere", r"somewhere"),
        ("model.vae=absent", r"no autoencoder in absent"),
        ("degrade.blur=2", r"degrade\.blur"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(recipe_file(tmp_path), [change])


def test_a_dry_run_names_the_key_too(tmp_path: Path) -> None:
    said = dry_run(recipe_file(tmp_path), ["model.vae=absent"], ranks=1, gpu_memory=80, tflops=None)
    assert "- model.vae: no autoencoder in absent; train one first" in said


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
    drawn = [torch.from_numpy(to_pixels(videos[i % 3])) for i in range(12)]

    def seen(share: float) -> torch.Tensor:
        spoil = behind(vae, NOTHING.model_copy(update={"vae": share}), 5)
        return torch.stack([spoil(i, video) for i, video in enumerate(drawn)])

    changed = (seen(0.5) != torch.stack(drawn)).flatten(1).any(1)
    assert {True, False} == set(changed.tolist())
    assert torch.equal(seen(0.5), seen(0.5))
    assert torch.equal(seen(0.5)[changed], seen(1.0)[changed])  # who is hit looks the same at any share
    assert torch.equal(seen(0.0), torch.stack(drawn))


def test_the_corpus_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(recipe_file(tmp_path), ["data.workers=2", "degrade.vae=0.5"])

    def corpus(**degrade: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        changed = recipe.model_copy(update={"degrade": recipe.degrade.model_copy(update=degrade)})
        return RefereePhase(changed, torch.device("cpu")).corpus

    videos, labels = corpus()
    clip = sample(3, frames=8)
    assert {name: value[3].tolist() for name, value in labels.items()} == {
        name: value.tolist() for name, value in labels_of(clip, Vocabulary()).items()
    }
    plain = [torch.equal(videos[i], torch.from_numpy(sample(i, frames=8).render())) for i in range(4)]
    assert {True, False} == set(plain)
    another, _ = corpus(vae=0.0)  # another corpus, so not that of before
    assert not torch.equal(another, videos)
    assert torch.equal(another[3], torch.from_numpy(clip.render()))
    monkeypatch.setattr("dysenvdm.training.referee_corpus.DataLoader", lambda *_, **__: pytest.fail("drawn again"))
    again, same = corpus()
    assert torch.equal(again, videos)
    assert all(torch.equal(same[name], value) for name, value in labels.items())


def test_the_cache_command_draws_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["cache", str(path)])
    assert not end.value.code
    assert "drawn: 4 in 1 shards" in capsys.readouterr().err


def test_a_referee_goes_on_learning(tmp_path: Path) -> None:
    path = recipe_file(tmp_path)
    first = run(path, [])
    recipe = load_recipe(path, ["model.preset=null", f"model.init={first}"])
    begun = RefereePhase(recipe, torch.device("cpu")).referee.state_dict()
    saved = Referee.from_pretrained(first).state_dict()
    assert all(torch.equal(begun[name], value) for name, value in saved.items())
    for change, message in [
        (["model.preset=nano"], "not the referee of model.preset"),
        (["model.preset=null", "data.frames=16"], "reads clips of 8 frames"),
        (["model.init=stage-nano"], "stage-nano"),
    ]:
        changed = load_recipe(path, [f"model.init={first}", *change])
        with pytest.raises(UserError, match=message):
            RefereePhase(changed, torch.device("cpu"))


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
