"""Validity: an engine's replies are held against their schemas, whatever the planner says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.validity import judge, load, watch
from planners.contracts import PlanResult
from planners.dsg import UserError
from planners.dysen import DysenPlanner
from planners.engines import Capabilities, Reply, Request

SPLITS = {"A dog runs.": "a dog runs", "A cat sits.": "a cat sits"}


class Twisted:
    """Leaves its schema ``wrong`` times, then answers with the first option or, for a split, rightly."""

    name = "twisted"
    capabilities = Capabilities(constrained=True, batched=True, seeded=True, local=True)

    def __init__(self, wrong: int) -> None:
        self.wrong = wrong

    def generate(self, requests: list[Request]) -> list[Reply]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        asked = [m.content for m in request.messages if m.role == "user" and not m.content.startswith("That was")][-1]
        if self.wrong:
            self.wrong -= 1
            text = '"moon"'
        elif "enum" in request.json_schema:
            text = json.dumps(request.json_schema["enum"][0])
        else:
            text = json.dumps(SPLITS[asked])
        return Reply(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1, seconds=0.0)


def judgement(wrong: int, prompt: str = "A dog runs.") -> dict[str, Any]:
    planner = DysenPlanner(Twisted(wrong), imagine=False)  # type: ignore[arg-type]
    schemas = watch(planner)
    return judge(planner.plan([prompt], ticks=4, seed=0)[0], schemas)


@pytest.mark.parametrize(
    ("wrong", "ended", "valid", "status"),
    [(0, "first try", True, "valid"), (2, "repaired", True, "repaired"), (3, "failed", False, "failed")],
)
def test_a_question_counts_by_how_it_ended(wrong: int, ended: str, valid: bool, status: str) -> None:
    found = judgement(wrong)
    assert found["steps"]["split"][ended] == 1
    assert found["steps"]["split"]["outside"] == wrong
    assert (found["valid"], found["status"], found["plan"]) == (valid, status, valid)
    assert found["taken"] == valid
    assert len(found["errors"]) == wrong


def test_a_reply_in_its_schema_that_is_refused_for_its_meaning_is_valid_but_not_taken() -> None:
    planner = DysenPlanner(Twisted(3), imagine=False)  # type: ignore[arg-type]
    schemas = watch(planner)
    [result] = planner.plan(["A dog runs."], ticks=4, seed=0)
    found = judge(result, {messages: {"type": "string"} for messages in schemas})
    assert (found["valid"], found["taken"], found["status"]) == (True, False, "failed")


def test_a_reply_that_the_planner_takes_outside_its_schema_is_told() -> None:
    planner = DysenPlanner(Twisted(0), imagine=False)  # type: ignore[arg-type]
    schemas = watch(planner)
    [result] = planner.plan(["A dog runs."], ticks=4, seed=0)
    strict = {messages: {"enum": ["something else"]} for messages in schemas}
    found = judge(result, strict)
    assert not found["valid"]
    assert found["steps"]["split"]["taken outside"] == 1


def test_a_prompt_that_was_asked_nothing_is_not_valid() -> None:
    [result] = DysenPlanner(Twisted(0), imagine=False).plan(["A cat sits."], ticks=4, seed=0)  # type: ignore[arg-type]
    empty = PlanResult(prompt="…", plan=None, stages=result.stages, transcript=[], degraded="no words")
    assert judge(empty, {}) == {
        "steps": {},
        "errors": [],
        "valid": False,
        "taken": False,
        "status": "failed",
        "plan": False,
        "reason": "no words",
    }


def test_prompts_come_once_each_from_all_lists(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no prompts there"):
        load(tmp_path)
    (tmp_path / "a.txt").write_text("a dog\n\na cat\na dog\n", encoding="utf-8")
    (tmp_path / "b.json").write_text('[{"prompt_en": "a cow"}, {"prompt": "a cat"}]', encoding="utf-8")
    assert sorted(load(tmp_path)) == ["a cat", "a cow", "a dog"]
    assert load(tmp_path) == load(tmp_path)
    (tmp_path / "c.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(UserError, match=r"c\.json: not a list of prompts"):
        load(tmp_path)
