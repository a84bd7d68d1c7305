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

import argparse
import json
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

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


def wilson(good: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of a share."""
    z, p = 1.96, good / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.motion_order", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=Path, required=True, help="VBench-2.0's motion-order prompts (JSON)")
    parser.add_argument("--planner", action="append", help="a name from 'dysenvdm planners'; may be repeated")
    parser.add_argument("--output", type=Path, help="append prompts, plans and verdicts to this file (JSON lines)")
    arguments = parser.parse_args()
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"})
    from planners.plugins import get_planner

    try:
        items = load(arguments.prompts)
    except UserError as error:
        parser.error(str(error))
    table = Table(box=None, pad_edge=False, caption=f"{arguments.prompts.name}; success with its 95 % Wilson interval")
    for title in ("planner", "n", "both found", "success", "degraded"):
        table.add_column(title)
    for name in arguments.planner or ["rules"]:
        results = get_planner(name, imagine=False).plan([item.prompt for item in items], ticks=TICKS, seed=0)
        verdicts = [judge(result.plan, item.actions) for result, item in zip(results, items, strict=True)]
        good = sum(verdict.success for verdict in verdicts)
        low, high = wilson(good, len(items))
        found = sum(verdict.found for verdict in verdicts)
        degraded = sum(result.degraded is not None for result in results)
        share = f"{good / len(items):.3f} ({low:.2f}-{high:.2f})"
        table.add_row(name, str(len(items)), str(found), share, str(degraded))
        if arguments.output:
            with arguments.output.open("a", encoding="utf-8") as file:
                for item, result, verdict in zip(items, results, verdicts, strict=True):
                    line = {"planner": name, "prompt": item.prompt, "actions": item.actions}
                    plan = result.plan.model_dump(mode="json") if result.plan else None
                    judged = {"first": verdict.first, "second": verdict.second, "success": verdict.success}
                    file.write(json.dumps({**line, **judged, "degraded": result.degraded, "plan": plan}) + "\n")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
