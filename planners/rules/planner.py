"""RulesPlanner: prompt -> dependency parse -> action plan -> DSG, deterministic and without a language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from planners.contracts import PlanResult, Progress, check_prompts
from planners.dsg import ActionPlan, DynamicSceneGraph, one_line
from planners.event_conversion import convert
from planners.language import AUXILIARIES, FUNCTION_WORDS
from planners.plan_assembly import timed_plan
from planners.rules.clauses import read
from planners.rules.order import links, time_steps
from planners.rules.parsing import Parse, load_model, parse
from planners.rules.references import resolve
from planners.rules.words import FOREIGN

if TYPE_CHECKING:
    from spacy.tokens import Doc


class RulesPlanner:
    """Plans by rules on a dependency parse. English; what the text says and nothing else, hence no imagination."""

    def __init__(self) -> None:
        self.nlp = load_model()

    seed_matters = False

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        """One result per prompt; see :class:`planners.contracts.Planner`. Nothing is random: all seeds agree."""
        del seed
        check_prompts(prompts, ticks)
        if on_progress:
            on_progress("parsing", 0.0)
        parses = parse(self.nlp, prompts)
        if on_progress:
            on_progress("planning", 0.5)
        results = [_result(prompt, ticks, parsed) for prompt, parsed in zip(prompts, parses, strict=True)]
        if on_progress:
            on_progress("planned", 1.0)
        return results


def _result(prompt: str, ticks: int, parsed: Parse) -> PlanResult:
    plan, degraded = None, _foreign(parsed.doc)
    dsg = DynamicSceneGraph(prompt=prompt, ticks=ticks)
    if degraded is None:
        try:
            plan, degraded = _planned(prompt, ticks, parsed)
            dsg = convert(plan)
        except ValidationError as error:
            plan, degraded = None, one_line(error)
        except ValueError as error:
            plan, degraded = None, str(error)
    return PlanResult(prompt=prompt, plan=plan, stages={"converted": dsg}, transcript=[], degraded=degraded)


def _foreign(doc: Doc) -> str | None:
    """Why a text is taken for another language than English; None where it is not."""
    words = [token.lower_ for token in doc if token.is_alpha]
    if sum(not word.isascii() for word in words) * 2 > len(words):
        return "not in a Latin alphabet; the rules know English only"
    foreign = sum(word in FOREIGN for word in words)
    if foreign > sum(word in (FUNCTION_WORDS | AUXILIARIES) - FOREIGN for word in words):
        return "not English, as its function words say; the rules know English only"
    return None


def _planned(prompt: str, ticks: int, parsed: Parse) -> tuple[ActionPlan, str | None]:
    """The plan of a parsed prompt, and what had to be left out.

    Raises ValueError where there is no action, or more steps than ticks.
    """
    reading = read(parsed)
    resolved = resolve(reading)
    nobody = "nobody is named who could do " + ", ".join(f"«{verb}»" for verb in resolved.nobody)
    if not resolved.actions:
        raise ValueError("no action was found in the prompt" + (f": {nobody}" if resolved.nobody else ""))
    numbers = sorted({action.clause for action in resolved.actions})
    steps = dict(zip(numbers, time_steps(links([reading.clauses[i].verb for i in numbers])), strict=True))
    plan = timed_plan(
        prompt,
        ticks,
        resolved.cast,
        [(steps[action.clause], action.predicate, action.agents, action.targets) for action in resolved.actions],
    )
    return plan, f"left out: {nobody}" if resolved.nobody else None
