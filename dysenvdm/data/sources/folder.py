"""Any folder of videos: a caption file beside each, or one JSONL of clips."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dysenvdm.data.entries import Found
from dysenvdm.data.section import FolderSource
from dysenvdm.data.sources.collecting import (
    SUFFIXES,
    Collector,
    Folders,
    check_folder,
    files_below,
    read_text,
    shared_out,
)
from planners.dsg import UserError, one_line

ABOUT = ("readme", "licence", "license")
"""How names of text files begin that tell of a data set, and of no clip."""
LAYOUT = 'clip.mp4 beside clip.txt, or a JSONL file of {"file": "clip.mp4", "text": "…"} as data.source.annotations'


class Line(BaseModel):
    """A line of the JSONL: ``file`` and ``dsg`` relative to the root, ``start`` and ``end`` in seconds."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(min_length=1)
    text: str = ""
    captions: tuple[str, ...] = ()
    dsg: str | None = None
    start: float | None = Field(None, ge=0)
    end: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Line:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end go together")
        if self.start is not None and self.end is not None and not self.start < self.end < float("inf"):
            raise ValueError(f"start {self.start:g} is not before end {self.end:g}")
        if self.text and self.captions:
            raise ValueError("give text or captions, not both")
        return self


def find(source: FolderSource, held_out: bool) -> Found:
    """All clips but a share, or that share; or those of the validation file. (See ``dysenvdm.data.sources.find``.)"""
    check_folder("data.source.root", source.root, LAYOUT)
    validation = _listed(source.root, "validation", source.validation) if source.validation else None
    if validation and held_out:
        return validation
    found = _listed(source.root, "annotations", source.annotations) if source.annotations else _beside(source.root)
    return found.without(validation) if validation else shared_out(found, source.validation_share, held_out)


def _beside(root: Path) -> Found:
    """Every video below ``root``, told by the text file of its name, which is one caption."""
    collector = Collector()
    folders = Folders()
    files = sorted(files_below(root))
    videos = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not videos:
        raise UserError(f"data.source.root: no videos ({', '.join(SUFFIXES)}) below {root}; expected {LAYOUT}")
    texts = {path: folders.file(path.with_suffix(".txt")) for path in videos}
    for path, text in texts.items():
        id = path.relative_to(root).as_posix()
        if text is None:
            collector.reject(id, "no caption", f"there is no {path.stem}.txt beside it")
            continue
        try:
            caption = text.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            collector.reject(id, "bad annotation", f"{text.name} is not UTF-8 text")
            continue
        except OSError as error:
            collector.reject(id, "bad annotation", f"{text.name} cannot be read ({error.strerror})")
            continue
        collector.add(id, path, [caption], dsg=folders.file(path.with_suffix(".dsg.json")))
    told = set(texts.values())
    for path in files:
        if path.suffix.lower() == ".txt" and path not in told and not path.stem.lower().startswith(ABOUT):
            collector.reject(path.relative_to(root).as_posix(), "no video", "there is none beside it")
    return collector.found()


def _listed(root: Path, name: str, annotations: Path) -> Found:
    key, collector, folders = f"data.source.{name}", Collector(), Folders()
    lines = read_text(key, annotations).split("\n")  # not splitlines: JSON strings may hold other line separators
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        where = f"{annotations.name}:{number}"
        try:
            line = Line.model_validate(json.loads(text))
        except ValidationError as error:
            collector.reject(where, "bad annotation", one_line(error))
            continue
        except (ValueError, RecursionError) as error:
            collector.reject(where, "bad annotation", f"not valid JSON ({error})")
            continue
        span = None if line.start is None or line.end is None else (line.start, line.end)
        id = line.file if span is None else f"{line.file}#{span[0]:g}-{span[1]:g}"
        path, beside = root / line.file, (root / line.file).with_suffix(".dsg.json")
        dsg = folders.file(root / line.dsg if line.dsg else beside)
        if line.dsg and dsg is None:
            collector.reject(id, "missing file", f"its scene graph {line.dsg} is not there")
            continue
        captions = line.captions or (line.text,)
        collector.add(id, folders.file(path), captions, expected=line.file, span=span, dsg=dsg)
    found = collector.found()
    if not found.entries and not found.rejected:
        raise UserError(f"{key}: {annotations} has no line; expected {LAYOUT}")
    return found
