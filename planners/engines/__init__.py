"""What a language model must offer to be a planner's engine: a batch of requests in, a batch of constrained replies
out.

An engine never interprets a reply. It constrains decoding to the request's schema, counts tokens and seconds, and says
truthfully why it stopped; the planner validates, repairs and records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from planners.dsg import UserError

FinishReason = Literal["stop", "length", "overflow", "refused"]
UNANSWERED: frozenset[FinishReason] = frozenset(("overflow", "refused"))
"""There is no answer, and asking once more gives none."""


class Message(BaseModel):
    """One turn of a chat."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "user", "assistant"]
    content: str


class Request(BaseModel):
    """One question: the chat so far, the JSON schema that binds the reply, and how to decode.

    ``temperature`` 0 is greedy. ``seed`` decides the sample alone, whatever else is in the batch. ``attempt`` counts
    from 0 how often the same was asked before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    messages: tuple[Message, ...]
    json_schema: dict[str, Any]
    max_tokens: Annotated[int, Field(ge=1)]
    temperature: Annotated[float, Field(ge=0)] = 0.0
    seed: int = 0
    attempt: Annotated[int, Field(ge=0)] = 0


class Reply(BaseModel):
    """One answer. ``finish_reason`` "length" means that the text was cut off: the planner treats it as a failure.
    "overflow" means that the question is too long for the model, "refused" that the engine does not take this one
    question, though it takes others: ``text`` then says why.

    ``thinking`` is what the model thought, where the engine gets it apart from ``text``. ``seconds`` is the wall time
    of the whole batch that the reply was part of.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    thinking: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What an engine states about itself.

    ``constrained``: a reply cannot leave its request's schema. ``batched``: many requests together take less time than
    one by one. ``seeded``: the same request always gets the same reply. ``local``: nothing leaves the machine.
    """

    constrained: bool
    batched: bool
    seeded: bool
    local: bool


class TooLongError(UserError):
    """``request`` and its reply do not fit into the model's context; the message is one line with the numbers.

    An engine raises it before it generates anything: the batch's other requests are then asked without this one.
    """

    def __init__(self, message: str, request: Request) -> None:
        super().__init__(message)
        self.request = request


class Engine(Protocol):
    """A language model, wherever it runs."""

    @property
    def name(self) -> str:
        """What the transcript calls it: the model's name and how it runs."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all requests, in order. Raises :class:`planners.dsg.UserError` where the engine answers none, and
        :class:`TooLongError` for the first request that it finds too long before it asks anything."""
        ...


def split_thinking(text: str) -> tuple[str, str]:
    """Separate a thinking model's ``<think>…</think>`` from its answer: (thinking, answer)."""
    head, closed, tail = text.partition("</think>")
    if not closed:
        return "", text
    return head.replace("<think>", "").strip(), tail.lstrip()
