"""``dysenvdm cache``: make what a recipe's training reads, before it starts."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from dysenvdm.cli.console import say
from planners.dsg import UserError

app = typer.Typer(add_completion=False)


@app.command()
def cache(
    recipe: Annotated[str, typer.Argument(help="The recipe of a training run.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; may be given often.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read all that is there and make damaged shards anew.")
    ] = False,
) -> None:
    """Make a recipe's caches on this process; on many ranks: deepspeed --module dysenvdm.cli.cache RECIPE."""
    from dysenvdm.studies.scene_planning import CorpusPlanner
    from dysenvdm.training.caching import make_caches
    from dysenvdm.training.ranks import is_lost_connection, leave, say_who_is_lost

    try:
        for line in make_caches(recipe, overrides or [], CorpusPlanner, mends=repair):
            say(line)
    except UserError:
        if os.environ.get("RANK", "0") != "0":  # all ranks fail alike, the first says why
            raise typer.Exit(2) from None
        raise
    except Exception as error:
        if not is_lost_connection(error):
            raise
        say_who_is_lost()
        leave(1)


if __name__ == "__main__":
    from dysenvdm.cli.main import main

    # The launcher gives every process its --local_rank; the environment says the same.
    main(["cache", *(argument for argument in sys.argv[1:] if not argument.startswith("--local_rank"))])
