"""Plans against gold plans in the registry's terms."""

from __future__ import annotations

import pytest

from dysenvdm.metrics import Item, Material, measure
from dysenvdm.stage import StageClip, sample
from dysenvdm.studies.plan_metrics import register_plan_metrics
from planners.dsg import UserError

CLIPS = [sample(i, split="val") for i in range(4)]


@pytest.fixture(autouse=True)
def registered() -> None:
    register_plan_metrics()
    register_plan_metrics()  # twice is once


def asked(clip: StageClip, made: StageClip | None) -> Item:
    made_graph, made_plan = (made.dsg, made.plan) if made else (None, None)
    return Item(f"{clip.seed}", graph=made_graph, plan=made_plan, gold_graph=clip.dsg, gold_plan=clip.plan)


def values(name: str, items: list[Item]) -> dict[str, float | None]:
    return {result.figure: result.value for result in measure(name, Material(items))}


def test_gold_plans_are_right_in_everything() -> None:
    items = [asked(clip, clip) for clip in CLIPS]
    assert set(values("plan", items).values()) == {1.0}
    assert set(values("trirec", items).values()) == {1.0}


def test_another_prompts_plan_is_not() -> None:
    items = [asked(clip, other) for clip, other in zip(CLIPS, [*CLIPS[1:], CLIPS[0]], strict=True)]
    found = values("plan", items) | values("trirec", items)
    for figure in ("event_f1", "right", "trirec", "precision"):
        value = found[figure]
        assert value is not None
        assert value < 0.5, figure


def test_no_plan_is_a_plan_without_events_and_a_missing_graph_is_named() -> None:
    items = [asked(CLIPS[0], None), asked(CLIPS[1], CLIPS[1])]
    found = values("plan", items)
    assert found["event_precision"] == 1
    assert found["right"] == 0.5
    with pytest.raises(UserError, match="its prompt was not planned"):
        measure("trirec", Material(items))
