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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from planners.contracts import Planner, PlanResult
from planners.corpus_lines import (
    STATUSES,
    USAGE,
    Caption,
    Status,
    Summary,
    captions,
    claim,
    count_lines,
    cut_transcripts,
    plan_line,
    status,
    written,
)
from planners.dsg import UserError

__all__ = ["BATCH", "BATCHES", "STATUSES", "USAGE", "Caption", "Status", "Summary", "plan_corpus", "status"]

BATCHES = {"vllm": 64}
"""How many prompts planners take at once by default, where it is not :data:`BATCH`."""
BATCH = 16

OnProgress = Callable[[int, int, "Counter[str]"], None]
"""Called with lines done, lines in all, and how many of them have which status."""
Batch = list[Caption]
PROBE = Caption(0, "A dog runs.")
"""Asked of a planner to see that it answers; the answer is not kept."""
Planned = list[tuple[Caption, PlanResult | None]]


def plan_corpus(
    source: Path,
    output: Path,
    planners: Sequence[Planner],
    *,
    ticks: int,
    seed: int,
    batch: int,
    settings: dict[str, Any],
    transcripts: Path | None = None,
    on_progress: OnProgress | None = None,
    on_lost: Callable[[str], None] | None = None,
) -> Summary:
    """Plan every line of ``source`` that ``output`` lacks; returns what there is then, of earlier runs too.

    Each line of ``source`` is a JSON object with a ``prompt`` or a ``caption`` and, if wanted, an ``id``. A line that
    is not, or that no planner takes, is written as ``failed`` with the reason. Each planner works on one batch at a
    time, in a thread of its own; lines are written in the order in which batches end. A planner that fails as a whole
    (its server is down) gets no more; ``on_lost`` is told why, and the others do its captions, one by one when
    everything else is done: one of them may be why. A caption that so loses a second planner fails once another one
    has answered since: all of them may be out of reach. ``settings`` is what the output depends on besides ticks and
    seed, ``planner`` among them the planners' name. ``transcripts`` gets a line with every call for each line that was
    planned (:class:`planners.replay.Transcript`, and ``line``).

    Raises :class:`UserError` where a file cannot be used, the output belongs to another run, or the last planner
    failed: what is written stays, and the same call goes on from there.
    """
    try:
        with _alone(output), ExitStack() as files:
            total = count_lines(source)
            kept = {"transcripts": transcripts.name} if transcripts else {}
            claim(output, {"ticks": ticks, "seed": seed, **kept, **settings})
            summary, done = written(output)
            if transcripts:
                cut_transcripts(transcripts, done)
            run = _Run(
                planners=list(planners),
                waiting=(caption for caption in captions(source, done)),
                batch=batch,
                ticks=ticks,
                seed=seed,
                name=str(settings.get("planner", "")),
                summary=summary,
                plans=files.enter_context(output.open("ab")),
                calls=files.enter_context(transcripts.open("ab")) if transcripts else None,
                report=lambda: on_progress and on_progress(summary.counts.total(), total, summary.counts),
                on_lost=on_lost,
            )
            run.finish()
            if run.returned or run.accused:
                count = f"{summary.counts.total()} of {total} lines are written; the same command goes on"
                raise UserError(f"{summary.lost[0]} ({count})")
            return summary
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


@dataclass
class _Run:
    """One run under way; ``returned`` are the captions of planners that failed."""

    planners: list[Planner]
    waiting: Iterator[Caption]
    batch: int
    ticks: int
    seed: int
    name: str
    summary: Summary
    plans: BinaryIO
    calls: BinaryIO | None
    report: Callable[[], Any]
    on_lost: Callable[[str], None] | None
    suspected: set[int] = field(default_factory=set)
    """The lines of those that were asked again by themselves."""
    running: dict[Future[Planned], tuple[Planner, Batch]] = field(default_factory=dict)
    returned: Batch = field(default_factory=list)
    accused: Batch = field(default_factory=list)
    """Those that lost a second planner; what each failed of is its error."""

    def finish(self) -> None:
        """Give every idle planner a batch until there are none left: of captions, or of planners."""
        self.report()
        idle = list(self.planners)
        with ThreadPoolExecutor(max_workers=len(self.planners)) as pool:
            while True:
                while idle and (some := self._next()):
                    planner = idle.pop(0)
                    self.running[pool.submit(_plan_batch, planner, some, self.ticks, self.seed)] = planner, some
                if not self.running:
                    return
                ended, _ = wait(self.running, return_when=FIRST_COMPLETED)
                for future in ended:
                    planner, some = self.running.pop(future)
                    try:
                        planned = future.result()
                    except UserError as error:
                        self._lose(str(error), some)
                        continue
                    self._keep(planned)
                    idle.append(planner)

    def _next(self) -> Batch:
        if some := list(islice(self.waiting, self.batch)):
            return some
        if self.returned:
            self.suspected.add(self.returned[0].line)
            return [self.returned.pop(0)]
        return [PROBE] if self.accused else []

    def _lose(self, reason: str, some: Batch) -> None:
        """A planner failed at ``some`` captions: at one for the second time where that one was asked by itself."""
        again = [caption for caption in some if caption.line in self.suspected]
        if again:
            reason = f"{reason} (asked for line {again[0].line} alone, at which one was lost before)"
        self.accused += [replace(caption, error=f"lost two planners: {reason}") for caption in again]
        self.returned += [caption for caption in some if caption not in again and caption is not PROBE]
        self.summary.lost.append(reason)
        if self.on_lost and len(self.summary.lost) < len(self.planners):  # the last one ends the run with its reason
            self.on_lost(reason)

    def _keep(self, planned: Planned) -> None:
        """Write a batch, its transcripts first: what has none would never get one.

        Where its planner was asked, it answers, and it was the accused captions themselves that lost the others.
        """
        if any(result is not None for _, result in planned):
            planned = [pair for pair in planned if pair[0] is not PROBE] + [(each, None) for each in self.accused]
            self.accused.clear()
        if self.calls:
            _append(self.calls, (self._transcript(*pair) for pair in planned if pair[1] is not None))
        lines = [plan_line(caption, result) for caption, result in planned]
        _append(self.plans, lines)
        for line in lines:
            self.summary.add(line)
        self.report()

    def _transcript(self, caption: Caption, result: PlanResult | None) -> dict[str, Any]:
        from planners.replay import Transcript

        assert result is not None
        recorded = Transcript.of(result, planner=self.name, ticks=self.ticks, seed=self.seed)
        return {"line": caption.line, **recorded.model_dump(mode="json")}


def _append(file: BinaryIO, lines: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    file.write(text.encode(errors="backslashreplace"))  # half a character becomes its JSON escape
    file.flush()
    os.fsync(file.fileno())


def _plan_batch(planner: Planner, some: Batch, ticks: int, seed: int) -> Planned:
    good = [caption for caption in some if caption.error is None]
    results = planner.plan([caption.prompt for caption in good], ticks=ticks, seed=seed) if good else []
    planned = {caption.line: result for caption, result in zip(good, results, strict=True)}
    return [(caption, planned.get(caption.line)) for caption in some]
