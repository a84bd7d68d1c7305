"""What holds for every encoder of scenes: RGTrm, its ablations, and the plain recurrent GNN."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dysenvdm.recurrent_gnn import RecurrentGNN
from dysenvdm.rgtrm import RecurrentGraphTransformer
from dysenvdm.scene_encoder import SceneEncoder
from dysenvdm.scene_positions import Positions
from dysenvdm.scene_tensors import SceneTensors
from planners.dsg import DynamicSceneGraph
from tests.dysenvdm.scenes import OBJECTS, embed, fact

POSITIONS = Positions(laplacian=3, weisfeiler_lehman=2)
MAKES: dict[str, Callable[[], SceneEncoder]] = {
    "rgtrm": lambda: RecurrentGraphTransformer(8, 16, 2, 2, positions=POSITIONS),
    "rgtrm without recurrence": lambda: RecurrentGraphTransformer(8, 16, 2, 2, positions=POSITIONS, recurrence=False),
    "recurrent gnn": lambda: RecurrentGNN(8, 16, 2),
    "recurrent gnn with positions": lambda: RecurrentGNN(8, 16, 2, positions=POSITIONS),
    "gnn without recurrence": lambda: RecurrentGNN(8, 16, 2, recurrence=False),
}
RECURRENT = ("rgtrm", "recurrent gnn", "recurrent gnn with positions")


WALK = DynamicSceneGraph(
    ticks=6, objects=OBJECTS, facts=(fact("girl", "walk", 0, 6, "box"), fact("dog", "jump", 2, 4, "box"))
)
SMALL = DynamicSceneGraph(ticks=2, objects=OBJECTS[:1], facts=(fact("girl", "run", 1, 2),))
EMPTY = DynamicSceneGraph(ticks=3)


@pytest.fixture(params=MAKES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(name: str) -> SceneEncoder:
    torch.manual_seed(0)
    model = MAKES[name]().double()
    torch.nn.init.normal_(model.null)
    for table in model.weisfeiler_lehman:  # as if trained
        torch.nn.init.normal_(table.weight)
    return model.requires_grad_(False)


def run(model: SceneEncoder, *dsgs: DynamicSceneGraph) -> tuple[Tensor, Tensor]:
    scene = SceneTensors.from_dsgs(dsgs, embed, POSITIONS)
    return model(scene.to(dtype=model.null.dtype))


def test_the_order_of_objects_in_the_file_does_not_matter(model: SceneEncoder) -> None:
    nodes, pooled = run(model, WALK)
    other, other_pooled = run(model, WALK.replace(objects=OBJECTS[::-1]))
    torch.testing.assert_close(other, nodes[:, :, [2, 1, 0, 3, 4]], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(other_pooled, pooled, atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing(model: SceneEncoder) -> None:
    alone, alone_pooled = run(model, SMALL)
    nodes, pooled = run(model, WALK, SMALL, EMPTY)
    torch.testing.assert_close(nodes[1, :2, :2], alone[0])
    torch.testing.assert_close(pooled[1, :2], alone_pooled[0])
    assert (nodes[1, 2:] == 0).all()
    assert (nodes[1, :, 2:] == 0).all()


def test_the_future_does_not_change_the_past(model: SceneEncoder) -> None:
    nodes, pooled = run(model, WALK)
    more, more_pooled = run(model, WALK.extended([fact("girl", "wave", 3, 5)]))
    torch.testing.assert_close(more[:, :3, :5], nodes[:, :3])
    torch.testing.assert_close(more_pooled[:, :3], pooled[:, :3])
    assert (more_pooled - pooled)[:, 3:5].abs().amax(-1).min() > 1e-6


def test_the_past_is_remembered_by_recurrence_alone(model: SceneEncoder, name: str) -> None:
    """After the dog has jumped, the last tick is as if it never had, unless there is a memory."""
    nodes, _ = run(model, WALK)
    never, _ = run(model, WALK.replace(facts=WALK.facts[:1]))
    difference = (nodes[0, 5, 1:3] - never[0, 5, 1:3]).abs().amax(-1)
    assert (difference > 1e-6).all() if name in RECURRENT else (difference < 1e-12).all()


def test_an_empty_scene_is_the_null_token(model: SceneEncoder) -> None:
    for dsgs in ((EMPTY,), (WALK, EMPTY)):
        nodes, pooled = run(model, *dsgs)
        assert torch.equal(pooled[-1], model.null.expand_as(pooled[-1]))
        assert (nodes[-1] == 0).all()


def test_subject_and_object_are_not_the_same(model: SceneEncoder) -> None:
    chases, chased = (
        DynamicSceneGraph(ticks=1, objects=OBJECTS[:2], facts=(fact(*pair),))
        for pair in (("girl", "chase", 0, 1, "box"), ("box", "chase", 0, 1, "girl"))
    )
    assert (run(model, chases)[0] - run(model, chased)[0]).abs().amax(-1).min() > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_parameter_gets_a_finite_gradient(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = MAKES[name]().to(dtype)
    nodes, pooled = run(model, WALK, SMALL, EMPTY)
    assert nodes.dtype == pooled.dtype == dtype
    (nodes.float().square().sum() + pooled.float().sum(0).square().sum()).backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert [key for key, g in gradients.items() if g is None or not g.isfinite().all() or not g.abs().sum() > 0] == []
