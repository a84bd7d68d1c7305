"""VidVRD and VidOR: one JSON file per video with tracked boxes and relations that last some frames.

``relation_instances`` hold in the frames ``[begin_fid, end_fid)``. Source: Shang et al., "Video Visual Relation
Detection" (2017) and "Annotating Objects and Relations in User-Generated Videos" (2019), and their released files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from dysenvdm.data.annotations.timeline import BadAnnotation, Footage, Statement, Track, checked_path, joined
from planners.dsg import UserError, one_line

_PHRASES = {
    **{word: f"{word} than" for word in ("taller", "larger", "faster")},
    "hold_hand_of": "hold the hand of",
    "shake_hand_with": "shake hands with",
    "wave_hand_to": "wave to",
}
_PLACES = {
    "left": "left of",
    "right": "right of",
    "front": "in front of",
    "in_front_of": "in front of",
    "next_to": "next to",
    "away": "away from",
    "toward": "toward",
    "towards": "toward",
}
"""Where VidVRD's place words, alone or after a verb (``stand_left``), say less than English does."""

_Frame = Annotated[int, Field(ge=0, strict=True)]


class _Object(BaseModel):
    tid: int
    category: Annotated[str, Field(min_length=1, max_length=120)]


class _Box(BaseModel):
    tid: int


class _Relation(BaseModel):
    subject_tid: int
    object_tid: int
    predicate: Annotated[str, Field(min_length=1, max_length=100)]
    begin_fid: _Frame
    end_fid: _Frame


class _File(BaseModel):
    """What is read of a file; boxes' corners and the picture's size are not."""

    video_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
    video_path: str | None = None
    frame_count: Annotated[int, Field(ge=1)]
    fps: Annotated[float, Field(gt=0, le=1000)]
    things: Annotated[list[_Object], Field(alias="subject/objects")]
    trajectories: list[list[_Box]]
    relation_instances: list[_Relation]


def annotation_files(folder: Path) -> list[Path]:
    """The JSON files in a folder and below, in order of their paths; raises :class:`UserError` where it has none."""
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise UserError(f"{folder}: no .json files in it or below; name the folder of annotations, one file per video")
    return files


def read_file(path: Path) -> Footage:
    """One video's annotations; raises :class:`BadAnnotation` that names the place in the file."""
    try:
        data = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadAnnotation(f"cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise BadAnnotation(one_line(error)) from None
    labels = {thing.tid: thing.category.partition("/")[0].replace("_", " ") for thing in data.things}
    if len(labels) < len(data.things):
        raise BadAnnotation("subject/objects: a tid is there twice")
    if len(data.trajectories) != data.frame_count:
        raise BadAnnotation(f"trajectories: {len(data.trajectories)} frames, but frame_count is {data.frame_count}")
    seen: dict[int, list[int]] = {tid: [] for tid in labels}
    for frame, boxes in enumerate(data.trajectories):
        for i, box in enumerate(boxes):
            _known(box.tid, seen, f"trajectories[{frame}][{i}].tid")
            seen[box.tid].append(frame)
    for i, relation in enumerate(data.relation_instances):
        where = f"relation_instances[{i}]"
        _known(relation.subject_tid, seen, f"{where}.subject_tid")
        _known(relation.object_tid, seen, f"{where}.object_tid")
        if not relation.begin_fid < relation.end_fid <= data.frame_count:
            raise BadAnnotation(
                f"{where}: frames [{relation.begin_fid}, {relation.end_fid}) of a video of {data.frame_count}"
            )
    return Footage(
        id=data.video_id,
        video=checked_path(data.video_path or f"{data.video_id}.mp4", "video_path"),
        frames=data.frame_count,
        fps=data.fps,
        tracks=tuple(
            Track(str(tid), labels[tid], tuple(joined((frame, frame + 1) for frame in seen[tid])))
            for tid in sorted(labels)
        ),
        statements=tuple(
            Statement(
                str(relation.subject_tid),
                english(relation.predicate),
                str(relation.object_tid),
                (relation.begin_fid, relation.end_fid),
            )
            for relation in data.relation_instances
        ),
    )


def english(predicate: str) -> str:
    """A predicate of either data set as English: ``stand_left`` is "stand left of", ``taller`` "taller than"."""
    name = predicate.partition("(")[0]  # play(instrument)
    if name in _PHRASES:
        return _PHRASES[name]
    for place, words in _PLACES.items():
        if name == place:
            return words
        if name.endswith(f"_{place}"):
            return f"{name.removesuffix(f'_{place}').replace('_', ' ')} {words}"
    return name.replace("_", " ").strip() or predicate


def _known(tid: int, tids: dict[int, Any], where: str) -> None:
    if tid not in tids:
        raise BadAnnotation(f"{where}: no object of subject/objects has the tid {tid}")
