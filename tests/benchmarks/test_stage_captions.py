"""Stage figures: the groups of captions, and the same figures as the scores' own summary."""

from __future__ import annotations

import pytest

from benchmarks.planners import events, figures, judge, phrasing, stage_gold
from planners.dsg import ActionPlan, Event, SceneObject
from planners.rules import RulesPlanner
from planners.scores import score, summary

GOLD = stage_gold(6000, 60)


TURNS = ((0, 4), (4, 8))


@pytest.mark.parametrize(
    ("prompt", "spans", "expected"),
    [
        ("A man hugs a girl.", ((0, 8),), ["single"]),
        ("A man falls down, then a horse jumps.", TURNS, ["chained"]),
        ("A dog jumps. After that, it runs.", TURNS, ["chained"]),
        ("On the street, after a dog walks to the right, the dog jumps.", TURNS, ["chained"]),
        ("A cat runs to the right while a horse jumps.", ((0, 8), (0, 8)), ["simultaneous"]),
        ("A cat walks to a bench after walking to the left.", TURNS, ["out of order"]),
        ("In a snow field, before a woman jumps, she waves.", TURNS, ["out of order"]),
        ("Before spinning, a dog runs to the left.", TURNS, ["out of order"]),
        ("Before a cat spins, it jumps as a dog runs.", ((0, 4), (0, 4), (4, 8)), ["simultaneous", "out of order"]),
    ],
)
def test_captions_are_grouped_by_how_they_tell(
    prompt: str, spans: tuple[tuple[int, int], ...], expected: list[str]
) -> None:
    told = tuple(Event(agent="a", predicate="act", start=start, end=end) for start, end in spans)
    assert (
        phrasing(ActionPlan(prompt=prompt, ticks=8, objects=(SceneObject(id="a", label="a"),), events=told)) == expected
    )


def test_every_caption_has_its_groups() -> None:
    assert {name for gold in GOLD for name in phrasing(gold)} == {"single", "chained", "simultaneous", "out of order"}
    assert {name for gold in GOLD for name in events(gold)} >= {"1 event", "2 events", "3 events"}


def test_the_figures_are_those_of_the_summary() -> None:
    results = RulesPlanner().plan([gold.prompt for gold in GOLD], ticks=GOLD[0].ticks, seed=0)
    results[0] = results[0].model_copy(update={"plan": None})
    whole = summary([score(result.plan, gold) for result, gold in zip(results, GOLD, strict=True)])
    found = figures([judge(GOLD, i, result) for i, result in enumerate(results)])
    wanted = (whole.right, whole.precision, whole.recall, whole.f1, whole.order, whole.interval_iou)
    assert [text.split()[0] for text in found] == [f"{value:.3f}" for value in wanted]
