"""Stage captions as demonstrations: any caption of plain clauses can be one; those that ship are exact and stay."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import planners
from dysenvdm.stage import sample
from dysenvdm.studies.stage_demonstrations import as_json, chosen, demonstration
from planners.demonstrations import Demonstration
from planners.dysen import demonstrated
from planners.scores import score

SHIPPED = Path(planners.__file__).parent / "stage_demonstrations.json"


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_marks_of_a_caption_are_its_gold_plan_however_it_is_told(seed: int) -> None:
    clip = sample(seed)
    for telling in clip.tellings:
        found = demonstration(clip, telling.text)
        assert found is not None or telling.beyond, telling.text
        if found is not None:
            assert score(demonstrated(found, clip.plan.ticks), clip.plan).right


def test_a_pool_is_written_as_it_is_read() -> None:
    pool = chosen(5)
    assert [Demonstration.model_validate(line) for line in json.loads(as_json(pool))] == pool


def test_the_shipped_ones_are_exact() -> None:
    """Their marks, references and order give exactly the events that they state."""
    lines = json.loads(SHIPPED.read_text(encoding="utf-8"))
    assert len(lines) == 60
    for line in lines:
        example = Demonstration.model_validate(line)
        plan = demonstrated(example, 8)
        starts = sorted({event.start for event in plan.events})
        told = [(e.agent, e.predicate, e.target, starts.index(e.start)) for e in plan.events]
        assert told == [(e.agent, e.predicate, e.target, e.step) for e in example.events], example.prompt


def test_the_shipped_ones_stay() -> None:
    """The planners' figures rest on them."""
    digest = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert digest == "8c3b3ed5e494565be91bf0aabec19d13a494705213ce2b4597b87ab84931bf6c"
