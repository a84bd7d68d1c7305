"""Phase 1: the image autoencoder, trained on single frames of clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from einops import rearrange
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dysenvdm.backbones import build_vae
from dysenvdm.data.samples import Sample
from dysenvdm.models import locate, write_manifest
from dysenvdm.training.caching import Caching, launched_ranks
from dysenvdm.training.checkpoint_files import differing_keys, shapes_of
from dysenvdm.training.networks import WEIGHTS, read_config
from dysenvdm.training.recipe import Recipe
from dysenvdm.training.sections import LossSection
from planners.dsg import UserError

STILLS = 4
"""Frames taken from each clip of a batch: more would look alike, fewer would waste rendering."""


def to_images(frames: Tensor) -> Tensor:
    """uint8 (... h w 3) -> float (... 3 h w) in [-1, 1]."""
    return rearrange(frames, "... h w c -> ... c h w").float() / 127.5 - 1


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of images in [-1, 1], clipped as they are shown: (b 3 h w) x 2 -> (b)."""
    error = (a.clamp(-1, 1) - b.clamp(-1, 1)).div(2).square().mean(dim=(1, 2, 3))
    return -10 * error.clamp_min(1e-10).log10()


def stills_of(samples: list[Sample]) -> Tensor:
    """``STILLS`` frames of each clip, evenly spread: (k h w 3) uint8."""
    return torch.from_numpy(np.concatenate([s.pixels[:: max(1, len(s.pixels) // STILLS)] for s in samples]))


def reconstructed(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """What is left of images (b 3 h w) behind the mean of their latents."""
    return vae.decode(vae.encode(images).latent_dist.mean).sample


@torch.no_grad()
def reconstruction_psnr(vae: AutoencoderKL, frames: Tensor) -> Tensor:
    """PSNR in dB of each of the uint8 frames (k h w 3) behind the autoencoder: (k)."""
    ratios = []
    for part in frames.split(32):
        images = to_images(part).to(vae.device, vae.dtype)
        ratios.append(psnr(reconstructed(vae, images).float(), images.float()))
    return torch.cat(ratios)


class AutoencoderLoss(nn.Module):
    """L1 and squared error of colours, L1 of their gradients (thin limbs are gradients), and a little KL.

    L1 alone takes small figures for noise at first and learns backgrounds; the KL keeps latents compact.
    """

    def __init__(self, vae: AutoencoderKL, loss: LossSection) -> None:
        super().__init__()
        self.vae, self.loss = vae, loss

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """``images`` (b 3 h w) in [-1, 1]; ``noise`` of the latents' shape samples the posterior."""
        posterior = self.vae.encode(images).latent_dist
        output = self.vae.decode(posterior.mean + posterior.std * noise).sample
        l1 = F.l1_loss(output, images)
        slopes = sum(F.l1_loss(output.diff(dim=axis), images.diff(dim=axis)) for axis in (-1, -2))
        square = F.mse_loss(output, images)
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        loss = l1 + self.loss.square * square + self.loss.gradient * slopes + self.loss.kl * kl
        return loss, {"l1": l1, "square": square, "kl": kl}


def sized_vae(recipe: Recipe) -> AutoencoderKL:
    """An autoencoder of the recipe's sizes, its weights random (on the meta device: none)."""
    preset, folder = recipe.model.preset, _init(recipe)
    if preset is not None:
        return build_vae(preset)
    assert folder is not None  # the recipe's own check
    return AutoencoderKL.from_config(read_config(folder))


def _init(recipe: Recipe) -> Path | None:
    if recipe.model.init is None:
        return None
    folder = locate(recipe.model.init)
    return folder if (folder / "config.json").is_file() else folder / "vae"


def open_vae(recipe: Recipe) -> AutoencoderKL:
    """The autoencoder that is trained, new or that of ``model.init``; raises :class:`UserError`."""
    vae, folder = sized_vae(recipe), _init(recipe)
    if folder is None:
        return vae
    try:
        theirs = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(f"model.init: {folder / WEIGHTS} cannot be read ({error}); name a whole one") from None
    if differences := differing_keys(shapes_of(theirs), shapes_of(vae.state_dict())):
        raise UserError(
            f"model.init: {folder / WEIGHTS} is no autoencoder of this size: {differences}; "
            f"leave model.preset out to take it as it is"
        )
    vae.load_state_dict(theirs)
    return vae


class AutoencoderPhase:
    """Trains ``AutoencoderKL`` of the recipe's preset; a batch of k clips gives 4 k images."""

    export_dtype = torch.float32

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.vae = open_vae(recipe).to(device)
        self.module = AutoencoderLoss(self.vae, recipe.loss)
        prepared = Caching(recipe, launched_ranks()).prepare(None)
        self.source, self.read, self.name = prepared.corpus, prepared.corpus.read, prepared.corpus.name
        self.held_out = stills_of(prepared.held_out)

    def collate(self, samples: list[Sample]) -> dict[str, Any]:
        """Some frames of each clip (k h w 3) uint8 and the noise (k c h w) for their latents."""
        stills, noises = [], []
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        for sample in samples:
            rng = np.random.default_rng((self.recipe.seed, sample.draw, 1))
            chosen = sample.pixels[rng.choice(len(sample.pixels), min(STILLS, len(sample.pixels)), replace=False)]
            stills.append(torch.from_numpy(chosen))
            shape = (len(chosen), self.vae.config.latent_channels, chosen.shape[1] // factor, chosen.shape[2] // factor)
            noises.append(torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)))
        return {"stills": torch.cat(stills), "noise": torch.cat(noises)}

    def prepare(self, inputs: dict[str, Any]) -> dict[str, Any]:
        images = to_images(inputs["stills"].to(self.device)).to(self.vae.dtype, memory_format=torch.channels_last)
        return {"images": images, "noise": inputs["noise"].to(self.device, self.vae.dtype)}

    def validate(self) -> dict[str, float]:
        """Mean and lowest PSNR (dB) of reconstructed frames of held-out clips."""
        ratios = reconstruction_psnr(self.vae, self.held_out)
        return {"psnr": ratios.mean().item(), "psnr_min": ratios.min().item()}

    def sheet(self) -> Image.Image:
        """Held-out frames, each row above the row of its reconstructions."""
        columns = min(8, len(self.held_out))
        count = min(16, len(self.held_out) // columns * columns)
        images = to_images(self.held_out[:: len(self.held_out) // count][:count]).to(self.device, self.vae.dtype)
        both = torch.stack([images, reconstructed(self.vae, images)])
        rows = rearrange(both, "two (r k) c h w -> (r two h) (k w) c", k=columns)
        pixels = ((rows.float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()
        return Image.fromarray(pixels).resize((pixels.shape[1] * 3, pixels.shape[0] * 3), Image.Resampling.NEAREST)

    def export(self, folder: Path, steps: int) -> None:
        """Save in diffusers layout, with ``scaling_factor`` set so that scaled latents have unit variance."""
        images = to_images(self.held_out).to(self.device, self.vae.dtype)
        spread = torch.cat([self.vae.encode(part).latent_dist.mean.float() for part in images.split(32)]).std().item()
        self.vae.register_to_config(scaling_factor=1 / spread)
        nn.Module.to(self.vae, self.export_dtype)  # diffusers' own warns of nothing
        self.vae.save_pretrained(folder, safe_serialization=True)
        write_manifest(folder, source=f"recipe {self.recipe.name}, {steps} steps", licence="Apache-2.0")
