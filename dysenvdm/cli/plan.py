"""``dysenvdm plan``: a prompt becomes a scene graph file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dysenvdm.cli.console import say
from dysenvdm.cli.planning import BaseUrl, PlannerOptions, check_planner, checked_prompt, plan_prompts, read_options
from dysenvdm.files import check_parent, written_whole

app = typer.Typer(add_completion=False)


@app.command()
def plan(
    prompt: Annotated[str, typer.Argument(help="What should happen, in a sentence or a few.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The DSG file to write.")],
    planner: Annotated[str | None, typer.Option(help="A name from 'dysenvdm planners'.")] = None,
    planner_option: PlannerOptions = None,
    base_url: BaseUrl = None,
    ticks: Annotated[int, typer.Option(min=1, max=1024, help="Length of the plan in time steps.")] = 8,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
    transcript: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write every LLM call to this file, for reading and for replay."),
    ] = None,
) -> None:
    """Turn a prompt into a scene graph file that you can read, edit and generate from."""
    prompt = checked_prompt(prompt)
    for file in (output, *([transcript] if transcript else [])):
        check_parent(file)
    from planners.plugins import DEFAULT_PLANNER

    planner = planner or DEFAULT_PLANNER
    options = read_options(planner_option, base_url)
    check_planner(planner, options)
    [result] = plan_prompts([prompt], planner, options, ticks=ticks, seed=seed)
    if transcript:
        from planners.replay import Transcript

        recorded = Transcript.of(result, planner=planner, ticks=ticks, seed=seed)
        with written_whole(transcript) as temporary:
            temporary.write_text(recorded.to_json(), encoding="utf-8")
    result.dsg.save(output)
    say(f"wrote {output}")
