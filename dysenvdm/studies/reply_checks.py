"""Do a language model's replies obey their schemas? Checked apart from the planner, with the jsonschema library.

A *question* is what a planner asks of its engine once and, where the reply is refused, at most twice again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jsonschema import ValidationError, validate

from planners.contracts import Call, Planner
from planners.dysen import DysenPlanner
from planners.engines import Capabilities, Engine, Message, Reply, Request

Schemas = dict[tuple[Message, ...], dict[str, Any]]
"""JSON schemas by the questions that they bind."""
OUTCOMES = ("first try", "repaired", "failed")


class Watched:
    """An engine whose questions' schemas are kept."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.schemas: Schemas = {}

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def capabilities(self) -> Capabilities:
        return self.engine.capabilities

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        self.schemas.update((request.messages, request.json_schema) for request in requests)
        return self.engine.generate(requests)


def watch(planner: Planner) -> Schemas:
    """Keep the schemas of all that the planner's engine is asked from now on; none for a planner without an engine."""
    if not isinstance(planner, DysenPlanner):
        return {}
    planner.engine = watched = Watched(planner.engine)
    return watched.schemas


def questions(calls: Sequence[Call]) -> list[list[Call]]:
    """The calls of each question: the first attempt and those that repeat it."""
    found: list[list[Call]] = []
    for call in calls:
        if call.attempt == 0:
            found.append([])
        found[-1].append(call)
    return found


def outcome(calls: Sequence[Call]) -> str:
    """How a question ended."""
    if calls[-1].error is not None:
        return "failed"
    return "first try" if len(calls) == 1 else "repaired"


def obeys(reply: str, schema: dict[str, Any]) -> bool:
    """Whether a reply is JSON that a schema allows."""
    try:
        validate(json.loads(reply), schema)
    except (ValueError, RecursionError, ValidationError):
        return False
    return True
