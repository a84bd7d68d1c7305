"""The guided prediction of a whole video, window by window: memory depends on the window, not on the video.

Letters: ``g`` branch of the guidance, ``b`` video, ``c`` channels, ``f`` frame, ``l`` token, ``h w`` pixels of latents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from einops import rearrange, repeat
from torch import Tensor

from dysenvdm.frame_text import text_of_frames
from dysenvdm.generation.windows import Windows
from dysenvdm.scene_attention import KeyValue, SceneAdapter

Predict = Callable[[Any, Tensor, Tensor], Tensor]
"""(sampler, latents (b c f h w), timestep) -> the network's guided output, float32, of the latents' shape."""


@dataclass(frozen=True)
class Conditions:
    """What every branch of the guidance reads, and how much its answer counts."""

    text: Tensor
    """(g*b f l d), f = 1 where all frames read the same."""
    keys_values: Sequence[KeyValue]
    """Per site, of g*b videos with all their frames."""
    weights: Sequence[float]
    """g."""


@dataclass(frozen=True)
class GuidedUNet:
    """A :data:`Predict` of one set of conditions."""

    unet: UNet3DConditionModel
    scene_adapter: SceneAdapter
    conditions: Conditions
    windows: Windows

    def __call__(self, sampler: Any, latents: Tensor, timestep: Tensor) -> Tensor:
        if len(self.windows.spans) == 1:
            return self._of_window(sampler, latents, timestep, slice(None))
        total = torch.zeros_like(latents)
        weight = rearrange(self.windows.weight.to(latents.device), "f -> f 1 1")
        for span in self.windows.spans:
            total[:, :, span] += weight * self._of_window(sampler, latents[:, :, span], timestep, span)
        return total / rearrange(self.windows.total.to(latents.device), "f -> f 1 1")

    def _of_window(self, sampler: Any, latents: Tensor, timestep: Tensor, span: slice) -> Tensor:
        weights = torch.tensor(self.conditions.weights, dtype=torch.float32, device=latents.device)
        inputs = repeat(sampler.scale_model_input(latents, timestep), "b ... -> (g b) ...", g=len(weights))
        keys_values = [self._shown(key_value, span) for key_value in self.conditions.keys_values]
        text = self.conditions.text if self.conditions.text.shape[1] == 1 else self.conditions.text[:, span]
        with self.scene_adapter.attached(self.unet, keys_values) as unet, text_of_frames(unet, text):
            outputs = unet(inputs.to(unet.dtype), timestep, encoder_hidden_states=text[:, 0]).sample.float()
        return torch.einsum("g,gb...->b...", weights, rearrange(outputs, "(g b) ... -> g b ...", g=len(weights)))

    def _shown(self, key_value: KeyValue, span: slice) -> KeyValue:
        """Keys and values of the window's frames."""
        if span == slice(None):
            return key_value
        key, value, mask = (
            rearrange(part, "(b f) ... -> b f ...", f=self.windows.frames)[:, span].flatten(0, 1) for part in key_value
        )
        return key, value, mask
