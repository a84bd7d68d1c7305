"""What every planner takes and gives: prompts in, one :class:`PlanResult` per prompt out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from planners.dsg import ActionPlan, DynamicSceneGraph, UserError
from planners.engines import FinishReason, Message

MAX_PROMPT_CHARACTERS = 2000

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction done, in [0, 1] and never falling."""


class Call(BaseModel):
    """One question to a language model and its answer.

    ``error`` says why the answer was refused, None where it was taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: str
    attempt: int
    engine: str
    messages: tuple[Message, ...]
    reply: str
    thinking: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    error: str | None


class PlanResult(BaseModel):
    """A prompt's plan, its DSG after each stage in order, every call that led there, and what went wrong, if any.

    ``strategy`` is how examples were chosen for the calls, ``window`` whether imagination saw a segment's neighbours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    plan: ActionPlan | None
    stages: dict[str, DynamicSceneGraph]
    transcript: list[Call]
    degraded: str | None
    strategy: str = "structure"
    window: bool = True

    @property
    def dsg(self) -> DynamicSceneGraph:
        """The last stage's graph: what the video is made from."""
        return list(self.stages.values())[-1]

    @property
    def transcript_sha256(self) -> str:
        """SHA-256 of the calls without their seconds: the same conversation has the same hash on every machine."""
        return calls_sha256(self.transcript)


def calls_sha256(calls: Iterable[Call]) -> str:
    """SHA-256 of calls as hexadecimal text, their seconds left out."""
    plain = [call.model_dump(mode="json", exclude={"seconds"}) for call in calls]
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Planner(Protocol):
    """Turns prompts into plans and dynamic scene graphs."""

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        """One result per prompt, in order. A prompt that cannot be planned is ``degraded``, it does not stop the
        others.

        Raises :class:`UserError` for what is wrong before planning begins (an empty prompt, a model that is not there).
        """
        ...


def seed_matters(planner: Planner) -> bool:
    """Whether plans may depend on the seed: they may unless the planner's attribute of this name says no. Prompts with
    different seeds can be planned in one batch where they do not."""
    return bool(getattr(planner, "seed_matters", True))


def check_prompts(prompts: Sequence[str], ticks: int) -> None:
    """Raise :class:`UserError` for the first prompt without words, too long or not Unicode, and for no ticks."""
    if ticks < 1:
        raise UserError(f"ticks: {ticks}; a plan has at least 1")
    for i, prompt in enumerate(prompts):
        where = "prompt" if len(prompts) == 1 else f"prompts[{i}]"
        surrogate = next((k for k, letter in enumerate(prompt) if "\ud800" <= letter <= "\udfff"), None)
        if surrogate is not None:
            raise UserError(f"{where}: character {surrogate + 1} is half of one (a lone surrogate); mend its encoding")
        if not any(letter.isalpha() for letter in prompt):
            raise UserError(f"{where}: no words in {prompt[:40]!r}; say in a sentence what should happen")
        if len(prompt) > MAX_PROMPT_CHARACTERS:
            raise UserError(f"{where}: {len(prompt)} characters; shorten it to at most {MAX_PROMPT_CHARACTERS}")
