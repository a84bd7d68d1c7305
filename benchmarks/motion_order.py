"""``python -m benchmarks.motion_order``: does a plan have both actions of a prompt, in the right order?

The prompts are those of VBench-2.0's motion-order dimension: a JSON list of objects with ``prompt_en`` (or
``prompt``) and ``auxiliary_info``, the two actions in the order in which they are to happen. The file is not part of
this repository; give it with ``--prompts``.

An action is *found* where all its content words occur together: among the words of events that start at the same tick
and share an agent (their predicates and the labels of their things), and the labels of the plan's places. An action of
several parts, "get up and sweep the floor", is found where each part is, together or one after the other. Content words
are all words but function words, auxiliaries and verbs of beginning, compared in base form and without a final e
("preparing" is "prepar" to our little grammar). Where a part's words occur more than once, parts of the first action
are sought as early as they occur, parts of the second as late. A prompt *succeeds* where both actions are found and
every part of the first starts before every part of the second. No plan fails; so does a plan in other words.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.planning import contestants, judged, options_of, parser, print_table, share
from planners.contracts import PlanResult
from planners.dsg import ActionPlan, UserError
from planners.language import AUXILIARIES, FUNCTION_WORDS, REFLEXIVES, base_form, singular, words_of

TICKS = 12
EMPTY = FUNCTION_WORDS | AUXILIARIES | REFLEXIVES


@dataclass(frozen=True)
class Item:
    """A prompt and its two actions in order."""

    prompt: str
    actions: tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """When a plan has the parts of the two actions: the ticks at which they start, None for a part not found."""

    first: tuple[int | None, ...]
    second: tuple[int | None, ...]

    @property
    def found(self) -> bool:
        return None not in self.first + self.second

    @property
    def success(self) -> bool:
        first, second = ([tick for tick in ticks if tick is not None] for ticks in (self.first, self.second))
        return self.found and max(first) < min(second)


def load(path: Path) -> list[Item]:
    """The prompts of a file; raises :class:`UserError` where it is not one of VBench-2.0's motion-order prompts."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Item(row.get("prompt_en") or row["prompt"], _pair(row["auxiliary_info"])) for row in rows]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a list of prompt_en and auxiliary_info ({error})") from None


def _pair(actions: Sequence[str]) -> tuple[str, str]:
    first, second = actions
    return first, second


def content_words(text: str) -> frozenset[str]:
    """The content words of a text in base form: of nouns the singular, of verbs the form without an ending."""
    return frozenset(_base(word) for word in words_of(text) if word not in EMPTY)


def _base(word: str) -> str:
    return base_form(singular(base_form(word))).removesuffix("e")


def _parts(action: str) -> list[frozenset[str]]:
    """The content words of each part; an action has at least one part, or it could not be missed."""
    parts = [words for part in action.split(" and ") if (words := content_words(part))]
    assert parts, action
    return parts


def judge(plan: ActionPlan | None, actions: tuple[str, str]) -> Verdict:
    """Whether and when a plan has the two actions, by this module's rule."""
    first, second = map(_parts, actions)
    said = _said(plan) if plan else {}

    def starts(words: frozenset[str]) -> list[int]:
        return [tick for (tick, _), known in said.items() if words <= known]

    return Verdict(
        tuple(min(starts(words), default=None) for words in first),
        tuple(max(starts(words), default=None) for words in second),
    )


def _said(plan: ActionPlan) -> dict[tuple[int, str], frozenset[str]]:
    """The content words that a plan has of each (tick at which events start, agent)."""
    labels = {thing.id: thing.label for thing in plan.objects}
    involved = {ident for event in plan.events for ident in (event.agent, event.target)}
    places = " ".join(label for ident, label in labels.items() if ident not in involved)
    texts: dict[tuple[int, str], str] = defaultdict(lambda: places)
    for event in plan.events:
        target = labels[event.target] if event.target else ""
        texts[event.start, event.agent] += f" {labels[event.agent]} {event.predicate} {target}"
    return {key: content_words(text) for key, text in texts.items()}


def main() -> None:
    commands = parser("motion_order", __doc__)
    commands.add_argument("--prompts", type=Path, required=True, help="VBench-2.0's motion-order prompts (JSON)")
    with options_of(commands) as arguments:
        items = load(arguments.prompts)

        def verdict(i: int, result: PlanResult) -> dict[str, Any]:
            found = judge(result.plan, items[i].actions)
            told = {"actions": items[i].actions, "first": found.first, "second": found.second}
            return {**told, "found": found.found, "success": found.success, "degraded": result.degraded is not None}

        rows = []
        for label, planner in contestants(arguments, imagine=False):
            lines = judged(arguments, label, planner, [item.prompt for item in items], TICKS, verdict)
            found, success, degraded = (sum(line[key] for line in lines) for key in ("found", "success", "degraded"))
            rows.append((label, str(len(lines)), str(found), share(success, len(lines)), str(degraded)))
    caption = f"{arguments.prompts.name}; success with its 95 % Wilson interval"
    print_table(caption, ("planner", "n", "both found", "success", "degraded"), rows)


if __name__ == "__main__":
    main()
