"""The files of a planned corpus: its captions, its lines of plans, and what a killed run left of them.

Source: ours.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from planners.audit import contradictions
from planners.contracts import PlanResult, check_prompts
from planners.dsg import UserError

Status = Literal["valid", "repaired", "degraded", "failed"]
"""``valid``: every reply was taken as it came. ``repaired``: one had to be asked again. ``degraded``: there is a plan,
but a later stage failed. ``failed``: there is no plan; ``reason`` says why."""
STATUSES: tuple[Status, ...] = get_args(Status)
USAGE = ("calls", "prompt_tokens", "completion_tokens")
"""What a line says of its questions to a language model: how many, and the tokens of questions and of replies."""


@dataclass(frozen=True)
class Caption:
    """One line of the input. ``error`` says why it cannot be planned, None where it can."""

    line: int
    prompt: str
    ident: str | int | None = None
    error: str | None = None


@dataclass
class Summary:
    """What an output holds: how many lines have which status, the sums of their :data:`USAGE`, and how many have facts
    that contradict each other. ``lost`` has a line for each planner that failed as a whole in this run."""

    counts: Counter[str] = field(default_factory=Counter)
    usage: Counter[str] = field(default_factory=Counter)
    contradictory: int = 0
    lost: list[str] = field(default_factory=list)

    def add(self, line: dict[str, Any]) -> None:
        """Count one line of the output; raises KeyError, TypeError or AttributeError where it is none."""
        self.counts[line["status"]] += 1
        self.usage.update(line["usage"])
        self.contradictory += bool(line["contradictions"])


def plan_line(caption: Caption, result: PlanResult | None) -> dict[str, Any]:
    """A line of the output; ``result`` is None where the caption could not be planned at all."""
    calls = [] if result is None else result.transcript
    usage = {
        "calls": len(calls),
        "prompt_tokens": sum(call.prompt_tokens for call in calls),
        "completion_tokens": sum(call.completion_tokens for call in calls),
    }
    line: dict[str, Any] = {"line": caption.line, "id": caption.ident, "prompt": caption.prompt}
    if result is None:
        nothing = {"status": "failed", "reason": caption.error, "plan": None, "dsg": None}
        return {**line, **nothing, "contradictions": [], "usage": usage}
    planned = result.plan is not None
    return {
        **line,
        "status": status(result),
        "reason": result.degraded,
        "plan": None if result.plan is None else result.plan.model_dump(mode="json", exclude={"prompt"}),
        "dsg": result.dsg.to_dict() if planned else None,
        "contradictions": [list(pair) for pair in contradictions(result.dsg)] if planned else [],
        "usage": usage,
        "transcript_sha256": result.transcript_sha256,
    }


def status(result: PlanResult) -> Status:
    """How a prompt's planning went."""
    if result.plan is None:
        return "failed"
    if result.degraded:
        return "degraded"
    return "repaired" if any(call.error for call in result.transcript) else "valid"


def count_lines(source: Path) -> int:
    try:
        with source.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror or error})") from None


def captions(source: Path, done: dict[int, int]) -> Iterator[Caption]:
    """The input's lines that are not done; blank ones are no lines, but keep their number.

    Raises :class:`UserError` where a line that is done says something else now.
    """
    with source.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            caption = _caption(number, line)
            if number not in done:
                yield caption
            elif hash(caption.prompt) != done[number]:
                raise UserError(
                    f"{source} line {number}: was another prompt when it was planned; choose another output"
                )


def _caption(number: int, line: bytes) -> Caption:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Caption(number, line[:200].decode(errors="replace").strip(), error=f"not valid JSON ({error})")
    said = item if isinstance(item, dict) else {}
    prompt, ident = said.get("prompt", said.get("caption")), said.get("id")
    if not isinstance(prompt, str) or not isinstance(ident, str | int | None):
        return Caption(number, str(line[:200].decode(errors="replace")).strip(), error="no 'prompt' or 'caption' text")
    try:
        check_prompts([prompt], ticks=1)
    except UserError as error:
        return Caption(number, prompt, ident, error=str(error))
    return Caption(number, prompt, ident)


def claim(output: Path, settings: dict[str, Any]) -> None:
    """Say beside the output what it is; raises :class:`UserError` where it is something else."""
    path = output.with_name(f"{output.name}.run.json")
    text = json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if path.exists():
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            theirs = None
        if not isinstance(theirs, dict):
            raise UserError(
                f"{path}: does not say what the run was; delete it and {output.name}, or choose another output"
            )
        other = sorted(key for key in {*theirs, *settings} if theirs.get(key) != settings.get(key))
        if other:
            raise UserError(
                f"{output}: begun with {other[0]} = {theirs.get(other[0])!r}, not {settings.get(other[0])!r}; "
                f"give that, or another output"
            )
    elif output.exists() and output.stat().st_size:
        raise UserError(f"{output}: exists and {path.name} does not say what it is; choose another output")
    else:
        new = path.with_name(f".{path.name}.new")  # the name appears when all of it is there
        new.write_text(text, encoding="utf-8")
        new.replace(path)


def written(output: Path) -> tuple[Summary, dict[int, int]]:
    """The sums of the lines that are there, and the hashes of their prompts by number.

    What a killed run left of a line is cut off.
    """
    summary = Summary()
    done: dict[int, int] = {}
    if not output.exists():
        return summary, done
    whole = 0
    with output.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                item = json.loads(line)
                summary.add(item)
                done[item["line"]] = hash(item["prompt"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                place = summary.counts.total() + 1
                raise UserError(f"{output} line {place}: not a line of plans ({error!r}); mend or delete it") from None
            whole += len(line)
    os.truncate(output, whole)
    return summary, done


def cut_transcripts(path: Path, done: Container[int]) -> None:
    """Cut off what a killed run left behind the transcripts of the lines that are done.

    Both files grow in the same order, the transcripts first, so that what is too much stands at the end.
    """
    if not path.exists():
        return
    whole = 0
    with path.open("rb") as file:
        for place, line in enumerate(file, 1):
            try:
                if not line.endswith(b"\n") or json.loads(line)["line"] not in done:
                    break
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path} line {place}: not a line of transcripts ({error!r}); delete it") from None
            whole += len(line)
    os.truncate(path, whole)
