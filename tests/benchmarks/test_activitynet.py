"""ActivityNet: tellings whose connectives tell the whole order, whom an event belongs to, tau and IoU."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.activitynet import Video, as_told, compare, iou, load, owner, planned, telling
from planners.dsg import ActionPlan, Event, SceneObject, UserError

SENTENCES = ("A man opens a box.", "He takes a ball.", "He throws the ball.", "He waves.")
TIMES = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))


@given(st.integers(1, 12), st.integers(0, 99))
def test_a_telling_has_every_sentence_once_and_is_never_the_plain_one(count: int, seed: int) -> None:
    told = telling(count, Random(seed))
    assert sorted(told) == list(range(count))
    assert count == 1 or told != tuple(range(count))


def test_connectives_tell_the_order() -> None:
    assert Video(SENTENCES, TIMES, (0, 1, 2, 3)).prompt == " ".join(SENTENCES)
    assert Video(SENTENCES, TIMES, (1, 0, 2, 3)).prompt == (
        "He takes a ball. Before that, a man opens a box. After all that, he throws the ball. Then he waves."
    )


@pytest.mark.parametrize(
    ("predicate", "target", "expected"),
    [
        ("open", "box", 0),
        ("throw", "ball", 2),
        ("throw", "", 2),
        ("throw", "stone", 2),
        ("fly", "ball", None),
        ("is", "ball", None),
    ],
)
def test_an_event_belongs_to_the_sentence_with_its_words(predicate: str, target: str, expected: int | None) -> None:
    assert owner(predicate, target, SENTENCES) == expected


def test_an_event_that_two_sentences_tell_belongs_to_none() -> None:
    assert owner("walk", "", ("A man walks.", "He walks on.")) is None
    assert owner("walk to", "box", ("A man walks.", "He walks to a box.")) == 1


def test_a_sentences_interval_reaches_over_its_events() -> None:
    objects = tuple(SceneObject(id=name, label=name) for name in ("man", "box", "ball"))
    told = (("open", "box", 0, 2), ("take", "ball", 2, 4), ("open", "box", 4, 6), ("sing", None, 6, 8))
    events = tuple(Event(agent="man", predicate=p, target=t, start=a, end=b) for p, t, a, b in told)
    plan = ActionPlan(prompt=" ".join(SENTENCES), ticks=8, objects=objects, events=events)
    assert planned(plan, SENTENCES) == {0: (0.0, 0.75), 1: (0.25, 0.5)}


def test_what_is_told_in_order_agrees_and_what_is_turned_round_does_not() -> None:
    straight, back = (Video(SENTENCES, TIMES, told) for told in ((0, 1, 2, 3), (3, 2, 1, 0)))
    assert compare(as_told(straight), straight) == {"sentences": 4, "mapped": 4, "iou": 4.0, "pairs": 6, "tau": 1.0}
    assert compare(as_told(back), back)["tau"] == -1.0
    assert compare({0: (0.0, 1.0), 2: (0.0, 1.0)}, straight)["tau"] == 0.0
    assert compare({1: (0.0, 1.0)}, straight) == {"sentences": 4, "mapped": 1, "iou": 0.25, "pairs": 0, "tau": None}
    together = Video(SENTENCES[:2], ((0.0, 0.5), (0.0, 1.0)), (0, 1))
    assert compare(as_told(together), together)["pairs"] == 0


def test_intervals_overlap_by_their_share() -> None:
    assert iou((0.0, 0.5), (0.25, 1.0)) == 0.25
    assert iou((0.0, 0.5), (0.5, 1.0)) == 0.0
    assert iou((0.5, 0.5), (0.5, 0.5)) == 0.0


def test_videos_are_drawn_alike_for_both_tellings(tmp_path: Path) -> None:
    file = tmp_path / "val.json"
    row = {"duration": 10.0, "timestamps": [[5, 12], [0, 5]], "sentences": [" He waves.", "A man  sits."]}
    long = {**row, "sentences": ["A man sits." * 200, "He waves."]}
    rows = {f"v{i}": {**row, "sentences": [f"He waves {i} times.", "A man sits."]} for i in range(5)} | {"long": long}
    file.write_text(json.dumps(rows | {"v9": row}), encoding="utf-8")
    joined, shuffled = load(file, 9, False), load(file, 9, True)
    assert len(joined) == len(shuffled) == 6
    assert [video.sentences for video in joined] == [video.sentences for video in shuffled]
    first = next(video for video in joined if video.sentences[1] == "He waves.")
    assert first == Video(("A man sits.", "He waves."), ((0.0, 0.5), (0.5, 1.0)), (0, 1))
    assert all(video.told == (1, 0) for video in shuffled)
    file.write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match="not a file of ActivityNet Captions"):
        load(file, 9, False)
