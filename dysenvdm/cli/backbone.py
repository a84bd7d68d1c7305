"""``dysenvdm backbone``: pretrained text-to-video models become models of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dysenvdm.cli.console import err, say
from planners.dsg import UserError

app = typer.Typer(add_completion=False, help="Take in pretrained text-to-video models.")


@app.callback()
def backbone() -> None:
    """Keeps ``add`` a command of its own, although it is the only one."""


@app.command()
def add(
    folder: Annotated[
        Path,
        typer.Argument(help="ModelScope text-to-video-synthesis 1.7B or ZeroScope v2, a folder in diffusers layout."),
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The model folder to write.")] = None,
    name: Annotated[str | None, typer.Option(help="Put it into the model store under this name instead.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="modelscope (16 frames, 256x256) or zeroscope (24 frames, 576x320); else by its name."),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the weights, also where they could be linked.")] = False,
    adapter_width: Annotated[int, typer.Option(min=8, max=4096, help="RGTrm's width; the paper's is 768.")] = 768,
    adapter_layers: Annotated[int, typer.Option(min=1, max=48, help="RGTrm's layers; the paper's are 12.")] = 12,
) -> None:
    """Add an untrained scene adapter to a pretrained backbone; 'generate --model' takes the result.

    Untrained, the result makes the backbone's own videos. 'generate --scene-mode prompts' orders actions at once.
    """
    from dysenvdm.models import new_entry
    from dysenvdm.pretrained import KINDS, add_backbone

    if (output is None) == (name is None):
        raise UserError("backbone add: say where to with either -o FOLDER or --name NAME")
    target = output if output is not None else new_entry(str(name))
    with err.status("checking, linking, hashing …"):
        added = add_backbone(
            folder, target, kind=kind, copy=copy, adapter_width=adapter_width, adapter_layers=adapter_layers
        )
    known = KINDS[added.kind]
    say(
        f"wrote {added.folder}: {added.linked / 2**30:.2f} GiB linked, {added.copied / 2**30:.2f} GiB copied, "
        f"scene adapter of {added.adapter_parameters / 1e6:.1f} M parameters"
    )
    size = f"{known.trained_frames} frames of {known.width}x{known.height} at {known.trained_fps} fps"
    say(f"recorded as {added.kind}: {size} (--kind says otherwise)")
    say(f"try it: dysenvdm generate --model {name or added.folder} --scene-mode prompts PROMPT")
