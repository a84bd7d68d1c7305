"""``python -m benchmarks.validity``: do a language model's replies obey their schemas, after at most two repairs?

The prompts are those of a folder of VBench prompt lists (``*.txt`` with one per line, ``*.json`` with objects that have
``prompt_en`` or ``prompt``): each once, in an order drawn with seed 0, ``--limit`` of them (500).

A *question* is what the planner asks of its engine once and, where the reply is refused, at most twice again. It is
*first try* or *repaired* where a reply was taken, else *failed*. Independently of the planner every reply is validated
against its question's JSON schema with the ``jsonschema`` library: *outside* counts the replies that do not obey it,
and *taken outside* those that the planner took all the same. A prompt is *schema-valid* where each of its questions
ended with a reply that obeys its schema, and *all taken* where the planner also took it: what obeys its schema may
still say what is already there. Neither is a plan yet: where no action is found there is none, and the last tables
count plans and reasons. All three stages are run by a planner that has them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import partial
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.planning import Judged, contestants, judged, options_of, parser, print_table, share
from dysenvdm.studies.reply_checks import OUTCOMES, Schemas, obeys, outcome, questions, watch
from planners.contracts import PlanResult
from planners.corpus import STATUSES, status
from planners.dsg import UserError

TICKS = 16


def load(folder: Path) -> list[str]:
    """The prompts of a folder, in an order drawn with seed 0; raises :class:`UserError` where there are none."""
    prompts: list[str] = []
    for file in sorted((*folder.glob("*.txt"), *folder.glob("*.json"))):
        try:
            text = file.read_text(encoding="utf-8")
            if file.suffix == ".txt":
                prompts += [line.strip() for line in text.splitlines() if line.strip()]
            else:
                prompts += [row.get("prompt_en") or row["prompt"] for row in json.loads(text)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{file}: not a list of prompts ({error!r})") from None
    if not prompts:
        raise UserError(f"{folder}: no prompts there (*.txt, *.json); give a folder of prompt lists")
    prompts = list(dict.fromkeys(prompts))
    Random(0).shuffle(prompts)
    return prompts


def judge(result: PlanResult, schemas: Schemas) -> dict[str, Any]:
    """Counts of one prompt's questions by step, and whether the prompt is schema-valid."""
    steps: dict[str, Counter[str]] = {}
    valid = taken = True
    errors = []
    for calls in questions(result.transcript):
        counts = steps.setdefault(calls[0].step.partition(" ")[0], Counter())
        counts[outcome(calls)] += 1
        errors += [f"{call.step.partition(' ')[0]}: {call.error}" for call in calls if call.error is not None]
        inside = [obeys(call.reply, schemas[call.messages]) for call in calls]
        counts["outside"] += inside.count(False)
        taken_outside = calls[-1].error is None and not inside[-1]
        counts["taken outside"] += taken_outside
        valid &= inside[-1]
        taken &= calls[-1].error is None
    # A prompt that no planner takes is asked nothing, and then nothing is valid either.
    told = {"steps": steps, "errors": errors, "valid": valid and bool(steps), "taken": taken and bool(steps)}
    return {**told, "plan": result.plan is not None, "status": status(result), "reason": result.degraded}


def main() -> None:
    commands = parser("validity", __doc__, "smollm2")
    commands.add_argument("--prompts", type=Path, required=True, help="a folder of prompt lists")
    commands.set_defaults(limit=500)
    with options_of(commands) as arguments:
        prompts = load(arguments.prompts)
        for label, planner in contestants(arguments):
            verdict = partial(_judge_numbered, watch(planner))
            _show(label, judged(arguments, label, planner, prompts, TICKS, verdict))


def _judge_numbered(schemas: Schemas, _: int, result: PlanResult) -> dict[str, Any]:
    return judge(result, schemas)


def _show(label: str, lines: Judged) -> None:
    steps: dict[str, Counter[str]] = {}
    for line in lines:
        for step, counts in line["steps"].items():
            steps.setdefault(step, Counter()).update(counts)
    titles = ("questions", *OUTCOMES, "outside", "taken outside")
    rows = [
        (step, *(str(n) for n in (sum(counts[name] for name in OUTCOMES), *(counts[name] for name in titles[1:]))))
        for step, counts in steps.items()
    ]
    if rows:
        print_table(f"{label}: questions by step", ("step", *titles), rows)
    shares = {key: share(sum(line[key] for line in lines), len(lines)) for key in ("valid", "taken", "plan")}
    if not steps:
        shares |= dict.fromkeys(("valid", "taken"), "-")  # no language model
    statuses = Counter(line["status"] for line in lines)
    print_table(
        f"{label}: prompts; shares with their 95 % Wilson intervals",
        ("n", "schema-valid", "all taken", "with a plan", *STATUSES),
        [(str(len(lines)), *shares.values(), *(str(statuses[name]) for name in STATUSES))],
    )
    reasons = Counter(_kind(line["reason"]) for line in lines if line["reason"])
    errors = Counter(_kind(error) for line in lines for error in line["errors"])
    for title, counted in (("degraded or failed because", reasons), ("replies refused because", errors)):
        if counted:
            print_table(f"{label}: {title}", ("n", "reason"), [(str(n), kind) for kind, n in counted.most_common(12)])


def _kind(reason: str) -> str:
    """A reason without what it quotes and counts, so that equal ones can be counted."""
    short = re.sub(r"«[^»]*»(, )?|'[^']*'|\"[^\"]*\"|\d+", "…", reason)
    return " ".join(word for word, _ in groupby(short.split()))[:110]


if __name__ == "__main__":
    main()
