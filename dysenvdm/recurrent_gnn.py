"""A plain recurrent graph neural network in RGTrm's place: the twin of the paper's ablation (its Table 4).

In each tick a GRU takes every node from what it was to what it is now; then messages go along the edges in rounds,
one linear map per kind of edge, averaged over neighbours and taken up by another GRU: the gated graph neural network of
Li et al. 2016. No attention, no edge features, one memory for all layers.

Letters: ``b`` video, ``t`` tick, ``n`` node (``i`` hears, ``j`` speaks), ``k`` kind of edge, ``d`` width.
"""

from __future__ import annotations

from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from dysenvdm.scene_encoder import SceneEncoder
from dysenvdm.scene_positions import Positions
from dysenvdm.scene_tensors import NO_EDGE, NO_POSITIONS, SELF, SceneTensors

EDGE_KINDS = SELF - NO_EDGE


class GatedUpdate(nn.Module):
    """A GRU over the nodes of a batch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(width, width)

    def forward(self, heard: Tensor, state: Tensor) -> Tensor:
        """(b n d), (b n d) -> (b n d)."""
        return self.cell(heard.flatten(0, 1), state.flatten(0, 1)).reshape(state.shape)


class MessagePassing(nn.Module):
    """One round of messages."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = nn.Linear(width, EDGE_KINDS * width)
        self.update = GatedUpdate(width)

    def forward(self, nodes: Tensor, share: Tensor) -> Tensor:
        """Nodes (b n d) and what share of i's hearing is j by an edge of kind k (b i j k) -> (b n d)."""
        messages = rearrange(self.message(nodes), "b j (k d) -> b j k d", k=EDGE_KINDS)
        return self.update(torch.einsum("bijk,bjkd->bid", share, messages), nodes)


class RecurrentGNN(SceneEncoder):
    """The twin; takes and gives what :class:`dysenvdm.rgtrm.RecurrentGraphTransformer` does."""

    def __init__(
        self,
        label_dim: int,
        width: int,
        layers: int,
        *,
        positions: Positions = NO_POSITIONS,
        recurrence: bool = True,
    ) -> None:
        super().__init__(label_dim, width, positions)
        self.over_time = GatedUpdate(width) if recurrence else None
        self.layers = nn.ModuleList(MessagePassing(width) for _ in range(layers))

    def encoded(self, nodes: Tensor, scene: SceneTensors) -> Tensor:
        """(b t n d) -> (b t n d); without recurrence every tick by itself."""
        linked = F.one_hot(scene.edges, EDGE_KINDS + 1)[..., NO_EDGE + 1 :].to(nodes.dtype)
        memory = torch.zeros_like(nodes[:, 0])
        states = []
        for tick, active in enumerate(scene.active.unbind(1)):
            heard = linked * active[:, None, :, None]
            share = heard / heard.sum((2, 3), keepdim=True).clamp(min=1)
            state = nodes[:, tick] if self.over_time is None else self.over_time(nodes[:, tick], memory)
            for layer in self.layers:
                state = cast(MessagePassing, layer)(state, share)
            memory = torch.where(active.unsqueeze(-1), state, memory)
            states.append(state)
        return torch.stack(states, dim=1)
