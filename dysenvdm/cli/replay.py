"""``dysenvdm replay``: a video once more from the recipe that it carries, without any language model, and compared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dysenvdm.cli import generate_options as options
from dysenvdm.cli.console import out, plain, progress_bars
from dysenvdm.files import check_parent
from planners.dsg import UserError

if TYPE_CHECKING:
    from dysenvdm.generation.lora import Lora
    from dysenvdm.generation.recipe import Made
    from dysenvdm.video import Frames

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="An .mp4 that dysenvdm made.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.mp4", help="Write the new video here, too.")
    ] = None,
    model: options.Model = None,
    lora: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Where a LoRA lies that was used; may be given often."),
    ] = None,
    first_frame: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="The picture that the video began with.")
    ] = None,
    device: options.Device = "auto",
    offload: options.Offload = None,
) -> None:
    """Make a video again without planning and compare: exit code 0 where it is the same bit for bit, 1 where not."""
    from dysenvdm.cli.making import denoised
    from dysenvdm.cli.video_jobs import Job
    from dysenvdm.cli.video_model import Computing, load
    from dysenvdm.generation.placement import checked_device
    from dysenvdm.generation.recipe import read_made, versions
    from dysenvdm.video import shown_frames, write_mp4

    made = read_made(video)
    if video.suffix == ".json":
        raise UserError(f"{video}: a recipe has no frames to compare with; give the .mp4")
    if output is not None:
        check_parent(output)
        if output.resolve() == video.resolve():
            raise UserError(f"{output}: would be overwritten; choose another name for -o")
    picture = _first_frame(video, made, first_frame)
    settings = replace(made.settings, model=model or made.settings.model, planner=None)
    computing = Computing(checked_device(device, offload), offload, settings.compiled)
    job = Job(made.prompt, video, made.origin.dsg)
    pipe, weights = load(settings, [job], {}, computing, _loras(video, made, lora or []))
    together = made.batch.videos
    further: dict[str, Any] = {}
    if picture is not None:
        import numpy as np

        from dysenvdm.cli.video_model import first_frame as read_first_frame

        fit = (settings.first_frame or {}).get("fit")
        further["first_frames"] = np.stack([read_first_frame(pipe, settings, picture, fit)] * together)
    if made.edit_of:
        further["edit_of"] = ([made.edit_of[0]] * together, [made.edit_of[1]] * together)
    graphs = [made.origin.dsg] * together if made.origin.dsg else []
    with progress_bars(remaining=True) as bars:
        task = bars.add_task("denoising", total=settings.steps * (2 if made.edit_of else 1))
        # As many as then, all alike: how sums are split over a batch decides their last bits.
        videos = denoised(
            pipe, settings, [made.prompt] * together, graphs,
            seeds=[made.seed] * together, on_step=lambda *_: bars.advance(task), **further,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        again = output or Path(folder) / "again.mp4"
        write_mp4(again, shown_frames(videos[made.batch.place], made.told), settings.fps, made.told)
        same = again.read_bytes() == video.read_bytes()
        if same:
            out.print("bit-identical")
            return
        if _tell_difference(video, again):
            return
    for line in _differences(made, {**weights}, versions()):
        out.print(plain(line), markup=False, soft_wrap=True)
    raise typer.Exit(1)


def _first_frame(video: Path, made: Made, given: Path | None) -> Path | None:
    """The picture that the video began with; raises :class:`UserError` where it is missing or another one."""
    from dysenvdm.files import sha256

    recorded = made.settings.first_frame
    if recorded is None:
        if given is not None:
            raise UserError(f"--first-frame: {video} began with none; leave it out")
        return None
    if given is None:
        raise UserError(f"{video}: began with a picture; give it as --first-frame")
    if sha256(given) != recorded["sha256"]:
        raise UserError(f"--first-frame {given}: is not the picture that {video} began with; its SHA-256 differs")
    return given


def _loras(video: Path, made: Made, given: Sequence[Path]) -> list[Lora]:
    """The LoRAs of the recipe, in its order; raises :class:`UserError` for one that is missing or was not used."""
    from dysenvdm.generation.lora import Lora

    folders = {folder.resolve().name: folder for folder in given}
    used = {str(each["name"]): float(each["scale"]) for each in made.settings.loras}
    if missing := used.keys() - folders.keys():
        raise UserError(
            f"{video}: was made with LoRA {', '.join(sorted(missing))}; say where it lies with --lora FOLDER"
        )
    if extra := folders.keys() - used.keys():
        raise UserError(f"--lora {', '.join(sorted(extra))}: {video} was made without; leave it out")
    return [Lora(folders[name], scale) for name, scale in used.items()]


def _tell_difference(video: Path, again: Path) -> bool:
    """Say how two files differ; True where it is not in their frames."""
    from dysenvdm.video import read_mp4

    before, after = read_mp4(video), read_mp4(again)
    if before.shape != after.shape:
        out.print(f"differs: {before.shape[0]} frames of {before.shape[2]}x{before.shape[1]} then, "
                  f"{after.shape[0]} of {after.shape[2]}x{after.shape[1]} now")  # fmt: skip
    elif (before == after).all():
        out.print("frames bit-identical; the file around them is not: signed, or written anew since")
        return True
    else:
        out.print(f"differs: PSNR {_psnr(before, after):.1f} dB, {_changed(before, after):.2%} of the values")
    return False


def _psnr(before: Frames, after: Frames) -> float:
    """Peak signal-to-noise ratio of frames (f h w 3) uint8 in dB."""
    import numpy as np

    error = np.mean((before.astype(np.float64) - after) ** 2)
    return float(10 * np.log10(255**2 / error))


def _changed(before: Frames, after: Frames) -> float:
    return float((before != after).mean())


def _differences(made: Made, weights: Mapping[str, Mapping[str, str]], now: Mapping[str, str]) -> Iterator[str]:
    """What of the recipe is not as it was: weights by file, versions by name."""
    found = False
    for name, files in weights.items():
        recorded = made.weights.get(name)
        if recorded is None:
            found = True
            yield f"weights of {name}: not in the recipe (it has {', '.join(made.weights)})"
            continue
        for file in sorted(recorded.keys() | files.keys()):
            if recorded.get(file) != files.get(file):
                found = True
                before, after = (hashes.get(file, "missing")[:16] for hashes in (recorded, files))
                yield f"weights of {name}, {file}: {before} then, {after} now"
    for name, version in made.versions.items():
        if now.get(name) != version:
            found = True
            yield f"{name}: {version} then, {now.get(name, 'missing')} now"
    if not found:
        yield "weights and versions are as then: another processor, device or number of threads, or a changed file"
