"""DSGs as tensors: nodes, edges, activity, padding."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from dysenvdm.scene_tensors import (
    ATTRIBUTE,
    HAS_OBJECT,
    HAS_SUBJECT,
    NO_EDGE,
    NO_SOURCE,
    OBJECT,
    OBJECT_OF,
    PREDICATE,
    SELF,
    SUBJECT_OF,
    SceneTensors,
)
from planners.dsg import SOURCES, DynamicSceneGraph, Fact, SceneObject


def embed(labels: Sequence[str]) -> Tensor:
    """Something that tells labels apart: their length and first letter."""
    return torch.tensor([[len(label), ord(label[0])] for label in labels], dtype=torch.float32).reshape(-1, 2)


TWO_DOGS = DynamicSceneGraph(
    ticks=4,
    objects=(
        SceneObject(id="girl", label="girl"),
        SceneObject(id="dog_1", label="dog"),
        SceneObject(id="dog_2", label="dog", start=1, end=3),
    ),
    facts=(
        Fact(subject="girl", attribute="tall", start=0, end=4, source="prompt"),
        Fact(subject="girl", predicate="call", object="dog_2", start=1, end=2, source="plan"),
    ),
)
EMPTY = DynamicSceneGraph(ticks=2)


def test_nodes_are_objects_then_facts() -> None:
    scene = SceneTensors.from_dsgs([TWO_DOGS], embed)
    assert scene.kind.tolist() == [[OBJECT, OBJECT, OBJECT, ATTRIBUTE, PREDICATE]]
    assert scene.interval.tolist() == [[[0, 4], [0, 4], [1, 3], [0, 4], [1, 2]]]
    assert scene.source.tolist() == [[NO_SOURCE] * 3 + [SOURCES.index("prompt"), SOURCES.index("plan")]]
    assert torch.equal(scene.labels[0], embed(["girl", "dog", "dog", "tall", "call"]))


def test_objects_of_one_label_are_counted() -> None:
    assert SceneTensors.from_dsgs([TWO_DOGS], embed).ordinal.tolist() == [[0, 0, 1, 0, 0]]


def test_edges_say_what_a_node_is_to_its_neighbour() -> None:
    (edges,) = SceneTensors.from_dsgs([TWO_DOGS], embed).edges
    expected = torch.diag(torch.full((5,), SELF))
    expected[0, 3] = expected[0, 4] = SUBJECT_OF
    expected[3, 0] = expected[4, 0] = HAS_SUBJECT
    expected[2, 4], expected[4, 2] = OBJECT_OF, HAS_OBJECT
    assert torch.equal(edges, expected)


def test_subject_that_is_its_own_object_counts_as_subject() -> None:
    dsg = DynamicSceneGraph(
        ticks=1,
        objects=(SceneObject(id="cat", label="cat"),),
        facts=(Fact(subject="cat", predicate="lick", object="cat", start=0, end=1, source="plan"),),
    )
    (edges,) = SceneTensors.from_dsgs([dsg], embed).edges
    assert edges.tolist() == [[SELF, SUBJECT_OF], [HAS_SUBJECT, SELF]]


def test_activity_is_the_scene_graph_of_each_tick() -> None:
    (active,) = SceneTensors.from_dsgs([TWO_DOGS], embed).active
    for tick in range(TWO_DOGS.ticks):
        graph = TWO_DOGS.at(tick)
        expected = [thing in graph.objects for thing in TWO_DOGS.objects] + [f in graph.facts for f in TWO_DOGS.facts]
        assert active[tick].tolist() == expected


def test_padding_holds_nothing() -> None:
    scene = SceneTensors.from_dsgs([EMPTY, TWO_DOGS], embed)
    assert scene.ticks.tolist() == [2, 4]
    assert not scene.mask[0].any()
    assert scene.mask[1].all()
    assert not scene.active[0].any()
    assert (scene.edges[0] == NO_EDGE).all()
    assert (scene.labels[0] == 0).all()
    alone = SceneTensors.from_dsgs([TWO_DOGS], embed)
    for name in ("labels", "kind", "ordinal", "source", "interval", "edges", "mask", "active"):
        assert torch.equal(getattr(scene, name)[1], getattr(alone, name)[0]), name


def test_empty_scene_has_no_node() -> None:
    scene = SceneTensors.from_dsgs([EMPTY], embed)
    assert scene.labels.shape == (1, 0, 2)
    assert scene.active.shape == (1, 2, 0)
    assert scene.edges.shape == (1, 0, 0)


def test_every_label_is_embedded_once() -> None:
    asked: list[str] = []

    def counting(labels: Sequence[str]) -> Tensor:
        asked.extend(labels)
        return embed(labels)

    SceneTensors.from_dsgs([TWO_DOGS, TWO_DOGS, EMPTY], counting)
    assert sorted(asked) == ["call", "dog", "girl", "tall"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_to_changes_the_dtype_of_the_embeddings_alone(dtype: torch.dtype) -> None:
    scene = SceneTensors.from_dsgs([TWO_DOGS], embed).to(dtype=dtype)
    assert scene.labels.dtype == dtype
    assert scene.active.dtype == torch.bool
    assert scene.edges.dtype == torch.long
