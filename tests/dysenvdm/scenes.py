"""Scenes that tests of the scene encoders share, and an embedding of labels that needs no model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from planners.dsg import Fact, SceneObject

OBJECTS = (
    SceneObject(id="girl", label="girl"),
    SceneObject(id="box", label="box"),
    SceneObject(id="dog", label="dog", start=1),
)


def embed(labels: Sequence[str]) -> Tensor:
    rows = [torch.randn(8, generator=torch.Generator().manual_seed(sum(map(ord, label)))) for label in labels]
    return torch.stack(rows) if rows else torch.zeros(0, 8)


def fact(subject: str, predicate: str, start: int, end: int, target: str | None = None) -> Fact:
    return Fact(subject=subject, predicate=predicate, object=target, start=start, end=end, source="plan")
