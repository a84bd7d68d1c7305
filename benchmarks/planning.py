"""What the benchmarks of planners share: planners, prompts in batches, a line per prompt, figures with intervals.

A benchmark judges each prompt's plan by itself, and its figures are computed from those judgements alone. So a run
that was stopped goes on with ``--resume``, and every figure can be traced to the prompts behind it.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from dysenvdm.cli.console import say
from dysenvdm.cli.planning import read_options, read_planner
from planners.contracts import Planner, PlanResult, check_prompts
from planners.dsg import DynamicSceneGraph, UserError
from planners.plugins import get_planner, registry

Judge = Callable[[int, PlanResult], dict[str, Any]]
"""What a benchmark finds in the result of prompt number i, as JSON data."""
Judged = list[dict[str, Any]]


def parser(module: str, doc: str, planner: str = "rules") -> argparse.ArgumentParser:
    """The options that all these benchmarks take; ``planner`` is the one that is measured where none is named."""
    found = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=doc.splitlines()[0])
    found.add_argument(
        "--planner",
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help=f"a name from 'dysenvdm planners', perhaps with options of its own; repeatable; {planner}",
    )
    found.add_argument(
        "--planner-option", action="append", metavar="KEY=VALUE", help="an option of every planner named; repeatable"
    )
    found.add_argument("--batch", type=int, default=128, help="prompts that go through the stages in lockstep; 128")
    found.add_argument("--limit", type=int, help="only the first so many prompts")
    found.add_argument("--minutes", type=float, help="begin no further batch after so many minutes with a planner")
    found.add_argument("--output", type=Path, help="write every prompt's plan and judgement to this file (JSON lines)")
    found.add_argument("--resume", action="store_true", help="go on with the prompts that --output lacks")
    found.set_defaults(default_planner=planner)
    return found


@contextmanager
def options_of(commands: argparse.ArgumentParser) -> Iterator[argparse.Namespace]:
    """The options that were given; what a user can mend ends the command with one line and exit code 2."""
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"})
    arguments = commands.parse_args()
    try:
        if arguments.output and arguments.output.exists() and not arguments.resume:
            raise UserError(f"{arguments.output}: is there; give --resume to go on with it, or another --output")
        yield arguments
    except UserError as error:
        commands.error(str(error))


def contestants(arguments: argparse.Namespace, **wanted: Any) -> Iterator[tuple[str, Planner]]:
    """Each planner under the name that tables give it. ``wanted`` are options for those that know them."""
    given = read_options(arguments.planner_option)
    known = registry().planners
    for text in arguments.planner or [arguments.default_planner]:
        name, own = read_planner(text)
        chosen = given | own
        takes = inspect.signature(known[name].factory).parameters if name in known else {}
        label = " ".join((name, *(f"{key}={Path(value).name}" for key, value in chosen.items())))
        yield label, get_planner(name, **{key: value for key, value in wanted.items() if key in takes} | chosen)


def judged(
    arguments: argparse.Namespace, label: str, planner: Planner, prompts: Sequence[str], ticks: int, judge: Judge
) -> Judged:
    """Every prompt's judgement, in order; written as they come where ``--output`` says so.

    ``--limit`` and ``--minutes`` leave prompts out, at the end. A prompt that no planner takes (without words, too
    long) is degraded.
    """
    path: Path | None = arguments.output
    done = _resumed(arguments, label)
    wanted = range(len(prompts))[: arguments.limit]
    for i in done.keys() & {*wanted}:
        if done[i]["prompt"] != prompts[i]:
            raise UserError(f"{path}: prompt {i} was another one; choose another --output")
    missing = [i for i in wanted if i not in done]
    began = time.monotonic()
    for at in range(0, len(missing), arguments.batch):
        if arguments.minutes is not None and time.monotonic() - began > 60 * arguments.minutes:
            say(f"{label}: {arguments.minutes:g} minutes are over, {len(missing) - at} prompts are left out", "yellow")
            break
        numbers = missing[at : at + arguments.batch]
        lines = []
        for i, result in zip(numbers, _planned(planner, [prompts[i] for i in numbers], ticks), strict=True):
            plan = result.plan.model_dump(mode="json", exclude={"prompt"}) if result.plan else None
            told = {"planner": label, "number": i, "prompt": prompts[i], "degraded": result.degraded, "plan": plan}
            done[i] = {**told, "judged": judge(i, result)}
            lines.append(json.dumps(done[i], ensure_ascii=False) + "\n")
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(lines)
        _say_progress(label, at + len(numbers), len(missing), time.monotonic() - began)
    return [done[i]["judged"] for i in sorted(done.keys() & {*wanted})]


def _planned(planner: Planner, prompts: Sequence[str], ticks: int) -> list[PlanResult]:
    refused: dict[int, PlanResult] = {}
    for i, prompt in enumerate(prompts):
        try:
            check_prompts([prompt], ticks)
        except UserError as error:
            empty = {"converted": DynamicSceneGraph(prompt=prompt, ticks=ticks)}
            refused[i] = PlanResult(prompt=prompt, plan=None, stages=empty, transcript=[], degraded=str(error))
    good = [prompt for i, prompt in enumerate(prompts) if i not in refused]
    results = iter(planner.plan(good, ticks=ticks, seed=0) if good else ())
    return [refused[i] if i in refused else next(results) for i in range(len(prompts))]


def _resumed(arguments: argparse.Namespace, label: str) -> dict[int, dict[str, Any]]:
    """The planner's lines that ``--output`` has; a line that a killed run left unfinished is cut off."""
    path: Path | None = arguments.output
    if path is None or not path.exists():
        return {}
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
        found = {line["number"]: line for line in lines if line["planner"] == label and "judged" in line}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not written by a benchmark ({error!r}); choose another --output") from None
    os.truncate(path, len(whole))
    return found


def _say_progress(label: str, count: int, total: int, seconds: float) -> None:
    left = seconds / count * (total - count)
    say(f"{label}: {count} of {total} prompts, {seconds:.0f} s, {left:.0f} s left")


# -- figures -----------------------------------------------------------------------------------------------------------


def share(good: int, n: int) -> str:
    """A share of prompts with its 95 % Wilson interval, which is honest also where all or none are good."""
    if not n:
        return "-"
    low, high = wilson(good, n)
    return f"{good / n:.3f} ({low:.3f}-{high:.3f})"


def wilson(good: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of a share."""
    z, p = 1.96, good / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def print_table(caption: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table on standard output."""
    table = Table(box=None, pad_edge=False, caption=caption)
    for title in titles:
        table.add_column(title)
    for row in rows:
        table.add_row(*row)
    Console(width=150, highlight=False).print(table)
