"""Stage clips as files: a contact sheet for people; a folder of videos, captions and scene graphs for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from dysenvdm.files import folder_written_whole
from dysenvdm.sheet import contact_sheet
from dysenvdm.stage.clip import StageClip
from dysenvdm.video import write_mp4
from planners.dsg import UserError

FPS = 8


def sheet(clips: Iterable[StageClip]) -> Image.Image:
    """One clip below the other: caption, the row of frames, the timeline of its facts."""
    pages = [contact_sheet(clip.render(), clip.dsg, columns=clip.frames, scale=2) for clip in clips]
    whole = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), "white")
    top = 0
    for page in pages:
        whole.paste(page, (0, top))
        top += page.height
    return whole


def export(folder: Path, clips: Iterable[StageClip], on_clip: Callable[[], None]) -> None:
    """Write ``folder``, whole or not at all: per clip NAME.mp4, NAME.txt (a caption per line) and NAME.dsg.json.

    ``index.jsonl`` has one line per clip with the files' names, the captions, the plan and the boxes of every frame.
    ``on_clip`` is called after each clip. Raises UserError when the folder already holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: already holds something; name a new folder or empty it first")
    with folder_written_whole(folder) as fresh, (fresh / "index.jsonl").open("w", encoding="utf-8") as index:
        for clip in clips:
            index.write(json.dumps(_write_clip(fresh, clip), ensure_ascii=False) + "\n")
            on_clip()


def _write_clip(folder: Path, clip: StageClip) -> dict[str, Any]:
    """Write the files of one clip and return its line of the index."""
    name = f"{clip.seed:010d}"
    recipe = {"stage_seed": clip.seed, "prompt": clip.caption, "dsg": clip.dsg.to_dict()}
    write_mp4(folder / f"{name}.mp4", clip.render(), FPS, recipe)
    clip.dsg.save(folder / f"{name}.dsg.json")
    captions = (clip.caption, *clip.captions)
    (folder / f"{name}.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
    return {
        "seed": clip.seed,
        "video": f"{name}.mp4",
        "dsg": f"{name}.dsg.json",
        "captions": list(captions),
        "setting": clip.setting,
        "plan": clip.plan.model_dump(exclude_none=True),
        "boxes": {ident: box.round(4).astype(float).round(4).tolist() for ident, box in clip.boxes.items()},
    }
