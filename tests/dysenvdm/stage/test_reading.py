"""What the eye sees of a script, and that the referee's maps carry all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dysenvdm.stage import StageClip
from dysenvdm.stage.poses import KEPT
from dysenvdm.stage.reading import Box, Reading, Seen, SeenEvent, Vocabulary, gold_reading, visible_acts
from dysenvdm.stage.referee_maps import Maps, as_logits, labels_of, maps_of, overlap, read_maps
from dysenvdm.stage.verdicts import compared, summed

WORDS = Vocabulary()
BOX: Box = (0.4, 0.4, 0.6, 0.9)


def reading_of(*rows: str) -> Reading:
    """Girls who do what the letters say, a letter per frame: "." nothing, "-" not seen."""
    words = {".": "", "j": "jump", "d": "dance", "s": "spin"}
    frames = [
        tuple(
            Seen(f"girl_{i}", "girl", BOX, "coat", "red", words[row[f]]) for i, row in enumerate(rows) if row[f] != "-"
        )
        for f in range(len(rows[0]))
    ]
    return Reading("park", tuple(frames))


def perfect_maps(clip: StageClip) -> Maps:
    labels = {name: value[None] for name, value in labels_of(clip, WORDS).items()}
    return {name: value[0].float() for name, value in as_logits(maps_of(labels, WORDS), WORDS).items()}


def test_events_of_the_gold_reading_are_the_scripts(clips: tuple[StageClip, ...]) -> None:
    for clip in clips:
        if {"wave", "wave at"} <= {act.predicate for act in clip.script.acts}:
            continue  # one after the other they are one, to the eye
        acts = {
            (act.agent, act.predicate, act.target, f0, f1) for act, f0, f1 in visible_acts(clip.script, clip.frames)
        }
        assert {(e.agent, e.predicate, e.target, e.start, e.end) for e in gold_reading(clip).events} == acts


def test_kept_poses_last_until_the_actor_acts_again(clips: tuple[StageClip, ...]) -> None:
    longer = 0
    for clip in clips:
        for act, f0, f1 in visible_acts(clip.script, clip.frames):
            start, end = clip.script.frames_of(act, clip.frames)
            assert f0 == start
            if act.predicate not in KEPT:
                assert f1 == end
                continue
            longer += f1 > end
            starts = {clip.script.frames_of(other, clip.frames)[0] for other in clip.script.acts_of(act.agent)}
            assert f1 in {*starts, clip.frames}
    assert longer


def test_who_waves_in_somebodys_face_waves_at_them(clips: tuple[StageClip, ...]) -> None:
    waves = [
        (act, seen, clip)
        for clip in clips
        for act, (seen, _, _) in zip(clip.script.acts, visible_acts(clip.script, clip.frames), strict=True)
        if act.predicate == "wave"
    ]
    assert {seen.predicate for _, seen, _ in waves} == {"wave", "wave at"}
    for act, seen, clip in waves:
        alone = len(clip.script.roles) == 1
        assert (seen == act) if alone else (seen.target is None) == (seen.predicate == "wave")


@pytest.mark.parametrize(
    ("row", "events"),
    [
        ("..jjjj..", [("jump", 2, 6)]),
        ("..jjdjj.", [("jump", 2, 7)]),
        ("jj-jj...", [("jump", 0, 5)]),
        ("jjjddd..", [("jump", 0, 3), ("dance", 3, 6)]),
        ("j.......", []),
        (".......j", []),
    ],
)
def test_single_frames_do_not_break_events(row: str, events: list[tuple[str, int, int]]) -> None:
    expected = tuple(SeenEvent("girl_0", name, None, start, end) for name, start, end in events)
    assert reading_of(row).events == expected


def test_decoding_perfect_maps_gives_the_gold_reading(clips: tuple[StageClip, ...]) -> None:
    """Where things are apart: the same things, boxes, looks, actions, targets; the few other clips are counted."""
    crowded = 0
    for clip in clips[:150]:
        labels = labels_of(clip, WORDS)
        actors = (labels["kind"] >= 0) & (labels["kind"] < len(WORDS.actors))
        cells = (labels["centre"] * 16).long()
        props = labels["kind"] >= len(WORDS.actors)
        if any(_meet(cells[:, mask], within) for mask, within in ((actors, 1), (props, 0))):
            crowded += 1
            continue
        gold, read = gold_reading(clip), read_maps(perfect_maps(clip), WORDS)
        assert (read.setting, read.weather) == (gold.setting, gold.weather)
        assert len({*read.looks}) == len({*gold.looks})
        found = summed([compared(read, gold)])
        assert found.pop("place") == pytest.approx(1, abs=1e-4)
        assert set(found.values()) == {1.0}, (clip.seed, found)
        said = [(e.predicate, gold.looks.get(e.target or ""), e.start, e.end) for e in gold.events]
        assert sorted(map(str, said)) == sorted(
            str((e.predicate, read.looks.get(e.target or ""), e.start, e.end)) for e in read.events
        )
    assert crowded < 20


def _meet(cells: torch.Tensor, within: int) -> bool:
    """Whether two of (f n 2) are ever that few cells apart."""
    apart = (cells[:, :, None] - cells[:, None]).abs().amax(-1)
    return bool((apart + 9 * torch.eye(cells.shape[1], dtype=torch.long) <= within).any())


def test_nothing_is_seen_in_empty_maps(clips: tuple[StageClip, ...]) -> None:
    maps = perfect_maps(clips[0])
    read = read_maps({**maps, "heat": torch.full_like(maps["heat"], -9.0)}, WORDS)
    assert read.frames == ((),) * 16
    assert read.events == ()


def test_accuracy_counts_what_is_wrong() -> None:
    gold = reading_of("jjjjdddd", "........")
    one_missing = reading_of("jjjjdddd", "-......-")
    found = summed([compared(one_missing, gold)])
    assert found["actors"] == found["colors"] == 14 / 16
    assert found["precision"] == 1
    wrong = replace(gold, frames=tuple(tuple(replace(s, kind="boy", color="blue") for s in f) for f in gold.frames))
    found = summed([compared(wrong, gold)])
    assert (found["actors"], found["precision"], found["colors"], found["actions"]) == (0, 0, 0, 1)


def test_either_action_is_right_beside_a_change() -> None:
    gold = reading_of("jjjjdddd")
    for late, right, strict in (("jjjjjddd", 8, 7), ("jjjddddd", 8, 7), ("jjjjjjdd", 7, 6), ("ssssdddd", 4, 4)):
        found = summed([compared(reading_of(late), gold)])
        assert (found["actions"], found["actions_strict"]) == (right / 8, strict / 8)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 1, 1), (0, 0, 1, 1)) == 1
    assert overlap((0, 0, 1, 1), (0.5, 0, 1.5, 1)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 0.4, 1), (0.5, 0, 1, 1)) == 0
