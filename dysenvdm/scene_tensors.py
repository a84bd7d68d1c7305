"""Dynamic scene graphs as padded tensors: what the recurrent graph Transformer reads.

A scene graph has object, attribute and predicate nodes (METHOD section 1). Here a *node* is one object or one fact of
the whole DSG, so that a node keeps its place, and with it its memory, over all ticks; which nodes a tick's scene graph
has is the activity mask.

Letters: ``b`` video, ``t`` tick, ``n`` node, ``d`` width. Ticks and nodes are padded to the longest of the batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dysenvdm.scene_positions import Positions
from planners.dsg import SOURCES, STATED, DynamicSceneGraph

OBJECT, ATTRIBUTE, PREDICATE = range(3)
"""Kinds of node."""
NO_EDGE, SUBJECT_OF, HAS_SUBJECT, OBJECT_OF, HAS_OBJECT, SELF = range(6)
"""Kinds of edge: ``edges[i, j]`` says what node i is to node j, as in "girl (i) is the subject of jump over (j)"."""
NO_SOURCE = len(SOURCES)
"""The source of object nodes: only facts are said by someone."""

NO_POSITIONS = Positions()

Embed = Callable[[Sequence[str]], Tensor]
"""Labels (k strings) -> their embeddings (k, d)."""


@dataclass(frozen=True)
class SceneTensors:
    """A batch of scenes. A video may have fewer ticks or nodes than the batch's longest, or no node at all."""

    labels: Tensor
    """(b n d) float: embeddings of the nodes' texts; zeros where padded."""
    kind: Tensor
    """(b n) long: OBJECT, ATTRIBUTE or PREDICATE."""
    ordinal: Tensor
    """(b n) long: the how-manieth object of its label this is, in the DSG's order (0, 1 for two dogs); 0 for facts."""
    source: Tensor
    """(b n) long: index in ``planners.dsg.SOURCES``, or NO_SOURCE. No network reads it: what is said counts, not by
    whom, and a source unseen in training would be noise. It serves to look at, or drop, facts by source."""
    interval: Tensor
    """(b n 2) long: the ticks [start, end) in which the node is there."""
    edges: Tensor
    """(b n n) long: NO_EDGE ... SELF."""
    mask: Tensor
    """(b n) bool: True for nodes, False for padding."""
    active: Tensor
    """(b t n) bool: the node belongs to the scene graph of this tick."""
    ticks: Tensor
    """(b) long: ticks of each video; beyond them nothing is active."""
    laplacian: Tensor
    """(b t n 2k) float and"""
    weisfeiler_lehman: Tensor
    """(b t n r) long: positional encodings, see :mod:`dysenvdm.scene_positions`; of width 0 where not asked for."""

    @classmethod
    def from_dsgs(
        cls, dsgs: Sequence[DynamicSceneGraph], embed: Embed, positions: Positions = NO_POSITIONS
    ) -> SceneTensors:
        """Batch DSGs, on the device and with the dtype of ``embed``'s answer; one without objects is an empty scene."""
        texts, scene = cls.numbered(dsgs, positions)
        return scene.labelled(embed(texts))

    @classmethod
    def numbered(
        cls, dsgs: Sequence[DynamicSceneGraph], positions: Positions = NO_POSITIONS, ticks: int = 1
    ) -> tuple[list[str], SceneTensors]:
        """The batch's distinct texts, and its scenes with those texts' numbers as ``labels`` (b n), -1 where padded.

        Needs no text encoder, so that a loader's processes can do it; :meth:`labelled` does the rest. ``positions`` are
        the encodings that the scene adapter reads; scenes are padded to ``ticks`` where all have fewer.
        """
        texts = [labels_of(dsg) for dsg in dsgs]
        known = list(dict.fromkeys(text for of_dsg in texts for text in of_dsg))
        row = {text: i for i, text in enumerate(known)}
        graphs = [_graph(dsg) for dsg in dsgs]
        width = max(map(len, texts))
        edges = torch.zeros(len(dsgs), width, width, dtype=torch.long)
        labels = torch.full((len(dsgs), width), -1)
        for i, graph in enumerate(graphs):
            size = len(texts[i])
            edges[i, :size, :size] = graph.pop("edges")
            labels[i, :size] = torch.tensor([row[text] for text in texts[i]], dtype=torch.long)
        nodes = {name: pad_sequence([graph[name] for graph in graphs], batch_first=True) for name in graphs[0]}
        tick = torch.arange(max(ticks, *(dsg.ticks for dsg in dsgs)))[None, :, None]
        start, end = nodes["interval"].unsqueeze(1).unbind(-1)
        active = (start <= tick) & (tick < end) & nodes["mask"][:, None]
        laplacian, colours = zip(
            *(positions.of(*of_video) for of_video in zip(nodes["kind"], edges, active, strict=True)), strict=True
        )
        return known, cls(
            labels=labels,
            edges=edges,
            active=active,
            ticks=torch.tensor([dsg.ticks for dsg in dsgs]),
            laplacian=torch.stack(laplacian),
            weisfeiler_lehman=torch.stack(colours),
            **nodes,
        )

    def labelled(self, table: Tensor) -> SceneTensors:
        """Scenes from :meth:`numbered` with their texts' embeddings (k d), on the device and in the dtype of these."""
        moved = self.to(device=table.device)
        padded = torch.cat([table, table.new_zeros(1, table.shape[-1])])
        return replace(moved, labels=padded[moved.labels])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> SceneTensors:
        """The same scenes on another device, with the label embeddings (alone) in another dtype."""
        moved = {field.name: getattr(self, field.name).to(device=device, non_blocking=True) for field in fields(self)}
        return replace(self, **{**moved, "labels": moved["labels"].to(dtype=dtype)})


def labels_of(dsg: DynamicSceneGraph) -> list[str]:
    """The texts of the DSG's nodes, objects first."""
    return [thing.label for thing in dsg.objects] + [fact.label for fact in dsg.facts]


def without_imagined(dsg: DynamicSceneGraph) -> DynamicSceneGraph:
    """The DSG as a planner gives it that imagines nothing."""
    return dsg.veto(source for source in SOURCES if source not in STATED)


def _graph(dsg: DynamicSceneGraph) -> dict[str, Tensor]:
    """One DSG's nodes, objects first, and their edges; every tensor begins with the node axis."""
    place = {thing.id: i for i, thing in enumerate(dsg.objects)}
    size = len(dsg.objects) + len(dsg.facts)
    seen: Counter[str] = Counter()
    ordinal = [0] * size
    for i, thing in enumerate(dsg.objects):
        ordinal[i] = seen[thing.label]
        seen[thing.label] += 1
    edges = SELF * torch.eye(size, dtype=torch.long)
    for i, fact in enumerate(dsg.facts, start=len(dsg.objects)):
        # The subject comes last: where a fact's subject is also its object, it counts as the subject.
        for ident, of_fact, has in ((fact.object, OBJECT_OF, HAS_OBJECT), (fact.subject, SUBJECT_OF, HAS_SUBJECT)):
            if ident is not None:
                edges[place[ident], i], edges[i, place[ident]] = of_fact, has
    kind = [OBJECT] * len(place) + [ATTRIBUTE if fact.attribute is not None else PREDICATE for fact in dsg.facts]
    source = [NO_SOURCE] * len(place) + [SOURCES.index(fact.source) for fact in dsg.facts]
    interval = [(thing.start, dsg.ticks if thing.end is None else thing.end) for thing in dsg.objects]
    interval += [(fact.start, fact.end) for fact in dsg.facts]
    return {
        "kind": torch.tensor(kind, dtype=torch.long),
        "ordinal": torch.tensor(ordinal, dtype=torch.long),
        "source": torch.tensor(source, dtype=torch.long),
        "interval": torch.tensor(interval, dtype=torch.long).reshape(size, 2),
        "edges": edges,
        "mask": torch.ones(size, dtype=torch.bool),
    }
