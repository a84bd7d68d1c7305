"""Stage clips as files: a contact sheet for people; a folder of videos, captions and scene graphs for programs.

An export is written clip by clip and can be stopped at any time: the same command goes on. ``export.json`` says what
the export is, so that no other is written into its folder; ``index.jsonl`` has a line for every clip whose files are
there, and its lines are in the order of clips. What a killed run left unfinished is written again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from dysenvdm.files import check_parent, written_whole
from dysenvdm.sheet import contact_sheet
from dysenvdm.stage.captions import action_of
from dysenvdm.stage.card import card
from dysenvdm.stage.clip import STAGE_VERSION, StageClip, sample
from dysenvdm.stage.compositions import SPLITS
from dysenvdm.video import write_mp4
from planners.dsg import UserError

FPS = 8
CLAIM, INDEX, CARD, SHEET, LOCK = "export.json", "index.jsonl", "README.md", "sheet.png", ".lock"
_ON_SHEET = 6


class ExportSettings(BaseModel):
    """What an export is: clips ``first`` to before ``first + clips`` of a split. ``frames`` None: as events need."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["dysenvdm.stage-export/1"] = "dysenvdm.stage-export/1"
    stage_version: int = STAGE_VERSION
    split: str = "train"
    first: int = 0
    clips: int
    events: tuple[int, ...] | None = None
    actors: tuple[int, ...] | None = None
    frames: int | None = 16
    size: int = 64
    fps: int = FPS

    def clip(self, number: int) -> StageClip:
        """The export's clip of that number, from 0 on."""
        return sample(
            self.first + number,
            split=self.split,
            events=self.events,
            actors=self.actors,
            frames=self.frames,
            size=self.size,
        )


def sheet(clips: Iterable[StageClip]) -> Image.Image:
    """One clip below the other: caption, the row of frames, the timeline of its facts."""
    pages = [
        contact_sheet(clip.render(), clip.dsg, columns=min(clip.frames, 16), scale=max(1, 128 // clip.size))
        for clip in clips
    ]
    whole = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), "white")
    top = 0
    for page in pages:
        whole.paste(page, (0, top))
        top += page.height
    return whole


def export(folder: Path, settings: ExportSettings, on_clip: Callable[[], None]) -> int:
    """Write what the folder lacks of an export, and return how many clips that were.

    Per clip there are NAME.mp4, NAME.txt (a caption per line) and NAME.dsg.json; ``index.jsonl`` has its line, with the
    files' names, captions, plan and the boxes of every frame. ``README.md`` (a dataset card) and ``sheet.png`` follow
    when all clips are there. ``on_clip`` is called for every clip that is there, written now or before.

    Equal settings give equal bytes of JSON, text and pictures on every machine; MP4 files are equal wherever the same
    build of libx264 encodes them, and decode to the same frames everywhere.

    Raises UserError where the folder holds anything else, or a run is writing it.
    """
    _check(settings)
    if not folder.exists():
        check_parent(folder)
        folder.mkdir()
    with _alone(folder):
        _claim(folder, settings)
        done = _written(folder / INDEX, settings)
        for _ in range(done):
            on_clip()
        with (folder / INDEX).open("a", encoding="utf-8") as index:
            for number in range(done, settings.clips):
                line = _write_clip(folder, settings, number)
                index.write(json.dumps(line, ensure_ascii=False) + "\n")
                index.flush()
                os.fsync(index.fileno())
                on_clip()
        _finish(folder, settings)
    return settings.clips - done


def _check(settings: ExportSettings) -> None:
    """Raise UserError for settings that no clip has, here and not after hours of writing."""
    settings.clip(0)
    whole = len(SPLITS[settings.split].seeds)
    if settings.first + settings.clips > whole:
        raise UserError(f"split {settings.split} ends at clip {whole - 1}; begin at {whole - settings.clips} or lower")
    if settings.size % 2:
        raise UserError(f"size {settings.size}: H.264 takes even sizes; choose {settings.size + 1}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse a second run on the same folder while the first one lives; the system takes the lock from a killed one."""
    ours = folder.is_dir() and ((folder / CLAIM).exists() or {entry.name for entry in folder.iterdir()} <= {LOCK})
    if not ours:
        raise UserError(f"{folder}: already holds something; name a new folder or empty it first")
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another run is writing it; wait for it, or name another folder") from None
        yield


def _claim(folder: Path, settings: ExportSettings) -> None:
    """Say in the folder what it holds; more clips of the same export may be asked for later, nothing else."""
    path = folder / CLAIM
    if path.exists():
        try:
            theirs = ExportSettings.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            raise UserError(f"{path}: not written by this version; name a new folder") from None
        mine, old = settings.model_dump(), theirs.model_dump()
        other = next((key for key in mine if mine[key] != old[key] and key != "clips"), None)
        if other is not None:
            raise UserError(f"{folder}: holds another export, with {other} {old[other]}; name a new folder")
        if theirs.clips > settings.clips:
            raise UserError(f"{folder}: is an export of {theirs.clips} clips; ask for as many or more")
        if theirs == settings:
            return
    with written_whole(path) as temporary:
        temporary.write_text(settings.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _written(index: Path, settings: ExportSettings) -> int:
    """How many clips are there; a line that a killed run left unfinished is cut off, and so are its temporary files."""
    for stray in index.parent.glob(".*.*"):
        stray.unlink()
    if not index.exists():
        return 0
    done = whole = 0
    with index.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            if json.loads(line)["id"] != _ident(settings, done):
                raise UserError(f"{index} line {done + 1}: not clip {_ident(settings, done)}; name a new folder")
            done, whole = done + 1, whole + len(line)
    os.truncate(index, whole)
    return done


def _ident(settings: ExportSettings, number: int) -> str:
    return f"{settings.split}-{settings.first + number}"


def _write_clip(folder: Path, settings: ExportSettings, number: int) -> dict[str, Any]:
    """Write the files of one clip, each whole or not at all, and return its line of the index."""
    clip = settings.clip(number)
    name = f"{clip.seed:010d}"
    recipe = {"stage_seed": clip.seed, "stage_version": clip.version, "prompt": clip.caption, "dsg": clip.dsg.to_dict()}
    write_mp4(folder / f"{name}.mp4", clip.render(), settings.fps, recipe)
    clip.dsg.save(folder / f"{name}.dsg.json")
    captions = (clip.caption, *clip.captions)
    with written_whole(folder / f"{name}.txt") as temporary:
        temporary.write_text("\n".join(captions) + "\n", encoding="utf-8")
    telling = clip.tellings[0]
    return {
        "id": _ident(settings, number),
        "split": clip.split,
        "seed": clip.seed,
        "stage_version": clip.version,
        "caption": clip.caption,
        "captions": list(captions),
        "style": telling.style,
        "phrasing": list(telling.phrasing),
        "words": telling.words,
        "events": len(clip.script.acts),
        "actors": len(clip.script.roles),
        "video": f"{name}.mp4",
        "dsg": f"{name}.dsg.json",
        "frames": clip.frames,
        "fps": settings.fps,
        "size": clip.size,
        "setting": clip.setting,
        "weather": clip.script.weather,
        "plan": clip.plan.model_dump(exclude_none=True),
        "actions": [action_of(event.predicate) for event in clip.plan.events],
        "spans": {"events": telling.verbs, "objects": telling.names},
        "boxes": {ident: box.round(4).astype(float).round(4).tolist() for ident, box in clip.boxes.items()},
    }


def _finish(folder: Path, settings: ExportSettings) -> None:
    """The card and the sheet, from the files themselves."""
    with (folder / INDEX).open(encoding="utf-8") as lines, written_whole(folder / CARD) as temporary:
        temporary.write_text(card(settings.model_dump(), map(json.loads, lines)), encoding="utf-8")
    with written_whole(folder / SHEET) as temporary:
        sheet(settings.clip(i) for i in range(min(_ON_SHEET, settings.clips))).save(temporary)
