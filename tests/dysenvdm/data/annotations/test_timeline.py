"""From frames to ticks: every graph is valid, whole ticks survive the way to frames and back, two dogs stay two."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysenvdm.data.annotations.timeline import (
    BadAnnotation,
    Footage,
    Interval,
    Statement,
    Track,
    frames_of_ticks,
    joined,
    parts,
    scene_graph,
    without_flicker,
)
from planners.dsg import DynamicSceneGraph, tick_of_frame

FPS = 10.0


def intervals(frames: int) -> st.SearchStrategy[Interval]:
    return st.tuples(st.integers(0, frames - 1), st.integers(1, frames)).map(
        lambda pair: (min(pair), max(pair[1], pair[0] + 1))
    )


@st.composite
def footages(draw: st.DrawFn) -> Footage:
    frames = draw(st.integers(8, 200))
    spans = intervals(frames)
    labels = st.sampled_from(["dog", "dog 1", "dog_1", "cup", "人"])
    tracks = [
        Track(str(key), draw(labels), tuple(draw(st.lists(spans, max_size=3))))
        for key in range(draw(st.integers(1, 6)))
    ]
    key = st.sampled_from([track.key for track in tracks])
    statement = st.builds(
        Statement, key, st.sampled_from(["chase", "in front of"]), st.one_of(st.none(), key), frames=spans
    )
    return Footage("clip", "clip.mp4", frames, FPS, tuple(tracks), tuple(draw(st.lists(statement, max_size=8))))


@given(footages(), st.integers(1, 8), st.floats(0, 2), st.one_of(st.none(), st.floats(0.8, 5)))
def test_every_graph_is_valid_and_objects_keep_their_ids_in_every_part(
    footage: Footage, ticks: int, join: float, seconds: float | None
) -> None:
    labels: dict[str, str] = {}
    whole = {track.label for track in footage.tracks}
    for cut in parts(footage, seconds):
        if cut[1] - cut[0] < ticks:
            continue
        dsg = scene_graph(without_flicker(footage, join), ticks, cut)
        assert DynamicSceneGraph.from_json(dsg.to_json()) == dsg
        for thing in dsg.objects:
            assert labels.setdefault(thing.id, thing.label) == thing.label
            assert thing.label in whole


@given(st.integers(1, 2000), st.floats(1, 60), st.floats(0.1, 100))
def test_parts_are_a_whole_video_and_none_is_shorter_than_asked_for(frames: int, fps: float, seconds: float) -> None:
    cuts = parts(Footage("c", "c", frames, fps, (), ()), seconds)
    assert [frame for cut in cuts for frame in range(*cut)] == list(range(frames))
    assert len(cuts) == 1 or all((end - start) / fps >= seconds * (1 - 1e-9) for start, end in cuts)
    assert max(end - start for start, end in cuts) - min(end - start for start, end in cuts) <= 1


@given(footages())
def test_every_statement_of_an_uncut_video_is_in_its_graph(footage: Footage) -> None:
    dsg = scene_graph(footage, 8)
    assert len({fact.statement for fact in dsg.facts}) == len({statement.said for statement in footage.statements})


@given(st.data())
def test_intervals_of_whole_ticks_survive_the_way_to_frames_and_back(data: st.DataObject) -> None:
    ticks = data.draw(st.integers(1, 24))
    frames = data.draw(st.integers(ticks, 300))
    start, end = data.draw(intervals(ticks))
    held = frames_of_ticks(start, end, frames, ticks)
    assert {tick_of_frame(frame, frames, ticks) for frame in range(*held)} == set(range(start, end))
    dog = Track("1", "dog", ((0, frames),))
    [fact] = scene_graph(Footage("c", "c", frames, FPS, (dog,), (Statement("1", "run", None, held),)), ticks).facts
    assert (fact.start, fact.end) == (start, end)


@given(st.data())
def test_a_fact_is_less_than_a_tick_away_from_its_frames(data: st.DataObject) -> None:
    frames, ticks = data.draw(st.integers(8, 300)), 8
    held = data.draw(intervals(frames))
    dog = Track("1", "dog", ())
    [fact] = scene_graph(Footage("c", "c", frames, FPS, (dog,), (Statement("1", "run", None, held),)), ticks).facts
    first, last = frames_of_ticks(fact.start, fact.end, frames, ticks)
    longest = -(-frames // ticks)
    assert abs(first - held[0]) <= longest
    assert abs(last - held[1]) <= longest
    if held[1] - held[0] >= 2 * longest:  # both ends at the nearest boundary
        assert abs(first - held[0]) <= (longest + 1) // 2
        assert abs(last - held[1]) <= (longest + 1) // 2


@given(st.lists(intervals(100), max_size=8), st.integers(0, 10))
def test_joining_keeps_every_frame_and_leaves_gaps_that_are_long_enough(spans: list[Interval], gap: int) -> None:
    result = joined(spans, gap)
    covered = {frame for span in spans for frame in range(*span)}
    assert covered <= {frame for span in result for frame in range(*span)}
    assert all(after[0] - before[1] >= max(gap, 1) for before, after in pairwise(result))
    if gap <= 1:
        assert covered == {frame for span in result for frame in range(*span)}


def test_a_fact_that_flickers_is_one_and_one_that_pauses_is_two() -> None:
    dog = Track("1", "dog", ((0, 100),))
    run = tuple(Statement("1", "run", None, span) for span in ((0, 20), (23, 40), (60, 100)))
    footage = without_flicker(Footage("c", "c", 100, FPS, (dog,), run), 0.5)
    assert [statement.frames for statement in footage.statements] == [(0, 40), (60, 100)]
    assert [(fact.start, fact.end) for fact in scene_graph(footage, 10).facts] == [(0, 4), (6, 10)]


def test_a_cut_leaves_no_slivers_and_says_when_objects_are_there() -> None:
    dogs = (Track("7", "dog", ((0, 52),)), Track("9", "dog", ((40, 100),)))
    footage = Footage("c", "c", 100, FPS, dogs, (Statement("7", "chase", "9", (45, 52)),))
    before, after = (scene_graph(footage, 5, cut) for cut in parts(footage, 5.0))
    assert [(thing.id, thing.start, thing.end) for thing in before.objects] == [("dog_1", 0, None), ("dog_2", 4, None)]
    assert [(fact.subject, fact.object, fact.start, fact.end) for fact in before.facts] == [("dog_1", "dog_2", 4, 5)]
    assert [thing.id for thing in after.objects] == ["dog_2"]
    assert after.facts == ()


def test_too_few_frames_and_too_many_objects_are_said() -> None:
    with pytest.raises(BadAnnotation, match="7 frames cannot hold 8 ticks") as error:
        scene_graph(Footage("c", "c", 7, FPS, (), ()), 8)
    assert error.value.reason == "too short"
    crowd = tuple(Track(str(i), "person", ((0, 9),)) for i in range(300))
    with pytest.raises(BadAnnotation, match="objects") as error:
        scene_graph(Footage("c", "c", 9, FPS, crowd, ()), 8)
    assert error.value.reason == "bad scene graph"
