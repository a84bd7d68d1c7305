"""Captions kept: which there are, and what the text encoder makes of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from torch import Tensor

from dysenvdm.data.cache.filling import Make
from dysenvdm.data.cache.store import Item, Items, Skipped, packed, unpacked
from dysenvdm.data.corpora import Corpus
from dysenvdm.data.samples import Sample

READ_AT_ONCE = 64
"""Captions in one pass of the text encoder."""

EncodeText = Callable[[Sequence[str]], Tensor]
"""Captions -> hidden states (b l d), zero where padded."""


def captions_of(corpus: Corpus, validation: Iterable[Sample]) -> list[str]:
    """All distinct captions of a corpus and of its validation clips, in the order in which they come."""
    told = (corpus.told(clip).captions for clip in range(corpus.clips))
    captions = dict.fromkeys(caption for of_clip in told for caption in of_clip)
    captions |= dict.fromkeys(caption for sample in validation for caption in sample.captions)
    return list(captions)


def listing(captions: Callable[[], Sequence[str]]) -> Make:
    """How the store of the list of captions, a single item, is filled."""

    def make(shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        for _ in shards:
            yield [{"captions": packed(json.dumps(captions(), ensure_ascii=False))}]

    return make


def listed(items: Items) -> list[str]:
    """The captions of :func:`listing`."""
    captions: list[str] = json.loads(unpacked(items[0]["captions"]))
    return captions


def encoding(captions: Sequence[str], encode: EncodeText) -> Make:
    """How a store of text features is filled: item i is caption i's (l d) fp16 without its padding.

    Captions are encoded in groups that do not depend on how many ranks there are.
    """

    def make(shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        for shard in shards:
            items: list[Item | Skipped] = []
            for first in range(shard.start, shard.stop, READ_AT_ONCE):
                group = captions[first : min(first + READ_AT_ONCE, shard.stop)]
                items += [{"text": text} for text in unpadded(encode(group))]
            yield items

    return make


def unpadded(texts: Tensor) -> list[Tensor]:
    """Hidden states (b l d) -> those of each text alone (l d) in half precision, where they are."""
    texts = texts.half()
    lengths = texts.any(-1).sum(-1).tolist()
    return [text[:length].clone() for text, length in zip(texts, lengths, strict=True)]


class CachedTexts:
    """Text features by caption."""

    def __init__(self, items: Items, captions: Sequence[str]) -> None:
        self.items = items
        self._number = {caption: i for i, caption in enumerate(captions)}

    def __contains__(self, caption: str) -> bool:
        return caption in self._number

    def __getitem__(self, caption: str) -> Tensor:
        """(l d) fp16."""
        return self.items[self._number[caption]]["text"]
