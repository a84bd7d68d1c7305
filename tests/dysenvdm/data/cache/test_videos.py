"""Caches of real video files: the same samples as decoding gives, and none of it needs the files again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from dysenvdm.data.cache.filling import Ranks
from dysenvdm.data.corpora import Corpus, open_corpus
from dysenvdm.training.caching import Caching, Prepared, report
from dysenvdm.training.recipe import Recipe, load_recipe

HEIGHTS = (48, 64, 96)
"""Of videos that are 64 pixels wide."""


@pytest.fixture
def recipe_of(tmp_path: Path, make_video: Callable[..., Path]) -> Callable[..., Recipe]:
    """An autoencoder's recipe for eight videos in videos/, overrides given."""
    for i in range(8):
        path = make_video(tmp_path / "videos" / f"clip-{i}.mp4", 24 + i, height=HEIGHTS[i % 3])
        path.with_suffix(".txt").write_text(f"Grey number {i} gets brighter.")
    data = {
        "source": {"kind": "folder", "root": str(tmp_path / "videos")},
        "examined": str(tmp_path / "examined"),
        "frames": 8,
        "size": 64,
        "cache": True,
        "workers": 0,
        "validation_clips": 1,
    }
    recipe = {
        "name": "videos",
        "phase": "autoencoder",
        "run": str(tmp_path / "run"),
        "data": data,
        "model": {"preset": "micro"},
        "train": {"steps": 1, "batch_size": 2, "lr": 1e-3},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))

    def make(*overrides: str) -> Recipe:
        return load_recipe(tmp_path / "recipe.yaml", list(overrides))

    return make


def prepare(recipe: Recipe) -> Prepared:
    return Caching(recipe, Ranks()).prepare(None)


def samples(corpus: Corpus) -> list:
    return [corpus.read(clip, clip, np.random.default_rng((7, clip))) for clip in range(corpus.clips)]


def test_frames_of_whole_clips_are_those_of_decoding(recipe_of: Callable[..., Recipe]) -> None:
    for ours, theirs in zip(
        samples(prepare(recipe_of("data.spread=true")).corpus),
        samples(open_corpus(recipe_of("data.spread=true").data)),
        strict=True,
    ):
        assert np.array_equal(ours.pixels, theirs.pixels)
        assert (ours.caption, ours.clip) == (theirs.caption, theirs.clip)


def test_a_cache_has_as_many_starts_of_a_clip_as_it_was_asked_for(recipe_of: Callable[..., Recipe]) -> None:
    corpus = prepare(recipe_of("data.caching.draws=3")).corpus
    starts = {corpus.read(0, 0, np.random.default_rng(i)).pixels.tobytes() for i in range(40)}
    assert len(starts) == 3


def test_training_reads_on_when_the_videos_are_deleted(recipe_of: Callable[..., Recipe], tmp_path: Path) -> None:
    whole = prepare(recipe_of("data.buckets=true"))
    before, held_out, buckets = samples(whole.corpus), whole.held_out, whole.corpus.buckets
    shutil.rmtree(tmp_path / "videos")
    (tmp_path / "examined").unlink()
    again = prepare(recipe_of("data.buckets=true"))
    for ours, theirs in zip(samples(again.corpus), before, strict=True):
        assert np.array_equal(ours.pixels, theirs.pixels)
        assert ours.caption == theirs.caption
    assert np.array_equal(again.held_out[0].pixels, held_out[0].pixels)
    assert len(set(buckets)) > 1, "there are several sizes"
    assert np.array_equal(again.corpus.buckets, buckets)


def test_sizes_belong_to_the_clips_that_are_left(
    recipe_of: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dysenvdm.data import videos

    decoded = videos.VideoCorpus._decoded

    def failing(self, usable, *rest):
        if usable.entry.id == self.name(2):
            raise videos.UndecodableError("broken in the middle")
        return decoded(self, usable, *rest)

    monkeypatch.setattr(videos.VideoCorpus, "_decoded", failing)
    prepared = prepare(recipe_of("data.buckets=true"))
    source = open_corpus(recipe_of("data.buckets=true").data)
    assert prepared.corpus.clips == source.clips - 1
    assert f"  {source.name(2)} (broken in the middle)" in list(report(prepared))
    left = [clip for clip in range(source.clips) if clip != 2]
    assert prepared.corpus.buckets.tolist() == source.buckets[left].tolist()
    for clip, number in enumerate(left):
        assert prepared.corpus.name(clip) == source.name(number)
        size = prepared.corpus.read(clip, 0, np.random.default_rng(0)).pixels.shape
        assert size == source.read(number, 0, np.random.default_rng(0)).pixels.shape
