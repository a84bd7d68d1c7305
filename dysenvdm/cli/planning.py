"""What ``plan`` and ``generate`` share: checking prompts, and asking a planner with progress on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dysenvdm.cli.console import progress_bars, say
from planners.contracts import MAX_PROMPT_CHARACTERS
from planners.dsg import UserError

if TYPE_CHECKING:
    from planners.contracts import PlanResult
    from planners.dsg import DynamicSceneGraph

MAX_BATCH = 1000
PLANNING = "Planning"
"""Panel of ``--help``."""

PlannerOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--planner-option",
        metavar="KEY=VALUE",
        help="A planner's own option; may be given often.",
        rich_help_panel=PLANNING,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Where --planner openai asks; as --planner-option base_url=URL.",
        rich_help_panel=PLANNING,
    ),
]

TranscriptFile = Annotated[
    Path | None,
    typer.Option(
        "--transcript",
        metavar="FILE",
        help="Also write every LLM call to this file, for reading and for replay.",
        rich_help_panel=PLANNING,
    ),
]
AllowEmpty = Annotated[
    bool,
    typer.Option(
        "--allow-empty",
        help="Go on with an empty scene graph where the planner finds no plan.",
        rich_help_panel=PLANNING,
    ),
]


def checked_prompt(text: str, where: str = "prompt") -> str:
    """The prompt without blanks around it; raises :class:`UserError` where it is empty or too long."""
    text = text.strip()
    if not text:
        raise UserError(f"{where}: empty; say in a sentence what should happen")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise UserError(f"{where}: {len(text)} characters; shorten it to at most {MAX_PROMPT_CHARACTERS}")
    return text


def read_batch(file: Path) -> list[str]:
    """The prompts of a file, one per line, blank lines apart; raises :class:`UserError` naming file and line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as text ({error})") from None
    prompts = [checked_prompt(line, f"{file} line {i}") for i, line in enumerate(lines, 1) if line.strip()]
    if not prompts:
        raise UserError(f"{file}: no prompts; write one per line")
    if len(prompts) > MAX_BATCH:
        raise UserError(f"{file}: {len(prompts)} prompts; split it into files of at most {MAX_BATCH}")
    return prompts


def read_planner(text: str) -> tuple[str, dict[str, str]]:
    """A planner's name and options from "NAME:KEY=VALUE,..."; raises :class:`UserError`."""
    name, _, options = text.partition(":")
    return name, read_options(options.split(",") if options else None)


def read_options(given: list[str] | None, base_url: str | None = None) -> dict[str, str]:
    """A planner's options from KEY=VALUE texts; raises :class:`UserError` for what is none, or is given twice."""
    options: dict[str, str] = {}
    for text in [*(given or ()), *([f"base_url={base_url}"] if base_url else ())]:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UserError(f"--planner-option {text[:60]!r}: write KEY=VALUE")
        if key in options:
            raise UserError(f"--planner-option {key!r}: given twice; leave one out")
        options[key] = value
    return options


def check_planner(name: str, options: dict[str, str]) -> None:
    """Raise :class:`UserError` where no planner has that name, or that one does not take these options."""
    from planners import plugins

    names = plugins.planner_names()
    if name not in names:
        raise UserError(f"--{plugins.no_such_planner(name, names)}")
    plugins.check_options(name, options)


def plan_prompts(
    prompts: list[str], planner: str, options: dict[str, str], *, ticks: int, seed: int, allow_empty: bool = False
) -> list[PlanResult]:
    """Plan all prompts in lockstep; plans that are missing, degraded or contradict themselves are named.

    Raises :class:`UserError` where no prompt has a plan, unless ``allow_empty``; a graph that is missing is empty.
    """
    from planners.plugins import get_planner

    with progress_bars() as bars:
        task = bars.add_task(f"planning with {planner}", total=1.0)

        def on_progress(stage: str, done: float) -> None:
            bars.update(task, description=f"planning: {stage}", completed=done)

        results = get_planner(planner, **options).plan(prompts, ticks=ticks, seed=seed, on_progress=on_progress)
        bars.update(task, description="planned", completed=1.0)
    empty = [result for result in results if not has_plan(result)]
    errors = [
        f"prompt {result.prompt[:60]!r}: {planner} found no plan ({result.degraded or 'and does not say why'}); "
        f"try another --seed or --planner, give a --dsg file, or go on without a plan by --allow-empty"
        for result in empty
    ]
    if errors and not allow_empty:
        *named, last = errors
        for error in named if len(errors) == len(results) else errors:
            say(f"error: {error}", "red")
        if len(errors) == len(results):
            raise UserError(last)
    for result in results:
        if result.degraded:
            say(f"warning: degraded plan for {result.prompt[:60]!r}: {result.degraded}", "yellow")
        if result.stages and (pairs := contradicting(result.dsg)):
            say(f"warning: the plan for {result.prompt[:60]!r} contradicts itself: {pairs}", "yellow")
    return [result if result.stages else _nothing(result, ticks) for result in results]


def has_plan(result: PlanResult) -> bool:
    """Whether anything was planned."""
    return bool(result.stages and (result.dsg.objects or result.dsg.facts))


def _nothing(result: PlanResult, ticks: int) -> PlanResult:
    """A result without any graph, with an empty one."""
    from planners.dsg import DynamicSceneGraph

    return result.model_copy(update={"stages": {"converted": DynamicSceneGraph(prompt=result.prompt, ticks=ticks)}})


def contradicting(dsg: DynamicSceneGraph) -> str:
    """Which facts contradict each other at one tick, by the numbers of ``dsg show``; empty where none do."""
    from dysenvdm.sheet import statement
    from planners.audit import contradictions

    pairs = contradictions(dsg)
    said = [f"facts {i} and {j} ({statement(dsg.facts[i - 1])} / {statement(dsg.facts[j - 1])})" for i, j in pairs[:3]]
    return ", ".join(said) + (f" and {len(pairs) - 3} more pairs" if len(pairs) > 3 else "")


def save_transcript(file: Path, result: PlanResult, *, planner: str, ticks: int, seed: int) -> None:
    """Write every call of a plan, for reading and for replay."""
    from dysenvdm.files import written_whole
    from planners.replay import Transcript

    recorded = Transcript.of(result, planner=planner, ticks=ticks, seed=seed)
    with written_whole(file) as temporary:
        temporary.write_text(recorded.to_json(), encoding="utf-8")
