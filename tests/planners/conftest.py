"""A language model that knows the demonstrations by heart, so that the planner's own work is what is tested."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from planners.action_planning import order_question, parsed
from planners.demonstrations import Demonstration, demonstrations
from planners.engines import Capabilities, Reply, Request
from planners.questions import instructions

STEPS = ("split", "act", "name", "refer", "order", "imagine", "polish")
Twist = Callable[[str, Request, int], Reply | str | None]
"""Given step, request and how often the engine was called: another reply, or None for the right one."""


def plain(marked: str) -> str:
    return marked.replace("[", "").replace("]", "")


def step_of(request: Request) -> str:
    return next(step for step in STEPS if request.messages[0].content == instructions(step))


class Oracle:
    """Answers from the demonstrations' marks; ``twist`` may answer instead. ``batches`` are the requests it got."""

    name = "oracle"
    capabilities = Capabilities(constrained=True, batched=True, seeded=True, local=True)

    def __init__(self, twist: Twist | None = None) -> None:
        self.twist = twist
        self.batches: list[list[Request]] = []
        self.known: dict[str, dict[str, Any]] = {step: {} for step in STEPS}
        for example in demonstrations():
            self._learn(example)

    def _learn(self, example: Demonstration) -> None:
        segments = [plain(clause) for clause in example.clauses]
        self.known["split"][example.prompt] = " / ".join(segments)
        self.known["act"] |= dict(zip(segments, example.clauses, strict=True))
        self.known["name"] |= {plain(name): name for name in example.names}
        self.known["refer"] |= {f"{example.prompt}\n{asked}": told for asked, told in example.references.items()}
        if example.order:
            question = order_question([parsed(clause) for clause in example.clauses], [example])
            asked, answer = question.messages[1:3]
            self.known["order"][asked.content] = json.loads(answer.content)

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        self.batches.append(list(requests))
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        step = step_of(request)
        twisted = self.twist(step, request, len(self.batches)) if self.twist else None
        if isinstance(twisted, Reply):
            return twisted
        return reply(self._right(step, request) if twisted is None else twisted)

    def _right(self, step: str, request: Request) -> str:
        asked = [
            m.content for m in request.messages if m.role == "user" and not m.content.startswith("That was wrong")
        ][-1]
        if step == "imagine":
            now = asked.split("\n")[2].removeprefix("now: ")
            return json.dumps({"add": [f"{now.split(' ')[0]} is very real"]})
        if step == "polish":
            return json.dumps({"remove": [], "change": [], "add": []})
        return json.dumps(self.known[step][asked])


def reply(text: str, finish_reason: str = "stop") -> Reply:
    return Reply(
        text=text,
        finish_reason="length" if finish_reason == "length" else "stop",
        prompt_tokens=1,
        completion_tokens=2,
        seconds=0.0,
    )


@pytest.fixture(scope="session")
def oracle() -> Callable[..., Oracle]:
    return Oracle


@pytest.fixture
def make_reply() -> Callable[..., Reply]:
    return reply
