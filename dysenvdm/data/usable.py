"""Clips that can be used, and the list of them that a run keeps from its first step to its last."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from dysenvdm.data.decoding import Info
from dysenvdm.data.entries import Entry
from dysenvdm.data.examining import Stamp
from dysenvdm.files import disk_trouble, written_whole
from planners.dsg import DynamicSceneGraph, UserError

LOST = -1
"""When a file was changed that is no longer the one with which the run began: no file's time of change."""


@dataclass(frozen=True)
class Usable:
    """A clip that gives enough frames."""

    entry: Entry
    info: Info
    stamp: Stamp
    dsg: DynamicSceneGraph | None = None

    @property
    def lost(self) -> bool:
        """Whether its file is no longer the one with which the run began."""
        return self.stamp.mtime_ns == LOST


class Clips(NamedTuple):
    """What a run trains on and what it is validated on, in the order that its draws number."""

    trained: tuple[Usable, ...]
    held_out: tuple[Usable, ...]


def packed(clip: Usable) -> bytes:
    return json.dumps(_said(clip)).encode()


def unpacked(text: bytes) -> Usable:
    said = json.loads(text)
    span = tuple(said["span"]) if said["span"] else None
    sentences = tuple(tuple(sentence) for sentence in said["sentences"])
    entry = Entry(said["id"], Path(said["path"]), tuple(said["captions"]), span, None, sentences)
    dsg = DynamicSceneGraph.parse(said["dsg"]) if said["dsg"] else None
    return Usable(entry, Info(**said["info"]), Stamp(**said["stamp"]), dsg)


def content(clip: Usable) -> bytes:
    """What a clip's frames and words follow from, on any machine."""
    said = _said(clip)
    said.pop("path")
    said["stamp"].pop("mtime_ns")
    return json.dumps(said, sort_keys=True).encode()


def _said(clip: Usable) -> dict[str, Any]:
    entry = clip.entry
    return {
        "id": entry.id,
        "path": str(entry.path),
        "captions": entry.captions,
        "span": entry.span,
        "sentences": entry.sentences,
        "info": asdict(clip.info),
        "stamp": asdict(clip.stamp),
        "dsg": clip.dsg.to_dict() if clip.dsg else None,
    }


def still_there(clip: Usable, now: Usable | None) -> Usable:
    """A run's clip where its file lies ``now``, if that holds the same; else the clip marked as lost."""
    if now is None or (now.info, now.stamp.size) != (clip.info, clip.stamp.size):
        return replace(clip, stamp=Stamp(clip.stamp.size, LOST))
    return replace(clip, entry=replace(clip.entry, path=now.entry.path), stamp=now.stamp)


def write_clips(path: Path, clips: Clips, root: Path) -> None:
    """Gzipped JSON lines: how many are trained on, then every clip with its file relative to ``root``."""
    with disk_trouble(path), written_whole(path) as temporary, gzip.open(temporary, "wb", compresslevel=3) as file:
        file.write(b"%d\n" % len(clips.trained))
        for part in clips:
            for clip in part:
                relative = Path(os.path.relpath(clip.entry.path, root))
                file.write(packed(replace(clip, entry=replace(clip.entry, path=relative))) + b"\n")


def read_clips(path: Path, root: Path) -> Clips:
    """What :func:`write_clips` wrote, below a ``root`` that may have moved; :class:`UserError` for a damaged file."""
    try:
        with gzip.open(path) as file:
            trained = int(file.readline())
            every = tuple(map(unpacked, file))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path}: the list of the run's clips is damaged ({error}); start another run") from None
    every = tuple(replace(clip, entry=replace(clip.entry, path=root / clip.entry.path)) for clip in every)
    return Clips(every[:trained], every[trained:])
