"""Stage figures: the groups of captions, and the same figures as the scores' own summary."""

from __future__ import annotations

import pytest

from benchmarks.planners import GROUPINGS, TICKS, events, figures, judge, numbers_of, stage_clips
from dysenvdm.stage.captions import STYLES
from planners.dsg import UserError
from planners.rules import RulesPlanner
from planners.scores import score, summary

CLIPS = stage_clips(6000, 60)
GOLD = [clip.plan for clip in CLIPS]


def test_every_caption_has_its_groups() -> None:
    phrasing = GROUPINGS["phrasing"]
    assert {name for clip in CLIPS for name in phrasing(clip)} == {"single", "chained", "simultaneous", "out of order"}
    assert {name for clip in CLIPS for name in events(clip)} >= {"1 event", "2 events", "3 events"}
    assert {name for clip in CLIPS for name in GROUPINGS["style"](clip)} == set(STYLES)


def test_numbers_of_events_take_turns_and_are_held_out() -> None:
    clips = stage_clips(6000, 16, numbers=numbers_of("1-8"))
    assert [len(clip.plan.events) for clip in clips] == [1, 2, 3, 4, 5, 6, 7, 8] * 2
    assert [clip.split for clip in clips[:8]] == ["val"] * 5 + ["more-events"] * 3
    assert {clip.plan.ticks for clip in clips} == {TICKS}
    assert numbers_of(None) == ()
    for wrong in ("many", "3-1", "-2"):
        with pytest.raises(UserError, match="a number or a range"):
            numbers_of(wrong)


def test_the_figures_are_those_of_the_summary() -> None:
    results = RulesPlanner().plan([gold.prompt for gold in GOLD], ticks=GOLD[0].ticks, seed=0)
    results[0] = results[0].model_copy(update={"plan": None})
    whole = summary([score(result.plan, gold) for result, gold in zip(results, GOLD, strict=True)])
    found = figures([judge(GOLD, i, result) for i, result in enumerate(results)])
    wanted = (whole.right, whole.precision, whole.recall, whole.f1, whole.order, whole.interval_iou)
    assert [text.split()[0] for text in found] == [f"{value:.3f}" for value in wanted]
