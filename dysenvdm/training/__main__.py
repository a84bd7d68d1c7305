"""One recipe on many ranks: ``deepspeed --num_accelerators N --module dysenvdm.training RECIPE [--set K=V]``."""

import argparse

from dysenvdm.training import run
from dysenvdm.training.ranks import (
    Ended,
    end_when_told,
    end_with_launcher,
    is_lost_connection,
    leave,
    say,
    say_who_is_lost,
)
from planners.dsg import UserError


def main() -> None:
    parser = argparse.ArgumentParser(prog="dysenvdm.training", description="Train a recipe on every launched rank.")
    parser.add_argument("recipe")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--local_rank", type=int, help="given by the launcher; the environment says the same")
    arguments = parser.parse_args()
    end_when_told()
    end_with_launcher()
    try:
        run(arguments.recipe, arguments.overrides)
    except UserError as error:
        say(str(error))
        leave(2)
    except KeyboardInterrupt:  # the loop has said what it means
        leave(130)
    except Ended:
        say_who_is_lost()
        leave(1)
    except Exception as error:
        if not is_lost_connection(error):
            raise
        say_who_is_lost()
        leave(1)


if __name__ == "__main__":
    main()
