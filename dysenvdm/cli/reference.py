"""Writes docs/cli.md from the commands themselves: ``python -m dysenvdm.cli.reference docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from dysenvdm.cli.main import app
from dysenvdm.files import written_whole


def markdown() -> str:
    """Every command with its arguments and options, as one Markdown page."""
    page = ["# The command line", "", "Made by `make docs` from the commands; do not edit.", ""]
    for name, command in commands(typer.main.get_command(app), "dysenvdm"):
        page += [f"## {name}", "", command.help or "", ""]
        rows = [row for row in map(_row, command.params) if row]
        if rows:
            page += ["| | | default |", "|---|---|---|", *rows, ""]
    return "\n".join(page)


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All commands below ``group`` that do something, with the words that call them."""
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _row(param: Any) -> str | None:
    if param.name == "help":
        return None
    is_option = param.param_type_name == "option"
    call = ", ".join(param.opts) if is_option else (param.metavar or param.name.upper())
    silent = param.default is None or param.default is False or param.default == ""
    default = "" if silent else f"`{param.default}`"
    if param.required:
        default = "required"
    return f"| `{call}` | {(getattr(param, 'help', None) or '').replace('|', '·')} | {default} |"


if __name__ == "__main__":
    with written_whole(Path(sys.argv[1])) as temporary:
        temporary.write_text(markdown(), encoding="utf-8")
