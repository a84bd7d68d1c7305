"""``dysenvdm train``: train what a recipe file says."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from dysenvdm.cli.console import out
from planners.dsg import UserError

app = typer.Typer(add_completion=False)

PLANNER_PHASES = ("finetune", "reinforce")
"""Phases whose recipes train a planner; all others train a video model."""


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="One that ships, such as backbone or stage/denoiser-nano, or a file.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; may be given often.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print configuration, parameter groups, memory and work; write nothing."),
    ] = False,
    ranks: Annotated[int, typer.Option(help="With --dry-run: how many GPUs.", min=1)] = 1,
    gpu_memory: Annotated[float, typer.Option(help="With --dry-run: GiB of each GPU.", min=1)] = 80,
    tflops: Annotated[
        float | None,
        typer.Option(help="With --dry-run: 10^12 operations a second that a rank sustains, for the time.", min=1e-6),
    ] = None,
) -> None:
    """Train by a recipe on this process; for many ranks: deepspeed --module dysenvdm.training RECIPE."""
    from dysenvdm.training.recipe import read_recipe
    from dysenvdm.training.shipped import find_recipe

    phase = read_recipe(recipe, overrides or []).get("phase")
    if dry_run:
        if phase in PLANNER_PHASES:
            from dysenvdm.studies.planner_dry_run import dry_run as planner_report

            said = planner_report(find_recipe(recipe), overrides or [])
        else:
            from dysenvdm.training.dry_run import dry_run as report

            said = report(recipe, overrides or [], ranks=ranks, gpu_memory=gpu_memory, tflops=tflops)
        out.print(said, markup=False, soft_wrap=True)
        return
    if phase in PLANNER_PHASES:
        path = find_recipe(recipe)
        from dysenvdm.studies import planner_recipes, reinforced_planning

        if phase == "finetune":
            _check_installed("peft")
            planner_recipes.run(path, overrides or [])
        else:
            reinforced_planning.run(path, overrides or [])
        return
    _check_installed("deepspeed", "tensorboard", "peft")
    from dysenvdm.training import run

    run(recipe, overrides or [])


def _check_installed(*modules: str) -> None:
    for needed in modules:
        if find_spec(needed) is None:
            raise UserError(
                f"training needs {needed}; run: "
                f"DS_BUILD_OPS=0 pip install --no-build-isolation -c constraints.txt 'dysenvdm[train]'"
            )
