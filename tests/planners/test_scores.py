"""Plan scores: a perfect plan is perfect whatever its ids, and each kind of mistake shows in its own figure."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.dsg import ActionPlan, Event, SceneObject
from planners.scores import score, summary


def plan(events: list[tuple[str, str, str | None, int, int]], **changes: Any) -> ActionPlan:
    """A plan of a girl, a box and two dogs; ids may be changed."""
    fields: dict[str, Any] = {
        "prompt": "p",
        "ticks": 8,
        "objects": [("girl", "girl"), ("box", "box"), ("dog_1", "dog"), ("dog_2", "dog")],
        "attributes": [("dog_1", "white"), ("dog_2", "black")],
        **changes,
    }
    fields["objects"] = tuple(SceneObject(id=ident, label=label) for ident, label in fields["objects"])
    made = [Event(agent=a, predicate=p, target=t, start=s, end=e) for a, p, t, s, e in events]
    return ActionPlan(**{**fields, "attributes": tuple(fields["attributes"]), "events": tuple(made)})


GOLD = plan([("girl", "walk to", "box", 0, 4), ("girl", "jump over", "box", 4, 8), ("dog_2", "run", None, 4, 8)])


def test_a_plan_agrees_with_itself_under_other_ids_and_another_order_of_objects() -> None:
    other = plan(
        [("a", "walk to", "b", 0, 4), ("d", "run", None, 4, 8), ("a", "jump over", "b", 4, 8)],
        objects=[("d", "dog"), ("c", "dog"), ("b", "box"), ("a", "girl")],
        attributes=[("c", "white"), ("d", "black")],
    )
    found = score(other, GOLD)
    assert found.right
    assert summary([found]) == summary([score(GOLD, GOLD)])
    assert summary([found]).f1 == summary([found]).order == summary([found]).interval_iou == 1


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("girl", "walk to", "box", 0, 4)], {"precision": 1, "recall": 1 / 3}),
        ([("dog_1", "run", None, 4, 8)], {"precision": 0, "recall": 0}),
        ([("girl", "walk to", "dog_1", 0, 4)], {"precision": 0}),
        (
            [("girl", "jump over", "box", 0, 4), ("girl", "walk to", "box", 4, 8), ("dog_2", "run", None, 4, 8)],
            {"f1": 1, "order": 0, "interval_iou": 1 / 3},
        ),
        (
            [("girl", "walk to", "box", 0, 2), ("girl", "jump over", "box", 2, 8), ("dog_2", "run", None, 2, 8)],
            {"f1": 1, "order": 1, "interval_iou": (1 / 2 + 2 / 3 + 2 / 3) / 3, "right": 1},
        ),
    ],
)
def test_each_mistake_shows_in_its_own_figure(events: list[Any], expected: dict[str, float]) -> None:
    found = summary([score(plan(events), GOLD)])
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)


def test_a_wrong_attribute_makes_a_plan_wrong_but_not_its_events() -> None:
    other = plan([tuple(e.model_dump().values()) for e in GOLD.events], attributes=[("dog_2", "black")])
    found = score(other, GOLD)
    assert found.matched == 3
    assert not found.right


def test_no_plan_finds_nothing() -> None:
    found = summary([score(None, GOLD)])
    assert (found.recall, found.f1, found.right) == (0, 0, 0)
    assert math.isnan(found.precision)


@given(st.lists(st.sampled_from(GOLD.events), max_size=6))
def test_scores_are_fractions_and_no_event_is_matched_twice(events: list[Event]) -> None:
    ordered = tuple(sorted(events, key=lambda event: event.start))
    found = score(GOLD.model_copy(update={"events": ordered}), GOLD)
    assert found.matched <= min(found.planned, found.gold)
    assert found.overlap <= found.matched
    assert found.pairs_in_order <= found.pairs == found.matched * (found.matched - 1) // 2
