"""The scene adapter on a small 3D-UNet: identity, alignment, caching, hooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from torch import Tensor

from dysenvdm.backbones import UNetConfig, build_unet
from dysenvdm.scene_attention import SCENE_MODES, PhaseEmbedding, SceneAdapter, SceneMode, scene_sites
from dysenvdm.scene_tensors import SceneTensors
from planners.dsg import DynamicSceneGraph, Fact, SceneObject, UserError, tick_of_frame

FRAMES = 8
SIZES = UNetConfig(channels=(16, 32), attention=(True, True), head_width=8, norm_groups=8, latent_size=8, text_width=12)


def embed(labels: Sequence[str]) -> Tensor:
    rows = [torch.randn(12, generator=torch.Generator().manual_seed(sum(map(ord, label)))) for label in labels]
    return torch.stack(rows) if rows else torch.zeros(0, 12)


def fact(subject: str, predicate: str, start: int, end: int, target: str | None = None) -> Fact:
    return Fact(subject=subject, predicate=predicate, object=target, start=start, end=end, source="plan")


OBJECTS = (SceneObject(id="girl", label="girl"), SceneObject(id="box", label="box"))
WALK = DynamicSceneGraph(ticks=8, objects=OBJECTS, facts=(fact("girl", "walk", 0, 8, "box"),))
HOP = DynamicSceneGraph(ticks=4, objects=OBJECTS, facts=(fact("girl", "hop", 0, 1), fact("box", "fall", 2, 4)))
EMPTY = DynamicSceneGraph(ticks=1)


@pytest.fixture(scope="module")
def unet() -> UNet3DConditionModel:
    torch.manual_seed(0)
    return build_unet(SIZES).eval().requires_grad_(False)


@pytest.fixture
def adapter(unet: UNet3DConditionModel) -> SceneAdapter:
    torch.manual_seed(1)
    adapter = SceneAdapter.for_unet(unet, width=16, layers=2, heads=2).eval()
    torch.nn.init.normal_(adapter.graph.null)
    return adapter


@pytest.fixture
def trained(adapter: SceneAdapter) -> SceneAdapter:
    """As if trained: the outputs are no longer zero."""
    for site in adapter.sites:
        torch.nn.init.normal_(site.output.weight, std=0.5)
    return adapter.requires_grad_(False)


@pytest.fixture
def inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "sample": torch.randn(2, 4, FRAMES, 8, 8, generator=generator),
        "timestep": torch.tensor([10, 700]),
        "encoder_hidden_states": torch.randn(2, 5, 12, generator=generator),
    }


def tensors(*dsgs: DynamicSceneGraph) -> SceneTensors:
    return SceneTensors.from_dsgs(dsgs, embed)


def answer(
    adapter: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor], *dsgs: DynamicSceneGraph
) -> Tensor:
    keys_values = adapter.keys_values(adapter.encode(tensors(*dsgs), FRAMES))
    with adapter.attached(unet, keys_values):
        return unet(**inputs).sample


def hooks(unet: UNet3DConditionModel) -> int:
    return sum(len(module._forward_hooks) for module in unet.modules())


def test_untrained_it_equals_the_backbone_bit_for_bit(
    adapter: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor]
) -> None:
    with torch.no_grad():
        assert torch.equal(answer(adapter, unet, inputs, WALK, HOP), unet(**inputs).sample)


def test_trained_it_tells_scenes_apart(
    trained: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor]
) -> None:
    one = answer(trained, unet, inputs, WALK, HOP)
    other = answer(trained, unet, inputs, WALK, EMPTY)
    assert (one[1] - other[1]).abs().max() > 1e-3
    torch.testing.assert_close(one[0], other[0])


def test_every_spatial_transformer_is_a_site_followed_by_a_temporal_one(unet: UNet3DConditionModel) -> None:
    sites = scene_sites(unet)
    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    assert len(sites) == sum(len(block.temp_attentions) for block in blocks) == 2 + 1 + 4


def test_backbone_keeps_its_state_dict(
    adapter: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor]
) -> None:
    before = list(unet.state_dict())
    with adapter.attached(unet, adapter.keys_values(adapter.encode(tensors(WALK), FRAMES))):
        assert list(unet.state_dict()) == before


def test_hooks_are_gone_after_the_block_and_after_an_error(adapter: SceneAdapter, unet: UNet3DConditionModel) -> None:
    keys_values = adapter.keys_values(adapter.encode(tensors(WALK), FRAMES))
    with adapter.attached(unet, keys_values):
        assert hooks(unet) == len(scene_sites(unet))
    assert hooks(unet) == 0
    with pytest.raises(RuntimeError, match="stop"), adapter.attached(unet, keys_values):
        raise RuntimeError("stop")
    assert hooks(unet) == 0


def test_cached_keys_and_values_equal_recomputed_ones(
    trained: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor]
) -> None:
    cached = trained.keys_values(trained.encode(tensors(WALK, HOP), FRAMES))
    for timestep in (900, 500, 20):
        step = {**inputs, "timestep": torch.tensor(timestep)}
        with trained.attached(unet, cached):
            got = unet(**step).sample
        assert torch.equal(got, answer(trained, unet, step, WALK, HOP))


def test_a_fact_changes_no_frame_before_it(trained: SceneAdapter) -> None:
    more = WALK.extended([fact("girl", "wave", 3, 5)])
    plain, waving = (trained.encode(tensors(dsg), FRAMES) for dsg in (WALK, more))
    frames = [frame for frame in range(FRAMES) if tick_of_frame(frame, FRAMES, WALK.ticks) < 3]
    wave = 4  # the token of the new fact: after the scene's own, two objects and the walk
    assert not waving.mask[:, frames, wave].any()
    torch.testing.assert_close(waving.tokens[:, frames, :wave], plain.tokens[:, frames])
    assert waving.mask[0, :, wave].tolist() == [3 <= tick_of_frame(f, FRAMES, WALK.ticks) < 5 for f in range(FRAMES)]


@pytest.mark.parametrize("frames", [4, 8, 12, 16])
def test_aligned_frames_see_the_nodes_of_their_tick(trained: SceneAdapter, frames: int) -> None:
    scene = tensors(HOP)
    mask = trained.encode(scene, frames).mask
    for frame in range(frames):
        assert torch.equal(mask[0, frame, 1:], scene.active[0, tick_of_frame(frame, frames, HOP.ticks)])
    assert mask[..., 0].all()


def test_attention_of_a_frame_reads_only_its_tick(trained: SceneAdapter) -> None:
    features = trained.encode(tensors(HOP), FRAMES)
    noisy = replace(features, tokens=torch.where(features.mask.unsqueeze(-1), features.tokens, 1e3))
    hidden = torch.randn(FRAMES, 16, 4, 4)
    for site in trained.sites:
        if site.norm.normalized_shape[0] == 16:
            assert torch.equal(site(hidden, site.project(noisy)), site(hidden, site.project(features)))


def test_site_equals_torch_attention(trained: SceneAdapter) -> None:
    """The written-out attention against torch's own, and pixels against a loop over frames."""
    features = trained.encode(tensors(HOP), FRAMES)
    site = trained.sites[0]
    hidden = torch.randn(FRAMES, 16, 3, 5)
    got = site(hidden, site.project(features))
    for frame in range(FRAMES):
        pixels = site.norm(hidden[frame].flatten(1).T)
        key, value = site.key_value(features.tokens[0, frame][features.mask[0, frame]]).chunk(2, dim=-1)
        split = [part.unflatten(-1, (site.heads, -1)).transpose(0, 1) for part in (site.query(pixels), key, value)]
        heard = torch.nn.functional.scaled_dot_product_attention(*split).transpose(0, 1).flatten(1)
        torch.testing.assert_close(got[frame], site.output(heard).T.reshape(hidden.shape[1:]))


def test_batch_of_videos_with_other_ticks_and_nodes_changes_nothing(
    trained: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor]
) -> None:
    together = answer(trained, unet, inputs, WALK, HOP)
    for i, dsg in enumerate((WALK, HOP)):
        alone = answer(trained, unet, {name: value[i : i + 1] for name, value in inputs.items()}, dsg)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-4)


def test_scene_mode_none_is_the_empty_scene(
    trained: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor]
) -> None:
    with trained.attached(unet, trained.keys_values(trained.encode(tensors(WALK, HOP), FRAMES, "none"))):
        none = unet(**inputs).sample
    torch.testing.assert_close(none, answer(trained, unet, inputs, EMPTY, EMPTY))


def test_broadcast_shows_every_frame_all_ticks(trained: SceneAdapter) -> None:
    features = trained.encode(tensors(WALK, HOP), FRAMES, "broadcast")
    assert (features.tokens == features.tokens[:, :1]).all()
    assert (features.mask == features.mask[:, :1]).all()
    objects_and_walk_and_scene, hop_or_fall = 8 * 4, 4 * 3 + 1 + 2
    assert features.mask[:, 0].sum(-1).tolist() == [objects_and_walk_and_scene, hop_or_fall]


def test_shuffled_shows_the_same_ticks_at_other_times(trained: SceneAdapter) -> None:
    aligned, shuffled = (trained.encode(tensors(WALK), FRAMES, mode) for mode in ("aligned", "shuffled"))
    distance = torch.cdist(shuffled.tokens[0].flatten(1), aligned.tokens[0].flatten(1))
    order = distance.argmin(-1)
    assert distance.amin(-1).max() < 1e-3
    assert sorted(order.tolist()) == list(range(FRAMES))
    assert order.tolist() != list(range(FRAMES))
    again = trained.encode(tensors(EMPTY, WALK), FRAMES, "shuffled")
    torch.testing.assert_close(again.tokens[1], shuffled.tokens[0])


def test_unknown_scene_mode_is_refused_by_name(adapter: SceneAdapter) -> None:
    with pytest.raises(UserError, match=r"'sometimes'.*aligned, broadcast, none, shuffled"):
        adapter.encode(tensors(WALK), FRAMES, "sometimes")


@pytest.mark.parametrize("mode", SCENE_MODES)
def test_empty_scene_is_valid_in_every_mode(
    trained: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor], mode: SceneMode
) -> None:
    with trained.attached(unet, trained.keys_values(trained.encode(tensors(EMPTY, EMPTY), FRAMES, mode))):
        assert unet(**inputs).sample.isfinite().all()


def test_phase_is_the_same_for_the_same_stretch_of_time() -> None:
    torch.manual_seed(0)
    phase = PhaseEmbedding(8)
    interval = torch.tensor([[[0, 2], [4, 6], [4, 8]]])
    moments = phase(interval, torch.tensor([[0.5, 4.5]]))
    torch.testing.assert_close(moments[0, 0, 0], moments[0, 1, 1])
    assert (moments[0, 1, 1] - moments[0, 1, 2]).abs().max() > 1e-3
    assert (moments[0, 0, 0] - moments[0, 1, 0]).abs().max() > 1e-3


def test_gradient_reaches_every_parameter(
    adapter: SceneAdapter, unet: UNet3DConditionModel, inputs: dict[str, Tensor]
) -> None:
    for site in adapter.sites:
        torch.nn.init.normal_(site.output.weight)
    answer(adapter, unet, inputs, WALK.extended([fact("box", "fall", 2, 5)]), HOP).square().sum().backward()
    assert [name for name, p in adapter.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_runs_in_sixteen_bits(trained: SceneAdapter, dtype: torch.dtype) -> None:
    expected = trained.encode(tensors(WALK, HOP), FRAMES)
    got = trained.to(dtype).encode(tensors(WALK, HOP).to(dtype=dtype), FRAMES)
    assert got.tokens.dtype == dtype
    torch.testing.assert_close(got.tokens.float(), expected.tokens, atol=0.15, rtol=0.1)


def test_adapter_of_another_unet_is_refused(adapter: SceneAdapter, unet: UNet3DConditionModel) -> None:
    other = build_unet(SIZES.model_copy(update={"channels": (16, 48)}))
    keys_values = adapter.keys_values(adapter.encode(tensors(WALK), FRAMES))
    with pytest.raises(UserError, match="this UNet has"), adapter.attached(other, keys_values):
        pass


def test_saved_and_loaded_it_is_the_same(trained: SceneAdapter, tmp_path: Path) -> None:
    trained.save_pretrained(tmp_path)
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".json", ".safetensors"]
    loaded = SceneAdapter.from_pretrained(tmp_path, local_files_only=True)
    scene = tensors(WALK, HOP)
    assert torch.equal(loaded.encode(scene, FRAMES).tokens, trained.encode(scene, FRAMES).tokens)


def test_from_the_first_step_labels_and_phases_can_be_heard() -> None:
    """Unit-norm labels and the phase move a fresh adapter's tokens about as much as the kinds of nodes do."""
    torch.manual_seed(0)
    adapter = SceneAdapter(channels=[16], label_dim=384)

    def unit(labels: Sequence[str]) -> Tensor:
        rows = [torch.randn(384, generator=torch.Generator().manual_seed(sum(map(ord, label)))) for label in labels]
        return torch.nn.functional.normalize(torch.stack(rows), dim=-1)

    def tokens(predicate: str) -> Tensor:
        dsg = DynamicSceneGraph(ticks=8, objects=OBJECTS, facts=(fact("girl", predicate, 0, 8, "box"),))
        return adapter.encode(SceneTensors.from_dsgs([dsg], unit), FRAMES).tokens[0, :, -1]  # the event's

    walk, hop = tokens("walk"), tokens("hop")
    assert (walk - hop).norm() > 0.3 * walk.norm()
    assert (walk[0] - walk[-1]).norm() > 0.3 * walk[0].norm()
