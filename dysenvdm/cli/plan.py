"""``dysenvdm plan``: a prompt becomes a scene graph file, a corpus of captions a file of plans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dysenvdm import __version__
from dysenvdm.cli.console import out, plain, progress_bars, say
from dysenvdm.cli.planning import (
    AllowEmpty,
    BaseUrl,
    PlannerOptions,
    TranscriptFile,
    check_planner,
    checked_prompt,
    plan_prompts,
    read_options,
    save_transcript,
)
from dysenvdm.files import check_parent
from planners.dsg import UserError

if TYPE_CHECKING:
    from planners.corpus import Summary

TROUBLES = ("repaired", "degraded", "failed")
"""The statuses of lines with which something was the matter."""

app = typer.Typer(add_completion=False)


@app.command()
def plan(
    output: Annotated[Path, typer.Option("-o", "--output", help="The DSG file to write; with --input, JSON lines.")],
    prompt: Annotated[str | None, typer.Argument(help="What should happen, in a sentence or a few.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Plan a corpus: a JSON object with a prompt or caption per line."),
    ] = None,
    planner: Annotated[str | None, typer.Option(help="A name from 'dysenvdm planners'.")] = None,
    planner_option: PlannerOptions = None,
    base_url: BaseUrl = None,
    ticks: Annotated[int, typer.Option(min=1, max=1024, help="Length of the plan in time steps.")] = 8,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
    transcript: TranscriptFile = None,
    allow_empty: AllowEmpty = False,
    transcripts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --input: also write every line's LLM calls, as JSON lines."),
    ] = None,
    workers: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="With --input: an endpoint that shares the work; may be given often."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="With --input: prompts planned at once; by default 16, with vllm 64."),
    ] = None,
) -> None:
    """Turn a prompt into a scene graph file that you can read, edit and generate from.

    With --input a whole corpus is planned, one line of the output per line of the input; the same command goes on
    where an earlier one was stopped.
    """
    if (prompt is None) == (source is None):
        raise UserError("prompt: give either a prompt or an --input file")
    if source is not None:
        if transcript:
            raise UserError("--transcript: belongs to a single prompt; with --input give --transcripts FILE")
        if allow_empty:
            raise UserError("--allow-empty: belongs to a single prompt; with --input every line says what it lacks")
        _plan_corpus(source, output, planner, planner_option, base_url, workers or [], ticks, seed, batch, transcripts)
        return
    if transcripts:
        raise UserError("--transcripts: belongs to --input; give --transcript FILE for a single prompt")
    if workers:
        raise UserError("--workers: belongs to --input; give a single endpoint as --base-url")
    assert prompt is not None
    prompt = checked_prompt(prompt)
    for file in (output, *([transcript] if transcript else [])):
        check_parent(file)
    from planners.plugins import DEFAULT_PLANNER

    planner = planner or DEFAULT_PLANNER
    options = read_options(planner_option, base_url)
    check_planner(planner, options)
    [result] = plan_prompts([prompt], planner, options, ticks=ticks, seed=seed, allow_empty=allow_empty)
    if transcript:
        save_transcript(transcript, result, planner=planner, ticks=ticks, seed=seed)
    result.dsg.save(output)
    say(f"wrote {output}")


def _plan_corpus(
    source: Path,
    output: Path,
    planner: str | None,
    planner_option: list[str] | None,
    base_url: str | None,
    workers: list[str],
    ticks: int,
    seed: int,
    batch: int | None,
    transcripts: Path | None,
) -> None:
    for file in (output, *([transcripts] if transcripts else [])):
        check_parent(file)
    if transcripts and transcripts.resolve() in (output.resolve(), source.resolve()):
        raise UserError(f"--transcripts {transcripts}: is the file of --input or --output; choose another")
    from planners.corpus import BATCH, BATCHES, plan_corpus
    from planners.plugins import DEFAULT_PLANNER, get_planner

    planner = planner or DEFAULT_PLANNER
    if base_url and workers:
        raise UserError("--base-url: the --workers are the endpoints; leave one of the two out")
    endpoints: list[str | None] = [*workers] or [base_url]
    each = [read_options(planner_option, url) for url in endpoints]
    for options in each:
        check_planner(planner, options)
    said = {key: value for key, value in each[0].items() if key != "base_url"}  # who answers may change, what may not
    with progress_bars(remaining=True) as bars:
        task = bars.add_task(f"planning {source.name}", total=None)

        def on_progress(done: int, total: int, counts: Counter[str]) -> None:
            troubles = ", ".join(f"{counts[name]} {name}" for name in TROUBLES if counts[name])
            bars.update(task, completed=done, total=total, description=f"{done} of {total} {troubles}".strip())

        def on_lost(reason: str) -> None:
            say(f"warning: goes on without one of the workers: {reason}", "yellow")

        summary = plan_corpus(
            source,
            output,
            [get_planner(planner, **options) for options in each],
            ticks=ticks,
            seed=seed,
            batch=batch or BATCHES.get(planner, BATCH),
            settings={"planner": planner, "options": said, "version": __version__},
            transcripts=transcripts,
            on_progress=on_progress,
            on_lost=on_lost,
        )
    for line in _told(summary):
        out.print(plain(line), markup=False, soft_wrap=True)
    say(f"wrote {output}")


def _told(summary: Summary) -> Iterator[str]:
    """What a corpus has come to, in lines; those that would say "none" are left out."""
    yield ", ".join(f"{summary.counts[name]} {name}" for name in ("valid", *TROUBLES))
    calls, tokens_in, tokens_out = (summary.usage[name] for name in ("calls", "prompt_tokens", "completion_tokens"))
    if calls:
        yield f"{calls} LLM calls, {tokens_in} tokens in, {tokens_out} tokens out"
    if summary.contradictory:
        yield f"{summary.contradictory} with facts that contradict each other"
    for reason in summary.lost:
        yield f"lost on the way: {reason}"
