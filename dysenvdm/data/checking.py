"""What a recipe's data would be trained on, and why the rest would not: counts, histograms, and what to mend.

Clips are judged by :func:`dysenvdm.data.videos.check_clips`, as training judges them, so that both agree; what is found
out about files is noted there and never found out twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from typing import Any

from dysenvdm.data.corpora import StageCorpus
from dysenvdm.data.decoding import bucket_of, bucket_sizes, window
from dysenvdm.data.entries import Rejected
from dysenvdm.data.section import DataSection, StageSource
from dysenvdm.data.videos import Checked, Usable, check_clips
from dysenvdm.files import sha256
from planners.dsg import UserError

STAGE_CLIPS = 64
"""How many clips are looked at of a world that has no end."""
SECONDS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS = (0, 8, 16, 32, 64, 128, 256, 512)
"""Where the bars of the histograms begin; the last one has no end."""

CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Seen:
    """What the report says of one usable clip."""

    id: str
    captions: tuple[str, ...]
    facts: int | None
    """Of its scene graph; None: it has none."""
    height: int
    width: int
    seconds: float | None = None
    fps: float | None = None


@dataclass(frozen=True)
class Part:
    """The clips that are trained on, or those held out."""

    seen: tuple[Seen, ...]
    rejected: tuple[Rejected, ...]
    usable: tuple[Usable, ...] = ()
    """The same clips, where they are files."""

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(one.reason for one in self.rejected).most_common())


@dataclass(frozen=True)
class Look:
    """All that was seen of a recipe's data."""

    data: DataSection
    trained: Part
    held_out: Part
    amiss: str = ""
    """Why there is nothing at all to hold out, where that is so."""

    @property
    def parts(self) -> dict[str, Part]:
        return {"trained": self.trained, "held_out": self.held_out}

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return self.trained.rejected + self.held_out.rejected


def look(data: DataSection, *, limit: int, workers: int) -> Look:
    """Judge the clips of a data section: all, or with ``limit`` until so many of each part turned out usable.

    Raises :class:`UserError` where what is trained on is missing or unreadable as a whole.
    """
    if isinstance(data.source, StageSource):
        return _stage(data, limit)
    everything = data.model_copy(update={"may_miss": 1.0, "workers": workers})
    trained = _part(check_clips(everything, held_out=False, wanted=limit))
    try:
        return Look(data, trained, _part(check_clips(everything, held_out=True, wanted=limit)))
    except UserError as error:
        return Look(data, trained, Part((), ()), str(error))


def _part(checked: Checked) -> Part:
    return Part(tuple(_seen(clip) for clip in checked.clips), checked.rejected, checked.clips)


def _seen(clip: Usable) -> Seen:
    start, end = window(clip.info, clip.entry.span)
    return Seen(
        id=clip.entry.id,
        captions=clip.entry.captions,
        facts=len(clip.dsg.facts) if clip.dsg else None,
        height=clip.info.height,
        width=clip.info.width,
        seconds=end - start,
        fps=clip.info.fps,
    )


def _stage(data: DataSection, limit: int) -> Look:
    corpus = StageCorpus(data)
    count = min(limit or STAGE_CLIPS, corpus.clips or STAGE_CLIPS)
    told = [(corpus.name(clip), corpus.told(clip)) for clip in range(count)]
    seen = [Seen(name, sample.captions, len(sample.dsg.facts), data.size, data.size) for name, sample in told]
    return Look(data, Part(tuple(seen), ()), Part((), ()))


def same_content(look: Look) -> list[tuple[str, str]]:
    """(id, id of another before it) of usable clips whose files are equal byte for byte and whose spans are the same.

    Only files of equal size are read for that.
    """
    by_size: dict[int, list[Usable]] = defaultdict(list)
    for clip in chain(look.trained.usable, look.held_out.usable):
        by_size[clip.stamp.size].append(clip)
    pairs = []
    for alike in by_size.values():
        paths = {clip.entry.path for clip in alike}
        digest = {path: sha256(path) for path in paths} if len(paths) > 1 else dict.fromkeys(paths, "")
        first: dict[tuple[str, Any], str] = {}
        for clip in alike:
            key = (digest[clip.entry.path], clip.entry.span)
            if key in first:
                pairs.append((clip.entry.id, first[key]))
            first.setdefault(key, clip.entry.id)
    return pairs


def report(look: Look, encoder: Encoder | None) -> dict[str, Any]:
    """Everything as plain data; ``problems`` are sentences for people. ``encoder`` None: no captions are read."""
    data = look.data
    seen = look.trained.seen + look.held_out.seen
    pairs = same_content(look)
    said: dict[str, Any] = {
        "source": data.source.kind,
        "parts": {name: _numbers(part) for name, part in look.parts.items()},
        "histograms": {
            "seconds": binned((clip.seconds for clip in seen), SECONDS),
            "fps": counted(f"{clip.fps:.4g}" for clip in seen if clip.fps),
            "size": counted(f"{clip.width}x{clip.height}" for clip in seen),
        },
        "same_content": [{"id": one, "same_as": other} for one, other in pairs],
    }
    if data.buckets:
        sizes = bucket_sizes(data.size)
        chosen = [sizes[bucket_of(clip.info, sizes)] for part in look.parts.values() for clip in part.usable]
        said["histograms"]["bucket"] = counted(f"{width}x{height}" for height, width in chosen)
    too_long: list[str] = []
    if encoder and seen:
        captions = [(clip.id, caption) for clip in seen for caption in clip.captions]
        lengths = encoder.count([caption for _, caption in captions])
        said["histograms"]["tokens"] = binned(lengths, TOKENS)
        too_long = [id for (id, _), length in zip(captions, lengths, strict=True) if length > encoder.most]
        said["tokens"] = {"median": median(lengths), "longest": max(lengths), "too_long": list(dict.fromkeys(too_long))}
    said["problems"] = _problems(look, pairs, too_long, encoder)
    return said


def _numbers(part: Part) -> dict[str, Any]:
    listed = len(part.seen) + len(part.rejected)
    silent = part.reasons.get("no caption", 0)
    told = sum(clip.facts is not None for clip in part.seen)
    return {
        "looked_at": listed,
        "usable": len(part.seen),
        "rejected": part.reasons,
        "with_caption": listed - silent,
        "captions": sum(len(clip.captions) for clip in part.seen),
        "with_scene_graph": told,
        "facts": sum(clip.facts or 0 for clip in part.seen),
    }


def _problems(look: Look, pairs: list[tuple[str, str]], too_long: list[str], encoder: Encoder | None) -> list[str]:
    """What would stop training or spoil it, without being a clip's own fault."""
    data, problems = look.data, []
    if too_long and encoder:
        what = "reads their beginnings only" if encoder.cuts else "stops at such a caption"
        problems.append(
            f"{len(too_long)} captions are longer than {encoder.limit}, such as one of {too_long[0]}; "
            f"training {what}: shorten them{'' if encoder.fixed else ' or raise it'}"
        )
    held_out = {clip.id for clip in look.held_out.seen}
    leaks = [(one, other) for one, other in pairs if (one in held_out) != (other in held_out)]
    if leaks:
        problems.append(
            f"{len(leaks)} held-out clips are also trained on under another name, such as {leaks[0][0]} = "
            f"{leaks[0][1]}; validation is not honest then: delete one of each"
        )
    if len(pairs) > len(leaks):
        one, other = next(pair for pair in pairs if pair not in leaks)
        problems.append(
            f"{len(pairs) - len(leaks)} clips repeat another's content and are used, such as {one} = {other}"
        )
    if isinstance(data.source, StageSource):
        return problems
    for name, part in look.parts.items():
        lost, listed = part.reasons.get("missing file", 0), len(part.seen) + len(part.rejected)
        if lost > data.may_miss * listed:
            problems.append(
                f"{lost} of {listed} {name.replace('_', '-')} clips have no file, more than data.may_miss="
                f"{data.may_miss:g}; training refuses that: finish the download or raise it"
            )
    if look.trained.seen and not look.held_out.seen:
        why = look.amiss or "give at least two usable clips"
        problems.append(f"no clip is held out for validation, and training refuses that: {why}")
    return problems


def binned(values: Iterable[float | None], edges: Sequence[int]) -> dict[str, int]:
    """How many values lie in each of the bins that begin at ``edges``; empty ones at both ends are left out."""
    bins = [0] * len(edges)
    for value in values:
        if value is not None:
            bins[bisect_right(edges, value) - 1] += 1
    filled = [i for i, number in enumerate(bins) if number]
    if not filled:
        return {}
    names = [f"{low}-{high}" for low, high in pairwise(edges)] + [f"{edges[-1]}-"]
    return {names[i]: bins[i] for i in range(filled[0], filled[-1] + 1)}


def counted(values: Iterable[str]) -> dict[str, int]:
    """How often each value is there, the most frequent first."""
    return dict(sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])))


@dataclass(frozen=True)
class Encoder:
    """How much of a caption a recipe's text encoder reads."""

    count: CountTokens
    most: int
    fixed: bool
    """Whether it comes with the model that a run starts from, and so does the number."""
    cuts: bool
    """Whether longer captions are cut, as CLIP's are; else they are refused."""

    @property
    def limit(self) -> str:
        return f"the {self.most} tokens that its encoder reads" if self.fixed else f"model.max_tokens={self.most}"


def token_counter(folder: Path) -> CountTokens:
    """Counts tokens as the text encoder in ``folder`` reads them, begin and end mark included."""
    from transformers import AutoTokenizer

    inner = folder / "tokenizer"  # where a diffusers pipeline keeps CLIP's
    tokenizer = AutoTokenizer.from_pretrained(inner if inner.is_dir() else folder, local_files_only=True)

    def count(captions: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(captions), truncation=False, verbose=False)["input_ids"]]

    return count
