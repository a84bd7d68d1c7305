"""A text of its own for every frame: the 3D-UNet's text cross-attention reads what that frame shows.

``UNet3DConditionModel`` takes one encoded text per video and repeats it over the frames. Here hooks in front of its
spatial transformers, which see every frame as an image of its own, hand each frame its own text instead. Neither the
UNet's class nor its weights change, and with one and the same text for all frames the result is the same bit for bit.

Letters: ``b`` video, ``f`` frame, ``l`` token, ``d`` width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from einops import rearrange
from torch import Tensor, nn

from dysenvdm.scene_attention import scene_sites


@contextmanager
def text_of_frames(unet: UNet3DConditionModel, text: Tensor) -> Iterator[UNet3DConditionModel]:
    """Within this block frame i of every video reads ``text[:, i]`` (b f l d), whatever text the UNet is called with.

    With f = 1 nothing is changed: the UNet itself repeats one text over the frames.
    """
    if text.shape[1] == 1:
        yield unet
        return
    of_images = rearrange(text, "b f l d -> (b f) l d")
    hooks = [
        site.register_forward_pre_hook(partial(_with_text, of_images), with_kwargs=True) for site in scene_sites(unet)
    ]
    try:
        yield unet
    finally:
        for hook in hooks:
            hook.remove()


def _with_text(text: Tensor, _site: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Forward pre-hook of a spatial transformer."""
    return args, {**kwargs, "encoder_hidden_states": text}
