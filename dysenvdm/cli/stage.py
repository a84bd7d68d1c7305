"""``dysenvdm stage``: look at the Stage world and write clips of it as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dysenvdm.cli.console import progress_bars, say
from dysenvdm.files import check_parent, written_whole

app = typer.Typer(
    add_completion=False, help="Look at the drawn world that the embedded model is trained on, or write clips of it."
)

_Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The first clip's seed; the next clips count on.")]


@app.command("sheet")
def write_sheet(
    output: Annotated[Path, typer.Option("-o", "--output", help="The .png file to write.")],
    seed: _Seed = 0,
    clips: Annotated[int, typer.Option(min=1, max=100, help="How many clips, one below the other.")] = 6,
) -> None:
    """Write a picture of some clips: caption, frames, and the timeline of events and facts."""
    _check_seeds(seed, clips)
    if output.suffix != ".png":
        raise typer.BadParameter(f"{output}: must end in .png", param_hint="--output")
    check_parent(output)
    from dysenvdm.stage import sample
    from dysenvdm.stage.export import sheet

    picture = sheet(sample(seed + i) for i in range(clips))
    with written_whole(output) as temporary:
        picture.save(temporary)
    say(f"wrote {output}")


@app.command("export")
def write_export(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    clips: Annotated[int, typer.Option(min=1, max=10**7)],
    seed: _Seed = 0,
) -> None:
    """Write clips into a folder: MP4, captions, scene graph, and one index.jsonl with plans and boxes."""
    _check_seeds(seed, clips)
    from dysenvdm.stage import sample
    from dysenvdm.stage.export import export

    with progress_bars() as bars:
        task = bars.add_task("export", total=clips)
        export(folder, (sample(seed + i) for i in range(clips)), lambda: bars.advance(task))
    say(f"wrote {clips} clips to {folder}")


def _check_seeds(seed: int, clips: int) -> None:
    if seed + clips > 2**32:
        raise typer.BadParameter(f"seeds end at {2**32 - 1}; begin at {2**32 - clips} or lower", param_hint="--seed")
