"""Steps over clips of several sizes: batches of one size, the same on any number of ranks, every clip equally often."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dysenvdm.data.samples import Sample
from dysenvdm.data.steps import Curriculum, Steps, step_loader
from planners.dsg import DynamicSceneGraph, UserError

BUCKETS = np.array([0, 2, 2, 0, 1, 2, 2, 2, 0, 2], dtype=np.int16)
CURRICULUM = Curriculum(batch=4, stills=6, stills_until=3)


def read(clip: int, draw: int, rng: np.random.Generator) -> Sample:
    cells = np.ones((8, 1, 1), dtype=bool)
    replaced = ("lost",) if clip == 5 else ()
    return Sample(draw, clip, "", (), DynamicSceneGraph(ticks=1), cells, tuple(range(8)), None, replaced=replaced)


def steps(curriculum: Curriculum = CURRICULUM, *, rank: int = 0, world: int = 1, seed: int = 0) -> Steps:
    return Steps(
        curriculum, seed=seed, rank=rank, world=world, clips=10, frames=8, read=read, buckets=BUCKETS
    )  # fmt: skip


def test_a_step_is_of_one_size_and_the_same_whoever_asks() -> None:
    whole = steps()
    seen = {step: whole.clips_of(step) for step in range(40)}
    for clips in seen.values():
        assert len({BUCKETS[clip] for clip in clips}) == 1
    assert len({BUCKETS[clips[0]] for clips in seen.values()}) == 3
    assert {step: steps().clips_of(step) for step in reversed(range(40))} == seen
    assert {step: steps(seed=1).clips_of(step) for step in range(40)} != seen


def test_two_ranks_share_what_one_sees() -> None:
    for step in (0, 2, 3, 11):
        whole = [(sample.draw, sample.clip) for sample in steps()[step]]
        shares = [(sample.draw, sample.clip) for rank in (0, 1) for sample in steps(rank=rank, world=2)[step]]
        assert sorted(shares) == sorted(whole)


def test_each_size_has_epochs_of_its_own() -> None:
    whole = steps()
    of_size: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for step in range(60):
        clips = whole.clips_of(step)
        of_size[int(BUCKETS[clips[0]])] += clips
    for bucket, clips in of_size.items():
        members = set(np.flatnonzero(bucket == BUCKETS))
        for epoch in range(len(clips) // len(members)):
            assert set(clips[epoch * len(members) : (epoch + 1) * len(members)]) == members
    assert of_size[2][:6] != of_size[2][6:12]


def test_all_clips_are_seen_equally_often_in_the_long_run() -> None:
    whole = steps(Curriculum(batch=4))
    times = Counter(clip for step in range(5000) for clip in whole.clips_of(step))
    assert set(times) == set(range(10))
    assert max(times.values()) / min(times.values()) < 1.2


def test_clips_that_gave_way_are_named_in_their_batch() -> None:
    step = next(step for step in range(3, 60) if 5 in steps().clips_of(step))
    (batches,) = step_loader(steps(), step, step + 1, workers=0, collate=lambda samples: {}, parts=2)
    assert [batch.replaced for batch in batches] == [("lost",) * (5 in batch.clips) for batch in batches]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_the_loader_arrives_as_one_line(workers: int, tmp_path: Path) -> None:
    def fails(clip: int, draw: int, rng: np.random.Generator) -> Sample:
        raise UserError("the disk is gone")

    broken = Steps(Curriculum(batch=2), seed=0, rank=0, world=1, clips=10, frames=8, read=fails)
    with pytest.raises(UserError) as error:
        list(step_loader(broken, 0, 2, workers=workers, collate=lambda samples: {}))
    assert str(error.value) == "the disk is gone"


def test_the_largest_step_is_the_first_of_those_that_see_most() -> None:
    """By samples times frames: what a curriculum begins with may be larger than what it ends with, or as large."""
    growing = Curriculum(batch=4, stills=6, stills_until=3, coarse_until=5)
    assert growing.largest(8, 0, 10) == 5
    assert growing.largest(8, 7, 10) == 7, "behind all changes every step is as large"
    assert growing.largest(8, 0, 5) == 3, "a run that ends before never meets the largest"
    assert Curriculum(batch=4, stills=64, stills_until=3).largest(8, 0, 10) == 0
    assert Curriculum(batch=4, stills=32, stills_until=3).largest(8, 0, 10) == 0, "equals need no trial"
    assert Curriculum(batch=4).largest(8, 2, 10) == 2
