"""``dysenvdm planners``: what can turn a prompt into a scene graph."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from dysenvdm.cli.console import out, plain, say

app = typer.Typer(add_completion=False)


@app.command()
def planners() -> None:
    """List the planners, the default one marked; exit code 1 where a plugin could not be used."""
    from planners.plugins import DEFAULT_PLANNER, broken_plugins, planner_info

    table = Table(box=None, pad_edge=False)
    for title in ("name", "what it is", "what it needs", "from"):
        table.add_column(title, overflow="fold")
    for info in planner_info():
        name = f"{info.name} (default)" if info.name == DEFAULT_PLANNER else info.name
        table.add_row(*(Text(plain(cell)) for cell in (name, info.help, info.needs, info.plugin)))
    out.print(table)
    broken = broken_plugins()
    for plugin, reason in broken.items():
        say(f"warning: plugin {plugin!r} could not be used: {reason}", "yellow")
    if broken:
        raise typer.Exit(1)
