"""Edits by changed facts: nothing changes without a change, and what a change does not reach stays."""

from __future__ import annotations

import pytest
import torch

from dysenvdm.generation.editing import change_mask
from dysenvdm.generation.samplers import SCHEDULERS
from planners.dsg import DynamicSceneGraph, Fact

PROMPT = "the girl walk to the box"


def edited(scene: DynamicSceneGraph) -> DynamicSceneGraph:
    late = Fact(subject="girl", attribute="brown", start=3, end=4, source="user")
    return scene.replace(facts=[*scene.facts, late])


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # diffusers' schedulers
@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_edit_that_changes_nothing_gives_the_original(last_latents, scene, name: str) -> None:
    original = last_latents(scheduler=name)
    torch.testing.assert_close(last_latents(scheduler=name, edit_of=([PROMPT], [scene])), original, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # diffusers' schedulers
@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_the_change_does_not_reach_stays(last_latents, scene, monkeypatch, name: str) -> None:
    masks = []
    monkeypatch.setattr(
        "dysenvdm.generation.editing.change_mask", lambda *args: masks.append(change_mask(*args)) or masks[-1]
    )
    original, plain = last_latents(scheduler=name), last_latents(scheduler=name, dsgs=[edited(scene)])
    got = last_latents(scheduler=name, dsgs=[edited(scene)], edit_of=([PROMPT], [scene]))
    inside = masks[0].unsqueeze(1).expand_as(got)
    assert 0 < inside.float().mean() < 1
    torch.testing.assert_close(got[~inside], original[~inside], rtol=0, atol=0)
    assert (got[inside] - original[inside]).abs().max() > 1e-3
    assert (plain[~inside] - original[~inside]).abs().max() > 1e-3


def test_a_batch_of_edits_is_made_of_single_ones(last_latents, scene) -> None:
    graphs = [edited(scene), scene]
    together = last_latents(seeds=[1, 2], dsgs=graphs, edit_of=([PROMPT] * 2, [scene] * 2))
    alone = last_latents(dsgs=graphs[:1], edit_of=([PROMPT], [scene]))
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[1:], last_latents(seeds=[2]), atol=1e-4, rtol=1e-4)


def test_the_mask_is_where_answers_differ_and_one_place_around() -> None:
    difference = torch.zeros(2, 3, 7, 7)
    difference[0, 1, 3, 3], difference[0, 2, 0, 0] = 1.0, 0.1
    mask = change_mask(difference, 0.5)
    expected = torch.zeros(2, 3, 7, 7, dtype=torch.bool)
    expected[0, 1, 2:5, 2:5] = True
    assert torch.equal(mask, expected)
