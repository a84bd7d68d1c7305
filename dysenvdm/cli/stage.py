"""``dysenvdm stage``: look at the Stage world and write clips of it as files."""

from __future__ import annotations

import re
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
    _check_png(output)
    from dysenvdm.stage import sample
    from dysenvdm.stage.export import sheet

    picture = sheet(sample(seed + i) for i in range(clips))
    with written_whole(output) as temporary:
        picture.save(temporary)
    say(f"wrote {output}")


@app.command("catalogue")
def write_catalogue(
    output: Annotated[Path, typer.Option("-o", "--output", help="The .png file to write.")],
    size: Annotated[int, typer.Option(min=32, max=256, help="Pixels of each picture's side.")] = 96,
) -> None:
    """Write a picture of all there is: actors in their clothes, colours and sizes, props, places and weathers."""
    _check_png(output)
    from dysenvdm.stage.catalogue import catalogue

    picture = catalogue(size)
    with written_whole(output) as temporary:
        picture.save(temporary)
    say(f"wrote {output}")


@app.command("export")
def write_export(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one where the same export was stopped.")],
    clips: Annotated[int, typer.Option(min=1, max=10**7)],
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The first clip's number in its split.")] = 0,
    split: Annotated[
        str, typer.Option(help="train, val, test, or a held-out one: new-pairs, more-events, more-actors.")
    ] = "train",
    frames: Annotated[
        str, typer.Option(help="How many frames, 8 a second of the story; as-needed: as long as its events take.")
    ] = "16",
    size: Annotated[int, typer.Option(min=64, max=256, help="Pixels of a side.")] = 64,
    fps: Annotated[int, typer.Option(min=1, max=60, help="Frames per second that the videos are played with.")] = 8,
    events: Annotated[str | None, typer.Option(help="Only clips with so many events, '3' or '2-4'.")] = None,
    actors: Annotated[str | None, typer.Option(help="Only clips with so many actors, '2' or '1-2'.")] = None,
) -> None:
    """Write a data set: videos, captions, scene graphs, an index with plans and boxes, a dataset card, a sheet.

    It can be stopped at any time; the same command goes on, and with more --clips it adds to what is there.
    """
    from dysenvdm.stage.export import ExportSettings, export

    settings = ExportSettings(
        split=split,
        first=seed,
        clips=clips,
        events=_counts(events, "--events"),
        actors=_counts(actors, "--actors"),
        frames=_frames(frames),
        size=size,
        fps=fps,
    )
    with progress_bars(remaining=True) as bars:
        task = bars.add_task("export", total=clips)
        written = export(folder, settings, lambda: bars.advance(task))
    before = f", {clips - written} were there" if written < clips else ""
    say(f"wrote {written} clips to {folder}{before}")


def _counts(text: str | None, option: str) -> tuple[int, ...] | None:
    """The numbers of "3" or "2-4"; None for none."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if found is None or int(found[1]) > int(found[2] or found[1]):
        raise typer.BadParameter(f"{text!r}: give a number or a range, 3 or 2-4", param_hint=option)
    return tuple(range(int(found[1]), int(found[2] or found[1]) + 1))


def _frames(text: str) -> int | None:
    if text == "as-needed":
        return None
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r}: give a number of frames, or as-needed", param_hint="--frames")
    return int(text)


def _check_png(output: Path) -> None:
    if output.suffix != ".png":
        raise typer.BadParameter(f"{output}: must end in .png", param_hint="--output")
    check_parent(output)


def _check_seeds(seed: int, clips: int) -> None:
    if seed + clips > 2**32:
        raise typer.BadParameter(f"seeds end at {2**32 - 1}; begin at {2**32 - clips} or lower", param_hint="--seed")
