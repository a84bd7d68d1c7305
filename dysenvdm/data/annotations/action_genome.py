"""Action Genome: relations of one person with things around it, in some frames of each Charades video.

Keys are ``VIDEO.mp4/000089.png``, numbered from 1 as ffmpeg numbers all of a video's frames. Source: Ji et al.,
"Action Genome" (2020), and the released ``person_bbox.pkl`` and ``object_bbox_and_relationship.pkl``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dysenvdm.data.annotations.charades import Classes, Described, read_lists
from dysenvdm.data.annotations.plain_pickle import read_pickle
from dysenvdm.data.annotations.timeline import BadAnnotation, Footage, Interval, Statement, Track, joined
from dysenvdm.data.entries import Rejected
from planners.dsg import UserError, one_line

PEOPLE, THINGS = "person_bbox.pkl", "object_bbox_and_relationship.pkl"

REACH = 1.0
"""Seconds before and after an annotated frame for which it speaks, as far as no other annotated frame is nearer."""

PERSON = "person"

_BY_PERSON = {
    "looking_at": "look at",
    "carrying": "carry",
    "covered_by": "be covered by",
    "drinking_from": "drink from",
    "eating": "eat",
    "have_it_on_the_back": "have on the back",
    "holding": "hold",
    "leaning_on": "lean on",
    "lying_on": "lie on",
    "sitting_on": "sit on",
    "standing_on": "stand on",
    "touching": "touch",
    "twisting": "twist",
    "wearing": "wear",
    "wiping": "wipe",
    "writing_on": "write on",
    "in": "in",
}
"""What the person does to a thing, and that it is in one: a bed, a doorway."""
_OF_THING = {
    "above": "above",
    "beneath": "beneath",
    "in_front_of": "in front of",
    "behind": "behind",
    "on_the_side_of": "beside",
}
"""Where a thing is, seen from the person: the table is in front of the person."""
_NOTHING = ("not_looking_at", "unsure", "not_contacting", "other_relationship")
"""Annotations that state no fact."""

_KEY = re.compile(r"([A-Za-z0-9_-]+)\.mp4/(\d+)\.png")


class _Thing(BaseModel):
    """One thing in one frame; all but what is read here is passed over."""

    model_config = ConfigDict(populate_by_name=True)

    label: Annotated[str, Field(alias="class", min_length=1, max_length=100)]
    visible: bool
    attention_relationship: list[str] | None = None
    spatial_relationship: list[str] | None = None
    contacting_relationship: list[str] | None = None

    def relations(self) -> Iterator[str]:
        for names in (self.attention_relationship, self.spatial_relationship, self.contacting_relationship):
            yield from names or ()


class ActionGenome:
    """The annotations of all videos; :meth:`footage` tells one of them.

    ``charades`` is the folder with Charades' lists, for captions and actions; without it there are neither.
    Raises :class:`UserError` where an official file is missing or no plain data.
    """

    def __init__(self, folder: Path, charades: Path | None = None) -> None:
        people, things = (_keyed(folder / name) for name in (PEOPLE, THINGS))
        self._frames: dict[str, dict[int, str]] = {}
        self.rejected: list[Rejected] = []
        """Keys of the files that name no frame."""
        for key in things:
            match = _KEY.fullmatch(str(key))
            if match is None or int(match[2]) < 1:
                self.rejected.append(
                    Rejected(str(key)[:80], "bad annotation", f"{THINGS}: a key is VIDEO.mp4/000001.png")
                )
            else:
                self._frames.setdefault(match[1], {})[int(match[2]) - 1] = str(key)
        self._people, self._things = people, things
        self._described: dict[str, Described] = read_lists(charades) if charades else {}
        self._classes = Classes(charades) if charades else None

    @property
    def videos(self) -> list[str]:
        """Ids of the annotated videos, in order."""
        return sorted(self._frames)

    def footage(self, video: str, frames: int, fps: float) -> Footage:
        """The annotations of one video of so many frames; raises :class:`BadAnnotation` that names the place."""
        keys = self._frames[video]
        if max(keys) >= frames:
            raise BadAnnotation(f"{keys[max(keys)]}: the video has {frames} frames; it is another version of it")
        described = self._described.get(video, Described((), ""))
        spans = _spoken_for(sorted(keys), frames, fps)
        seen: dict[str, list[Interval]] = {PERSON: []}
        statements = []
        for frame, span in spans.items():
            key = keys[frame]
            if _has_person(self._people.get(key), f"{PEOPLE}, {key}"):
                seen[PERSON].append(span)
            for i, thing in enumerate(_things(self._things[key], f"{THINGS}, {key}")):
                if thing.visible:
                    seen.setdefault(thing.label, []).append(span)
                    said = _relations(thing, f"{THINGS}, {key}[{i}]")
                    statements += [Statement(*words, span) for words in said]
        actions = self._classes.actions(described.actions) if self._classes else []
        for action in actions:
            begin, end = int(action.start * fps), min(round(action.end * fps), frames)
            if begin < end:  # times of some actions lie behind the video's end
                if action.object is not None:
                    seen.setdefault(action.object, [])
                statements.append(Statement(PERSON, action.predicate, action.object, (begin, end)))
        return Footage(
            id=video,
            video=f"{video}.mp4",
            frames=frames,
            fps=fps,
            tracks=tuple(
                Track(label, spoken(label, described.captions), tuple(joined(spans))) for label, spans in seen.items()
            ),
            statements=tuple(statements),
            captions=described.captions,
        )


def spoken(label: str, captions: tuple[str, ...]) -> str:
    """A class as a noun: of ``cup/glass/bottle`` the name that a caption uses, otherwise the first."""
    names = [name.strip().replace("_", " ") for name in label.split("/")]
    words = set(re.findall(r"[a-z]+", " ".join(captions).lower()))
    return next((name for name in names if words & {name, f"{name}s"}), names[0])


def _spoken_for(annotated: list[int], frames: int, fps: float) -> dict[int, Interval]:
    """For which frames of the video each annotated frame speaks."""
    reach = max(1, round(REACH * fps))
    middles = [(a + b + 1) // 2 for a, b in pairwise(annotated)]
    return {
        frame: (max(before, frame - reach), min(after, frame + reach + 1))
        for frame, before, after in zip(annotated, [0, *middles], [*middles, frames], strict=True)
    }


def _relations(thing: _Thing, where: str) -> Iterator[tuple[str, str, str]]:
    for name in thing.relations():
        if name in _BY_PERSON:
            yield PERSON, _BY_PERSON[name], thing.label
        elif name in _OF_THING:
            yield thing.label, _OF_THING[name], PERSON
        elif name not in _NOTHING:
            raise BadAnnotation(f"{where}: no relationship of Action Genome is called {name!r}")


def _things(value: Any, where: str) -> list[_Thing]:
    if not isinstance(value, list):
        raise BadAnnotation(f"{where}: a list of things is expected")
    things = []
    for i, item in enumerate(value):
        try:
            things.append(_Thing.model_validate(item))
        except ValidationError as error:
            raise BadAnnotation(f"{where}[{i}]: {one_line(error)}") from None
    return things


def _has_person(value: Any, where: str) -> bool:
    """Whether a person was found in a frame; a frame may be missing from the file."""
    if value is None:
        return False
    if not isinstance(value, Mapping) or not isinstance(value.get("bbox"), np.ndarray):
        raise BadAnnotation(f"{where}: an entry with an array bbox is expected")
    return len(value["bbox"]) > 0


def _keyed(path: Path) -> dict[Any, Any]:
    data = read_pickle(path)
    if not isinstance(data, dict) or not data:
        raise UserError(f"{path}: a dictionary of frames is expected; it is not the official file")
    return data
