"""What generated videos suffer from, done to drawn ones: blur, lost resolution, noise, colour casts, an autoencoder.

Letters: ``b`` clip, ``f`` frame, ``h w`` pixels. Videos are (b f 3 h w) in [-1, 1]; strengths are (b), one per clip.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dysenvdm.training.autoencoder import to_images

DECODED_AT_ONCE = 512
"""Frames in one pass of the autoencoder; bounds memory."""


def blurred(videos: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur; ``sigma`` in pixels, 0 leaves a clip as it is."""
    b, _, channels, *_ = videos.shape
    reach = 4
    offset = torch.arange(-reach, reach + 1, device=videos.device)
    kernel = torch.exp(-offset.square() / (2 * sigma.clamp(min=0.05)[:, None].square()))
    kernel = (kernel / kernel.sum(1, keepdim=True)).to(videos.dtype).repeat_interleave(channels, 0)[:, None]
    x = F.pad(rearrange(videos, "b f c h w -> f (b c) h w"), (reach,) * 4, mode="replicate")
    x = F.conv2d(x, kernel[:, :, None, :], groups=b * channels)
    x = F.conv2d(x, kernel[:, :, :, None], groups=b * channels)
    return rearrange(x, "f (b c) h w -> b f c h w", b=b)


def rescaled(videos: Tensor, size: int) -> Tensor:
    """Shrunk to ``size`` pixels a side and enlarged again."""
    b, _, _, h, w = videos.shape
    small = F.interpolate(rearrange(videos, "b f c h w -> (b f) c h w"), (size, size), mode="bilinear", antialias=True)
    return rearrange(F.interpolate(small, (h, w), mode="bilinear"), "(b f) c h w -> b f c h w", b=b)


def noised(videos: Tensor, noise: Tensor, strength: Tensor) -> Tensor:
    """``noise`` of the videos' shape added at that standard deviation."""
    return (videos + strength.to(videos.dtype)[:, None, None, None, None] * noise).clamp(-1, 1)


def tinted(videos: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Contrast and brightness changed per clip and channel: both (b 3)."""
    changed = videos * gain[:, None, :, None, None] + shift[:, None, :, None, None]
    return changed.to(videos.dtype).clamp(-1, 1)


@torch.no_grad()
def round_trip(vae: AutoencoderKL, videos: Tensor, noise: Tensor | None = None) -> Tensor:
    """What the autoencoder makes of the videos; ``noise`` (b f 4 h/4 w/4) is added to their scaled latents."""
    frames = rearrange(videos, "b f c h w -> (b f) c h w").to(vae.dtype)
    wobble = None if noise is None else rearrange(noise, "b f c h w -> (b f) c h w").to(vae.dtype)
    parts = []
    for first in range(0, len(frames), DECODED_AT_ONCE):
        latents = vae.encode(frames[first : first + DECODED_AT_ONCE]).latent_dist.mean
        if wobble is not None:
            latents = latents + wobble[first : first + DECODED_AT_ONCE] / vae.config["scaling_factor"]
        parts.append(vae.decode(latents).sample.clamp(-1, 1))
    return rearrange(torch.cat(parts), "(b f) c h w -> b f c h w", b=len(videos)).to(videos.dtype)


def seen_through(vae: AutoencoderKL, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A clip (f h w 3) uint8 behind the autoencoder, in whole colour values again."""
    images = to_images(torch.from_numpy(pixels)).to(vae.device)
    return to_pixels(round_trip(vae, images[None])[0])


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Images (f 3 h w) in [-1, 1] as a clip (f h w 3) uint8."""
    pixels = ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rearrange(pixels, "f c h w -> f h w c").cpu().numpy()
