"""``dysenvdm dsg``: look at scene graph files, check them, compare them, change them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dysenvdm.cli import convert
from dysenvdm.cli.console import out, plain, print_json, say
from dysenvdm.cli.planning import contradicting
from dysenvdm.files import check_parent
from planners.dsg import SOURCES, DSGError, DynamicSceneGraph, Segment, UserError

app = typer.Typer(add_completion=False, help="Show, check, compare and change scene graph files.")
app.add_typer(convert.app, name="convert")

DsgFile = Annotated[Path, typer.Argument(metavar="FILE", help="A DSG file (JSON).")]
Output = Annotated[Path, typer.Option("-o", "--output", help="The DSG file to write.")]


@app.command()
def show(
    file: DsgFile,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Draw into this .svg or .png file instead of the terminal.")
    ] = None,
) -> None:
    """Draw the timeline, and the scene graph of every segment."""
    dsg = DynamicSceneGraph.load(file)
    if output is None:
        out.print(Text(plain(dsg.prompt), "bold"))
        out.print(timeline(dsg))
        out.print()
        for segment in dsg.segments():
            out.print(graph(segment))
        return
    if output.suffix not in (".svg", ".png"):
        raise UserError(f"{output}: a picture is an .svg or a .png file; change the name")
    from dysenvdm.cli.picture import save_picture

    save_picture(dsg, output)
    say(f"wrote {output}")


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DSG files (JSON).")],
) -> None:
    """Check files against the rules; every broken one is named, and facts that contradict each other."""
    broken = []
    for file in files:
        try:
            dsg = DynamicSceneGraph.load(file)
        except DSGError as error:
            broken.append(error)
            continue
        out.print(f"{plain(str(file))}: valid, {_size(dsg)}", markup=False, soft_wrap=True)
        if pairs := contradicting(dsg):
            say(f"warning: {file}: contradicts itself: {pairs}", "yellow")
    for known in broken[:-1]:
        say(f"error: {known}", "red")
    if broken:
        raise broken[-1]


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="FILE", help="The DSG file before.")],
    after: Annotated[Path, typer.Argument(metavar="FILE", help="The DSG file after.")],
) -> None:
    """List the edits that turn one file into the other; exit code 1 where there are any."""
    edits = DynamicSceneGraph.load(before).diff(DynamicSceneGraph.load(after))
    for edit in edits:
        style = {"add": "green", "remove": "red", "change": "yellow"}[edit.op]
        out.print(Text(plain(edit.describe()), style=style), soft_wrap=True)
    if edits:
        raise typer.Exit(1)


@app.command()
def veto(
    file: DsgFile,
    source: Annotated[list[str], typer.Option(help="Facts of this source go; may be repeated. " + ", ".join(SOURCES))],
    output: Output,
) -> None:
    """Delete all facts of a source, and the objects that only they mention."""
    before = DynamicSceneGraph.load(file)
    _save_changed(before, before.veto(source), output)  # type: ignore[arg-type]  # unknown sources are refused there


@app.command()
def edit(
    file: DsgFile,
    output: Output,
    add: Annotated[
        list[str], typer.Option(help="A fact or an object as JSON, like a line of the file; facts get source 'user'.")
    ] = [],  # noqa: B006  # typer reads it, nobody writes
    change: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="WHAT.FIELD=VALUE",
            help="Change a field: '3.predicate=lie down' of fact 3, '3.end=8', 'dog.label=cat' of an object; "
            "nothing after '=' takes the field away.",
        ),
    ] = [],  # noqa: B006
    remove: Annotated[list[str], typer.Option(metavar="WHAT", help="A fact's number or an object's id.")] = [],  # noqa: B006
) -> None:
    """Add, change or remove facts and objects; 'dsg show' numbers the facts. All edits are made as one step."""
    from dysenvdm.cli.editing import edited

    before = DynamicSceneGraph.load(file)
    _save_changed(before, edited(before, add=add, change=change, remove=remove), output)


@app.command()
def audit(file: DsgFile) -> None:
    """Show what each fact rests on; exit code 1 where one is not in the prompt that it claims, or contradicts another.

    The words of the prompt stand beside each fact, and what the prompt lacks.
    """
    from planners.audit import audit as findings_of
    from planners.audit import quoted

    dsg = DynamicSceneGraph.load(file)
    from dysenvdm.sheet import SOURCE_COLOURS, statement

    out.print(Text(plain(dsg.prompt), "bold"))
    table = Table(box=None, pad_edge=False)
    for title in ("", "fact", "ticks", "source", "words of the prompt", "not in the prompt", "contradicts"):
        table.add_column(title, overflow="fold")
    findings = findings_of(dsg)
    for found in findings:
        fact = found.fact
        table.add_row(
            str(found.number),
            Text(plain(statement(fact))),
            f"[{fact.start}, {fact.end})",
            Text(fact.source, SOURCE_COLOURS[fact.source]),
            Text(plain(quoted(dsg.prompt, found.words))),
            Text(plain(", ".join(found.missing)), "red" if found.ungrounded else ""),
            Text(", ".join(map(str, found.against)), "red"),
        )
    out.print(table)
    if any(found.ungrounded or found.against for found in findings):
        raise typer.Exit(1)


@app.command()
def prompt(
    file: DsgFile,
    windows: Annotated[
        int | None, typer.Option(min=1, max=1024, help="One prompt for each of so many windows.")
    ] = None,
    segments: Annotated[
        bool, typer.Option("--segments", help="One prompt for each run of equal scene graphs.")
    ] = False,
    stated_only: Annotated[bool, typer.Option("--stated-only", help="Leave out what was imagined.")] = False,
    max_words: Annotated[
        int | None, typer.Option(min=1, help="Imagined facts, then last sentences, go where a prompt is longer.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, max=4096, help="Of the video, to say which frames a window has.")] = 16,
    fps: Annotated[int, typer.Option(min=1, max=120, help="Of the video, to say a window's seconds.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects, one per prompt.")] = False,
) -> None:
    """Tell the scene graph in English, as the prompt of any text-to-video model, or as one prompt per window."""
    from dysenvdm.cli.telling import told_windows

    if windows and segments:
        raise UserError("--segments: the segments are the windows; leave out --windows")
    dsg = DynamicSceneGraph.load(file)
    told = told_windows(
        dsg.veto(["imagined", "polished"]) if stated_only else dsg,
        windows="segments" if segments else windows,
        max_words=max_words,
        frames=frames,
        fps=fps,
    )
    if as_json:
        print_json([asdict(window) for window in told])
        return
    for window in told:
        where = (
            f"{window.start_second:.2f}-{window.end_second:.2f} s, frames {window.first_frame}-{window.last_frame}: "
        )
        out.print(plain(f"{where if windows or segments else ''}{window.text}"), markup=False, soft_wrap=True)


def _save_changed(before: DynamicSceneGraph, after: DynamicSceneGraph, output: Path) -> None:
    check_parent(output)
    after.save(output)
    edits = before.diff(after)
    for change in edits:
        say(change.describe())
    say(f"wrote {output}" if edits else f"wrote {output}, unchanged")


def timeline(dsg: DynamicSceneGraph) -> Table:
    """One line per fact with its number, one column per tick, coloured by source."""
    from dysenvdm.sheet import SOURCE_COLOURS, statement

    table = Table(caption=_size(dsg), box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("fact")
    marks = "".join(str(tick).ljust(3) for tick in range(dsg.ticks))
    table.add_column(marks, no_wrap=True)
    table.add_column("source")
    for number, fact in enumerate(dsg.facts, 1):
        bar = Text(
            "".join("██ " if fact.active(tick) else "·  " for tick in range(dsg.ticks)), SOURCE_COLOURS[fact.source]
        )
        table.add_row(str(number), Text(plain(statement(fact))), bar, Text(fact.source, SOURCE_COLOURS[fact.source]))
    return table


def graph(segment: Segment) -> Tree:
    """The scene graph of one segment: objects, and under each what is said of it."""
    from dysenvdm.sheet import SOURCE_COLOURS

    tree = Tree(Text(f"ticks [{segment.start}, {segment.end})", "bold"))
    for thing in segment.graph.objects:
        name = thing.id if thing.id == thing.label else f"{thing.id} ({thing.label})"
        branch = tree.add(Text(plain(name)))
        for fact in segment.graph.facts:
            if fact.subject == thing.id:
                arrow = f"{fact.label} → {fact.object}" if fact.object else fact.label
                branch.add(Text(plain(arrow), SOURCE_COLOURS[fact.source]))
    return tree


def _size(dsg: DynamicSceneGraph) -> str:
    return f"{dsg.ticks} ticks, {len(dsg.objects)} objects, {len(dsg.facts)} facts, {len(dsg.segments())} segments"
