"""The recurrent graph Transformer (RGTrm): scenes as tensors -> features of every node in every tick.

Source: METHOD section 2 (Dysen-VDM section 3.3; the edge-modulated attention is that of Dwivedi & Bresson's graph
Transformer). What the paper leaves open and how it is settled here:

- Every layer has its own memory, one vector per node, which starts from what the node is (its embedding) and is updated
  only in ticks in which the node is active.
- A layer's memory depends on the layer's *input* at earlier ticks, not on its output. So only the gated update walks
  over the ticks; the attention, which is the costly part, runs over all ticks at once.
- Attention works on the list of edges, not on n x n pairs: a scene graph has about two edges per fact.

Positional encodings are added to the nodes before the first layer (:mod:`dysenvdm.scene_positions`).

Letters: ``b`` video, ``t`` tick, ``n`` node, ``e`` edge of one tick's scene graph, ``r`` row (a node in a tick), ``h``
head, ``d`` width, ``k`` width of a head, ``m`` now or as remembered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from dysenvdm.scene_encoder import SceneEncoder
from dysenvdm.scene_positions import Positions
from dysenvdm.scene_tensors import NO_EDGE, NO_POSITIONS, SELF, SceneTensors

EDGE_KINDS = SELF + 1
LOGIT_LIMIT = 5.0
"""Attention logits are clamped to +-5, as in the paper's code; the softmax then needs no other care."""


@dataclass(frozen=True)
class TickEdges:
    """All edges of all scene graphs of a batch as one list; receiver and sender are rows of ``(b t n)``."""

    receiver: Tensor
    """(e) long."""
    sender: Tensor
    """(e) long."""
    kind: Tensor
    """(e) long: what the receiver is to the sender."""

    @classmethod
    def of(cls, scene: SceneTensors) -> TickEdges:
        """Edges between nodes that are active in the same tick, each node's edge to itself included."""
        _, ticks, nodes = scene.active.shape
        video, node, neighbour = (scene.edges != NO_EDGE).nonzero(as_tuple=True)
        both = scene.active[video, :, node] & scene.active[video, :, neighbour]
        edge, tick = both.nonzero(as_tuple=True)
        first = (video[edge] * ticks + tick) * nodes
        kind = scene.edges[video, node, neighbour][edge]
        return cls(receiver=first + node[edge], sender=first + neighbour[edge], kind=kind)


class NodeMemory(nn.Module):
    """The gated recurrence of one layer: what each node remembers before every tick."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.gates = nn.Linear(2 * width, 2 * width)

    def forward(self, states: Tensor, scene: SceneTensors) -> Tensor:
        """(b t n d) -> memories (b t n d), those of tick t made of ticks before t only.

        ``S = Attn(m, H)`` over the node's neighbours, ``C = tanh(W [m; S])``, ``Z = sigmoid(W' [m; S])``,
        ``m' = (1 - Z) C + Z m``; a node that is not active keeps its memory.
        """
        key, value = rearrange(self.key_value(states), "b t n (two h k) -> two t b h n k", two=2, h=self.heads)
        # A node that is not active looks at itself: its result is thrown away, but must not be the mean of nothing.
        alone = torch.eye(states.shape[2], dtype=torch.bool, device=states.device)
        neighbours = (scene.edges != NO_EDGE)[:, None] & scene.active[:, :, None] | alone
        memory = torch.tanh(self.first(states[:, 0]))
        before = [memory]
        for tick in range(states.shape[1] - 1):
            query = rearrange(self.query(memory), "b n (h k) -> b h n k", h=self.heads)
            heard = F.scaled_dot_product_attention(query, key[tick], value[tick], attn_mask=neighbours[:, tick, None])
            gates = self.gates(torch.cat([memory, rearrange(heard, "b h n k -> b n (h k)")], dim=-1))
            new, keep = torch.tanh(gates[..., : memory.shape[-1]]), torch.sigmoid(gates[..., memory.shape[-1] :])
            memory = torch.where(scene.active[:, tick, :, None], (1 - keep) * new + keep * memory, memory)
            before.append(memory)
        return torch.stack(before, dim=1)


class GraphTransformerLayer(nn.Module):
    """One layer: the memory, edge-modulated attention over ``[m; H]``, node update, edge update."""

    def __init__(self, width: int, heads: int, *, updates_edges: bool, recurrence: bool = True) -> None:
        """``updates_edges=False`` for the last layer, whose edges nobody reads; without recurrence no memory."""
        super().__init__()
        self.heads = heads
        self.memory = NodeMemory(width, heads) if recurrence else None
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.edge = nn.Linear(width, width)
        self.node_update = ResidualUpdate(width)
        self.edge_update = ResidualUpdate(width) if updates_edges else None

    def forward(self, nodes: Tensor, edges: Tensor, scene: SceneTensors, where: TickEdges) -> tuple[Tensor, Tensor]:
        """Nodes (b t n d) and edges (e d) -> the same shapes; rows of inactive nodes hold nothing of meaning.

        ``s_ij = (Q h_i * K h_j) / sqrt(k) * E e_ij``, ``w_ij = softmax_j(clamp(sum_k s_ij))``; every neighbour j is
        there twice, as it is now and (with a memory) as it is remembered. Edges take up the scores of the neighbours as
        they are now.
        """
        rows = rearrange(nodes, "b t n d -> (b t n) d")
        remembered = [] if self.memory is None else [rearrange(self.memory(nodes, scene), "b t n d -> (b t n) d")]
        now_and_then = torch.stack([rows, *remembered], dim=1)
        per_head = {"h": self.heads}
        query = rearrange(self.query(rows), "r (h k) -> r 1 h k", **per_head)
        key, value = rearrange(self.key_value(now_and_then), "r m (two h k) -> two r m h k", two=2, **per_head)
        modulation = rearrange(self.edge(edges), "e (h k) -> e 1 h k", **per_head)
        scores = query[where.receiver] * key[where.sender] / math.sqrt(key.shape[-1]) * modulation
        wide = torch.promote_types(scores.dtype, torch.float32)  # sums of many neighbours are not for 16 bits
        weights = scores.to(wide).sum(-1).clamp(-LOGIT_LIMIT, LOGIT_LIMIT).exp()
        heard = torch.einsum("emh,emhk->ehk", weights, value[where.sender].to(wide))
        total = weights.new_zeros(len(rows), self.heads).index_add(0, where.receiver, weights.sum(1))
        mean = heard.new_zeros(len(rows), *heard.shape[1:]).index_add(0, where.receiver, heard)
        mean = mean / total.clamp(min=torch.finfo(total.dtype).tiny).unsqueeze(-1)
        rows = self.node_update(rows, rearrange(mean, "r h k -> r (h k)").to(rows.dtype))
        if self.edge_update is not None:
            edges = self.edge_update(edges, rearrange(scores[:, 0], "e h k -> e (h k)"))
        return rows.reshape(nodes.shape), edges


class ResidualUpdate(nn.Module):
    """Output projection, residual, norm, feed-forward, residual, norm: for nodes and for edges alike."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(self, old: Tensor, attended: Tensor) -> Tensor:
        """(... d), (... d) -> (... d)."""
        middle = self.norm(old + self.output(attended))
        return self.feed_forward_norm(middle + self.feed_forward(middle))


class RecurrentGraphTransformer(SceneEncoder):
    """RGTrm; without ``recurrence`` a graph Transformer that sees each tick by itself."""

    def __init__(
        self,
        label_dim: int,
        width: int,
        layers: int,
        heads: int,
        *,
        positions: Positions = NO_POSITIONS,
        recurrence: bool = True,
    ) -> None:
        super().__init__(label_dim, width, positions)
        self.edge = nn.Embedding(EDGE_KINDS, width)
        self.layers = nn.ModuleList(
            GraphTransformerLayer(width, heads, updates_edges=i + 1 < layers, recurrence=recurrence)
            for i in range(layers)
        )

    def encoded(self, nodes: Tensor, scene: SceneTensors) -> Tensor:
        """(b t n d) -> (b t n d), all layers."""
        where = TickEdges.of(scene)
        edges = self.edge(where.kind)
        for layer in self.layers:
            nodes, edges = layer(nodes, edges, scene, where)
        return nodes
