"""Corpora: the clips that a recipe's data section names, as training sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dysenvdm.data.samples import Sample
from dysenvdm.data.section import DataSection, StageSource
from dysenvdm.data.stage import load_sample
from dysenvdm.stage import STAGE_VERSION, VAL_SEED0


class Corpus(Protocol):
    """Numbered clips. Reading one is a pure function of its arguments, in any process."""

    @property
    def clips(self) -> int:
        """How many there are; 0: without end."""

    @property
    def key(self) -> str:
        """What the clips' content follows from, for caches: another key, other clips."""

    @property
    def buckets(self) -> NDArray[np.int16] | None:
        """The number of each clip's size (clip): a batch is of one size. None: all have the same."""

    def name(self, clip: int) -> str:
        """How people find the clip: its id in its data set."""

    def told(self, clip: int) -> Sample:
        """The clip's captions and DSG without its video, which costs little."""

    def read(self, clip: int, draw: int, rng: np.random.Generator) -> Sample:
        """The clip told in one of its phrasings that ``rng`` chooses, all frames shown and rendered.

        A clip that cannot be read gives way to another of its size, which ``clip`` and ``replaced`` of the sample say.
        """

    def held_out(self) -> list[Sample]:
        """The validation clips, rendered, the same at every call; none of them is trained on."""


class StageCorpus:
    """Clips of the Stage world; held out are those behind its first validation seed."""

    def __init__(self, data: DataSection) -> None:
        self.data = data
        self.shape = {"frames": data.frames, "size": data.size, "ticks": data.ticks}

    @property
    def clips(self) -> int:
        return self.data.clips

    @property
    def key(self) -> str:
        data = self.data
        return f"stage {STAGE_VERSION}: {data.clips} {data.frames} {data.size} {data.ticks}"

    @property
    def buckets(self) -> None:
        return None

    def name(self, clip: int) -> str:
        return f"stage seed {clip}"

    def read(self, clip: int, draw: int, rng: np.random.Generator) -> Sample:
        return load_sample(clip, draw, rng, **self.shape, render=True)

    def told(self, clip: int) -> Sample:
        return load_sample(clip, clip, np.random.default_rng(clip), **self.shape, render=False)

    def held_out(self) -> list[Sample]:
        return [
            load_sample(VAL_SEED0 + i, i, np.random.default_rng(i), **self.shape, render=True)
            for i in range(self.data.validation_clips)
        ]


def open_corpus(data: DataSection, begun: Path | None = None) -> Corpus:
    """The corpus that a data section names; of videos, all are looked into first, which is noted and done only once.

    ``begun``: the file of a run that keeps the clips it began with (see :class:`~dysenvdm.data.videos.VideoCorpus`).
    Raises :class:`UserError` where the data set is missing or has no usable clip.
    """
    if isinstance(data.source, StageSource):
        return StageCorpus(data)
    from dysenvdm.data.videos import VideoCorpus

    return VideoCorpus(data, begun)
