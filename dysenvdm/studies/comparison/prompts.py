"""The prompts that planners are compared on: a text file, JSON lines with gold plans, or captions of Stage clips."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dysenvdm.cli.planning import MAX_BATCH, read_batch
from dysenvdm.studies.reinforced_planning import TEST_SEEDS
from planners.contracts import check_prompts
from planners.dsg import ActionPlan, DynamicSceneGraph, UserError, one_line
from planners.event_conversion import convert

if TYPE_CHECKING:
    from dysenvdm.stage import StageClip


@dataclass(frozen=True)
class Asked:
    """A prompt with what is known to be right about it: nothing, or the gold plan and graph, or also the drawn clip."""

    prompt: str
    gold_plan: ActionPlan | None = None
    gold_dsg: DynamicSceneGraph | None = None
    clip: StageClip | None = None


def read_prompts(given: str, ticks: int) -> list[Asked]:
    """The prompts of ``stage:N`` (N held-out captions), of a .jsonl file, or of a text file with one per line.

    Raises :class:`UserError` naming file and line for what is no prompt, and for gold plans of other than ``ticks``
    ticks.
    """
    if given.startswith("stage:"):
        return _stage(given, ticks)
    file = Path(given)
    asked = _json_lines(file, ticks) if file.suffix == ".jsonl" else [Asked(text) for text in read_batch(file)]
    seen: set[str] = set()
    for one in asked:
        if one.prompt in seen:
            raise UserError(f"{file}: {one.prompt[:40]!r} is there twice; each prompt counts once")
        seen.add(one.prompt)
        try:
            check_prompts([one.prompt], ticks)
        except UserError as error:
            raise UserError(f"{file}: {one.prompt[:40]!r}: {error}") from None
    return asked


def _stage(given: str, ticks: int) -> list[Asked]:
    """Captions of the held-out seeds that figures are reported on: nothing was trained or chosen by them."""
    from dysenvdm.stage import VAL_SEED0, sample

    number = re.fullmatch(r"stage:([1-9]\d*)", given)
    if number is None or int(number[1]) > len(TEST_SEEDS):
        raise UserError(f"--prompts {given}: write stage:N, N from 1 to {len(TEST_SEEDS)}")
    found: dict[str, Asked] = {}
    for seed in TEST_SEEDS:
        clip = sample(VAL_SEED0 + seed, ticks=ticks)
        found.setdefault(clip.caption, Asked(clip.caption, clip.plan, clip.dsg, clip))
        if len(found) == int(number[1]):
            return list(found.values())
    raise UserError(f"--prompts {given}: the held-out clips have {len(found)} different captions; ask for no more")


def _json_lines(file: Path, ticks: int) -> list[Asked]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as text ({error})") from None
    asked = [_json_line(line, f"{file} line {i}", ticks) for i, line in enumerate(lines, 1) if line.strip()]
    if not 1 <= len(asked) <= MAX_BATCH:
        raise UserError(f"{file}: {len(asked)} prompts; give from 1 to {MAX_BATCH}")
    return asked


def _json_line(line: str, where: str, ticks: int) -> Asked:
    try:
        told: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error})") from None
    if not isinstance(told, dict) or not isinstance(told.get("prompt"), str):
        raise UserError(f'{where}: write an object with a "prompt", and a gold "plan" where there is one')
    if unknown := told.keys() - {"prompt", "plan"}:
        raise UserError(f"{where}: {sorted(unknown)[0]!r} is not known; a line has prompt and plan")
    prompt, plan = told["prompt"].strip(), told.get("plan")
    if plan is None:
        return Asked(prompt)
    try:
        gold = ActionPlan.model_validate({"prompt": prompt, **plan} if isinstance(plan, dict) else plan)
    except ValidationError as error:
        raise UserError(f"{where}: plan: {one_line(error)}") from None
    if gold.ticks != ticks:
        raise UserError(f"{where}: plan: {gold.ticks} ticks, the comparison has {ticks}; give --ticks {gold.ticks}")
    return Asked(prompt, gold, convert(gold))
