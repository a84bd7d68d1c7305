"""Image to video: a picture becomes the first frame, without weights trained for it.

In every step the network's output for the first frame is replaced by the one that leads to the picture; the other
frames see it through the temporal layers (replacement guidance: RePaint, Lugmayr et al. 2022; for text-to-video models
TI2V-Zero, Ni et al. 2024). The first frame ends as the picture's latents exactly (DDIM as diffusers has it
keeps 3 % of the noise where the number of steps does not divide 1,000).

Where a model's frames share noise, what they share is the noise that the picture itself comes from (DDIM inversion:
Song et al. 2021, section 4.3), so that things begin where the picture has them.

Letters: ``b`` video, ``c`` channels, ``f`` frame, ``h w`` pixels (of latents or frames).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from einops import rearrange, repeat
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from dysenvdm.generation.denoising import Predict
from dysenvdm.generation.samplers import clean_estimate, output_for, scales
from planners.dsg import DynamicSceneGraph, SceneObject, UserError

Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = get_args(Fit)
INVERSION_STEPS = 12


def read_image(path: Path, width: int, height: int, fit: Fit | None = None) -> NDArray[np.uint8]:
    """The picture (h w 3) RGB in the video's size, turned upright; transparent parts become white.

    ``fit`` says what to do with another aspect: cut away what is too much, add black bars, or distort. Raises
    :class:`UserError` for a file that is no picture, and for another aspect unless ``fit`` is given.
    """
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read as a picture ({error}); give a PNG or JPEG file") from None
    opaque = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    size = (width, height)
    # One pixel of the video more or less is rounding, not another aspect.
    if fit is None and abs(opaque.width * height - opaque.height * width) > max(opaque.size):
        raise UserError(
            f"{path}: {opaque.width}x{opaque.height} has another aspect than the video's {width}x{height}; "
            f"choose --first-frame-fit {', '.join(FITS[:-1])} or {FITS[-1]}"
        )
    match fit:
        case "crop":
            fitted = ImageOps.fit(opaque, size, Image.Resampling.LANCZOS)
        case "pad":
            fitted = ImageOps.pad(opaque, size, Image.Resampling.LANCZOS)
        case _:
            fitted = opaque.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.uint8).copy()


def image_latents(vae: AutoencoderKL, images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Scaled latents (b c h w) of pictures (b h w 3), the mode of what the autoencoder says."""
    pixels = rearrange(torch.from_numpy(images), "b h w c -> b c h w").to(device).float() / 127.5 - 1
    latents = vae.encode(pixels.to(vae.dtype)).latent_dist.mode()
    return latents.float() * vae.config["scaling_factor"]


@dataclass(frozen=True)
class FirstFrame:
    """A rule of the denoising loop: the first frame goes where the picture is."""

    clean: Tensor
    """(b c h w), scaled."""

    def __call__(self, sampler: Any, output: Tensor, latents: Tensor, timestep: Tensor) -> Tensor:
        known = output_for(sampler, self.clean.unsqueeze(2), latents[:, :, :1], timestep)
        return torch.cat([known, output[:, :, 1:]], dim=2)


def inverted_noise(clean: Tensor, predict: Predict, sampler: Any, num_frames: int) -> Tensor:
    """The noise (b c 1 h w), of unit variance, from which a still video of the picture would come.

    ``clean`` (b c h w) are its scaled latents; ``predict`` knows what the picture shows, for videos of ``num_frames``.
    """
    sampler.set_timesteps(INVERSION_STEPS, device=clean.device)
    latents = repeat(clean, "b c h w -> b c f h w", f=num_frames)
    now = torch.ones_like(sampler.timesteps[0])
    for later in sampler.timesteps.flip(0):
        estimate = clean_estimate(sampler, predict(sampler, latents, now), latents, now)
        signal, noise = scales(sampler, now)
        left = (latents - signal * estimate) / noise
        signal, noise = scales(sampler, later)
        latents, now = signal * estimate + noise * left, later
    common = latents.mean(2, keepdim=True)
    return common / common.std(dim=(1, 2, 3, 4), keepdim=True)


def first_moment(dsg: DynamicSceneGraph) -> DynamicSceneGraph:
    """The scene graph of tick 0 as a graph that lasts."""
    objects = [SceneObject(id=thing.id, label=thing.label) for thing in dsg.objects if thing.present(0)]
    facts = [fact.model_copy(update={"start": 0, "end": 1}) for fact in dsg.facts if fact.active(0)]
    return dsg.replace(ticks=1, objects=objects, facts=facts)
