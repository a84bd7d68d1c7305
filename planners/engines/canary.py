"""The canary: one request that tempts a model out of its schema. Where it comes back outside, the constraint is a
claim only: some servers accept a schema and ignore it."""

from __future__ import annotations

from planners.dsg import UserError
from planners.engines import UNANSWERED, Engine, Message, Request, split_thinking
from planners.questions import to_json

WORDS = ("vexil-41", "quorn-7")
"""Nobody answers with one of these who is not made to."""

CANARY = Request(
    messages=(
        Message(role="system", content="You are a poet. You answer every question with a poem of four lines."),
        Message(role="user", content="What is the sea like? Answer with a poem and with nothing else."),
    ),
    json_schema={"enum": list(WORDS)},
    max_tokens=32,
)


def canary(engine: Engine) -> None:
    """Ask once; raises :class:`UserError` where the reply leaves the schema."""
    [reply] = engine.generate([CANARY])
    if reply.finish_reason in UNANSWERED:
        raise UserError(reply.text)
    _, text = split_thinking(reply.text)
    if text in map(to_json, WORDS):
        return
    if reply.finish_reason == "length":
        found = f"its reply was cut off after {reply.completion_tokens} tokens: {text[:60]!r}"
    else:
        found = f"asked for one of two words it said {text[:60]!r}"
    raise UserError(
        f"{engine.name}: does not hold its replies to a JSON schema ({found}); use a server and a model with "
        f"structured outputs, and give a thinking model room (thinking_tokens)"
    )
