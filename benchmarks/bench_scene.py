"""What the scene costs: a denoising step with RGTrm and scene attention over the same UNet's step without, in pairs;
over the same step with keys and values that are computed anew instead of once per video; and in bfloat16.
"""

from __future__ import annotations

from copy import deepcopy

from benchmarks.rows import Row, paired_ratios, seconds

STEPS = 25
PAIRS = 9


def run() -> list[Row]:
    return [row for size in ("nano", "tiny") for row in _rows(size)]


def _rows(size: str) -> list[Row]:
    import torch
    from torch.nn.functional import normalize

    from dysenvdm.backbones import build_unet
    from dysenvdm.scene_attention import SceneAdapter
    from dysenvdm.scene_tensors import SceneTensors
    from dysenvdm.stage import sample

    torch.manual_seed(0)
    unet = build_unet(size).eval()
    adapter = SceneAdapter.for_unet(unet).eval()
    scene = SceneTensors.from_dsgs([sample(3).dsg] * 2, lambda labels: normalize(torch.randn(len(labels), 384), dim=-1))
    latents, text, time = torch.randn(2, 4, 16, 16, 16), torch.randn(2, 64, 384), torch.tensor(500)

    half = torch.bfloat16
    half_unet, half_adapter = deepcopy(unet).to(half), deepcopy(adapter).to(half)

    @torch.no_grad()
    def plain() -> None:
        unet(latents, time, encoder_hidden_states=text)

    @torch.no_grad()
    def once_per_video() -> list[object]:
        return list(adapter.keys_values(adapter.encode(scene, 16)))

    with torch.no_grad():
        keys_values = adapter.keys_values(adapter.encode(scene, 16))
        half_keys_values = half_adapter.keys_values(half_adapter.encode(scene.to(dtype=half), 16))

    def with_scene() -> None:
        with adapter.attached(unet, keys_values):
            plain()

    def without_cache() -> None:
        with torch.no_grad():
            anew = adapter.keys_values(adapter.encode(scene, 16))
        with adapter.attached(unet, anew):
            plain()

    @torch.no_grad()
    def in_half() -> None:
        with half_adapter.attached(half_unet, half_keys_values):
            half_unet(latents.to(half), time, encoder_hidden_states=text.to(half))

    steps = paired_ratios(with_scene, plain, PAIRS)
    step, video = seconds(plain), seconds(once_per_video)
    share = video / STEPS / step
    return [
        Row(f"{size}: step with scene / without", "", tuple(ratio + share for ratio in steps), 1.10),
        Row(f"{size}: step without cached keys and values / with", "", paired_ratios(without_cache, with_scene, PAIRS)),
        Row(f"{size}: step in bfloat16 / in float32", "", paired_ratios(in_half, with_scene, PAIRS)),
        Row(f"{size}: RGTrm, keys and values, once per video", "s", (video,)),
    ]
