"""Where and how a pipeline computes: device, number format, offloading, compilation."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from torch import nn

from planners.dsg import UserError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
Offload = Literal["model", "sequential"]
OFFLOADS: tuple[Offload, ...] = get_args(Offload)
COMPILED = (ResnetBlock2D, TemporalConvLayer, BasicTransformerBlock)
"""The blocks that a 3D-UNet repeats. Scenes hook in between them, so that a new scene compiles nothing anew."""


def checked_device(name: str, offload: str | None = None) -> torch.device:
    """The device of a name, ``auto`` being the accelerator where there is one; raises :class:`UserError`."""
    here = torch.accelerator.current_accelerator(check_available=True)
    if offload is not None and offload not in OFFLOADS:
        raise UserError(f"offload: {offload!r} is not known; use one of: {', '.join(OFFLOADS)}")
    if offload is not None and here is None:
        raise UserError("offload: moves weights to a GPU when they are needed, and this machine has none; leave it out")
    if name == "auto":
        return here or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device: {name!r} is not known; use auto, cpu or cuda") from None
    count = 0 if here is None or here.type != device.type else torch.accelerator.device_count()
    if device.type != "cpu" and (device.index or 0) >= count:
        raise UserError(f"device: {name!r} is not on this machine; it has {here or 'cpu'}")
    if offload is not None and device.type == "cpu":
        raise UserError("offload: moves weights to a GPU when they are needed; give --device cuda or leave it out")
    return device


def checked_dtype(name: str) -> torch.dtype:
    """The number format of a name; raises :class:`UserError`."""
    if name not in DTYPES:
        raise UserError(f"dtype: {name!r} is not known; use one of: {', '.join(DTYPES)}")
    return DTYPES[name]


def place(pipe: Any, device: torch.device, offload: Offload | None = None) -> None:
    """Move the pipeline to the device, or let diffusers move its parts there when they are needed.

    ``model`` keeps one of UNet and autoencoder there, ``sequential`` one layer. The text encoder and the scene adapter,
    which are small and used once, stay there.
    """
    match offload:
        case "model":
            pipe.enable_model_cpu_offload(device=device)
        case "sequential":
            pipe.enable_sequential_cpu_offload(device=device)
        case None:
            pipe.to(device)


def compile_blocks(unet: nn.Module) -> int:
    """Have torch compile the UNet's repeated blocks when they first run; returns how many there are."""
    blocks = [module for module in unet.modules() if isinstance(module, COMPILED)]
    for block in blocks:
        block.compile()
    return len(blocks)
