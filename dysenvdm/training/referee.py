"""The referee phase: a video network learns to read drawn clips, whole and degraded (:mod:`dysenvdm.stage.referee`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from einops import rearrange
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from dysenvdm.data.cache.store import Items
from dysenvdm.data.corpora import open_corpus
from dysenvdm.data.samples import Sample
from dysenvdm.files import sha256
from dysenvdm.models import locate
from dysenvdm.stage import VAL_SEED0, sample
from dysenvdm.stage.reading import gold_reading
from dysenvdm.stage.referee import REFEREES, Referee, referee_config
from dysenvdm.stage.referee_maps import OF_FRAMES, Labels, Maps, classes_of, maps_of
from dysenvdm.stage.verdicts import FIGURES, compared, summed
from dysenvdm.training.autoencoder import to_images
from dysenvdm.training.caching import Caching, launched_ranks
from dysenvdm.training.degradations import blurred, noised, rescaled, seen_through, tinted, to_pixels
from dysenvdm.training.networks import WEIGHTS as VAE_WEIGHTS
from dysenvdm.training.networks import checked_vae
from dysenvdm.training.recipe import Recipe
from dysenvdm.training.referee_accuracy import measured, noted
from dysenvdm.training.referee_corpus import LABELS, DrawnClips, behind, drawing, loaded
from dysenvdm.training.sections import DegradeSection
from planners.dsg import DynamicSceneGraph, UserError

NOTHING = DynamicSceneGraph(ticks=1)
WEIGHTS = {
    "heat": 1.0, "actor_box": 5.0, "prop_box": 2.0, "color": 0.5, "garment": 0.2, "size": 0.2, "action": 1.0,
    "target": 0.5, "offset": 2.0, "prop_color": 0.3, "prop_size": 0.1, "setting": 0.1, "weather": 0.1,
}  # fmt: skip
"""Of the parts of the loss."""


class RefereeLoss(nn.Module):
    """Penalty-reduced focal loss of the heat (Zhou et al. 2019), cross entropy of classes, L1 of lengths."""

    def __init__(self, referee: Referee) -> None:
        super().__init__()
        self.referee = referee

    def forward(self, images: Tensor, gold: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """``images`` (b f 3 h w) in [-1, 1]; ``gold`` as :func:`maps_of` gives it."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
            maps = {name: value.float() for name, value in self.referee(images).items()}
        parts = {"heat": focal(maps["heat"], gold["heat"])}
        parts |= {name: F.cross_entropy(maps[name], gold[name]) for name in ("setting", "weather")}
        for name in classes_of(self.referee.config.vocabulary):
            logits = rearrange(maps[name], "b f k h w -> b k f h w")
            parts[name] = F.cross_entropy(logits, gold[name], ignore_index=-1, reduction="sum")
            parts[name] = parts[name] / (gold[name] >= 0).sum().clamp(min=1)
        for name, where in (("actor_box", "actor_cells"), ("prop_box", "prop_cells"), ("offset", "aims")):
            error = (rearrange(maps[name], "b f k h w -> b f h w k") - gold[name]).abs().sum(-1)
            parts[name] = (error * gold[where]).sum() / gold[where].sum().clamp(min=1)
        right = (maps["action"].argmax(dim=2) == gold["action"]) & (gold["action"] >= 0)
        share = right.sum() / (gold["action"] >= 0).sum().clamp(min=1)
        loss = sum((WEIGHTS[name] * value for name, value in parts.items()), torch.zeros((), device=images.device))
        return loss, {**parts, "actions_right": share}


def focal(logits: Tensor, heat: Tensor) -> Tensor:
    """Source: CenterNet, equation 1 (alpha 2, beta 4), per thing: logits and heat (b f k h w)."""
    centre = heat > 0.999
    at_centres = logits[centre]  # they are few: the rest needs few operations that way
    found = (1 - at_centres.sigmoid()).square() * F.softplus(-at_centres)
    elsewhere = (1 - heat).square().square().masked_fill(centre, 0) * logits.sigmoid().square() * F.softplus(logits)
    return (found.sum() + elsewhere.sum()) / centre.sum().clamp(min=1)


def sized_referee(recipe: Recipe) -> Referee:
    """The preset's referee for the recipe's clips, or one of the sizes of ``model.init``; its weights are random.

    Raises :class:`UserError` where ``model.init`` is no referee of these sizes.
    """
    model, frames = recipe.model, recipe.data.frames
    preset = None if model.preset is None else REFEREES[model.preset].model_copy(update={"frames": frames})
    begun = None if model.init is None else referee_config(locate(model.init))
    if begun is None:
        assert preset is not None  # the recipe's own check
        return Referee(preset)
    if preset is not None and begun != preset:
        raise UserError(f"model.init: {model.init} is not the referee of model.preset; leave model.preset out")
    if begun.frames != frames:
        raise UserError(f"data.frames: {model.init} (model.init) reads clips of {begun.frames} frames; set as many")
    return Referee(begun)


def open_referee(recipe: Recipe) -> Referee:
    """The referee that is trained, new or that of ``model.init``; raises :class:`UserError`."""
    referee = sized_referee(recipe)
    if recipe.model.init is not None:
        referee.load_state_dict(Referee.from_pretrained(recipe.model.init).state_dict())
    return referee


def corpus_bytes(recipe: Recipe) -> int:
    """What the drawn corpus takes of the device's memory: every clip's frames and labels."""
    return recipe.data.clips * _clip_bytes(recipe)


def _clip_bytes(recipe: Recipe) -> int:
    return sum(value.nbytes for value in DrawnClips([0], recipe.data.frames, recipe.data.size)[0].values())


def kept_corpus(recipe: Recipe, vae: AutoencoderKL | None, caching: Caching) -> Items:
    """The corpus in the recipe's cache, drawn first where it is not there yet, by all ranks together."""
    data, degrade = recipe.data, recipe.degrade
    key: dict[str, Any] = {"corpus": open_corpus(data).key, "labels": LABELS}
    if vae is not None and recipe.model.vae is not None:
        weights = sha256(recipe.model.vae / VAE_WEIGHTS)
        key |= {"autoencoder": weights, "dtype": str(vae.dtype), "seed": recipe.seed}
        key |= {"share": degrade.vae, "noise": degrade.vae_noise}
    make = drawing(data.frames, data.size, data.workers, behind(vae, degrade, recipe.seed))
    return caching.drawn(key, data.clips, _clip_bytes(recipe), make)


class RefereePhase:
    """Trains a referee on a finite corpus that is drawn once, kept, and read into the device's memory."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        data = recipe.data
        self.source = open_corpus(data)
        self.referee = open_referee(recipe).to(device)
        self.words = self.referee.config.vocabulary
        self.module = RefereeLoss(self.referee)
        self.vae = open_autoencoder(recipe, device)
        numbers = range(VAL_SEED0, VAL_SEED0 + data.validation_clips)
        held_out = [sample(number, frames=data.frames, size=data.size) for number in numbers]
        self.gold = [gold_reading(clip) for clip in held_out]
        self.held_out = [clip.render() for clip in held_out]

    @cached_property
    def corpus(self) -> tuple[Tensor, Labels]:
        """Videos and labels as :func:`loaded` has them; drawn when first asked for, which an export never does."""
        ranks = launched_ranks()
        items = kept_corpus(self.recipe, self.vae, Caching(self.recipe, ranks))
        return loaded(items, self.device, shown=ranks.first)

    def name(self, clip: int) -> str:
        return f"stage seed {clip}"

    def read(self, clip: int, draw: int, _rng: np.random.Generator) -> Sample:
        """The number of a clip; all else is in memory already."""
        frames = self.recipe.data.frames
        return Sample(draw, clip, "", (), NOTHING, np.zeros((frames, 0, 0), bool), tuple(range(frames)), None)

    def collate(self, samples: list[Sample]) -> dict[str, Any]:
        seeds = [(self.recipe.seed, one.draw, 3) for one in samples]
        shown = torch.tensor([one.shown for one in samples])
        return {"clips": torch.tensor([one.clip for one in samples]), "shown": shown, "seeds": seeds}

    def prepare(self, inputs: dict[str, Any]) -> dict[str, Any]:
        chosen, shown = (inputs[name].to(self.device) for name in ("clips", "shown"))
        videos, drawn = self.corpus
        images = to_images(videos[chosen[:, None], shown])
        labels = {
            name: value[chosen[:, None], shown] if name in OF_FRAMES else value[chosen] for name, value in drawn.items()
        }
        images = degraded(images, self.recipe.degrade, inputs["seeds"])
        return {"images": images.to(self.referee.place.dtype), "gold": maps_of(labels, self.words)}

    def validate(self) -> dict[str, float]:
        """Accuracies on held-out clips, clean and (``vae_…``) behind the autoencoder."""
        found = self._accuracies(self.held_out)
        if self.vae is not None:
            behind = self._accuracies([seen_through(self.vae, pixels) for pixels in self.held_out])
            found |= {f"vae_{name}": value for name, value in behind.items()}
        return found

    def _accuracies(self, clips: list[NDArray[np.uint8]]) -> dict[str, float]:
        pairs = zip(self.referee.read(clips), self.gold, strict=True)
        return {**dict.fromkeys(FIGURES, 0.0), **summed([compared(*pair) for pair in pairs])}

    def sheet(self) -> Image.Image:
        """Clips of the corpus, degraded, a row each: what the referee has to learn from."""
        images = to_images(self.corpus[0][:8])
        seeds = [(self.recipe.seed, i, 3) for i in range(len(images))]
        shown = degraded(images, self.recipe.degrade, seeds).float().cpu()
        rows = rearrange(shown, "b f c h w -> 1 c (b h) (f w)")
        return Image.fromarray(to_pixels(rows)[0])

    def export(self, folder: Path, steps: int) -> None:
        """Save the referee, with how often it is right on as many held-out clips as validation has, other ones."""
        recipe, data = self.recipe, self.recipe.data
        found = measured(self.referee, self.vae, data.validation_clips, frames=data.frames, size=data.size)
        source = f"recipe {recipe.name}, {steps} steps"
        self.referee.save(folder, source=source, accuracy=noted(found))


def open_autoencoder(recipe: Recipe, device: torch.device) -> AutoencoderKL | None:
    """That of ``model.vae``, if any; raises :class:`UserError` where there is none."""
    if recipe.model.vae is None:
        return None
    folder = checked_vae(recipe.model.vae)
    half = device.type == "cuda" or recipe.train.precision == "bf16"
    vae = AutoencoderKL.from_pretrained(
        folder, local_files_only=True, torch_dtype=torch.bfloat16 if half else torch.float32
    )
    return vae.to(device).requires_grad_(False).eval()


def degraded(images: Tensor, degrade: DegradeSection, seeds: Sequence[tuple[int, ...]]) -> Tensor:
    """Each clip of (b f 3 h w) with its own faults, as its seed and the recipe's probabilities have them.

    What is done follows from each clip's seed; the noise itself from that of the first.
    """
    _, _, _, h, _ = images.shape
    rngs = [np.random.default_rng(seed) for seed in seeds]

    def drawn(chance: float, low: float, high: float, shape: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """Which clips get a fault, and how strong it is (0 where they do not)."""
        hit = torch.tensor([rng.random() < chance for rng in rngs])  # stays here: a GPU is not to be waited for
        strength = torch.from_numpy(np.stack([rng.uniform(low, high, shape) for rng in rngs])).float()
        return hit, (strength * hit.view(-1, *(1,) * len(shape))).to(images.device, non_blocking=True)

    noise = torch.Generator(images.device).manual_seed(int(rngs[0].integers(2**62)))
    small, _ = drawn(degrade.rescale, 0, 1)
    size = int(rngs[0].integers(round(0.35 * h), h))
    if small.any():
        images = torch.where(small.to(images.device)[:, None, None, None, None], rescaled(images, size), images)
    _, sigma = drawn(degrade.blur, 0.3, degrade.blur_sigma)
    images = blurred(images, sigma)
    _, change = drawn(degrade.tint, -degrade.tint_strength, degrade.tint_strength, (2, 3))
    images = tinted(images, 1 + change[:, 0], change[:, 1])
    _, strength = drawn(degrade.noise, 0, degrade.noise_strength)
    grain = torch.randn(images.shape, generator=noise, device=images.device)
    return noised(images, grain, strength)
