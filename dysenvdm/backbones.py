"""Building the two backbones from scratch: the 3D-UNet that denoises and the image autoencoder in front of it.

Both are plain diffusers classes, so that folders of other models of the same shape (ModelScope, ZeroScope) load.

Sizes: ``micro`` is for tests, ``nano`` what two CPU cores can train, ``tiny`` what one GPU can and ``paper`` what
eight can (METHOD section 4: frames of 256 x 256 and latents of 32 x 32 x 4; elsewhere 64 x 64 and 16 x 16 x 4).
"""

from __future__ import annotations

from types import MethodType
from typing import TypeVar

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from planners.dsg import UserError


class _Sizes(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Config = TypeVar("Config", bound=_Sizes)


class UNetConfig(_Sizes):
    """Sizes of a ``UNet3DConditionModel``; one entry of ``channels`` and ``attention`` per resolution, finest first."""

    channels: tuple[int, ...]
    attention: tuple[bool, ...]
    """Whether blocks at this resolution have attention (to themselves, to text, to the scene, over time)."""
    layers_per_block: int = 1
    head_width: int = 16
    """What the UNet calls ``attention_head_dim`` and, unlike other UNets of diffusers, takes for just that."""
    norm_groups: int = 16
    latent_channels: int = 4
    latent_size: int = 16
    text_width: int = 384


class VAEConfig(_Sizes):
    """Sizes of an ``AutoencoderKL``; every entry of ``channels`` but the last halves the resolution."""

    channels: tuple[int, ...]
    layers_per_block: int = 1
    norm_groups: int = 8
    latent_channels: int = 4
    sample_size: int = 64
    attention: bool = False
    """Whether the pixels of the coarsest resolution attend to each other."""


UNETS = {
    "micro": UNetConfig(channels=(16, 32), attention=(False, True), head_width=8, norm_groups=8),
    "nano": UNetConfig(channels=(48, 96, 96), attention=(False, True, True)),
    "tiny": UNetConfig(channels=(64, 96, 96), attention=(True, True, True)),
    "paper": UNetConfig(
        channels=(320, 640, 1280, 1280),
        attention=(True, True, True, False),
        layers_per_block=2,
        head_width=64,
        norm_groups=32,
        latent_size=32,
        text_width=768,
    ),
}
VAES = {
    "micro": VAEConfig(channels=(8, 8, 16), norm_groups=4),
    "nano": VAEConfig(channels=(24, 48, 64)),
    "tiny": VAEConfig(channels=(40, 64, 72)),
    "paper": VAEConfig(
        channels=(128, 256, 512, 512), layers_per_block=2, norm_groups=32, sample_size=256, attention=True
    ),
}


def build_unet(size: UNetConfig | str) -> UNet3DConditionModel:
    """A 3D-UNet with random weights; ``size`` is a configuration or a preset's name. Raises :class:`UserError`."""
    config = _preset(UNETS, size, "UNet")
    down = ["CrossAttnDownBlock3D" if attends else "DownBlock3D" for attends in config.attention]
    up = ["CrossAttnUpBlock3D" if attends else "UpBlock3D" for attends in reversed(config.attention)]
    return UNet3DConditionModel(
        sample_size=config.latent_size,
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        block_out_channels=config.channels,
        layers_per_block=config.layers_per_block,
        cross_attention_dim=config.text_width,
        attention_head_dim=config.head_width,
        norm_num_groups=config.norm_groups,
    )


def flatten_temporal_convolutions(unet: nn.Module) -> None:
    """Compute the UNet's convolutions over time alone as two-dimensional ones, over (time, pixels); weights stay.

    The three-dimensional kernels for bf16 were slow on an H100 (docs/lab-notes.md) and are no faster on CPUs.
    """
    for module in unet.modules():
        if isinstance(module, nn.Conv3d) and module.kernel_size == (3, 1, 1):
            module.forward = MethodType(_over_time, module)  # type: ignore[method-assign]


def _over_time(conv: nn.Conv3d, hidden: Tensor) -> Tensor:
    """(b c f h w) -> the same shape."""
    flat = functional.conv2d(hidden.flatten(3), conv.weight.squeeze(-1), conv.bias, padding=(1, 0))
    return flat.unflatten(3, hidden.shape[3:])


def build_vae(size: VAEConfig | str) -> AutoencoderKL:
    """An image autoencoder with random weights; raises :class:`UserError`.

    Its ``scaling_factor`` is to be set from trained latents (``vae.register_to_config(scaling_factor=1 / std)``).
    """
    config = _preset(VAES, size, "autoencoder")
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(config.channels),
        up_block_types=("UpDecoderBlock2D",) * len(config.channels),
        block_out_channels=config.channels,
        layers_per_block=config.layers_per_block,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        sample_size=config.sample_size,
        mid_block_add_attention=config.attention,
    )


def _preset(presets: dict[str, Config], size: Config | str, what: str) -> Config:
    if not isinstance(size, str):
        return size
    if size not in presets:
        raise UserError(f"{what} size {size!r} is not known; use one of: {', '.join(presets)}")
    return presets[size]
