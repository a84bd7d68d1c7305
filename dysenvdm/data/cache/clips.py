"""A corpus kept: what reading its clips gives, as frames or as latents, with captions, scene graph and foreground.

Where reading a clip is random (its first frame), a fixed number of draws is kept of each; item ``clip * draws + k`` is
draw k of a clip, a pure function of the two. A clip that cannot be read is skipped, and the corpus is without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dysenvdm.data.cache.filling import Make
from dysenvdm.data.cache.store import Item, Items, Skipped, packed, unpacked
from dysenvdm.data.corpora import Corpus
from dysenvdm.data.samples import Sample
from planners.dsg import DynamicSceneGraph, UserError

TOLD_BYTES = 4096
"""About what captions, scene graph and foreground of a clip take."""
READ_AT_ONCE = 8
"""Clips in one batch of the loader."""

Encode = Callable[[Tensor], Tensor]
"""uint8 (b f h w 3) -> latents (b f c h w)."""


def item_of(sample: Sample, name: str) -> Item:
    """A sample with its frames (f h w 3), as it is kept."""
    said = {"name": name, "captions": sample.captions, "dsg": sample.dsg.to_dict()}
    return {
        "frames": torch.from_numpy(np.ascontiguousarray(sample.pixels)),
        "told": packed(json.dumps(said, ensure_ascii=False)),
        "foreground": torch.from_numpy(np.packbits(sample.foreground, axis=-1)),
    }


def sample_of(item: Item, clip: int, draw: int, caption: Callable[[tuple[str, ...]], str]) -> Sample:
    """The other way; ``caption`` chooses among the captions."""
    told = json.loads(unpacked(item["told"]))
    foreground = item["foreground"].numpy()
    captions = tuple(told["captions"])
    return Sample(
        draw=draw,
        clip=clip,
        caption=caption(captions),
        captions=captions,
        dsg=DynamicSceneGraph.parse(told["dsg"]),
        foreground=np.unpackbits(foreground, axis=-1).astype(bool),
        shown=tuple(range(len(foreground))),
        video=item["frames"].numpy() if "frames" in item else None,
        latents=item.get("latents"),
    )


class _Reads(Dataset[list[Item | Skipped]]):
    """Some items of a corpus, read in a loader's process."""

    def __init__(self, corpus: Corpus, draws: int, parts: Sequence[Sequence[int]]) -> None:
        self.corpus, self.draws, self.parts = corpus, draws, parts

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, part: int) -> list[Item | Skipped]:
        return [self._item(number) for number in self.parts[part]]

    def _item(self, number: int) -> Item | Skipped:
        clip, draw = divmod(number, self.draws)
        name = self.corpus.name(clip)
        try:
            sample = self.corpus.read(clip, number, np.random.default_rng((clip, draw)))
        except UserError as error:
            return Skipped(f"{name}: {error}")
        if sample.clip != clip or sample.replaced:  # another clip in its place
            return Skipped(next(iter(sample.replaced), f"{name}: cannot be read"))
        return item_of(sample, name)


def reading(corpus: Corpus, draws: int, workers: int, encode: Encode | None, dtype: torch.dtype) -> Make:
    """How a store of the corpus' clips is filled: frames, or with ``encode`` latents in ``dtype``.

    Clips are encoded in groups that do not depend on how many ranks there are, so neither do their latents.
    """

    def make(shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        parts = [shard[i : i + READ_AT_ONCE] for shard in shards for i in range(0, len(shard), READ_AT_ONCE)]
        loader = iter(
            DataLoader(_Reads(corpus, draws, parts), batch_size=None, num_workers=workers, collate_fn=_arrays)
        )
        for shard in shards:
            items: list[Item | Skipped] = []
            while len(items) < len(shard):
                items += _encoded(_tensors(next(loader)), encode, dtype)
            yield items

    return make


def _arrays(part: list[Item | Skipped]) -> list[Any]:
    """For the way between processes: every tensor would hold a file open until its shard is written."""
    return [
        item if isinstance(item, Skipped) else {name: value.numpy() for name, value in item.items()} for item in part
    ]


def _tensors(part: list[Any]) -> list[Item | Skipped]:
    return [
        item if isinstance(item, Skipped) else {name: torch.from_numpy(value) for name, value in item.items()}
        for item in part
    ]


def _encoded(part: list[Item | Skipped], encode: Encode | None, dtype: torch.dtype) -> list[Item | Skipped]:
    """The items with latents for frames; those of one shape are encoded together."""
    if encode is None:
        return part
    shapes: dict[torch.Size, list[Item]] = {}
    for item in part:
        if not isinstance(item, Skipped):
            shapes.setdefault(item["frames"].shape, []).append(item)
    for items in shapes.values():
        latents = encode(torch.stack([item["frames"] for item in items])).to(dtype).cpu()
        for item, of_item in zip(items, latents, strict=True):
            item["latents"] = of_item.clone()
            del item["frames"]
    return part


def held_out(corpus: Corpus) -> Make:
    """How the store of a corpus' validation clips is filled, with their frames."""

    def make(shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        samples = corpus.held_out()
        for shard in shards:
            yield [_held_out(samples[i], i) if i < len(samples) else Skipped("no clip") for i in shard]

    return make


def _held_out(sample: Sample, i: int) -> Item:
    drawn = json.dumps({"caption": sample.caption, "clip": sample.clip, "draw": sample.draw})
    return {**item_of(sample, f"held-out clip {i}"), "drawn": packed(drawn)}


def sizing(buckets: Callable[[], NDArray[np.int16] | None]) -> Make:
    """How the store of the numbers of all clips' sizes, a single item, is filled."""

    def make(shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        for _ in shards:
            found = buckets()
            assert found is not None
            yield [{"buckets": torch.from_numpy(found)}]

    return make


class CachedCorpus:
    """A corpus from its caches: nothing is decoded and no source is needed.

    ``starts``: whether reading a clip of the source spends a random number on where it starts. ``buckets``: the number
    of every source clip's size, where there are several.
    """

    def __init__(
        self,
        items: Items,
        validation: Items,
        key: str,
        *,
        draws: int = 1,
        starts: bool = False,
        buckets: NDArray[np.int16] | None = None,
    ) -> None:
        self.items, self.validation, self.draws, self.key, self.starts = items, validation, draws, key, starts
        clips = range(len(items) // draws)
        bad = {number // draws for number in items.skipped}
        self._clips = np.array([clip for clip in clips if clip not in bad], dtype=np.int64)
        self.buckets = None if buckets is None else buckets[self._clips]
        self._in_memory = False

    @property
    def clips(self) -> int:
        return len(self._clips)

    def name(self, clip: int) -> str:
        name: str = json.loads(unpacked(self._item(clip, 0)["told"]))["name"]
        return name

    def told(self, clip: int) -> Sample:
        first = sample_of(self._item(clip, 0), clip, clip, lambda captions: captions[0])
        return replace(first, video=None, latents=None)

    def read(self, clip: int, draw: int, rng: np.random.Generator) -> Sample:
        """A sample with frames, or with latents unless :meth:`load` has them; ``item`` says which.

        Random numbers are spent as by the source, so that where a clip always starts alike the same sample comes.
        """
        which = int(rng.random() * self.draws) if self.starts or self.draws > 1 else 0
        number = int(self._clips[clip]) * self.draws + which
        item = self.items.read(number, leaving="latents" if self._in_memory else "")
        sample = sample_of(item, clip, draw, lambda captions: captions[rng.integers(len(captions))])
        return replace(sample, item=number)

    def held_out(self) -> list[Sample]:
        found = []
        for number in self.validation.present():
            item = self.validation[number]
            drawn = json.loads(unpacked(item["drawn"]))
            found.append(replace(sample_of(item, 0, 0, lambda captions: captions[0]), **drawn))
        return found

    @property
    def latents_bytes(self) -> int:
        """What all latents take in memory."""
        return int(self._item(0, 0)["latents"].nbytes) * len(self.items)

    def load(self, device: torch.device) -> Tensor:
        """All latents (item f c h w) on a device, zero where skipped; samples come without from now on.

        Raises :class:`UserError` for latents of several shapes.
        """
        first = self._item(0, 0)["latents"]
        latents = torch.zeros((len(self.items), *first.shape), dtype=first.dtype, device=device)
        for number in self.items.present():
            found = self.items[number]["latents"]
            if found.shape != first.shape:
                raise UserError("data.caching.in_memory: clips have several shapes, so they cannot be; set it to false")
            latents[number] = found.to(device)
        self._in_memory = True
        return latents

    def _item(self, clip: int, which: int) -> Item:
        return self.items[int(self._clips[clip]) * self.draws + which]
