"""``dysenvdm models``: what is in the model store, and bringing models into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from dysenvdm import models as store
from dysenvdm.cli.console import err, out, plain, say
from planners.dsg import UserError

app = typer.Typer(add_completion=False, help="List and import model weights.")


@app.command("list")
def list_models() -> None:
    """List the models that have a name, and whether their hashes hold; exit code 1 where one does not."""
    table = Table(box=None, pad_edge=False)
    for title in ("name", "licence", "source", "size", "state"):
        table.add_column(title, overflow="fold")
    spoiled = 0
    for path in store.entries():
        try:
            store.verify(path)
            record = store.read_manifest(path)
            row = [record["licence"], record["source"], f"{_bytes(path) / 2**20:.1f} MiB"]
            state = Text("verified", "green")
        except UserError as error:
            row, state = ["", "", ""], Text(plain(str(error)), "red")
            spoiled += 1
        table.add_row(Text(path.name), *(Text(plain(cell)) for cell in row), state)
    for name, known in store.KNOWN.items():
        if name not in {path.name for path in store.entries()}:
            table.add_row(name, known.licence, f"wheel {known.distribution}", "", Text("not imported", "yellow"))
    out.print(table)
    say(f"store: {store.home()}")
    if spoiled:
        raise typer.Exit(1)


@app.command("import")
def import_model(
    name: Annotated[
        str, typer.Argument(help="The name it gets; smollm2-135m-instruct and all-minilm-l6-v2 are known.")
    ],
    source: Annotated[
        Path | None, typer.Option("--from", help="A wheel or a folder; without it, the installed wheel is used.")
    ] = None,
) -> None:
    """Bring a model into the store: as safetensors, with SHA-256 and source recorded."""
    with err.status(f"importing {plain(name)} …"):
        path = store.import_model(name, source)
    say(f"imported {name}: {path}")


@app.command()
def convert(
    name: Annotated[str, typer.Argument(help="i3d-kinetics-400, c3d-ucf101 or inception-2015.")],
    checkpoint: Annotated[Path, typer.Argument(help="The published checkpoint, a file of plain tensors.")],
    mean: Annotated[Path | None, typer.Option(help="C3D's mean clip, mean2.npz.")] = None,
) -> None:
    """Make the networks of metrics (docs/metrics.md) from their published checkpoints, as safetensors."""
    from dysenvdm.metrics.converting import convert

    with err.status("reading, checking, writing …"):
        path = convert(name, checkpoint, mean)
    say(f"converted {name}: {path}")


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
