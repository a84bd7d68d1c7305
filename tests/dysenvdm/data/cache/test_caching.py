"""Caches of recipes: what comes out of them is what went in, and what changes makes anew only what follows from it."""

import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dysenvdm.backbones import build_vae
from dysenvdm.data.cache.filling import Ranks
from dysenvdm.data.cache.plans import Planned
from dysenvdm.data.corpora import StageCorpus, open_corpus
from dysenvdm.data.section import DataSection
from dysenvdm.data.steps import Curriculum, Steps
from dysenvdm.training import caching
from dysenvdm.training.autoencoder import AutoencoderPhase
from dysenvdm.training.caching import Caching, Prepared, report
from dysenvdm.training.denoiser import DenoiserPhase
from dysenvdm.training.frozen import FrozenParts
from dysenvdm.training.recipe import Recipe, load_recipe
from planners.dsg import DynamicSceneGraph, UserError

CLIPS = 5

KINDS = ("held-out", "frames", "latents", "captions", "texts", "plans")


@pytest.fixture
def recipe_of(store: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Recipes of a phase on five small Stage clips, overrides given; one random autoencoder in vae/."""
    torch.manual_seed(0)
    build_vae("micro").save_pretrained(tmp_path / "vae")
    content = {
        "name": "micro",
        "run": str(tmp_path / "runs" / "micro"),
        "data": {
            "frames": 8,
            "size": 32,
            "ticks": 4,
            "clips": CLIPS,
            "cache": True,
            "validation_clips": 2,
            "workers": 0,
        },
        "model": {"preset": "micro", "gate": 0.0, "max_tokens": 256},
        "train": {"steps": 2, "batch_size": 2, "lr": 1e-3},
    }
    path = tmp_path / "recipe.yaml"

    def make(phase: str, *overrides: str) -> Recipe:
        path.write_text(yaml.safe_dump({**content, "phase": phase}))
        vae = [f"model.vae={tmp_path / 'vae'}"] if phase == "denoiser" else []
        return load_recipe(path, [*vae, *overrides])

    return make


class Counting:
    """A planner that counts: one object a word, an imagined fact; a caption without "a" is degraded."""

    def __init__(self, **options: object) -> None:
        self.identity = {"planner": "counting", **options}
        self.planned: list[str] = []

    def plan(self, captions, *, ticks: int, seed: int) -> list[Planned]:
        self.planned += captions
        return [self._one(caption, ticks) for caption in captions]

    @staticmethod
    def _one(caption: str, ticks: int) -> Planned:
        if len(caption) % 3 == 0:
            return Planned(None, "no event found", None)
        facts = [
            {"subject": "it", "attribute": "blue", "start": 0, "end": ticks, "source": source}
            for source in ("plan", "imagined")
        ]
        facts[1]["attribute"] = "smiling"
        said = {"ticks": ticks, "prompt": caption, "objects": [{"id": "it", "label": "dog"}], "facts": facts}
        return Planned(DynamicSceneGraph.parse({"format": "dysenvdm.dsg/1", **said}), None, "0" * 64)


def prepare(recipe: Recipe, planner: Counting | None = None, **more: object) -> Prepared:
    frozen = FrozenParts.open(recipe, torch.device("cpu")) if recipe.phase == "denoiser" else None
    return Caching(recipe, Ranks(), planner=planner, **more).prepare(frozen)


def folders(recipe: Recipe) -> dict[str, set[str]]:
    """Kind -> names of its stores in the recipe's cache folder."""
    names = {path.name for path in (recipe.run.parent / "cache").iterdir() if path.is_dir()}
    return {kind: {name for name in names if name.startswith(kind)} for kind in KINDS}


def batches(phase: AutoencoderPhase) -> list[dict]:
    steps = Steps(Curriculum(batch=2), seed=1, rank=0, world=1, clips=CLIPS, frames=8, read=phase.read)
    return [phase.collate(steps[step]) for step in range(4)]


def test_batches_of_frames_are_those_of_decoding_bit_by_bit(recipe_of: Callable[..., Recipe]) -> None:
    cached, plain = (
        AutoencoderPhase(recipe_of("autoencoder", f"data.cache={value}"), torch.device("cpu"))
        for value in ("true", "false")
    )
    assert torch.equal(cached.held_out, plain.held_out)
    for ours, theirs in zip(batches(cached), batches(plain), strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_latents_and_what_is_told_are_those_of_the_clips(recipe_of: Callable[..., Recipe]) -> None:
    recipe = recipe_of("denoiser")
    prepared, frozen = prepare(recipe), FrozenParts.open(recipe, torch.device("cpu"))
    source = open_corpus(recipe.data)
    for clip in range(CLIPS):
        ours, theirs = (corpus.read(clip, 9, np.random.default_rng(3)) for corpus in (prepared.corpus, source))
        assert np.array_equal(ours.foreground, theirs.foreground)
        assert replace(ours, foreground=None, item=None) == replace(theirs, foreground=None, video=None)
        encoded = frozen.encode(torch.from_numpy(theirs.pixels)[None])[0]
        assert ours.latents.dtype == torch.float16
        assert torch.allclose(ours.latents.float(), encoded, atol=2e-3 * encoded.abs().max().item())
        assert prepared.corpus.name(clip) == source.name(clip)
    for ours, theirs in zip(prepared.held_out, source.held_out(), strict=True):
        assert np.array_equal(ours.pixels, theirs.pixels)
        assert (ours.caption, ours.dsg, ours.draw) == (theirs.caption, theirs.dsg, theirs.draw)


def test_latents_in_memory_are_those_that_are_mapped(recipe_of: Callable[..., Recipe]) -> None:
    prepared = prepare(recipe_of("denoiser", "data.caching.draws=2", "data.caching.precision=bf16"))
    mapped = [prepared.corpus.read(clip, 0, np.random.default_rng(clip)) for clip in range(CLIPS)]
    assert prepared.latents_on(torch.device("cpu"), None) is None, "by default only a GPU holds them"
    latents = prepared.latents_on(torch.device("cpu"), True)
    assert latents is not None
    for clip, sample in enumerate(mapped):
        again = prepared.corpus.read(clip, 0, np.random.default_rng(clip))
        assert again.latents is None
        assert again.item == sample.item
        assert torch.equal(latents[again.item], sample.latents)
    assert {sample.item % 2 for sample in mapped} == {0, 1}, "both draws are seen"


def test_a_denoiser_sees_the_same_latents_from_memory_and_from_the_map(recipe_of: Callable[..., Recipe]) -> None:
    seen = []
    for value in ("true", "false"):
        phase = DenoiserPhase(recipe_of("denoiser", f"data.caching.in_memory={value}"), torch.device("cpu"))
        samples = [replace(phase.read(clip, 0, np.random.default_rng(0)), shown=(1, 4)) for clip in (3, 0)]
        inputs = phase.collate(samples)
        assert ("items" in inputs) == (value == "true")
        seen.append(phase._latents(inputs))
    assert torch.equal(*seen)


def test_text_features_are_the_encoders_for_every_caption_that_training_meets(recipe_of: Callable[..., Recipe]) -> None:
    recipe = recipe_of("denoiser")
    prepared, encoder = prepare(recipe), FrozenParts.open(recipe, torch.device("cpu")).text_encoder
    captions = {c for clip in range(CLIPS) for c in prepared.corpus.told(clip).captions}
    captions |= {sample.caption for sample in prepared.held_out} | {""}
    assert prepared.texts is not None
    for caption in captions:
        whole = encoder.encode([caption])[0]
        kept = prepared.texts[caption]
        assert torch.allclose(kept.float(), whole[: len(kept)], atol=2e-3)
        assert not whole[len(kept) :].any()
    assert "never said" not in prepared.texts


def test_every_kind_is_made_anew_for_what_it_follows_from_and_for_nothing_else(
    recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    planned = ["data.scenes.from=planned"]
    planner = Counting()

    def fresh(*overrides: str, planner: Counting = planner) -> set[str]:
        """Kinds of which there is a new store; the list of captions, which is cheap, left out."""
        recipe = recipe_of("denoiser", *planned, *overrides)
        before = folders(recipe) if (recipe.run.parent / "cache").exists() else {kind: set() for kind in KINDS}
        prepare(recipe, planner)
        return {kind for kind, names in folders(recipe).items() if names - before[kind]} - {"captions"}

    assert fresh() == {"held-out", "latents", "texts", "plans"}
    assert fresh() == set()
    assert fresh("seed=5", "train.lr=1", "data.workers=0", f"run={tmp_path / 'runs' / 'other'}") == set()
    assert fresh("data.caching.precision=bf16") == {"latents"}
    assert fresh("data.scenes.seed=3") == {"plans"}
    assert fresh("data.scenes.ticks=6") == {"plans"}
    assert fresh(planner=Counting(model="another")) == {"plans"}
    assert fresh("model.max_tokens=250") == {"texts"}
    count = len(planner.planned)
    build_vae("micro").save_pretrained(tmp_path / "vae")
    assert fresh() == {"latents"}
    assert fresh("data.size=48") == {"held-out", "latents"}, "captions are the same, so nothing is planned"
    assert len(planner.planned) == count
    assert {"latents", "held-out", "texts", "plans"} == fresh("data.clips=6")


def test_scenes_are_planned_for_the_caption_that_is_told(recipe_of: Callable[..., Recipe]) -> None:
    recipe, planner = recipe_of("denoiser", "data.scenes.from=planned"), Counting()
    prepared = prepare(recipe, planner)
    assert len(planner.planned) == len(set(planner.planned)), "every caption once"
    rng, empty = np.random.default_rng(0), 0
    for _ in range(30):
        sample = prepared.corpus.read(int(rng.integers(CLIPS)), 0, rng)
        wanted = Counting._one(sample.caption, 4).dsg
        assert sample.dsg == (wanted or DynamicSceneGraph(ticks=4))
        empty += wanted is None
    assert 0 < empty < 30
    for sample in prepared.held_out:
        assert sample.dsg == (Counting._one(sample.caption, 4).dsg or DynamicSceneGraph(ticks=4))
    lines = "\n".join(report(prepared))
    degraded = [caption for caption in planner.planned if len(caption) % 3 == 0]
    assert f"plans degraded: {len(degraded)}" in lines
    assert f"{degraded[0][:60]!r}: no event found" in lines


def test_plans_serve_ranks_without_a_planner_and_imagination_may_be_left_out(
    recipe_of: Callable[..., Recipe],
) -> None:
    recipe = recipe_of("denoiser", "data.scenes.from=planned")
    with pytest.raises(UserError, match="not planned yet; run: dysenvdm cache") as caught:
        prepare(recipe)
    path, *changes = shlex.split(str(caught.value).partition("dysenvdm cache ")[2])
    assert changes[::2] == ["--set"] * 2
    assert load_recipe(path, changes[1::2]) == recipe
    planner = Counting()
    planned = prepare(recipe, planner)
    bare = prepare(recipe_of("denoiser", "data.scenes.from=planned", "data.scenes.imagination=false"))
    clip = next(clip for clip in range(CLIPS) if planned.corpus.told(clip).dsg.facts)
    with_facts, without = (p.corpus.told(clip).dsg.facts for p in (planned, bare))
    assert {fact.source for fact in with_facts} == {"plan", "imagined"}
    assert {fact.source for fact in without} == {"plan"}
    with pytest.raises(UserError, match="not planned yet"):
        prepare(recipe_of("denoiser", "data.scenes.from=planned", "data.scenes.planner=smollm2"))


def test_scenes_may_be_left_out(recipe_of: Callable[..., Recipe]) -> None:
    prepared = prepare(recipe_of("denoiser", "data.scenes.from=none"))
    assert not prepared.corpus.read(0, 0, np.random.default_rng(0)).dsg.objects
    assert not any(sample.dsg.objects for sample in prepared.held_out)


def test_plans_do_not_need_a_cache_of_the_clips(recipe_of: Callable[..., Recipe]) -> None:
    prepared = prepare(recipe_of("denoiser", "data.scenes.from=planned", "data.cache=false"), Counting())
    sample = prepared.corpus.read(1, 0, np.random.default_rng(0))
    assert sample.video is not None
    assert sample.dsg == (Counting._one(sample.caption, 4).dsg or DynamicSceneGraph(ticks=4))
    with pytest.raises(UserError, match=r"data\.clips"):
        prepare(recipe_of("denoiser", "data.scenes.from=planned", "data.cache=false", "data.clips=0"), Counting())


class Spotty(StageCorpus):
    """Stage clips of which two cannot be read: one raises, in the place of the other comes the first clip."""

    def read(self, clip: int, draw: int, rng: np.random.Generator):
        if clip == 1:
            raise UserError("moov atom not found")
        return super().read(0 if clip == 3 else clip, draw, rng)


def test_clips_that_cannot_be_read_are_counted_named_and_left_out(
    recipe_of: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "open_corpus", lambda data, _noted: Spotty(data))
    prepared = prepare(recipe_of("autoencoder"))
    lines = list(report(prepared))
    assert "frames skipped: 2" in lines
    assert "  stage seed 1: moov atom not found" in lines
    assert prepared.corpus.clips == 3
    assert [prepared.corpus.name(clip) for clip in range(3)] == ["stage seed 0", "stage seed 2", "stage seed 4"]


def test_training_goes_on_when_the_videos_are_gone(
    recipe_of: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(_data: DataSection, _noted: object) -> StageCorpus:
        raise UserError("data.source.root: 0 of 5 clips are in videos")

    before = batches(AutoencoderPhase(recipe_of("autoencoder"), torch.device("cpu")))
    monkeypatch.setattr(caching, "open_corpus", gone)
    after = batches(AutoencoderPhase(recipe_of("autoencoder"), torch.device("cpu")))
    assert all(torch.equal(a[name], b[name]) for a, b in zip(before, after, strict=True) for name in a)
    assert "reading from the cache" in capsys.readouterr().err
    with pytest.raises(UserError, match="0 of 5 clips"):
        prepare(recipe_of("autoencoder", "data.size=48"))


def test_nothing_is_encoded_behind_a_bad_autoencoder(recipe_of: Callable[..., Recipe]) -> None:
    recipe = recipe_of("denoiser", "model.gate=60")
    with pytest.raises(UserError, match="below the gate of 60 dB"):
        prepare(recipe)
    assert not folders(recipe)["latents"]


def test_a_damaged_cache_is_mended_only_when_asked(recipe_of: Callable[..., Recipe]) -> None:
    recipe = recipe_of("autoencoder")
    prepare(recipe)
    [folder] = folders(recipe)["frames"]
    path = recipe.run.parent / "cache" / folder / "000000.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"000000\.safetensors: .*--repair"):
        prepare(recipe)
    prepare(recipe, mends=True)
    assert path.read_bytes() == whole


def test_a_cache_is_found_wherever_its_folder_lies(recipe_of: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = recipe_of("autoencoder")
    prepare(recipe)
    shutil.move(recipe.run.parent / "cache", tmp_path / "elsewhere")
    moved = prepare(recipe_of("autoencoder", f"data.caching.folder={tmp_path / 'elsewhere'}"))
    assert moved.corpus.clips == CLIPS
    assert not (recipe.run.parent / "cache").exists()
