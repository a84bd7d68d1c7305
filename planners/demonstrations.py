"""The examples that prompts show to a language model (in-context learning), and how alike they are.

Some are hand-written, others are captions of the Stage world, whose marks are right by construction (written by
``dysenvdm/studies/stage_demonstrations.py``). A demonstration carries its marks as stage I asks for them, its events in
order of occurrence, and the facts imagined for each of its steps. :func:`planners.dysen.demonstrated` turns the marks
into plan, DSG and enriched DSG.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field

from planners.language import FUNCTION_WORDS, LEADS, words_of


class DemonstratedEvent(BaseModel):
    """``agent`` does ``predicate`` (to ``target``) in the given step; agent and target are object ids."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent: str
    predicate: str
    target: str | None = None
    step: int


class Demonstration(BaseModel):
    """``clauses`` mark the actions, ``names`` the things' names; ``references`` retell clauses that have pronouns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    clauses: tuple[str, ...]
    names: tuple[str, ...] = ()
    references: dict[str, str] = Field(default_factory=dict)
    order: str = ""
    events: tuple[DemonstratedEvent, ...]
    imagined: tuple[tuple[str, ...], ...]
    """For each step the imagined lines that begin there, such as "fox is wet" or "fox near tree"."""
    flaw: str = ""
    """A line that contradicts the prompt, shown to be removed by the polish."""


@cache
def demonstrations() -> tuple[Demonstration, ...]:
    """The hand-written ones, those first from which a prompt learns most, then those of the Stage world."""
    return (*hand_written(), *_read("stage_demonstrations.json"))


@cache
def hand_written() -> tuple[Demonstration, ...]:
    """Those that people wrote, about anything."""
    return _read("demonstrations.json")


def _read(name: str) -> tuple[Demonstration, ...]:
    text = resources.files("planners").joinpath(name).read_text(encoding="utf-8")
    return tuple(Demonstration.model_validate(item) for item in json.loads(text))


def likeness(text: str, example: str) -> float:
    """How much a text is built like an example, higher is more; what its words mean does not count.

    Connectives in the same places count most, then other function words, shared words, and a similar length.
    """
    a, b = words_of(text), words_of(example)
    joints = SequenceMatcher(None, _joints(a), _joints(b), autojunk=False).ratio()
    frame = SequenceMatcher(None, _frame(a), _frame(b), autojunk=False).ratio()
    content_a, content_b = ({*words} - FUNCTION_WORDS for words in (a, b))
    shared = len(content_a & content_b) / max(1, len(content_a | content_b))
    return 2 * joints + frame + 0.5 * shared - 0.02 * abs(len(a) - len(b))


def _joints(words: Sequence[str]) -> list[str]:
    return ["^" if words[0] in LEADS else "-", *(word for word in words if word in LEADS)]


def _frame(words: Sequence[str]) -> list[str]:
    return [word if word in FUNCTION_WORDS else "…" for word in words]
