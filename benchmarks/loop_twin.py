"""RGTrm with one Python loop per index, line by line as METHOD section 2 writes it: the oracle and the yardstick.

Letters: ``t`` tick, ``n`` node, ``d`` width. An edge is named by (video, tick, receiver, sender).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dysenvdm.rgtrm import LOGIT_LIMIT, GraphTransformerLayer, RecurrentGraphTransformer
from dysenvdm.scene_tensors import NO_EDGE, SceneTensors

Edges = dict[tuple[int, int, int, int], Tensor]


def neighbours(scene: SceneTensors, video: int, tick: int, node: int) -> list[int]:
    """Nodes that are linked to this one and active with it, itself included."""
    active, linked = scene.active[video, tick], scene.edges[video, node] != NO_EDGE
    return [j for j in range(len(linked)) if linked[j] and active[j]]


class LoopLayer:
    """One layer of an RGTrm over the scenes of a batch."""

    def __init__(self, layer: GraphTransformerLayer, scene: SceneTensors) -> None:
        self.layer, self.scene = layer, scene
        self.width = layer.query.out_features
        self.heads = layer.heads

    def __call__(self, states: Tensor, edges: Edges) -> tuple[Tensor, Edges]:
        """Nodes (b t n d) and their edges -> the same, updated; a node that is not active hears nothing."""
        nodes, links = self.layer.node_update(states, torch.zeros_like(states)), dict(edges)
        for video in range(len(states)):
            memories = self.memories(states[video], video)
            for tick, i in self.scene.active[video].nonzero().tolist():
                remembered = None if memories is None else memories[tick]
                nodes[video, tick, i] = self.node(states[video], remembered, edges, (video, tick, i))
                for j in self.neighbours(video, tick, i) if self.layer.edge_update is not None else ():
                    key = (video, tick, i, j)
                    links[key] = self.edge(states[video, tick, i], states[video, tick, j], edges[key])
        return nodes, links

    def neighbours(self, video: int, tick: int, node: int) -> list[int]:
        """See :func:`neighbours`."""
        return neighbours(self.scene, video, tick, node)

    def memories(self, states: Tensor, video: int) -> list[Tensor] | None:
        """States (t n d) -> before every tick what each node remembers (n d), or None without recurrence."""
        cell = self.layer.memory
        if cell is None:
            return None
        memory = torch.tanh(cell.first(states[0]))
        before = [memory]
        for tick in range(states.shape[0] - 1):
            after = memory.clone()
            for i in range(states.shape[1]):
                if not self.scene.active[video, tick, i]:
                    continue
                query, heard = self.split(cell.query(memory[i])), []
                for head in range(self.heads):
                    keys, values = [], []
                    for j in self.neighbours(video, tick, i):
                        key, value = cell.key_value(states[tick, j]).split(self.width)
                        keys.append(query[head] @ self.split(key)[head] / math.sqrt(self.width / self.heads))
                        values.append(self.split(value)[head])
                    heard.append(self.attend(keys, values))
                new, keep = cell.gates(torch.cat([memory[i], *heard])).split(self.width)
                keep = keep.sigmoid()
                after[i] = (1 - keep) * new.tanh() + keep * memory[i]
            memory = after
            before.append(memory)
        return before

    def node(self, states: Tensor, memory: Tensor | None, edges: Edges, where: tuple[int, int, int]) -> Tensor:
        """The new state (d) of a node, which hears its neighbours as they are and as it remembers them."""
        video, tick, i = where
        heard = []
        for head in range(self.heads):
            logits, values = [], []
            for j in self.neighbours(video, tick, i):
                for source in (states[tick, j], *(() if memory is None else (memory[j],))):
                    logits.append(self.scores(states[tick, i], source, edges[(*where, j)])[head].sum())
                    values.append(self.split(self.layer.key_value(source)[self.width :])[head])
            heard.append(self.attend([x.clamp(-LOGIT_LIMIT, LOGIT_LIMIT) for x in logits], values))
        new: Tensor = self.layer.node_update(states[tick, i], torch.cat(heard))
        return new

    def edge(self, receiver: Tensor, sender: Tensor, edge: Tensor) -> Tensor:
        """The new state (d) of an edge."""
        assert self.layer.edge_update is not None
        new: Tensor = self.layer.edge_update(edge, torch.cat(self.scores(receiver, sender, edge)))
        return new

    def scores(self, receiver: Tensor, sender: Tensor, edge: Tensor) -> list[Tensor]:
        """Of each head, channel by channel."""
        query, key = self.layer.query(receiver), self.layer.key_value(sender)[: self.width]
        return self.split(query * key / math.sqrt(self.width / self.heads) * self.layer.edge(edge))

    def split(self, vector: Tensor) -> list[Tensor]:
        """By head."""
        return list(vector.split(self.width // self.heads))

    def attend(self, logits: list[Tensor], values: list[Tensor]) -> Tensor:
        """Softmax of the logits over the values."""
        weights = torch.stack(logits).softmax(0)
        return torch.stack([w * v for w, v in zip(weights, values, strict=True)]).sum(0)


def loop_encode(model: RecurrentGraphTransformer, scene: SceneTensors) -> tuple[Tensor, Tensor]:
    """What ``model(scene)`` answers: node features (b t n d) and scene tokens (b t d)."""
    nodes = model.embedded(scene)
    edges: Edges = {}
    for video, tick, i in scene.active.nonzero().tolist():
        for j in neighbours(scene, video, tick, i):
            edges[video, tick, i, j] = model.edge(scene.edges[video, i, j])
    for layer in model.layers:
        assert isinstance(layer, GraphTransformerLayer)
        nodes, edges = LoopLayer(layer, scene)(nodes, edges)
    nodes, pooled = nodes * scene.active.unsqueeze(-1), model.null.repeat(*scene.active.shape[:2], 1)
    for video, tick in scene.active.any(-1).nonzero().tolist():
        present = nodes[video, tick][scene.active[video, tick]]
        pooled[video, tick] = model.null + model.pool(present.mean(0))
    return nodes, pooled
