"""``dysenvdm dsg convert``: gold scene graphs from data sets that annotate who does what in which frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dysenvdm.cli.console import progress_bars, say
from planners.dsg import MAX_TICKS, DynamicSceneGraph, UserError

if TYPE_CHECKING:
    from dysenvdm.data.annotations.timeline import Footage
    from dysenvdm.data.entries import Rejected

app = typer.Typer(
    add_completion=False, help="Make scene graphs of a data set's annotations (docs/scene-annotations.md)."
)

_Annotations = Annotated[Path, typer.Argument(metavar="ANNOTATIONS", help="The data set's folder of annotations.")]
_Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the scene graphs and captions.jsonl.")
]
_Ticks = Annotated[int, typer.Option(min=1, max=MAX_TICKS, help="Ticks of each clip, the recipe's data.ticks.")]
_Seconds = Annotated[
    float | None, typer.Option(min=0.1, help="Cut videos into equal clips of at least so many seconds.")
]
_Join = Annotated[
    float, typer.Option(min=0, help="A fact that stops for less than so many seconds counts as one that goes on.")
]
_Videos = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The data set's folder of videos; clips without a file are rejected.")
]

_OF_FILES = "Convert {}, one JSON file per video, in a folder or below."


@app.command("vidor", help=_OF_FILES.format("VidOR"))
@app.command("vidvrd", help=_OF_FILES.format("VidVRD"))
def vidor(
    annotations: _Annotations,
    output: _Output,
    ticks: _Ticks = 8,
    seconds: _Seconds = None,
    join: _Join = 0.5,
    videos: _Videos = None,
) -> None:
    from dysenvdm.data.annotations.timeline import BadAnnotation
    from dysenvdm.data.annotations.vidor import annotation_files, read_file
    from dysenvdm.data.entries import Rejected

    _check_folders(annotations, videos)
    files = annotation_files(annotations)

    def footages() -> Iterator[Footage | Rejected]:
        for file in files:
            try:
                yield read_file(file)
            except BadAnnotation as error:
                yield Rejected(file.relative_to(annotations).as_posix(), error.reason, str(error))

    _convert(footages(), len(files), output, ticks, seconds, join, videos)


@app.command("action-genome")
def action_genome(
    annotations: _Annotations,
    output: _Output,
    videos: Annotated[Path, typer.Option(metavar="DIR", help="The folder of Charades' videos.")],
    charades: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder of Charades_v1_train.csv and the lists beside it: captions and actions."
        ),
    ] = None,
    ticks: _Ticks = 8,
    seconds: _Seconds = None,
    join: _Join = 0.5,
) -> None:
    """Convert Action Genome's two pickle files, read as plain data, with Charades' captions and actions."""
    from dysenvdm.data.annotations.action_genome import ActionGenome
    from dysenvdm.data.annotations.converting import frames_and_fps
    from dysenvdm.data.annotations.timeline import BadAnnotation
    from dysenvdm.data.entries import Rejected

    _check_folders(annotations, videos, charades)
    genome = ActionGenome(annotations, charades)

    def footages() -> Iterator[Footage | Rejected]:
        yield from genome.rejected
        for video in genome.videos:
            path = videos / f"{video}.mp4"
            try:
                if not path.is_file():
                    raise BadAnnotation(f"{path.name} is not in {videos}", "missing file")
                yield genome.footage(video, *frames_and_fps(path))
            except BadAnnotation as error:
                yield Rejected(video, error.reason, str(error))

    _convert(footages(), len(genome.rejected) + len(genome.videos), output, ticks, seconds, join, videos)


def told(dsg: DynamicSceneGraph) -> str:
    """The graph in English, for clips that nobody has captioned."""
    from planners.narration import narrate

    return narrate(dsg).text


def _convert(
    footages: Iterable[Footage | Rejected],
    count: int,
    output: Path,
    ticks: int,
    seconds: float | None,
    join: float,
    videos: Path | None,
) -> None:
    from dysenvdm.data.annotations.converting import LIST, REJECTED, Conversion, convert

    with progress_bars(remaining=True) as bars:
        task = bars.add_task("convert", total=count)
        clips, rejected = convert(
            Conversion(output, ticks, seconds, join, videos, told), footages, lambda: bars.advance(task)
        )
    for reason, number in Counter(one.reason for one in rejected).most_common():
        first = next(one for one in rejected if one.reason == reason)
        say(f"rejected {number}: {reason}, such as {first.id}: {first.detail}", "yellow")
    listed = f"; all in {output / REJECTED}" if rejected else ""
    say(f"wrote {clips} scene graphs and {output / LIST}; rejected {len(rejected)}{listed}")


def _check_folders(*folders: Path | None) -> None:
    for folder in folders:
        if folder is not None and not folder.is_dir():
            raise UserError(f"{folder}: no such folder")
