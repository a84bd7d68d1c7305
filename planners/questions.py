"""Asking a language model: one question has instructions, a schema, and a check; a bad answer is asked for again.

All questions of a step go to the engine in one batch, whatever prompts they belong to; only what failed is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from planners.contracts import Call
from planners.dsg import one_line
from planners.engines import UNANSWERED, Engine, Message, Reply, Request, TooLongError, split_thinking

T = TypeVar("T")

ATTEMPTS = 3
"""A question is asked once and at most twice again."""
MAX_ERROR_CHARACTERS = 500
"""Errors may quote a reply, which may be of any length."""


@dataclass(frozen=True)
class Question(Generic[T]):
    """``check`` turns the reply's JSON value into what was asked for, or raises ValueError with a line for it."""

    step: str
    messages: tuple[Message, ...]
    json_schema: dict[str, Any]
    max_tokens: int
    check: Callable[[Any], T]


@dataclass(frozen=True)
class Answer(Generic[T]):
    """``value`` is None where every attempt failed; ``error`` then says why the last one did."""

    value: T | None
    error: str | None
    calls: tuple[Call, ...]


def instructions(name: str) -> str:
    """The instruction text ``planners/prompts/{name}.txt``."""
    return _read_prompt(name)


@cache
def _read_prompt(name: str) -> str:
    return resources.files("planners").joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8").strip()


def chat(name: str, examples: Sequence[tuple[str, Any]], question: str) -> tuple[Message, ...]:
    """Instructions, worked examples as turns (their answers as JSON), and the question itself."""
    messages = [Message(role="system", content=instructions(name))]
    for asked, answer in examples:
        messages.append(Message(role="user", content=asked))
        messages.append(Message(role="assistant", content=to_json(answer)))
    return (*messages, Message(role="user", content=question))


def to_json(value: Any) -> str:
    """A value as the engines' schemas want it written: no line breaks, one blank after a comma and a colon."""
    return json.dumps(value, ensure_ascii=False)


def ask(engine: Engine, questions: Sequence[Question[T]], *, seed: int, temperature: float = 0.0) -> list[Answer[T]]:
    """Ask all questions together, then again those whose reply was cut off or refused by its check, with the reason."""
    answers: list[Answer[T]] = [Answer(None, None, ())] * len(questions)
    chats = [question.messages for question in questions]
    pending = list(range(len(questions)))
    for attempt in range(ATTEMPTS):
        if not pending:
            break
        requests = [
            Request(
                messages=chats[i],
                json_schema=questions[i].json_schema,
                max_tokens=questions[i].max_tokens,
                temperature=temperature,
                seed=seed + attempt,
                attempt=attempt,
            )
            for i in pending
        ]
        failed = []
        for i, reply in zip(pending, _replies(engine, requests), strict=True):
            answer, call = _judge(questions[i], chats[i], reply, attempt, engine.name)
            answers[i] = Answer(answer.value, answer.error, (*answers[i].calls, call))
            if answer.error is not None and reply.finish_reason not in UNANSWERED:  # it would only grow
                failed.append(i)
                chats[i] = _with_complaint(questions[i].messages, reply, answer.error)
        pending = failed
    return answers


def _replies(engine: Engine, requests: Sequence[Request]) -> list[Reply]:
    """The engine's replies. Where a request is too long for its model, the reply says so, and the others go on."""
    overlong: dict[int, Reply] = {}
    while len(overlong) < len(requests):
        fitting = [i for i in range(len(requests)) if i not in overlong]
        try:
            replies = engine.generate([requests[i] for i in fitting])
        except TooLongError as error:
            i = next(i for i in fitting if requests[i] is error.request)
            overlong[i] = Reply(
                text=str(error), finish_reason="overflow", prompt_tokens=0, completion_tokens=0, seconds=0.0
            )
            continue
        assert len(replies) == len(fitting), f"{engine.name} answered {len(replies)} of {len(fitting)} requests"
        return [reply for _, reply in sorted({**overlong, **dict(zip(fitting, replies, strict=True))}.items())]
    return [overlong[i] for i in range(len(requests))]


def _judge(
    question: Question[T], messages: tuple[Message, ...], reply: Reply, attempt: int, engine: str
) -> tuple[Answer[T], Call]:
    thinking, text = split_thinking(reply.text)
    value: T | None = None
    error: str | None = None
    if reply.finish_reason in UNANSWERED:
        error = text
    elif reply.finish_reason == "length":
        error = f"the reply was cut off after {reply.completion_tokens} tokens"
    else:
        try:
            found = json.loads(text)
            _check_keys(question.json_schema, found)
            value = question.check(found)
        except (json.JSONDecodeError, RecursionError) as problem:
            error = f"the reply is not JSON ({problem})"
        except ValidationError as problem:
            error = one_line(problem)
        except ValueError as problem:
            error = str(problem)
    if error is not None and len(error) > MAX_ERROR_CHARACTERS:
        error = f"{error[: MAX_ERROR_CHARACTERS - 1]}…"
    call = Call(
        step=question.step,
        attempt=attempt,
        engine=engine,
        messages=messages,
        reply=text,
        thinking="\n".join(part for part in (reply.thinking, thinking) if part),
        finish_reason=reply.finish_reason,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=reply.seconds,
        error=error,
    )
    return Answer(value, error, ()), call


def _check_keys(schema: dict[str, Any], value: Any) -> None:
    """Raise ValueError for keys that a reply invented: not every engine's constraint is to be trusted."""
    invented = value.keys() - schema["properties"].keys() if "properties" in schema and isinstance(value, dict) else ()
    if invented:
        raise ValueError(f"nobody asked for {', '.join(map(repr, sorted(invented)))}")


def _with_complaint(messages: tuple[Message, ...], reply: Reply, error: str) -> tuple[Message, ...]:
    """The question with the last bad reply and what is wrong with it."""
    _, text = split_thinking(reply.text)
    complaint = instructions("repair").format(error=error)
    return (*messages, Message(role="assistant", content=text), Message(role="user", content=complaint))
