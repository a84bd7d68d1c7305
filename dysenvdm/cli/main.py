"""The ``dysenvdm`` command. Its modules are loaded when they are named, so that ``--help`` stays quick."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from dysenvdm import __version__
from dysenvdm.cli.console import out, say, say_warnings
from dysenvdm.offline import SWITCHES as OFFLINE
from planners.dsg import UserError

COMMANDS = (
    "generate", "plan", "dsg", "compare", "study", "planners", "models", "backbone", "stage", "check-data", "cache",
    "train", "export", "evaluate", "serve", "inspect", "replay", "sign", "bundle", "doctor",
)  # fmt: skip
"""In the order of ``--help``; each is a module of this folder with a typer ``app``."""


class _Commands(TyperGroup):
    """A group whose commands are modules, imported on first use."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = typer.main.get_command(importlib.import_module(f"dysenvdm.cli.{cmd_name.replace('-', '_')}").app)
        command.name = cmd_name
        return command


app = typer.Typer(cls=_Commands, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version and leave.")
) -> None:
    """Text to video through a plan and a scene graph that you can read and edit. Offline, on your own machine."""
    if version:
        out.print(__version__)
    elif context.invoked_subcommand is None:
        out.print(context.get_help(), markup=False)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 done, 1 the answer is "no", 2 a user's mistake (one line says what to mend)."""
    os.environ.update(OFFLINE)  # before any library reads them
    say_warnings()
    # Accelerate imports DeepSpeed where it is installed, and DeepSpeed complains about every machine without a GPU.
    logging.getLogger("DeepSpeed").addFilter(lambda record: "Setting accelerator to CPU" not in record.getMessage())
    try:
        code = app(arguments, standalone_mode=False)
    except UserError as error:
        say(f"error: {' '.join(str(error).split())}", "red")
        code = 2
    except typer.TyperException as error:
        say(f"error: {' '.join(error.format_message().split())} (see --help)", "red")
        code = 2
    except typer.Abort:
        code = 130
    sys.exit(code)
