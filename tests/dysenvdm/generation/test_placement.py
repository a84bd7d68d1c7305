"""Number formats, offloading and compilation: the same videos as without, or nearly so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload

from dysenvdm.generation.placement import OFFLOADS, checked_device, checked_dtype, compile_blocks, place
from dysenvdm.pipeline import DysenVDMPipeline
from planners.dsg import UserError


@pytest.mark.parametrize(("name", "bound"), [("bf16", 0.1), ("fp16", 0.02)])
def test_sixteen_bits_give_nearly_the_same_video(
    pipeline, last_latents, tmp_path: Path, name: str, bound: float
) -> None:
    whole = last_latents()
    pipeline.save_pretrained(tmp_path)
    loaded = DysenVDMPipeline.from_pretrained(tmp_path, dtype=checked_dtype(name))
    for part in ("unet", "vae", "scene_adapter"):
        assert getattr(loaded, part).dtype == checked_dtype(name)
        setattr(pipeline, part, getattr(loaded, part))
    half = last_latents()
    assert half.dtype == torch.float32
    error = (half - whole).norm() / whole.norm()
    assert 0 < error < bound


@pytest.mark.parametrize("frames", [4, 12])
@pytest.mark.parametrize("offload", OFFLOADS)
def test_offloaded_weights_give_the_same_video(pipeline, last_latents, monkeypatch, offload, frames: int) -> None:
    """diffusers' and accelerate's hooks, with the CPU in the place of a GPU."""

    def layer_by_layer(*, device: torch.device) -> None:
        # As diffusers does, apart from its "cpu:0", which torch takes for another device than the "cpu" of the weights.
        for name in ("unet", "vae"):
            cpu_offload(getattr(pipeline, name), device, offload_buffers=False)

    monkeypatch.setattr(pipeline, "enable_sequential_cpu_offload", layer_by_layer)
    options = {"num_frames": frames, "window": 8}
    expected = last_latents(**options)
    place(pipeline, torch.device("cpu"), offload)
    for _ in range(2):
        torch.testing.assert_close(last_latents(**options), expected, rtol=0, atol=0)
    hooked = pipeline.unet.conv_in if offload == "sequential" else pipeline.unet
    assert hasattr(hooked, "_hf_hook")
    held = {parameter.device.type for parameter in pipeline.unet.parameters()}
    assert held == {"meta" if offload == "sequential" else "cpu"}


def test_compiled_blocks_give_the_same_video_for_any_scene(pipeline, last_latents, scene, monkeypatch) -> None:
    """With an eager backend: what is tested is that scenes still reach the network between compiled blocks."""
    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_(self, backend="eager"))
    graphs = [scene, scene.veto(["plan"])]
    expected = [last_latents(dsgs=[graph]) for graph in graphs]
    assert compile_blocks(pipeline.unet) > 5
    for graph, video in zip(graphs, expected, strict=True):
        torch.testing.assert_close(last_latents(dsgs=[graph]), video, atol=1e-4, rtol=1e-4)
    assert (expected[0] - expected[1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("device", "offload", "message"),
    [
        ("tpu!", None, "device: 'tpu!' is not known"),
        ("cuda", None, "device: 'cuda' is not on this machine; it has cpu"),
        ("auto", "model", "offload: .* this machine has none"),
        ("auto", "disk", "offload: 'disk' is not known; use one of: model, sequential"),
    ],
)
def test_what_this_machine_cannot_do_is_said(monkeypatch, device: str, offload: str | None, message: str) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    with pytest.raises(UserError, match=message):
        checked_device(device, offload)


def test_the_automatic_device_is_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    for here, expected in ((None, "cpu"), (torch.device("cuda"), "cuda")):
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available, here=here: here)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
        assert checked_device("auto").type == expected
    assert checked_device("cuda:1", "model").index == 1
    with pytest.raises(UserError, match="'cuda:2' is not on this machine"):
        checked_device("cuda:2")
    with pytest.raises(UserError, match="give --device cuda"):
        checked_device("cpu", "model")


def test_an_unknown_number_format_is_refused() -> None:
    with pytest.raises(UserError, match="dtype: 'int8' is not known; use one of: fp32, fp16, bf16"):
        checked_dtype("int8")
