"""Planning a whole corpus of captions: millions of lines in, one plan per line out, stopped and gone on at any time.

The output is a file of JSON lines, appended batch by batch. Each names its input line, so that a later run knows what
is done; a line that a killed run left unfinished is cut off first. Beside it, ``OUTPUT.run.json`` says what the run
was, so that it is not gone on with other settings. Source: ours.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from planners.contracts import Planner, PlanResult, check_prompts
from planners.dsg import UserError

Status = Literal["valid", "repaired", "degraded", "failed"]
"""``valid``: every reply was taken as it came. ``repaired``: one had to be asked again. ``degraded``: there is a plan,
but a later stage failed. ``failed``: there is no plan; ``reason`` says why."""
STATUSES: tuple[Status, ...] = get_args(Status)

BATCHES = {"vllm": 64}
"""How many prompts planners take at once by default, where it is not :data:`BATCH`."""
BATCH = 16

OnProgress = Callable[[int, int, "Counter[str]"], None]
"""Called with lines done, lines in all, and how many of them have which status."""


@dataclass(frozen=True)
class Caption:
    """One line of the input. ``error`` says why it cannot be planned, None where it can."""

    line: int
    prompt: str
    ident: str | int | None = None
    error: str | None = None


def plan_corpus(
    source: Path,
    output: Path,
    planners: Sequence[Planner],
    *,
    ticks: int,
    seed: int,
    batch: int,
    settings: dict[str, Any],
    on_progress: OnProgress | None = None,
) -> Counter[str]:
    """Plan every line of ``source`` that ``output`` lacks; returns how many lines have which status, earlier ones too.

    Each line of ``source`` is a JSON object with a ``prompt`` or a ``caption`` and, if wanted, an ``id``. A line that
    is not, or that no planner takes, is written as ``failed`` with the reason. Each planner works on one batch at a
    time, in a thread of its own; lines are written in the order in which batches end. ``settings`` is what the output
    depends on besides ticks and seed.

    Raises :class:`UserError` where a file cannot be used, the output belongs to another run, or a planner fails as a
    whole (its server is down): what is written stays, and the same call goes on from there.
    """
    try:
        with _alone(output):
            return _plan_missing(source, output, planners, ticks, seed, batch, settings, on_progress)
    except OSError as error:
        raise UserError(
            f"{output}: {error.strerror or error}; what is written stays, the same command goes on"
        ) from None


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Refuse a second run on the same output while the first one lives; the system takes the lock from a killed one."""
    with output.with_name(f".{output.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{output}: another run is writing it; wait for it, or choose another output") from None
        yield


def _plan_missing(
    source: Path,
    output: Path,
    planners: Sequence[Planner],
    ticks: int,
    seed: int,
    batch: int,
    settings: dict[str, Any],
    on_progress: OnProgress | None,
) -> Counter[str]:
    total = _count_lines(source)
    _claim(output, {"ticks": ticks, "seed": seed, **settings})
    counts, done = _written(output)
    waiting = (caption for caption in _captions(source, done))
    running: dict[Future[list[dict[str, Any]]], Planner] = {}

    def report() -> None:
        if on_progress:
            on_progress(counts.total(), total, counts)

    report()
    with output.open("ab") as file, ThreadPoolExecutor(max_workers=len(planners)) as pool:

        def start(planner: Planner) -> None:
            captions = list(islice(waiting, batch))
            if captions:
                running[pool.submit(_plan_batch, planner, captions, ticks, seed)] = planner

        for planner in planners:
            start(planner)
        failure: UserError | None = None
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                planner = running.pop(future)
                try:
                    lines = future.result()
                except UserError as error:
                    failure = failure or error  # batches under way are still worth keeping
                    continue
                text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
                file.write(text.encode(errors="backslashreplace"))  # half a character becomes its JSON escape
                file.flush()
                os.fsync(file.fileno())
                counts.update(line["status"] for line in lines)
                report()
                if failure is None:
                    start(planner)
        if failure is not None:
            raise UserError(f"{failure} ({counts.total()} of {total} lines are written; the same command goes on)")
    return counts


def _plan_batch(planner: Planner, captions: Sequence[Caption], ticks: int, seed: int) -> list[dict[str, Any]]:
    good = [caption for caption in captions if caption.error is None]
    results = planner.plan([caption.prompt for caption in good], ticks=ticks, seed=seed) if good else []
    planned = {caption.line: result for caption, result in zip(good, results, strict=True)}
    return [_line(caption, planned.get(caption.line)) for caption in captions]


def _line(caption: Caption, result: PlanResult | None) -> dict[str, Any]:
    line: dict[str, Any] = {"line": caption.line, "id": caption.ident, "prompt": caption.prompt}
    if result is None:
        return {**line, "status": "failed", "reason": caption.error, "plan": None, "dsg": None}
    return {
        **line,
        "status": status(result),
        "reason": result.degraded,
        "plan": None if result.plan is None else result.plan.model_dump(mode="json", exclude={"prompt"}),
        "dsg": None if result.plan is None else result.dsg.to_dict(),
        "transcript_sha256": result.transcript_sha256,
    }


def status(result: PlanResult) -> Status:
    """How a prompt's planning went."""
    if result.plan is None:
        return "failed"
    if result.degraded:
        return "degraded"
    return "repaired" if any(call.error for call in result.transcript) else "valid"


def _count_lines(source: Path) -> int:
    try:
        with source.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror or error})") from None


def _captions(source: Path, done: dict[int, int]) -> Iterator[Caption]:
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


def _claim(output: Path, settings: dict[str, Any]) -> None:
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


def _written(output: Path) -> tuple[Counter[str], dict[int, int]]:
    """Statuses of the lines that are there, and the hashes of their prompts by number.

    What a killed run left of a line is cut off.
    """
    counts: Counter[str] = Counter()
    done: dict[int, int] = {}
    if not output.exists():
        return counts, done
    whole = 0
    with output.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                item = json.loads(line)
                counts[item["status"]] += 1
                done[item["line"]] = hash(item["prompt"])
            except (ValueError, KeyError, TypeError) as error:
                place = counts.total() + 1
                raise UserError(f"{output} line {place}: not a line of plans ({error!r}); mend or delete it") from None
            whole += len(line)
    os.truncate(output, whole)
    return counts, done
