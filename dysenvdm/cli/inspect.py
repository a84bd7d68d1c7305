"""``dysenvdm inspect``: how a video was made, read from the recipe that it carries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from dysenvdm.cli.console import out, plain, print_json

if TYPE_CHECKING:
    from dysenvdm.generation.recipe import Made

app = typer.Typer(add_completion=False)


@app.command()
def inspect(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="An .mp4, or the .json beside it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the recipe as JSON.")] = False,
) -> None:
    """Say how a video was made: prompt, plan and who stated each fact, seed, settings, weights, versions."""
    from dysenvdm.generation.recipe import read_made

    made = read_made(video)
    if as_json:
        print_json(made.told)
        return
    rows = _rows(made)
    if video.suffix != ".json":
        rows.append(("credential", _credential(video)))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, Text(plain(text)))
    out.print(table)
    if made.origin.dsg:
        from dysenvdm.cli.dsg import timeline

        out.print(timeline(made.origin.dsg))


def _rows(made: Made) -> list[tuple[str, str]]:
    settings, origin = made.settings, made.origin
    size = "the model's own size" if settings.width is None else f"{settings.width}x{settings.height}"
    rows = [
        ("prompt", made.prompt),
        ("model", settings.model),
        ("planner", _planner(made)),
        ("seed", str(made.seed)),
        ("sampling", f"{settings.steps} steps of {settings.scheduler or 'the model’s own scheduler'}, guidance "
         f"{settings.guidance:g}, scene {settings.scene_guidance:g}, {settings.dtype}"),
        ("video", f"{settings.frames} frames at {settings.fps} a second, {size}, every pixel {settings.scale}x"),
    ]  # fmt: skip
    told = {
        "negative prompt": settings.negative_prompt,
        "scene mode": settings.scene_mode,
        "imagined facts": None if settings.imagined_weight == 1 else f"weight {settings.imagined_weight:g}",
        "window": settings.window and f"{settings.window} frames, {settings.overlap} shared",
        "label": settings.label,
        "first frame": settings.first_frame and f"SHA-256 {settings.first_frame['sha256']}",
        "loras": ", ".join(f"{each['name']} at {each['scale']}" for each in settings.loras),
        "edit of": made.edit_of and f"a video of: {made.edit_of[0]}",
        "made with": made.batch.videos > 1 and f"{made.batch.videos - 1} others in one pass",
    }
    rows += [(name, str(text)) for name, text in told.items() if text]
    for name, files in made.weights.items():
        weights = [f"{digest[:16]}… {file}" for file, digest in files.items() if file.endswith(".safetensors")]
        listed = [*weights, f"and {len(files) - len(weights)} small files (--json lists them)"]
        rows += [(f"weights of {name}" if i == 0 else "", line) for i, line in enumerate(listed)]
    rows.append(("versions", ", ".join(f"{name} {number}" for name, number in made.versions.items())))
    if origin.dsg is None:
        rows.append(("scene graph", "none"))
    return rows


def _planner(made: Made) -> str:
    origin = made.origin
    if origin.planner is None:
        return "none: the scene graph was given" if origin.dsg else "none"
    text = f"{origin.planner}, transcript {(origin.transcript_sha256 or 'not recorded')[:16]}…"
    return f"{text}, degraded: {origin.degraded}" if origin.degraded else text


def _credential(video: Path) -> str:
    from dysenvdm.airgap.credentials import installed, read_credential

    if not installed():
        return "not looked for: pip install 'dysenvdm[c2pa]'"
    found = read_credential(video)
    if found is None:
        return "none (dysenvdm sign)"
    if not found.valid:
        return f"INVALID, signed by {found.signer}: {', '.join(found.problems) or 'changed since'}"
    return f"valid, signed by {found.signer} ({found.issuer}); whether to trust that certificate is yours to say"
