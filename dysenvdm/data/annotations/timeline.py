"""From what annotators marked frame by frame to a dynamic scene graph in ticks.

A reader of a data set gives one :class:`Footage` per video; everything that all data sets share is here: joining what
flickers, cutting clips out, and the way from frames to ticks. Frames map onto ticks by the data model's rule,
``tick = frame * ticks // num_frames``; read backwards, tick k begins at frame ``ceil(k * num_frames / ticks)``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby, pairwise
from math import ceil

from dysenvdm.data.entries import Reason
from planners.dsg import DynamicSceneGraph, Fact, SceneObject, Source, UserError, tick_of_frame

Interval = tuple[int, int]
"""Frames [start, end) of a video."""

ANNOTATED: Source = "user"
"""Who says the facts: a person, the annotator."""


class BadAnnotation(UserError):  # noqa: N818  # it is an annotation, and bad
    """An annotation, or a video beside it, that cannot be used. The message is what is wrong, and where."""

    def __init__(self, message: str, reason: Reason = "bad annotation") -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Track:
    """One person or thing through a video, and the frames in which it is marked."""

    key: str
    """Its identity in the data set, the same in every frame."""
    label: str
    seen: tuple[Interval, ...]


@dataclass(frozen=True)
class Statement:
    """What somebody marked: ``subject`` ``predicate`` ``object`` (keys of tracks) in some frames."""

    subject: str
    predicate: str
    object: str | None
    frames: Interval

    @property
    def said(self) -> tuple[str, str, str]:
        return (self.subject, self.predicate, self.object or "")


@dataclass(frozen=True)
class Footage:
    """A video as its data set annotates it."""

    id: str
    video: str
    """The file, relative to the data set's folder of videos."""
    frames: int
    fps: float
    tracks: tuple[Track, ...]
    statements: tuple[Statement, ...]
    captions: tuple[str, ...] = ()


def joined(intervals: Iterable[Interval], gap: float = 0) -> list[Interval]:
    """Intervals in order, those that overlap, touch or are less than ``gap`` apart joined into one."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and (start <= result[-1][1] or start - result[-1][1] < gap):
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def without_flicker(footage: Footage, seconds: float) -> Footage:
    """The footage with each statement's intervals joined where less than ``seconds`` lie between them."""
    ordered = sorted(footage.statements, key=lambda statement: statement.said)
    return replace(
        footage,
        statements=tuple(
            replace(same[0], frames=interval)
            for _, group in groupby(ordered, key=lambda statement: statement.said)
            for same in [list(group)]
            for interval in joined((statement.frames for statement in same), seconds * footage.fps)
        ),
    )


def parts(footage: Footage, seconds: float | None) -> list[Interval]:
    """Frames of the clips into which a video is cut: equal parts of at least ``seconds``; without them all of it."""
    clips = 1 if seconds is None else max(1, footage.frames // ceil(seconds * footage.fps))
    return list(pairwise(i * footage.frames // clips for i in range(clips + 1)))


def scene_graph(footage: Footage, ticks: int, cut: Interval | None = None) -> DynamicSceneGraph:
    """The frames ``cut`` of a video (by default all) as a graph of ``ticks`` ticks.

    A fact begins and ends at the tick boundaries nearest to its frames (between two, at the earlier). One too short for
    that has the tick of its middle frame, unless the cut left it so. Of an object that is marked several times, the
    graph says it is there from the first time to the last. Ids are those of the whole video, whatever is cut out.
    Raises :class:`BadAnnotation` where the cut has fewer frames than ``ticks``, or more objects or facts than a graph
    may have.
    """
    first, last = cut or (0, footage.frames)
    frames = last - first
    if frames < ticks:
        raise BadAnnotation(f"{frames} frames cannot hold {ticks} ticks", "too short")
    edges = [frames_of_ticks(k, k, frames, ticks)[0] for k in range(ticks + 1)]
    ids = _ids(footage.tracks)
    facts = []
    for statement in footage.statements:
        held = _ticks(statement.frames, (first, last), edges)
        if held is not None:
            facts.append(
                Fact(
                    subject=ids[statement.subject],
                    predicate=statement.predicate,
                    object=ids[statement.object] if statement.object is not None else None,
                    start=held[0],
                    end=held[1],
                    source=ANNOTATED,
                )
            )
    objects = []
    for track in footage.tracks:
        there = [_ticks(interval, (first, last), edges) for interval in track.seen]
        there += [(f.start, f.end) for f in facts if ids[track.key] in (f.subject, f.object)]
        known = [interval for interval in there if interval is not None]
        if known:
            start, end = min(start for start, _ in known), max(end for _, end in known)
            objects.append(
                SceneObject(id=ids[track.key], label=track.label, start=start, end=end if end < ticks else None)
            )
    try:
        return DynamicSceneGraph.parse({"ticks": ticks, "objects": tuple(objects)}, footage.id).extended(facts)
    except UserError as error:
        raise BadAnnotation(str(error), "bad scene graph") from None


def frames_of_ticks(start: int, end: int, num_frames: int, ticks: int) -> Interval:
    """The frames [first, last) that the ticks [start, end) of a clip show."""
    return -(-start * num_frames // ticks), -(-end * num_frames // ticks)


def _ticks(frames: Interval, cut: Interval, edges: Sequence[int]) -> Interval | None:
    """The ticks of some frames of the video in a cut of it; None where the cut has nothing of them, or a sliver."""
    start, end = max(frames[0], cut[0]) - cut[0], min(frames[1], cut[1]) - cut[0]
    if start >= end:
        return None
    ticks = (_nearest(start, edges), _nearest(end, edges))
    if ticks[0] < ticks[1]:
        return ticks
    if cut[0] <= frames[0] and frames[1] <= cut[1]:
        tick = tick_of_frame((start + end - 1) // 2, edges[-1], len(edges) - 1)
        return tick, tick + 1
    return None


def _nearest(frame: int, edges: Sequence[int]) -> int:
    above = bisect_left(edges, frame)
    earlier = above > 0 and frame - edges[above - 1] <= edges[above] - frame
    return above - 1 if earlier and edges[above] != frame else above


def _ids(tracks: Sequence[Track]) -> dict[str, str]:
    """The tracks' object ids: their labels, numbered where several have the same; in the data set's order."""
    names = {track.key: (re.sub(r"[^A-Za-z0-9]+", "_", track.label).strip("_") or "thing")[:50] for track in tracks}
    several = {name for name, times in Counter(names.values()).items() if times > 1}
    taken = set(names.values())
    ids: dict[str, str] = {}
    for key, name in names.items():
        if name in several:
            name = next(numbered for i in count(1) if (numbered := f"{name}_{i}") not in taken)
            taken.add(name)
        ids[key] = name
    return ids


def checked_path(path: str, where: str) -> str:
    """A relative path from an annotation file; raises :class:`BadAnnotation` where it leads out of its folder."""
    if not path or path.startswith("/") or ".." in path.split("/") or "\\" in path or "\0" in path:
        raise BadAnnotation(f"{where}: {path!r} is no path inside a folder of videos")
    return path
