"""RGTrm: its invariants, and agreement with a slow twin that follows METHOD section 2 line by line."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.loop_twin import LoopLayer, loop_encode, neighbours
from dysenvdm.rgtrm import GraphTransformerLayer, RecurrentGraphTransformer, TickEdges
from dysenvdm.scene_positions import Positions
from dysenvdm.scene_tensors import SceneTensors
from planners.dsg import DynamicSceneGraph, SceneObject
from tests.dysenvdm.scenes import OBJECTS, embed, fact

WIDTH, HEADS = 16, 2


WALK = DynamicSceneGraph(ticks=6, objects=OBJECTS, facts=(fact("girl", "walk", 0, 6, "box"),))
SMALL = DynamicSceneGraph(ticks=2, objects=OBJECTS[:1], facts=(fact("girl", "run", 1, 2),))
EMPTY = DynamicSceneGraph(ticks=3)


@pytest.fixture
def model() -> RecurrentGraphTransformer:
    torch.manual_seed(0)
    model = RecurrentGraphTransformer(label_dim=8, width=WIDTH, layers=2, heads=HEADS).double()
    torch.nn.init.normal_(model.null)
    return model.requires_grad_(False)


def run(model: RecurrentGraphTransformer, *dsgs: DynamicSceneGraph) -> tuple[Tensor, Tensor]:
    return model(SceneTensors.from_dsgs(dsgs, embed).to(dtype=torch.float64))


def permuted(scene: SceneTensors, order: Tensor) -> SceneTensors:
    nodes = {
        name: getattr(scene, name)[:, order] for name in ("labels", "kind", "ordinal", "source", "interval", "mask")
    }
    return replace(scene, **nodes, edges=scene.edges[:, order][:, :, order], active=scene.active[:, :, order])


def test_any_order_of_the_nodes_gives_the_same_features_in_that_order(model: RecurrentGraphTransformer) -> None:
    dsg = WALK.extended([fact("dog", "jump", 2, 4, "box"), fact("girl", "wave", 3, 5)])
    scene = SceneTensors.from_dsgs([dsg, SMALL], embed).to(dtype=torch.float64)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    nodes, pooled = model(scene)
    other_nodes, other_pooled = model(permuted(scene, order))
    torch.testing.assert_close(other_nodes, nodes[:, :, order])
    torch.testing.assert_close(other_pooled, pooled)


def test_padding_of_nodes_and_ticks_changes_nothing(model: RecurrentGraphTransformer) -> None:
    alone_nodes, alone_pooled = run(model, SMALL)
    nodes, pooled = run(model, WALK, SMALL, EMPTY)
    torch.testing.assert_close(nodes[1, :2, :2], alone_nodes[0])
    torch.testing.assert_close(pooled[1, :2], alone_pooled[0])
    assert (nodes[1, 2:] == 0).all()
    assert (nodes[1, :, 2:] == 0).all()


def test_what_padding_holds_does_not_matter(model: RecurrentGraphTransformer) -> None:
    scene = SceneTensors.from_dsgs([WALK, SMALL], embed).to(dtype=torch.float64)
    noisy = scene.labels + 100 * (~scene.mask).unsqueeze(-1)
    for got, expected in zip(model(replace(scene, labels=noisy)), model(scene), strict=True):
        assert torch.equal(got, expected)


def test_a_fact_changes_nothing_before_it_begins_and_is_remembered_after_it_ended(
    model: RecurrentGraphTransformer,
) -> None:
    nodes, pooled = run(model, WALK)
    more_nodes, more_pooled = run(model, WALK.extended([fact("girl", "wave", 3, 5)]))
    shared = slice(0, 4)  # the three objects and the walk, which sorts before the wave
    torch.testing.assert_close(more_nodes[:, :3, shared], nodes[:, :3, shared])
    torch.testing.assert_close(more_pooled[:, :3], pooled[:, :3])
    girl = (more_nodes - torch.nn.functional.pad(nodes, (0, 0, 0, 1)))[0, :, 0].abs().amax(-1)
    assert (girl[3:] > 1e-6).all()


def test_features_are_zero_where_a_node_is_not(model: RecurrentGraphTransformer) -> None:
    nodes, _ = run(model, WALK)
    active = SceneTensors.from_dsgs([WALK], embed).active
    assert (nodes[~active] == 0).all()
    assert (nodes[active].abs().amax(-1) > 0).all()


def test_two_objects_of_one_label_and_one_role_differ(model: RecurrentGraphTransformer) -> None:
    dogs = (SceneObject(id="dog_1", label="dog"), SceneObject(id="dog_2", label="dog"))
    dsg = DynamicSceneGraph(ticks=1, objects=dogs, facts=(fact("dog_1", "run", 0, 1), fact("dog_2", "run", 0, 1)))
    nodes, _ = run(model, dsg)
    first_dog, second_dog, first_run, second_run = nodes[0, 0]
    assert (first_dog - second_dog).abs().max() > 1e-3
    assert (first_run - second_run).abs().max() > 1e-3


def test_subject_and_object_are_not_the_same(model: RecurrentGraphTransformer) -> None:
    chases, chased = (
        DynamicSceneGraph(ticks=1, objects=OBJECTS[:2], facts=(fact(*pair),))
        for pair in (("girl", "chase", 0, 1, "box"), ("box", "chase", 0, 1, "girl"))
    )
    assert (run(model, chases)[0] - run(model, chased)[0]).abs().amax(-1).min() > 1e-3


def test_an_empty_scene_is_the_null_token(model: RecurrentGraphTransformer) -> None:
    for dsgs in ((EMPTY,), (WALK, EMPTY)):
        nodes, pooled = run(model, *dsgs)
        assert torch.equal(pooled[-1], model.null.expand_as(pooled[-1]))
        assert (nodes[-1] == 0).all()


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = RecurrentGraphTransformer(label_dim=8, width=WIDTH, layers=2, heads=HEADS)
    nodes, pooled = model(SceneTensors.from_dsgs([WALK, SMALL, EMPTY], embed))
    (nodes.square().sum() + pooled.sum(0).square().sum()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_layer_equals_its_slow_twin() -> None:
    torch.manual_seed(1)
    dsg = WALK.extended([fact("dog", "jump", 2, 4, "box")])
    scene = SceneTensors.from_dsgs([dsg, SMALL], embed)
    layer = GraphTransformerLayer(WIDTH, HEADS, updates_edges=True).double().requires_grad_(False)
    states = torch.randn(*scene.active.shape, WIDTH, dtype=torch.float64)
    where = TickEdges.of(scene)
    edges = torch.randn(len(where.kind), WIDTH, dtype=torch.float64)
    fast_nodes, fast_edges = layer(states, edges, scene, where)

    _, ticks, size = scene.active.shape
    named = {}
    for edge, receiver, sender in zip(range(len(edges)), where.receiver.tolist(), where.sender.tolist(), strict=True):
        named[(receiver // (ticks * size), receiver // size % ticks, receiver % size, sender % size)] = edge
    vectors = {key: edges[edge] for key, edge in named.items()}
    slow_nodes, slow_edges = LoopLayer(layer, scene)(states, vectors)
    torch.testing.assert_close(fast_nodes[scene.active], slow_nodes[scene.active])
    for key, edge in named.items():
        torch.testing.assert_close(fast_edges[edge], slow_edges[key])
    assert len(named) == sum(
        len(neighbours(scene, v, t, i)) for v, t, i in scene.active.nonzero().tolist()
    )  # no edge but between active neighbours


@pytest.mark.parametrize("recurrence", [True, False])
def test_the_whole_encoder_equals_its_slow_twin(recurrence: bool) -> None:
    """In single precision, with positions, for a batch of unlike scenes."""
    torch.manual_seed(2)
    positions = Positions(laplacian=3, weisfeiler_lehman=1)
    model = RecurrentGraphTransformer(8, WIDTH, 2, HEADS, positions=positions, recurrence=recurrence)
    torch.nn.init.normal_(model.null)
    dsg = WALK.extended([fact("dog", "jump", 2, 4, "box"), fact("girl", "wave", 3, 5)])
    scene = SceneTensors.from_dsgs([dsg, SMALL, EMPTY], embed, positions)
    with torch.no_grad():
        for got, expected in zip(model(scene), loop_encode(model, scene), strict=True):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
