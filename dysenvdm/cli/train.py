"""``dysenvdm train``: train what a recipe file says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from planners.dsg import UserError

app = typer.Typer(add_completion=False)

PLANNER_PHASES = ("finetune", "reinforce")
"""Phases whose recipes train a planner; all others train a video model."""


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, such as recipes/stage/autoencoder-nano.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; may be given often.")
    ] = None,
) -> None:
    """Train by a recipe on this process; for many ranks: deepspeed --module dysenvdm.training RECIPE."""
    if not recipe.is_file():
        raise UserError(f"{recipe}: no such recipe file; the ones that ship are in recipes/")
    from dysenvdm.training.recipe import read_recipe

    phase = read_recipe(recipe, overrides or []).get("phase")
    if phase in PLANNER_PHASES:
        from dysenvdm.studies import planner_recipes, reinforced_planning

        if phase == "finetune":
            _check_installed("peft")
            planner_recipes.run(recipe, overrides or [])
        else:
            reinforced_planning.run(recipe, overrides or [])
        return
    _check_installed("deepspeed", "tensorboard")
    from dysenvdm.training import run

    run(recipe, overrides or [])


def _check_installed(*modules: str) -> None:
    for needed in modules:
        if find_spec(needed) is None:
            raise UserError(
                f"training needs {needed}; run: "
                f"DS_BUILD_OPS=0 pip install --no-build-isolation -c constraints.txt 'dysenvdm[train]'"
            )
