"""What a metric declares, what it is given, and what it answers. Source: ours, after lm-evaluation-harness's registry.

A metric gives one or more *figures*. Per clip a figure is a pair, (what is right, what was judged), or (value, 1), so
that clips can be added up, resampled and compared in pairs; a figure of the whole set (a Fréchet distance) has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from planners.dsg import ActionPlan, DynamicSceneGraph

Direction = Literal["higher", "lower", "neither"]
"""What is better."""
Aggregation = Literal["mean", "micro", "set"]
"""Mean over clips; counts of all clips together; a figure of the set, which no clip has by itself."""
Need = Literal["videos", "reference", "gold videos", "prompts", "graphs", "gold graphs", "gold plans"]
"""Gold videos are reference items with the ids of the items measured: what each of these should have been."""
Pair = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """One number of a metric."""

    name: str
    direction: Direction
    aggregation: Aggregation


@dataclass(frozen=True)
class Weights:
    """A folder of the model store that a metric reads, and how a user comes by it."""

    name: str
    """Its name in the model store."""
    file: str
    """The public checkpoint that it is made of."""
    source: str
    """Who publishes that."""
    licence: str
    mend: str
    """The command that brings it into the store."""
    sha256: str | None = None
    """Of the public checkpoint, or its first digits, where they are known."""
    setting: str | None = None
    """The metric's setting that may name another model of the store, or a folder, instead."""


class Settings(BaseModel):
    """A metric's settings; all of them are stamped into its results."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Item:
    """A clip, or a prompt's plan, to be measured. What a metric does not need may be missing."""

    id: str
    read: Callable[[], NDArray[np.uint8]] | None = None
    """Gives the frames (f h w 3), RGB."""
    fps: float | None = None
    shape: tuple[int, int, int] | None = None
    """(frames, height, width), where it is known without decoding; stamped into results."""
    prompt: str | None = None
    graph: DynamicSceneGraph | None = None
    """What a planner made of the prompt."""
    gold_graph: DynamicSceneGraph | None = None
    """What is asked of the video."""
    plan: ActionPlan | None = None
    """What a planner made of the prompt; None is no plan at all, which counts as a plan without events."""
    gold_plan: ActionPlan | None = None


@dataclass(frozen=True)
class Material:
    """All that is measured at once. ``on_item`` is called whenever a clip has gone through a network."""

    items: Sequence[Item]
    reference: Sequence[Item] = ()
    device: str = "cpu"
    on_item: Callable[[], None] = lambda: None
    features: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict, repr=False)
    """What networks have found already, by network, settings and side: metrics on one material share it."""


@dataclass(frozen=True)
class Measured:
    """A figure as a metric's own code gives it; either ``pairs`` (one per item) or ``runs`` (one or more values)."""

    figure: str
    pairs: Sequence[Pair] = ()
    runs: Sequence[float] = ()
    n: int | None = None
    """Clips of each run, where that is not the number of items."""
    floor: float | None = None
    """What comes out by chance, for a metric that can say."""
    ceiling: float | None = None
    """What comes out of gold videos, for a metric that can say."""
    floor_pairs: Sequence[Pair] = ()
    ceiling_pairs: Sequence[Pair] = ()
    """What each item contributed to floor and ceiling, in the order of ``pairs``: bounds of some items alone."""
    note: str = ""
    """A sentence that belongs below every table with this figure."""


@dataclass(frozen=True)
class Metric:
    """A metric; :func:`dysenvdm.metrics.register` makes it known by its name."""

    name: str
    about: str
    """One line for tables and documents."""
    figures: tuple[Figure, ...]
    needs: frozenset[Need]
    measure: Callable[[Material, Any], Sequence[Measured]]
    """Gets the material and an instance of ``settings``."""
    settings: type[Settings] = Settings
    weights: tuple[Weights, ...] = ()
    minimum: int = 1
    """Items (and reference items) that it needs at least."""


@dataclass(frozen=True)
class Result:
    """A figure with all that is needed to compare it with another of the same name."""

    metric: str
    figure: str
    direction: Direction
    aggregation: Aggregation
    value: float | None
    """None where nothing could be judged."""
    n: int
    """Items measured; of a set's figure, those of each run."""
    stderr: float | None = None
    """Standard error of the mean, over items or over runs."""
    interval: tuple[float, float] | None = None
    """95 % bootstrap interval over items."""
    runs: int = 1
    floor: float | None = None
    ceiling: float | None = None
    """What comes out by chance, and of gold videos; tables show both beside the value."""
    note: str = ""
    """A sentence to be read with the figure; tables have it below them."""
    material: Mapping[str, Any] = field(default_factory=dict)
    """fps, frames and size of what was measured: a value, or a list of several."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    """"model/file" -> SHA-256 of every weights file that was read."""
    pairs: Mapping[str, Pair] = field(default_factory=dict, repr=False)
    """Item id -> (what is right, what was judged); the paired bootstrap's material."""
    floor_pairs: Mapping[str, Pair] = field(default_factory=dict, repr=False)
    ceiling_pairs: Mapping[str, Pair] = field(default_factory=dict, repr=False)
    """The same of floor and ceiling, where the metric gives them by item."""

    @property
    def name(self) -> str:
        """Metric and figure: "faithfulness.recall"; the metric alone where the figure bears its name."""
        return self.metric if self.figure == self.metric else f"{self.metric}.{self.figure}"
