"""The planner's own questions about a demonstration with their right answers: what a planner model is tuned on.

Stage I's questions are those that :class:`planners.dysen.DysenPlanner` asks an engine which knows the demonstration by
heart, so they are asked word for word as later at work. A demonstration is refused where the planner does not take an
answer or does not arrive at the demonstration's plan, and an answer is left out where its schema would not allow it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from planners.action_planning import order_question, parsed
from planners.demonstrations import Demonstration
from planners.dysen import DysenPlanner, demonstrated, scene_example
from planners.engines import Capabilities, Message, Reply, Request
from planners.questions import Question, instructions, to_json
from planners.scene_imagination import (
    MAX_ADDED,
    Vocabulary,
    enriched_example,
    flawed_example,
    polish_question,
    window_question,
)

STEPS = ("split", "act", "name", "refer", "order", "imagine", "polish")


@dataclass(frozen=True)
class Answered:
    """A question of one step, as the chat that the model gets, and the right reply's text."""

    step: str
    messages: tuple[Message, ...]
    answer: str


def answered(
    example: Demonstration, words: Vocabulary | None = None, *, imagine: bool = True, pool: Sequence[Demonstration] = ()
) -> list[Answered]:
    """All questions about a demonstration, with the worked examples of ``pool`` in front of them (none by default).

    Raises ValueError where the planner does not find in the right answers what the demonstration says.
    """
    engine = _GoldEngine(example)
    ticks = len(example.imagined)
    (result,) = DysenPlanner(engine, imagine=False, pool=pool).plan([example.prompt], ticks=ticks, seed=0)
    if result.degraded or result.plan != demonstrated(example, ticks):
        raise ValueError(
            f"{example.prompt!r}: the planner does not take its marks: {result.degraded or 'another plan'}"
        )
    found = [Answered(step, request.messages, reply) for step, request, reply in engine.asked]
    return [*found, *_imagined(example, words)] if imagine else found


def _imagined(example: Demonstration, words: Vocabulary | None) -> list[Answered]:
    scene = scene_example(example)
    segments = scene.dsg.segments()
    if len(segments) != len(example.imagined):
        return []
    asked: list[tuple[Question[Any], Any]] = []
    for i, lines in enumerate(example.imagined):
        enriched = enriched_example(scene, upto=i)
        asked.append((window_question(enriched, segments, i, (), words), {"add": list(lines[:MAX_ADDED])}))
    flawed, remove = flawed_example(scene)
    asked.append((polish_question(flawed, (), words), {"remove": remove, "change": [], "add": []}))
    found = []
    for question, answer in asked:
        question.check(answer)
        if _allowed(question.json_schema, answer):
            found.append(Answered(question.step.split()[0], question.messages, to_json(answer)))
    return found


class _GoldEngine:
    """Answers from a demonstration's marks, and keeps what it was asked."""

    name = "gold"
    capabilities = Capabilities(constrained=True, batched=True, seeded=True, local=True)

    def __init__(self, example: Demonstration) -> None:
        segments = [_unmarked(clause) for clause in example.clauses]
        self._known: dict[str, dict[str, Any]] = {
            "split": {example.prompt: " / ".join(segments)},
            "act": dict(zip(segments, example.clauses, strict=True)),
            "name": {_unmarked(name): name for name in example.names},
            "refer": {f"{example.prompt}\n{asked}": told for asked, told in example.references.items()},
        }
        if example.order:
            shown = order_question([parsed(clause) for clause in example.clauses], [example]).messages[1:3]
            self._known["order"] = {shown[0].content: json.loads(shown[1].content)}
        self._steps = {instructions(step): step for step in STEPS}
        self.asked: list[tuple[str, Request, str]] = []

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        step = self._steps[request.messages[0].content]
        try:
            value = self._known[step][request.messages[-1].content]
        except KeyError:
            raise ValueError(f"no mark answers {request.messages[-1].content!r} ({step})") from None
        if not _allowed(request.json_schema, value):
            raise ValueError(f"{value!r} is not among the allowed answers ({step})")
        text = to_json(value)
        self.asked.append((step, request, text))
        return Reply(text=text, finish_reason="stop", prompt_tokens=0, completion_tokens=0, seconds=0.0)


def _allowed(schema: dict[str, Any], value: Any) -> bool:
    """Whether a value obeys a schema of this package's questions: enumerations, patterns, lists, objects."""
    if "enum" in schema:
        return value in schema["enum"]
    if "pattern" in schema:
        return isinstance(value, str) and re.search(schema["pattern"], value) is not None
    if schema["type"] == "object":
        return all(_allowed(schema["properties"][key], item) for key, item in value.items())
    if schema["type"] == "array":
        counted = schema.get("minItems", 0) <= len(value) <= schema["maxItems"]
        return counted and all(_allowed(schema["items"], item) for item in value)
    raise AssertionError(f"no question has such a schema: {schema}")


def _unmarked(text: str) -> str:
    return text.replace("[", "").replace("]", "")
