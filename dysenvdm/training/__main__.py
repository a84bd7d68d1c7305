"""One recipe on many ranks: ``deepspeed --num_accelerators N --module dysenvdm.training RECIPE [--set K=V]``."""

import argparse
import sys

from dysenvdm.training import run
from planners.dsg import UserError


def main() -> None:
    parser = argparse.ArgumentParser(prog="dysenvdm.training", description="Train a recipe on every launched rank.")
    parser.add_argument("recipe")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--local_rank", type=int, help="given by the launcher; the environment says the same")
    arguments = parser.parse_args()
    try:
        run(arguments.recipe, arguments.overrides)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
