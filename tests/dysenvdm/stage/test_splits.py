"""Splits share no seed and, where they should, no composition; clips of any length hold what is asked of them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dysenvdm.stage import SPLITS, STAGE_VERSION, VAL_SEED0, StageClip, sample
from dysenvdm.stage.actions import ACTIONS, SHORTEST_ACT
from dysenvdm.stage.compositions import NEW_PAIRS
from dysenvdm.stage.motion import actor_track
from dysenvdm.stage.playing import moved_by
from dysenvdm.stage.render import boxes
from dysenvdm.stage.script import Script
from dysenvdm.stage.world import ACTORS
from planners.dsg import MAX_TICKS, UserError

CLIPS = 40


@cache
def drawn(split: str, frames: int | None = 16) -> tuple[StageClip, ...]:
    return tuple(sample(seed, split=split, frames=frames) for seed in range(CLIPS))


def pairs(script: Script) -> set[tuple[str, str]]:
    """(kind of actor, what it does)."""
    kinds = {role.id: role.kind for role in script.roles}
    return {(kinds[act.agent], act.predicate) for act in script.acts}


def test_splits_share_no_seed() -> None:
    for one, other in combinations(SPLITS.values(), 2):
        assert one.seeds.stop <= other.seeds.start or other.seeds.stop <= one.seeds.start
    assert SPLITS["train"].seeds == range(VAL_SEED0)
    assert all(split.seeds.stop <= 2**32 for split in SPLITS.values())


@pytest.mark.parametrize("split", SPLITS)
def test_a_seed_says_its_split(split: str) -> None:
    clip = sample(3, split=split)
    assert clip.split == split
    assert clip.version == STAGE_VERSION == 2
    assert clip.seed in SPLITS[split].seeds
    again = sample(clip.seed)
    assert (again.script, again.caption, again.split) == (clip.script, clip.caption, split)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("frames", [16, None])
def test_a_split_has_its_compositions_only(split: str, frames: int | None) -> None:
    for clip in drawn(split, frames):
        assert len(clip.script.acts) in SPLITS[split].events
        assert len(clip.script.roles) in SPLITS[split].actors
        assert bool(pairs(clip.script) & NEW_PAIRS) == (split == "new-pairs")
        parts = {ident for act in clip.script.acts for ident in (act.agent, act.target)}
        assert {role.id for role in clip.script.roles} <= parts, "nobody is there for nothing"


def test_held_out_splits_have_what_train_has_not() -> None:
    train = SPLITS["train"]
    assert not set(SPLITS["more-events"].events) & set(train.events)
    assert not set(SPLITS["more-actors"].actors) & set(train.actors)
    assert max(SPLITS["more-events"].events) == 8
    assert max(SPLITS["more-actors"].actors) == 4


def test_train_knows_every_kind_and_every_action() -> None:
    """A new pair is new as a pair only."""
    every = {(kind, action.lemma) for action in ACTIONS.values() for kind in action.agents}
    assert every > NEW_PAIRS
    known = every - NEW_PAIRS
    assert {kind for kind, _ in known} == set(ACTORS)
    assert {lemma for _, lemma in known} == set(ACTIONS)
    assert 0.05 < len(NEW_PAIRS) / len(every) < 0.2


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("frames", [16, 50, 240, 480])
def test_clips_of_every_length_hold_together(split: str, frames: int) -> None:
    for seed in range(8):
        clip = sample(seed, split=split, frames=frames)
        script = clip.script
        assert script.beats == frames // 2
        assert script.ticks == min(script.beats, MAX_TICKS)
        groups = [{(script.acts[i].start, script.acts[i].end) for i in group} for group in script.groups]
        assert all(len(times) == 1 for times in groups)
        ends = [0]
        for start, end in (times.pop() for times in groups):
            assert ends[-1] <= start
            assert start + SHORTEST_ACT <= end <= script.beats
            ends.append(end)
        for group in script.groups:
            agents = [script.acts[i].agent for i in group]
            assert len(set(agents)) == len(agents)


def test_walking_is_as_fast_in_long_clips() -> None:
    speeds: dict[int, list[float]] = {}
    for frames in (16, 96):
        for seed in range(60):
            script = sample(seed, frames=frames).script
            for act in script.acts:
                if act.predicate.startswith("walk to"):
                    track = actor_track(script, next(r for r in script.roles if r.id == act.agent), frames)
                    f0, f1 = script.frames_of(act, frames)
                    speeds.setdefault(frames, []).append(float(np.abs(np.diff(track.x[f0:f1])).mean()))
    assert all(len(found) > 10 for found in speeds.values())
    assert all(1.5 < speed < 2.7 for found in speeds.values() for speed in found)


def test_everything_stays_in_long_pictures() -> None:
    for split in ("train", "more-events", "more-actors"):
        for seed in range(6):
            script = sample(seed, split=split, frames=96).script
            for ident, box in boxes(script, 96).items():
                middle = (box[:, :2] + box[:, 2:]) / 2
                assert ((middle > 0.03) & (middle < 0.97)).all(), (split, seed, ident)


def test_there_are_simultaneous_and_interleaved_events() -> None:
    found: Counter[str] = Counter()
    for clip in (*drawn("more-actors", None), *drawn("more-events", None), *drawn("train", None)):
        script = clip.script
        found["all at once"] += max(map(len, script.groups)) == len(script.roles) > 1
        found["three at once"] += max(map(len, script.groups)) >= 3
        agents = [script.acts[group[0]].agent for group in script.groups if len(group) == 1]
        found["interleaved"] += any(a != b and a in agents[i + 2 :] for i, (a, b) in enumerate(pairwise(agents)))
    assert all(found[kind] >= 5 for kind in ("all at once", "three at once", "interleaved")), found


def test_what_is_held_and_where_one_stands_is_in_the_graph() -> None:
    held = related = 0
    for clip in (*drawn("train"), *drawn("more-events")):
        script = clip.script
        facts = {(f.subject, f.predicate, f.object): f for f in clip.dsg.facts if f.source == "imagined"}
        for hold in script.holds:
            assert (hold.holder, "hold", hold.prop) in facts
            held += 1
        by_prop: dict[str, list[tuple[int, int]]] = {}
        for hold in sorted(script.holds, key=lambda hold: hold.start):
            assert all(end <= hold.start for _, end in by_prop.get(hold.prop, [])), "two hold one thing"
            by_prop.setdefault(hold.prop, []).append((hold.start, hold.end))
        places = {thing.id: thing for thing in (*script.roles, *script.props)}
        for one, relation, other in script.relations:
            gap = abs(places[one].x - places[other].x) - places[one].half - places[other].half
            if relation == "next to":
                assert -1 <= gap <= 4
            else:
                assert gap > 4
                assert (places[one].x < places[other].x) == (relation == "to the left of")
            moves = [act.start for act in script.acts if {one, other} & moved_by(act)]
            fact = facts.get((one, relation, other))
            assert (fact is None) == (min(moves, default=1) == 0)
            assert fact is None or (fact.start, fact.end) == (0, script.tick(min(moves, default=script.beats)))
            related += fact is not None
    assert held > 5
    assert related > 20


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"split": "dev"}, "split 'dev': choose one of train, val, test, new-pairs"),
        ({"events": [7]}, "events 7: split train has 1 to 5; split more-events has more"),
        ({"actors": [4]}, "actors 4: split train has 1 to 3; split more-actors has more"),
        ({"split": "more-events", "events": [8]}, "events 8: 16 frames have 8 beats, room for 6 events of 3 actors"),
        ({"split": "more-events", "events": [8], "frames": 20}, "choose 22 frames or more"),
        ({"events": [5], "actors": [1]}, "events 5: 16 frames have 8 beats, room for 3 events of 1 actor; choose 28"),
        ({"events": [1], "actors": [3]}, "actors 3: 1 events leave somebody out; choose 2 or more"),
        ({"events": []}, "events none: split train has 1 to 5"),
        ({"frames": 64, "ticks": 8}, "ticks 8: a clip of 32 beats needs 16 or more"),
        ({"seed": 2**30, "split": "val"}, "split val has clips 0 to"),
        ({"seed": VAL_SEED0, "split": "test"}, "split test has clips 0 to"),
    ],
)
def test_what_cannot_be_is_explained(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        sample(**{"seed": 1, **asked})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_enough_frames_hold_eight_events() -> None:
    assert len(sample(1, split="more-events", events=[8], frames=22).script.acts) == 8
    assert sample(1, split="more-events", events=[8], frames=None).frames >= 24


def test_other_processes_draw_the_same_of_every_split() -> None:
    code = (
        "from dysenvdm.stage import SPLITS, sample;"
        "print([sample(5, split=s, frames=48).script for s in SPLITS if s != 'val'])"
    )
    root = Path(__file__).resolve().parents[3]
    out = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert out[0] == out[1]
    assert out[0].count("Script(") == len(SPLITS) - 1


def test_the_guide_lists_every_action_and_split() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs" / "stage-actions.md").read_text(encoding="utf-8")
    said = {
        name.strip() for line in guide.splitlines() if line.startswith("| ") for name in line.split("|")[2].split(",")
    }
    for action in ACTIONS.values():
        assert action.lemma.replace(f"the {action.thing} ", "the … ") in said
    for split in SPLITS.values():
        row = next(line for line in guide.splitlines() if line.startswith("| `") and f"`{split.name}`" in line)
        for counts in (split.events, split.actors):
            assert (f"| {counts[0]}-{counts[-1]} |" if len(counts) > 1 else f"| {counts[0]} |") in row
