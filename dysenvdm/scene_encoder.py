"""What encoders of scenes have in common: what a node is at first, and what is handed to scene attention.

Letters: ``b`` video, ``t`` tick, ``n`` node, ``d`` width, ``r`` round.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from einops import repeat
from torch import Tensor, nn

from dysenvdm.scene_positions import WL_COLOURS, Positions
from dysenvdm.scene_tensors import ATTRIBUTE, NO_POSITIONS, OBJECT, PREDICATE, SceneTensors

KINDS = len((OBJECT, ATTRIBUTE, PREDICATE))


def fourier(values: Tensor, octaves: int, longest: float) -> Tensor:
    """Sine and cosine of values (...) at periods ``longest``, ``longest / 2``, ...: (... 2*octaves)."""
    angles = values.unsqueeze(-1) * (2 * math.pi / longest * 2.0 ** torch.arange(octaves, device=values.device))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class SceneEncoder(nn.Module):
    """Scenes -> features of every node and of the whole scene graph in every tick; causal over ticks.

    Equivariant under any order of the nodes and blind to padding. Two objects with one label differ by their ordinal
    among these (the first dog, the second dog), which is part of the tensors, not of the place of the node.
    """

    ORDINAL_OCTAVES = 4

    def __init__(self, label_dim: int, width: int, positions: Positions = NO_POSITIONS) -> None:
        super().__init__()
        self.label = nn.Linear(label_dim, width)
        # Labels have unit norm: by the usual initialisation they would be a thirtieth of the kinds and never be heard.
        nn.init.normal_(self.label.weight)
        self.kind = nn.Embedding(KINDS, width)
        self.ordinal = nn.Linear(2 * self.ORDINAL_OCTAVES, width, bias=False)
        self.laplacian = nn.Linear(2 * positions.laplacian, width, bias=False) if positions.laplacian else None
        self.weisfeiler_lehman = nn.ModuleList(
            nn.Embedding(WL_COLOURS, width) for _ in range(positions.weisfeiler_lehman)
        )
        for table in self.weisfeiler_lehman:
            nn.init.zeros_(cast(nn.Embedding, table).weight)  # a role that training never saw says nothing
        self.pool = nn.Linear(width, width, bias=False)
        self.null = nn.Parameter(torch.zeros(width))

    def forward(self, scene: SceneTensors) -> tuple[Tensor, Tensor]:
        """Node features (b t n d), zero where not active, and one token per scene graph (b t d).

        The token of an empty scene graph is the learned null token: an empty scene is the unconditional one.
        """
        nodes = self.encoded(self.embedded(scene), scene)
        active = scene.active.unsqueeze(-1)
        nodes = nodes.masked_fill(~active, 0.0)
        mean = nodes.sum(2) / active.sum(2).clamp(min=1)
        return nodes, self.null + self.pool(mean)

    def embedded(self, scene: SceneTensors) -> Tensor:
        """What each node is by itself, and where in its tick's scene graph it stands: (b t n d)."""
        dtype = self.null.dtype
        ordinal = fourier(scene.ordinal, self.ORDINAL_OCTAVES, longest=32.0).to(dtype)
        embedded = self.label(scene.labels) + self.kind(scene.kind) + self.ordinal(ordinal)
        nodes = repeat(embedded, "b n d -> b t n d", t=scene.active.shape[1])
        if self.laplacian is not None:
            nodes = nodes + self.laplacian(scene.laplacian.to(dtype))
        for i, table in enumerate(self.weisfeiler_lehman):
            nodes = nodes + table(scene.weisfeiler_lehman[..., i])
        return nodes

    def encoded(self, nodes: Tensor, scene: SceneTensors) -> Tensor:
        """(b t n d) -> the same shape: what nodes learn of each other; rows of inactive nodes may hold anything."""
        raise NotImplementedError
