"""``dysenvdm train``: train what a recipe file says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from planners.dsg import UserError

app = typer.Typer(add_completion=False)


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
    if _phase(recipe, overrides or []) == "reinforce":
        from dysenvdm.studies import reinforced_planning

        reinforced_planning.run(recipe, overrides or [])
        return
    for needed in ("deepspeed", "tensorboard"):
        if find_spec(needed) is None:
            raise UserError(
                f"training needs {needed}; run: "
                f"DS_BUILD_OPS=0 pip install --no-build-isolation -c constraints.txt 'dysenvdm[train]'"
            )
    from dysenvdm.training import run

    run(recipe, overrides or [])


def _phase(recipe: Path, overrides: list[str]) -> object:
    """What the recipe trains; what its value may be is for the recipe's own schema to say."""
    from dysenvdm.training.recipe import read_recipe

    return read_recipe(recipe, overrides).get("phase")
