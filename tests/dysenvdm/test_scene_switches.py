"""The switches of the scene adapter: each does what it says, is saved, and is off where nobody asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dysenvdm.models import CHECKPOINTS
from dysenvdm.scene_attention import ENCODERS, SCENE_MODES, SceneAdapter, SceneFeatures
from planners.dsg import DynamicSceneGraph, Fact, SceneObject, UserError

FRAMES = 12


def embed(labels: Sequence[str]) -> Tensor:
    rows = [torch.randn(12, generator=torch.Generator().manual_seed(sum(map(ord, label)))) for label in labels]
    return torch.stack(rows) if rows else torch.zeros(0, 12)


DSG = DynamicSceneGraph(
    ticks=6,
    objects=(SceneObject(id="girl", label="Girl"), SceneObject(id="box", label="box")),
    facts=(
        Fact(subject="girl", predicate="walk to", object="box", start=0, end=3, source="plan"),
        Fact(subject="girl", predicate="juggle", start=3, end=6, source="user"),
        Fact(subject="box", attribute="shiny", start=0, end=6, source="imagined"),
    ),
)


def adapter(**switches: Any) -> SceneAdapter:
    torch.manual_seed(0)
    small: dict[str, Any] = {"channels": [16], "label_dim": 12, "width": 16, "layers": 2, "heads": 2}
    adapter = SceneAdapter(**{**small, **switches}).requires_grad_(False)
    torch.nn.init.normal_(adapter.graph.null)
    for table in adapter.graph.weisfeiler_lehman:  # as if trained
        torch.nn.init.normal_(table.weight)
    return adapter


def features(adapter: SceneAdapter, dsg: DynamicSceneGraph = DSG, mode: Any = None) -> SceneFeatures:
    return adapter.encode(adapter.tensors([dsg], embed), FRAMES, mode)


ALL_ON: dict[str, Any] = {"encoder": "rgtrm", "laplacian": 3, "weisfeiler_lehman": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": "recurrent_gnn"},
        {"laplacian": 0},
        {"weisfeiler_lehman": 0},
        {"recurrence": False},
        {"phases": False},
        {"mode": "shuffled"},
    ],
)
def test_every_switch_changes_what_frames_see(change: dict[str, Any]) -> None:
    on, other = adapter(**ALL_ON), adapter(**{**ALL_ON, **change})
    shared = on.state_dict()
    wanted = {name: value for name, value in shared.items() if name in other.state_dict()}
    other.load_state_dict(wanted, strict=False)  # so that nothing but the switch differs
    assert (features(on).tokens - features(other).tokens).abs().max() > 1e-3


@pytest.mark.parametrize("encoder", ENCODERS)
def test_switches_are_saved_with_the_weights(encoder: str, tmp_path: Path) -> None:
    switches = {
        "laplacian": 2, "weisfeiler_lehman": 1, "recurrence": False, "phases": False, "mode": "broadcast",
        "max_nodes": 9, "trained_labels": ["box"],
    }  # fmt: skip
    made = adapter(encoder=encoder, **switches)
    made.save_pretrained(tmp_path)
    loaded = SceneAdapter.from_pretrained(tmp_path, local_files_only=True)
    assert {name: loaded.config[name] for name in switches} == switches
    assert torch.equal(features(loaded).tokens, features(made).tokens)


def test_an_adapter_is_used_as_it_was_trained_unless_told_otherwise() -> None:
    for mode in SCENE_MODES:
        trained = adapter(mode=mode)
        assert torch.equal(features(trained).tokens, features(adapter(), mode=mode).tokens), mode


def test_without_phases_frames_of_a_tick_are_alike() -> None:
    with_phases, without = (features(adapter(phases=on)).tokens[0] for on in (True, False))
    assert torch.equal(without[::2], without[1::2])  # two frames a tick
    assert not torch.equal(with_phases[::2], with_phases[1::2])


@pytest.mark.parametrize("ticks", range(2, 13))
def test_shuffled_shows_no_tick_at_its_own_time(ticks: int) -> None:
    """Every tick has a fact of its own, so what a frame sees tells which tick it is."""
    facts = tuple(Fact(subject="box", predicate=f"p{i}", start=i, end=i + 1, source="plan") for i in range(ticks))
    dsg = DynamicSceneGraph(ticks=ticks, objects=DSG.objects, facts=facts)
    made = adapter()
    mask = made.encode(made.tensors([dsg], embed), ticks, "shuffled").mask[0, :, 3:]
    assert (mask.sum(0) == 1).all()
    assert (mask.sum(1) == 1).all()
    assert not mask.diagonal().any()


def test_an_adapter_of_before_there_were_switches_has_them_as_they_were_then(tmp_path: Path) -> None:
    made = adapter()
    made.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for switch in ("encoder", "laplacian", "weisfeiler_lehman", "recurrence", "phases", "mode", "max_nodes"):
        del config[switch]
    (tmp_path / "config.json").write_text(json.dumps(config))
    old = SceneAdapter.from_pretrained(tmp_path)
    assert (old.config["encoder"], old.config["laplacian"], old.config["weisfeiler_lehman"]) == ("rgtrm", 0, 0)
    assert (old.config["recurrence"], old.config["phases"], old.config["mode"]) == (True, True, "aligned")
    assert torch.equal(features(old).tokens, features(made.eval()).tokens)


def test_labels_that_it_was_not_trained_on_are_named_but_not_imagined_ones() -> None:
    assert adapter(trained_labels=["girl", "walk to"]).untrained_labels(DSG) == ["box", "juggle"]
    assert adapter(trained_labels=["girl", "walk to", "box", "juggle"]).untrained_labels(DSG) == []
    assert adapter().untrained_labels(DSG) == []


def test_the_shipped_adapter_knows_its_labels() -> None:
    config = SceneAdapter.load_config(CHECKPOINTS / "stage-nano" / "scene_adapter")
    dragon = DSG.extended([], [SceneObject(id="dragon", label="dragon")])
    assert adapter(trained_labels=config["trained_labels"]).untrained_labels(dragon) == ["dragon", "juggle"]


def test_too_many_nodes_are_one_line_with_numbers() -> None:
    assert features(adapter(max_nodes=5)).tokens.shape[2] == 6
    with pytest.raises(UserError, match=r"2 objects and 3 facts are 5 nodes, this model takes 4; remove") as caught:
        features(adapter(max_nodes=4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("switches", "words"), [({"encoder": "gnn"}, "rgtrm, recurrent_gnn"), ({"mode": "never"}, "aligned, broadcast")]
)
def test_unknown_names_are_answered_with_the_known(switches: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        adapter(**switches)
