"""Planned scene graphs: every caption of a corpus planned once, degraded plans counted and named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dysenvdm.data.cache.filling import Make
from dysenvdm.data.cache.store import Item, Items, Skipped, packed, unpacked
from dysenvdm.data.corpora import Corpus
from dysenvdm.data.samples import Sample
from dysenvdm.scene_tensors import without_imagined
from planners.dsg import DynamicSceneGraph


@dataclass(frozen=True)
class Planned:
    """A caption's scene graph, None where there is none; ``degraded`` says what went wrong, if anything."""

    dsg: DynamicSceneGraph | None
    degraded: str | None
    transcript_sha256: str | None


class ScenePlanner(Protocol):
    """A planner as training sees it."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Plain JSON that its plans follow from: name, options, versions, hashes."""

    def plan(self, captions: Sequence[str], *, ticks: int, seed: int) -> list[Planned]:
        """One plan per caption, in order; the planner itself is built when it is first asked."""


def planning(captions: Sequence[str], planner: ScenePlanner, ticks: int, seed: int) -> Make:
    """How a store of plans is filled: item i is caption i's; a shard is planned together."""

    def make(shards: Sequence[range]) -> Iterator[list[Item | Skipped]]:
        for shard in shards:
            group = captions[shard.start : shard.stop]
            plans = planner.plan(group, ticks=ticks, seed=seed)
            yield [_item(caption, plan) for caption, plan in zip(group, plans, strict=True)]

    return make


def _item(caption: str, plan: Planned) -> Item:
    said = {
        "caption": caption,
        "dsg": plan.dsg.to_dict() if plan.dsg else None,
        "degraded": plan.degraded,
        "transcript_sha256": plan.transcript_sha256,
    }
    return {"plan": packed(json.dumps(said, ensure_ascii=False))}


class CachedPlans:
    """Scene graphs by caption."""

    def __init__(self, items: Items, captions: Sequence[str]) -> None:
        self.items = items
        self._number = {caption: i for i, caption in enumerate(captions)}

    def dsg(self, caption: str) -> DynamicSceneGraph | None:
        """The plan's scene graph; None where the planner found none."""
        said = self._said(self._number[caption])["dsg"]
        return DynamicSceneGraph.parse(said) if said else None

    def degraded(self) -> Iterator[tuple[str, str]]:
        """(caption, what went wrong) of every degraded plan."""
        for number in range(len(self.items)):
            said = self._said(number)
            if said["degraded"]:
                yield said["caption"], said["degraded"]

    def _said(self, number: int) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(unpacked(self.items[number]["plan"]))
        return said


class Rescened:
    """A corpus whose clips have other scene graphs: ``scene`` maps a sample, with its chosen caption, to its own."""

    def __init__(self, corpus: Corpus, scene: Callable[[Sample], DynamicSceneGraph], key: str) -> None:
        self.corpus, self.scene, self.key = corpus, scene, f"{corpus.key} {key}"

    @property
    def clips(self) -> int:
        return self.corpus.clips

    @property
    def buckets(self) -> NDArray[np.int16] | None:
        return self.corpus.buckets

    def name(self, clip: int) -> str:
        return self.corpus.name(clip)

    def told(self, clip: int) -> Sample:
        return self._rescened(self.corpus.told(clip))

    def read(self, clip: int, draw: int, rng: np.random.Generator) -> Sample:
        return self._rescened(self.corpus.read(clip, draw, rng))

    def held_out(self) -> list[Sample]:
        return [self._rescened(sample) for sample in self.corpus.held_out()]

    def _rescened(self, sample: Sample) -> Sample:
        return replace(sample, dsg=self.scene(sample))


def without_scenes(corpus: Corpus) -> Rescened:
    """The corpus with empty scenes."""
    return Rescened(corpus, lambda sample: DynamicSceneGraph(ticks=sample.dsg.ticks), "without scenes")


def with_plans(corpus: Corpus, plans: CachedPlans, ticks: int, imagination: bool) -> Rescened:
    """The corpus with the scene graph planned for the caption that a clip is told in; where there is none, empty ones.

    Without ``imagination`` what the planner imagined is left out.
    """

    def scene(sample: Sample) -> DynamicSceneGraph:
        dsg = plans.dsg(sample.caption) or DynamicSceneGraph(ticks=ticks)
        return dsg if imagination else without_imagined(dsg)

    return Rescened(corpus, scene, f"planned {plans.items.store.digest} {imagination}")
