"""The held-out tests share no composition with training: no pair of actor and action, no number of events or actors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from dysenvdm.stage import StageClip, sample
from dysenvdm.stage.captions import action_of
from dysenvdm.stage.compositions import NEW_PAIRS, SPLITS, split_of

SEEDS = 250


@pytest.fixture(scope="module")
def clips_of() -> dict[str, list[StageClip]]:
    """Clips of every split, as long as their events need."""
    return {name: [sample(seed, split=name, frames=None) for seed in range(SEEDS)] for name in SPLITS}


def pairs(clip: StageClip) -> set[tuple[str, str]]:
    """(kind of actor, action) of all that is done."""
    kinds = {role.id: role.kind for role in clip.script.roles}
    return {(kinds[act.agent], act.predicate) for act in clip.script.acts}


def test_every_split_has_seeds_of_its_own(clips_of: dict[str, list[StageClip]]) -> None:
    ordered = sorted((split.seeds for split in SPLITS.values()), key=lambda seeds: seeds.start)
    assert all(a.stop <= b.start for a, b in pairwise(ordered))
    for name, clips in clips_of.items():
        assert {clip.split for clip in clips} == {name}
        assert all(split_of(clip.seed) is SPLITS[name] for clip in clips)


@pytest.mark.parametrize(
    ("test", "composition"),
    [
        ("more-events", lambda clip: {len(clip.script.acts)}),
        ("more-actors", lambda clip: {len(clip.script.roles)}),
        ("new-pairs", lambda clip: pairs(clip) & NEW_PAIRS),
    ],
)
def test_no_composition_of_a_held_out_test_is_trained_on(
    clips_of: dict[str, list[StageClip]], test: str, composition: Callable[[StageClip], set[object]]
) -> None:
    held = [composition(clip) for clip in clips_of[test]]
    assert all(held)
    for other in ("train", "val", "test"):
        trained = {found for clip in clips_of[other] for found in composition(clip)}
        assert not trained & set().union(*held), other


def test_new_pairs_are_new_in_their_combination_only(clips_of: dict[str, list[StageClip]]) -> None:
    """Every kind and every action of a new pair is met in training, each with others."""
    trained = {pair for clip in clips_of["train"] for pair in pairs(clip)}
    seen = {pair for clip in clips_of["new-pairs"] for pair in pairs(clip)} & NEW_PAIRS
    assert {kind for kind, _ in seen} <= {kind for kind, _ in trained}
    assert len({action for _, action in seen} & {action for _, action in trained}) > 10
    assert len(seen) > 20


def test_captions_of_every_split_tell_their_clips(clips_of: dict[str, list[StageClip]]) -> None:
    for name, clips in clips_of.items():
        for clip in clips:
            told = [action_of(event.predicate) for event in clip.plan.events]
            assert told == [act.predicate for act in clip.script.acts], name
            assert all(sorted(telling.order) == [*range(len(told))] for telling in clip.tellings)
