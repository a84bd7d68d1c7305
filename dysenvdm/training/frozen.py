"""What a denoiser's recipe trains behind: a frozen autoencoder and a frozen text encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from einops import rearrange
from torch import Tensor

from dysenvdm.clip_text import ClipTextEncoder
from dysenvdm.data.samples import Sample
from dysenvdm.files import sha256
from dysenvdm.text import TextEncoder
from dysenvdm.training.autoencoder import reconstruction_psnr, stills_of, to_images
from dysenvdm.training.networks import open_text_encoder, vae_folder
from dysenvdm.training.recipe import Recipe
from planners.dsg import UserError

ENCODED_AT_ONCE = 256
"""Frames in one pass of the encoder; bounds memory."""


@dataclass(frozen=True)
class FrozenParts:
    """The two, on their device; ``folder`` is the autoencoder's."""

    recipe: Recipe
    folder: Path
    vae: AutoencoderKL
    text_encoder: TextEncoder | ClipTextEncoder

    @classmethod
    def open(cls, recipe: Recipe, device: torch.device) -> FrozenParts:
        """Load both; raises :class:`UserError` where there is no such model."""
        folder = vae_folder(recipe)
        vae = AutoencoderKL.from_pretrained(folder, local_files_only=True).to(device)
        vae.requires_grad_(False).eval()
        return cls(recipe, folder, vae, open_text_encoder(recipe).to(device))

    @property
    def vae_key(self) -> str:
        """What latents follow from, beside the pixels."""
        weights = sha256(self.folder / "diffusion_pytorch_model.safetensors")
        return f"{weights} scaled by {self.vae.config.scaling_factor}"

    @property
    def text_key(self) -> str:
        """What text features follow from, beside the captions and their number of tokens: the weights' SHA-256."""
        digest = hashlib.sha256()
        for name, value in sorted(self.text_encoder.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @property
    def latent_bytes(self) -> int:
        """Of one clip, two bytes a number."""
        data, factor = self.recipe.data, 2 ** (len(self.vae.config.block_out_channels) - 1)
        return 2 * data.frames * self.vae.config.latent_channels * (data.size // factor) ** 2

    @torch.no_grad()
    def encode(self, videos: Tensor) -> Tensor:
        """uint8 (b f h w 3) -> scaled latents (b f c h w)."""
        images = to_images(videos.to(self.vae.device, non_blocking=True).flatten(0, 1))
        with torch.autocast(self.vae.device.type, torch.bfloat16, enabled=self.vae.device.type == "cuda"):
            parts = [self.vae.encode(part).latent_dist.mean.float() for part in images.split(ENCODED_AT_ONCE)]
        latents = torch.cat(parts) * self.vae.config.scaling_factor
        return rearrange(latents, "(b f) c h w -> b f c h w", f=videos.shape[1])

    def check_gate(self, held_out: Sequence[Sample]) -> None:
        """Raise :class:`UserError` where the autoencoder blurs held-out frames more than the recipe allows."""
        gate = self.recipe.model.gate
        reached = reconstruction_psnr(self.vae, stills_of(list(held_out))).mean().item()
        if reached < gate:
            raise UserError(
                f"model.vae: {reached:.1f} dB PSNR on held-out frames, below the gate of {gate:g} dB; "
                f"train the autoencoder further"
            )
