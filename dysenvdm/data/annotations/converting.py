"""Writing a data set's annotations as scene graph files and one list of clips, as the ``folder`` source reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from dysenvdm.data.annotations.timeline import BadAnnotation, Footage, Interval, parts, scene_graph, without_flicker
from dysenvdm.data.decoding import WHOLE
from dysenvdm.data.entries import Rejected
from dysenvdm.files import check_parent, written_whole
from planners.dsg import DynamicSceneGraph, UserError

LIST, REJECTED = "captions.jsonl", "rejected.jsonl"


@dataclass(frozen=True)
class Conversion:
    """How footage becomes clips, and where they go.

    ``seconds`` is how long a clip is at least (None: the whole video). Facts of one statement that are less than
    ``join`` seconds apart become one. ``tell`` makes a caption of a graph for clips that have none. ``videos`` is the
    folder of the videos; with it clips without a whole file are rejected, and the list's paths are relative to it.
    """

    folder: Path
    ticks: int
    seconds: float | None
    join: float
    videos: Path | None
    tell: Callable[[DynamicSceneGraph], str]

    def clips(self, footage: Footage) -> Iterator[dict[str, Any] | Rejected]:
        """Write a video's graphs; yield a line of the list for each, or what is wrong with it."""
        if self.videos is not None and not (self.videos / footage.video).is_file():
            yield Rejected(footage.id, "missing file", f"{footage.video} is not in {self.videos}")
            return
        if self.videos is not None and (cut_off := _cut_off(self.videos / footage.video, footage)):
            yield cut_off
            return
        steady = without_flicker(footage, self.join)
        cuts = parts(steady, self.seconds)
        for cut in cuts:
            name = footage.id if len(cuts) == 1 else f"{footage.id}.{cut[0]:06}"
            try:
                yield self._clip(steady, name, cut, footage.captions if len(cuts) == 1 else ())
            except BadAnnotation as error:
                yield Rejected(name, error.reason, str(error))

    def _clip(self, footage: Footage, name: str, cut: Interval, captions: tuple[str, ...]) -> dict[str, Any]:
        """``captions`` are true of the clip; without any it is told by its graph."""
        dsg = scene_graph(footage, self.ticks, cut)
        told = captions or tuple(filter(None, [self.tell(dsg)]))
        if not told:
            raise BadAnnotation("nothing is annotated in it that could be told", "no caption")
        path = self.folder / f"{name}.dsg.json"
        dsg.replace(prompt=told[0]).save(path)
        line: dict[str, Any] = {"file": footage.video, "captions": told}
        line["dsg"] = os.path.relpath(path.resolve(), (self.videos or self.folder).resolve())
        if cut != (0, footage.frames):
            line |= {"start": cut[0] / footage.fps, "end": cut[1] / footage.fps}
        return line


def convert(
    conversion: Conversion, footages: Iterable[Footage | Rejected], done: Callable[[], None]
) -> tuple[int, list[Rejected]]:
    """Write the graphs of all footage, the list of clips and that of the rejected ones; call ``done`` after each video.

    Returns how many clips there are, and what was rejected, here or in reading. Raises :class:`UserError` where no clip
    is left, or where the folder cannot be made.
    """
    check_parent(conversion.folder)
    conversion.folder.mkdir(exist_ok=True)
    rejected: list[Rejected] = []
    lines, seen = 0, set()
    with written_whole(conversion.folder / LIST) as temporary, temporary.open("w", encoding="utf-8") as file:
        for footage in footages:
            if isinstance(footage, Rejected):
                rejected.append(footage)
            elif footage.id in seen:
                rejected.append(Rejected(footage.id, "duplicate", "another file annotates the same video"))
            else:
                seen.add(footage.id)
                for clip in conversion.clips(footage):
                    if isinstance(clip, Rejected):
                        rejected.append(clip)
                    else:
                        file.write(json.dumps(clip, ensure_ascii=False) + "\n")
                        lines += 1
            done()
        write_rejected(conversion.folder / REJECTED, rejected)
        if not lines:
            first = f"; the first: {rejected[0].id}: {rejected[0].reason}, {rejected[0].detail}" if rejected else ""
            raise UserError(f"{conversion.folder}: no clip could be converted, {len(rejected)} were rejected{first}")
    return lines, rejected


def _cut_off(path: Path, footage: Footage) -> Rejected | None:
    """What is wrong with a video over whose frames its annotations, being of more, would be stretched."""
    try:
        frames, fps = frames_and_fps(path)
    except BadAnnotation as error:
        return Rejected(footage.id, error.reason, str(error))
    there, annotated = frames / fps, footage.frames / footage.fps
    if there >= WHOLE * annotated:
        return None
    said = f"shorter than annotated ({there:.1f} s of {annotated:.1f} s): download it again"
    return Rejected(footage.id, "too short", f"{footage.video}: {said}")


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """One JSON object per line: id, reason, detail."""
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in rejected)


def frames_and_fps(path: Path) -> tuple[int, float]:
    """How many frames a video has and how many a second; raises :class:`BadAnnotation`.

    Frames that the header does not count (Matroska's) are counted: its length stays when the file is cut off.
    """
    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            rate = float(stream.average_rate or stream.base_rate or 0)
            frames = stream.frames or sum(packet.size > 0 for packet in file.demux(stream))
    except (FFmpegError, OSError, IndexError) as error:
        raise BadAnnotation(f"{path}: cannot be read as a video ({error})", "undecodable") from None
    if frames < 1 or rate <= 0:
        raise BadAnnotation(f"{path}: its header gives no length", "undecodable")
    return frames, rate
