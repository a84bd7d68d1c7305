"""The prompts that planners are compared on: a text file, JSON lines with gold plans, or captions of Stage clips."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dysenvdm.cli.planning import MAX_BATCH, read_batch
from planners.contracts import check_prompts
from planners.dsg import ActionPlan, DynamicSceneGraph, UserError, one_line
from planners.event_conversion import convert

if TYPE_CHECKING:
    from dysenvdm.stage import StageClip

TEST = "test"
"""The split that nothing is trained, validated or chosen on."""


@dataclass(frozen=True)
class Asked:
    """A prompt with what is known to be right about it: nothing, or the gold plan and graph, or also the drawn clip."""

    prompt: str
    gold_plan: ActionPlan | None = None
    gold_dsg: DynamicSceneGraph | None = None
    clip: StageClip | None = None


def read_prompts(given: str, ticks: int) -> list[Asked]:
    """The prompts of ``stage:N`` or ``stage:SPLIT:N`` (N captions of a held-out split, by default ``test``), of a
    .jsonl file, or of a text file with one per line.

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


def name_of(given: str) -> str:
    """What results call these prompts: of Stage always the split too, of a file not where it lies."""
    if given.startswith("stage:"):
        split, number = _split(given)
        return f"stage:{split}:{number}"
    return Path(given).name


def _split(given: str) -> tuple[str, int]:
    """The split and the number of captions that ``stage:...`` asks for."""
    from dysenvdm.stage import SPLITS

    held_out = [name for name in SPLITS if name != "train"]
    found = re.fullmatch(r"stage:(?:([^:]+):)?([1-9]\d{0,3})", given)
    if found is None or int(found[2]) > MAX_BATCH or (found[1] or TEST) not in held_out:
        known = f"SPLIT one of {', '.join(held_out)} (else {TEST}), N from 1 to {MAX_BATCH}"
        raise UserError(f"--prompts {given}: write stage:N or stage:SPLIT:N, {known}")
    return found[1] or TEST, int(found[2])


def _stage(given: str, ticks: int) -> list[Asked]:
    """The first captions of a split that is not trained on, each once."""
    from dysenvdm.stage import sample

    split, number = _split(given)
    found: dict[str, Asked] = {}
    for clip in (sample(i, split=split, ticks=ticks) for i in count()):
        found.setdefault(clip.caption, Asked(clip.caption, clip.plan, clip.dsg, clip))
        if len(found) == number:
            break
    return list(found.values())


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
