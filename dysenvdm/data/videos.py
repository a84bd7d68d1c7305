"""A data set's videos as a corpus: clips checked before the first step, frames decoded when they are asked for."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from dysenvdm.data import decoding
from dysenvdm.data.decoding import Info, Sampling, Size, UndecodableError
from dysenvdm.data.entries import Entry, Found, Rejected
from dysenvdm.data.examining import Notes, Stamp, notes_path, stamp_of
from dysenvdm.data.samples import CELLS, Sample
from dysenvdm.data.scenes import during
from dysenvdm.data.section import DataSection, StageSource
from dysenvdm.data.sources import LAYOUTS, find, lot
from dysenvdm.data.usable import Clips, Usable, content, packed, read_clips, still_there, unpacked, write_clips
from planners.dsg import DSGError, DynamicSceneGraph, UserError

NOTHING = DynamicSceneGraph(ticks=1)
"""The scene of a clip whose scene graph nobody has given."""
TRIES = 16
"""Clips in a row that may turn out unreadable in one draw; more are no bad luck."""
EXAMINED_AT_ONCE = 1.5
"""How many clips are examined for each that is wanted: some will be too short."""


@dataclass(frozen=True)
class Checked:
    """A data set after its files were looked into."""

    clips: tuple[Usable, ...]
    rejected: tuple[Rejected, ...]

    @property
    def reasons(self) -> str:
        """As in "3 too short, 1 undecodable"; "" where nothing was rejected."""
        return ", ".join(f"{n:,} {reason}" for reason, n in Counter(r.reason for r in self.rejected).most_common())


def sampling_of(data: DataSection) -> Sampling:
    return Sampling(data.frames, data.fps, data.stride, data.spread)


def check_clips(data: DataSection, *, held_out: bool, wanted: int = 0, ids: Container[str] | None = None) -> Checked:
    """The usable clips of a recipe's videos and what is wrong with the others; files are decoded where nobody has yet.

    With ``wanted`` so many at most, a fixed random choice, and no more files are looked into than that takes; with
    ``ids`` these clips alone. Raises :class:`UserError` where the data set is missing, or more of its files than
    ``data.may_miss``.
    """
    source = data.source
    assert not isinstance(source, StageSource)
    found = find(source, held_out)
    _check_missing(found, data)
    notes = Notes(data.examined or notes_path(source.root), source.root)
    entries, sampling = found.entries, sampling_of(data)
    if ids is not None:
        entries = tuple(entry for entry in entries if entry.id in ids)
    clips: list[Usable] = []
    rejected = list(found.rejected)
    if wanted:
        entries = tuple(sorted(entries, key=lambda entry: lot(entry.id)))
    while entries and not (wanted and len(clips) >= wanted):
        now = int((wanted - len(clips)) * EXAMINED_AT_ONCE) + 1 if wanted else len(entries)
        held = notes.of([entry.path for entry in entries[:now]], data.workers)
        for entry in entries[:now]:
            looked = held.get(entry.path)
            clip = _gone(entry) if looked is None else _checked(entry, looked.holds, looked.stamp, sampling)
            if isinstance(clip, Rejected):
                rejected.append(clip)
            else:
                clips.append(clip)
        entries = entries[now:]
    return Checked(tuple(clips[:wanted] if wanted else clips), tuple(rejected))


def _gone(entry: Entry) -> Rejected:
    return Rejected(entry.id, "missing file", entry.path.name)


def _checked(entry: Entry, holds: Info | str, stamp: Stamp, sampling: Sampling) -> Usable | Rejected:
    if isinstance(holds, str):
        return Rejected(entry.id, "undecodable", f"{entry.path.name}: {holds}")
    if why := sampling.too_short(holds, entry.span):
        return Rejected(entry.id, "too short", why)
    try:
        return Usable(entry, holds, stamp, DynamicSceneGraph.load(entry.dsg) if entry.dsg else None)
    except DSGError as error:
        return Rejected(entry.id, "bad scene graph", str(error))


def _check_missing(found: Found, data: DataSection) -> None:
    source = data.source
    assert not isinstance(source, StageSource)
    lost = sum(rejected.reason == "missing file" for rejected in found.rejected)
    listed = len(found.entries) + len(found.rejected)
    if lost > data.may_miss * listed:
        raise UserError(
            f"data.source.root: {listed - lost:,} of {listed:,} {source.kind} clips are in {source.root}, fewer than "
            f"data.may_miss={data.may_miss:g} allows; finish the download (expected {LAYOUTS[source.kind]}) or raise it"
        )


class VideoCorpus:
    """The clips of a data section's videos.

    They are kept as JSON in one array, which processes share without copying. A file that has changed since it was
    examined, or that fails all the same, gives way to another clip, chosen by the draw's own generator.

    ``begun`` is where a run notes its clips before its first step. Where they are noted already they stay the run's
    clips, in their order, whatever has become of the files: each draw shows what it would have shown.
    """

    def __init__(self, data: DataSection, begun: Path | None = None) -> None:
        decoding.check_installed()
        self.data, self.sampling = data, sampling_of(data)
        clips = _resumed(data, begun) if begun and begun.exists() else self._new()
        self._held_out = clips.held_out
        told = [packed(clip) for clip in clips.trained]
        self._told = np.frombuffer(b"".join(told), dtype=np.uint8)
        self._ends = np.cumsum([len(text) for text in told])
        self.sizes = decoding.bucket_sizes(data.size) if data.buckets else [(data.size, data.size)]
        self._bucket = np.array([decoding.bucket_of(clip.info, self.sizes) for clip in clips.trained], dtype=np.int16)

    def note(self, begun: Path) -> None:
        """Write down that these are the run's clips."""
        assert not isinstance(self.data.source, StageSource)
        write_clips(begun, Clips(tuple(map(self._clip, range(self.clips))), self._held_out), self.data.source.root)

    def _new(self) -> Clips:
        data = self.data
        checked = check_clips(data, held_out=False, wanted=data.clips)
        held_out = check_clips(data, held_out=True, wanted=data.validation_clips)
        kind = data.source.kind
        if not checked.clips:
            first = f"; the first is {_line(checked.rejected[0])}" if checked.rejected else ""
            raise UserError(f"data.source: none of the {kind} clips can be used: {checked.reasons or 'none'}{first}")
        if not held_out.clips:
            raise UserError(
                f"data.source: no {kind} clip is held out that can be used for validation "
                f"({held_out.reasons or 'there are none'}); give more clips or a larger validation_share"
            )
        if checked.rejected and os.environ.get("RANK", "0") == "0":
            Console(stderr=True).print(
                f"{kind}: {len(checked.clips):,} clips; rejected are {checked.reasons}, such as "
                f"{_line(checked.rejected[0])}",
                highlight=False,
                soft_wrap=True,
            )
        return Clips(checked.clips, held_out.clips)

    @property
    def clips(self) -> int:
        return len(self._ends)

    @cached_property
    def key(self) -> str:
        digest = hashlib.sha256()
        for clip in map(self._clip, range(self.clips)):
            digest.update(content(clip))
        for clip in self._held_out:
            digest.update(content(clip))
        return f"{self.data.source.kind} {self.sampling} {self.sizes} {digest.hexdigest()}"

    @property
    def buckets(self) -> NDArray[np.int16] | None:
        return self._bucket if self.data.buckets else None

    def name(self, clip: int) -> str:
        return self._clip(clip).entry.id

    def told(self, clip: int) -> Sample:
        return self._sample(self._clip(clip), clip, clip, 0)

    def read(self, clip: int, draw: int, rng: np.random.Generator) -> Sample:
        """The clip from a start that ``rng`` chooses, told in one of its phrasings; or another in its place."""
        unreadable: list[str] = []
        for _ in range(TRIES):
            usable = self._clip(clip)
            at, caption = rng.random(), int(rng.integers(len(usable.entry.captions)))
            try:
                sample = self._decoded(usable, self._sample(usable, clip, draw, caption), self._size(clip), at)
                return replace(sample, replaced=tuple(unreadable))
            except UndecodableError as error:
                unreadable.append(f"{usable.entry.id} ({error})")
                alike = np.flatnonzero(self._bucket == self._bucket[clip])
                clip = int(alike[rng.integers(len(alike))])
        raise UserError(
            f"{TRIES} clips in a row cannot be read, the last {unreadable[-1]}; is {self.data.source.kind} still in "
            f"its place?"
        )

    def held_out(self) -> list[Sample]:
        """All of them square, from the middle of each."""
        samples = []
        for number, usable in enumerate(self._held_out):
            if usable.lost:
                continue
            caption = int(np.random.default_rng(number).integers(len(usable.entry.captions)))
            sample = self._sample(usable, self.clips + number, number, caption)
            try:
                samples.append(self._decoded(usable, sample, (self.data.size, self.data.size), 0.5))
            except UndecodableError as error:
                raise UserError(f"{usable.entry.path}: {error}; it was there a moment ago") from None
        return samples

    def _size(self, clip: int) -> Size:
        return self.sizes[self._bucket[clip]]

    def _clip(self, clip: int) -> Usable:
        start = self._ends[clip - 1] if clip else 0
        return unpacked(self._told[start : self._ends[clip]].tobytes())

    def _sample(self, usable: Usable, clip: int, draw: int, caption: int) -> Sample:
        entry, frames = usable.entry, self.sampling.frames
        return Sample(
            draw=draw,
            clip=clip,
            caption=entry.captions[caption],
            captions=entry.captions,
            dsg=usable.dsg or NOTHING,
            foreground=np.ones((frames, CELLS, CELLS), dtype=bool),
            shown=tuple(range(frames)),
            video=None,
        )

    def _decoded(self, usable: Usable, sample: Sample, size: Size, at: float) -> Sample:
        entry = usable.entry
        if stamp_of(entry.path) != usable.stamp:
            raise UndecodableError("the file is gone or has changed")
        decoded = decoding.decode(entry.path, usable.info, entry.span, self.sampling, size, at)
        return replace(sample, video=decoded.frames, dsg=during(sample.dsg, decoded.start, decoded.end))


def _resumed(data: DataSection, begun: Path) -> Clips:
    """The clips of a run that has begun; those whose files are no longer what they were are marked as lost and told."""
    source = data.source
    assert not isinstance(source, StageSource)
    clips = read_clips(begun, source.root)
    every = (*clips.trained, *clips.held_out)
    ids = {clip.entry.id for clip in every}
    looked = [check_clips(data, held_out=held_out, ids=ids) for held_out in (False, True)]
    now = {clip.entry.id: clip for checked in looked for clip in checked.clips}
    clips = Clips(*(tuple(still_there(clip, now.get(clip.entry.id)) for clip in part) for part in clips))
    lost = [clip.entry.id for clip in (*clips.trained, *clips.held_out) if clip.lost]
    if all(clip.lost for clip in clips.held_out):
        raise UserError(f"data.source: {lost[-1]} and all other clips held out are gone or have changed; restore one")
    if lost and os.environ.get("RANK", "0") == "0":
        why = {rejected.id: _line(rejected) for checked in looked for rejected in checked.rejected}
        Console(stderr=True).print(
            f"{source.kind}: {len(lost):,} of the run's {len(every):,} clips are gone or have changed, such as "
            f"{why.get(lost[0], lost[0])}; where they are drawn, others are shown",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    return clips


def _line(rejected: Rejected) -> str:
    return f"{rejected.id}: {rejected.reason}, {rejected.detail}"
