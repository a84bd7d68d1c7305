"""The videos that ``dysenvdm generate`` is asked for, and the files of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dysenvdm.cli.planning import checked_prompt, read_batch
from dysenvdm.files import check_parent, written_whole
from planners.dsg import DynamicSceneGraph, UserError

if TYPE_CHECKING:
    from dysenvdm.generation.recipe import Origin
    from dysenvdm.video import Frames


@dataclass(frozen=True)
class Job:
    """One video to make."""

    prompt: str
    output: Path
    dsg: DynamicSceneGraph | None = None
    number: int = 0
    """Its place among the videos that were asked for, which its seed counts on by, whether those before it are made."""

    @property
    def files(self) -> dict[str, Path]:
        """What is written, by what it is."""
        suffixes = {"video": ".mp4", "recipe": ".json", "contact sheet": ".png", "scene graph": ".dsg.json"}
        return {what: self.output.with_suffix(suffix) for what, suffix in suffixes.items()}


def check_inputs_stay(jobs: Sequence[Job], inputs: Mapping[str, Path | None]) -> None:
    """Raise :class:`UserError` where an input, by its option, would be overwritten by a result.

    Only a --dsg file may be: the scene graph that is written is the one that was read.
    """
    given = {file.resolve(): option for option, file in inputs.items() if file is not None}
    for job in jobs:
        for what, file in job.files.items():
            option = given.get(file.resolve())
            if option and (option, what) != ("--dsg", "scene graph"):
                raise UserError(f"{option} {file}: would be overwritten by the {what}; choose another name for -o")


def single_job(prompt: str | None, output: Path, dsg: Path | None) -> Job:
    if output.suffix != ".mp4":
        raise UserError(f"{output}: the video is an .mp4 file; change the name given to -o")
    check_parent(output)
    return _job(prompt, output, dsg)


def several_jobs(count: int, prompt: str | None, output: Path, dsg: Path | None) -> list[Job]:
    """``count`` videos of one prompt, in a folder."""
    _check_folder(output, "--count")
    return [replace(_job(prompt, output / f"{i + 1:04d}.mp4", dsg), number=i) for i in range(count)]


def batch_jobs(batch: Path, output: Path, prompt: str | None, dsg: Path | None) -> list[Job]:
    """A video per line of a file, in a folder."""
    if prompt is not None or dsg:
        raise UserError("--batch: the file has the prompts; leave out the prompt and --dsg")
    _check_folder(output, "--batch")
    prompts = read_batch(batch)
    return [Job(text, output / f"{i + 1:04d}.mp4", number=i) for i, text in enumerate(prompts)]


def _check_folder(output: Path, option: str) -> None:
    if output.suffix:
        raise UserError(f"{output}: {option} writes many files; give a folder to -o")
    check_parent(output)


def _job(prompt: str | None, output: Path, dsg: Path | None) -> Job:
    graph = DynamicSceneGraph.load(dsg) if dsg else None
    if prompt is None and graph is None:
        raise UserError("prompt: missing; say what should happen, or give a --dsg file or a --batch file")
    if prompt is None and graph is not None:
        return Job(checked_prompt(graph.prompt, f"{dsg} prompt"), output, graph)
    assert prompt is not None
    return Job(checked_prompt(prompt), output, graph)


def write_files(job: Job, origin: Origin, video: Frames, recipe: dict[str, Any]) -> None:
    """Write a video's files, the MP4 last; none of them where anything fails."""
    from dysenvdm.generation.recipe import recipe_text
    from dysenvdm.video import contact_sheet, shown_frames, write_mp4

    files = job.files
    with ExitStack() as stack:  # leaves in reverse order: the video's name appears when all else is there
        mp4 = stack.enter_context(written_whole(files["video"]))
        write_mp4(mp4, shown_frames(video, recipe), recipe["fps"], recipe)
        text = stack.enter_context(written_whole(files["recipe"]))
        text.write_text(recipe_text(recipe), encoding="utf-8")
        png = stack.enter_context(written_whole(files["contact sheet"]))
        contact_sheet(video, origin.dsg).save(png)
        if origin.dsg:
            origin.dsg.save(stack.enter_context(written_whole(files["scene graph"])))
    if origin.dsg is None:
        files["scene graph"].unlink(missing_ok=True)  # an older run's scene graph would belong to another video
