"""The chat-completions protocol as pure functions: a request as it travels, and a reply as it comes back.

Strict structured outputs want an object at the root of a schema, so one that is a bare string travels as
``{"answer": ...}``, the worked examples of the chat with it, and the reply is unwrapped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set
from typing import Annotated, Any

from pydantic import BaseModel, Field

from planners.engines import Request
from planners.questions import to_json

KEYWORDS = frozenset(("pattern", "minItems", "maxItems"))
"""Keywords that a schema does without where a server refuses them: the planner checks every reply once more."""
WRAPPING_TOKENS = 8
"""Room for ``{"answer": }``."""


class Message(BaseModel):
    """What the model said; its thoughts have two names."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(BaseModel):
    message: Message
    finish_reason: str | None = None


class Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(BaseModel):
    """A reply's body, as far as it is read."""

    choices: Annotated[list[Choice], Field(min_length=1)]
    usage: Usage | None = None


class Model(BaseModel):
    id: str


class Models(BaseModel):
    """The body of a list of models."""

    data: list[Model]


def body(request: Request, without: Set[str], thinking_tokens: int) -> dict[str, Any]:
    """A request as JSON, without the keywords and parameters named in ``without``; the model is still to be named."""
    wrap = wraps(request.json_schema)
    messages = [message.model_dump() for message in request.messages]
    for message in messages:
        if wrap and message["role"] == "assistant" and _is_json(message["content"]):
            message["content"] = f'{{"answer": {message["content"]}}}'
    schema = wire_schema(request.json_schema, without)
    length = request.max_tokens + thinking_tokens + (WRAPPING_TOKENS if wrap else 0)
    parameters = {
        "temperature": request.temperature,
        "seed": request.seed,
        "max_tokens": length,
        "max_completion_tokens": length,
    }
    return {
        "messages": messages,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        },
        **{name: value for name, value in parameters.items() if name not in without},
    }


def wire_schema(schema: dict[str, Any], without: Set[str] = frozenset()) -> dict[str, Any]:
    """A request's schema as strict servers take it: an object at the root, every enum with its type."""
    strict = plain_schema(schema, without)
    if not wraps(schema):
        return strict
    return {"type": "object", "properties": {"answer": strict}, "required": ["answer"], "additionalProperties": False}


def wraps(schema: dict[str, Any]) -> bool:
    """Whether a schema's replies travel as ``{"answer": ...}``."""
    return schema.get("type") != "object"


def unwrapped(text: str) -> str:
    """The answer within a wrapped reply; any other text as it is, for the planner to refuse."""
    try:
        value = json.loads(text)
        answer = to_json(value["answer"]) if isinstance(value, dict) and value.keys() == {"answer"} else text
        answer.encode()  # half a character, as JSON may escape it, is no text
    except (ValueError, RecursionError):
        return text
    return answer


def keywords(schema: Any) -> set[str]:
    """Those of :data:`KEYWORDS` that a schema uses anywhere."""
    if isinstance(schema, list):
        return set().union(*map(keywords, schema))
    if not isinstance(schema, dict):
        return set()
    return set(KEYWORDS & schema.keys()).union(*map(keywords, schema.values()))


def plain_schema(schema: dict[str, Any], without: Set[str] = frozenset()) -> dict[str, Any]:
    """A schema in the words that every grammar compiler knows: every enum with its type, none empty, plain escapes."""
    made = {key: value for key, value in schema.items() if key not in without & KEYWORDS}
    if "enum" in made:
        if not made["enum"]:  # of an array that stays empty: no server takes it
            return {"type": "string"}
        made["type"] = "integer" if all(isinstance(value, int) for value in made["enum"]) else "string"
    if "pattern" in made:
        made["pattern"] = _plain_escapes(made["pattern"])
    if "items" in made:
        made["items"] = plain_schema(made["items"], without)
    if "properties" in made:
        made["properties"] = {key: plain_schema(value, without) for key, value in made["properties"].items()}
    return made


def _plain_escapes(pattern: str) -> str:
    r"""A pattern without those escapes of Python's ``re.escape`` that JSON Schema's expressions do not know: ``\ ``."""
    return re.sub(r"\\(.)", lambda found: found[1] if found[1] in " #&~-" else found[0], pattern)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
