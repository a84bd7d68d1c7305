"""Phase 2: the 3D-UNet with its scene adapter, trained on latents of clips with their DSGs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import UNet3DConditionModel
from einops import rearrange
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from dysenvdm.data.cache.texts import unpadded
from dysenvdm.data.distractors import distracted
from dysenvdm.data.samples import CELLS, Read, Sample
from dysenvdm.data.section import StageSource
from dysenvdm.models import write_manifest
from dysenvdm.pipeline import EMPTY_SCENE, DysenVDMPipeline, mixed_noise
from dysenvdm.scene_attention import SceneAdapter
from dysenvdm.scene_tensors import SceneTensors, labels_of, without_imagined
from dysenvdm.sheet import contact_sheet
from dysenvdm.training.caching import Caching, launched_ranks
from dysenvdm.training.captions import check_captions
from dysenvdm.training.frozen import FrozenParts
from dysenvdm.training.networks import init_folder, open_networks
from dysenvdm.training.recipe import Recipe
from dysenvdm.training.sections import LossSection
from dysenvdm.training.zero import zero_stage
from planners.dsg import DynamicSceneGraph, UserError

VALIDATION_TIMESTEPS = (100, 300, 500, 700, 900)
SCENE_TIMESTEPS = (500, 900)
CLIPS_NOTED = 4000
"""Clips whose labels are noted as trained on; many more would name no other."""
CAPTIONS_KEPT = {"cpu": 2**15, "cuda": 2**18}
"""Captions whose cached encoding is held: some 30 tokens of 384 half-precision numbers each, 0.8 or 6 GB."""


def on_grid(cells: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """(f CELLS CELLS) -> (f height width): what is in the cell that each place of a grid of latents lies in."""
    rows, columns = (np.arange(side) * CELLS // side for side in (height, width))
    return cells[:, rows[:, None], columns]


class DenoiserLoss(nn.Module):
    """Weighted error of what the network predicts: the velocity, or the noise where its scheduler says so."""

    alphas: Tensor

    def __init__(
        self,
        unet: UNet3DConditionModel,
        scene_adapter: SceneAdapter,
        alphas: Tensor,
        loss: LossSection,
        predicts: Literal["v_prediction", "epsilon"] = "v_prediction",
    ) -> None:
        super().__init__()
        self.predicts = predicts
        self.unet, self.scene_adapter, self.loss = unet, scene_adapter, loss
        self.register_buffer("alphas", alphas, persistent=False)

    def forward(
        self,
        latents: Tensor,
        noise: Tensor,
        timesteps: Tensor,
        text: Tensor,
        scene: SceneTensors,
        foreground: Tensor,
        shown: Tensor,
        num_frames: int,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """``latents`` (scaled), ``noise`` (b c f h w); ``timesteps`` (b); ``text`` (b l d); ``foreground`` (b f h w).

        They are of the frames ``shown`` (b f) of videos of ``num_frames``.
        """
        alpha = self.alphas.float()[timesteps].view(-1, 1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        of_noise = self.predicts == "epsilon"
        target = noise if of_noise else alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        dtype = self.unet.dtype
        features = self.scene_adapter.encode(scene.to(dtype=dtype), num_frames, shown=shown)
        with self.scene_adapter.attached(self.unet, self.scene_adapter.keys_values(features)):
            predicted = self.unet(noisy.to(dtype), timesteps, encoder_hidden_states=text.to(dtype)).sample
        snr = alpha / (1 - alpha)
        scale = snr if of_noise else snr + 1
        weight = snr.clamp(max=self.loss.min_snr) / scale if self.loss.min_snr else torch.ones_like(snr)
        error = (predicted.float() - target).square()
        importance = 1 + (self.loss.foreground - 1) * rearrange(foreground.float(), "b f h w -> b 1 f h w")
        share = importance / importance.mean(dim=(1, 2, 3, 4), keepdim=True)
        per_sample = (weight * error * share).mean(dim=(1, 2, 3, 4))
        of_actors = error[foreground[:, None].expand_as(error)]
        return per_sample.mean(), {"error": error.mean(), "error_actors": of_actors.mean()}


def read_prompts(prompts: list[str] | Path) -> list[tuple[str, DynamicSceneGraph]]:
    """Captions with their scenes, of the recipe's ``log.prompts``; raises :class:`UserError`."""
    if isinstance(prompts, Path):
        try:
            lines = prompts.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"log.prompts: {prompts} cannot be read ({reason})") from None
        prompts = [line for line in lines if line.strip()]
    scenes = [DynamicSceneGraph.load(p) if p.endswith(".json") else EMPTY_SCENE.replace(prompt=p) for p in prompts]
    return [(scene.prompt, scene) for scene in scenes]


class DenoiserPhase:
    """Trains UNet and scene adapter, or what of them the recipe says, behind frozen autoencoder and text encoder."""

    export_dtype = torch.float16

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.prompts = read_prompts(recipe.log.prompts)  # before hours of encoding
        self.frozen = FrozenParts.open(recipe, device)
        self.vae, self.text_encoder = self.frozen.vae, self.frozen.text_encoder
        prepared = Caching(recipe, launched_ranks()).prepare(self.frozen)
        self.source, self.held_out, self.texts = prepared.corpus, prepared.held_out, prepared.texts
        if self.texts is None and not isinstance(recipe.data.source, StageSource):
            check_captions(self.source, self.text_encoder)
        self.read: Read = self.source.read
        self.name = self.source.name
        # As many ticks in every batch: RGTrm calls its memory once per tick, and under ZeRO all ranks must call the
        # same layers. (Two at least, or the memory would not be used at all.)
        self.ticks = max(2, recipe.data.ticks)
        self.latents = prepared.latents_on(device, recipe.data.caching.in_memory)
        networks = open_networks(recipe, self.text_encoder.width, device)
        self.unet, self.scene_adapter, self.scheduler = networks.unet, networks.scene_adapter, networks.scheduler
        self.settings = networks.settings
        self._cached: dict[str, Tensor] = {}
        self._known: dict[str, Tensor] = {}
        alphas, predicts = self.scheduler.alphas_cumprod.to(device), self.scheduler.config["prediction_type"]
        self.module = DenoiserLoss(self.unet, self.scene_adapter, alphas, recipe.loss, predicts)

    def collate(self, samples: list[Sample], timestep: int | None = None) -> dict[str, Any]:
        """Everything but latents and embeddings; with ``timestep`` given (validation) nothing is dropped."""
        height, width = self._grid(samples[0])
        noises, chosen, captions, dsgs = [], [], [], []
        for sample in samples:
            rng = np.random.default_rng((self.recipe.seed, sample.draw, 2))
            own, common = (
                torch.from_numpy(
                    rng.standard_normal((self.vae.config.latent_channels, frames, height, width), dtype=np.float32)
                )
                for frames in (len(sample.shown), 1)
            )
            noise = mixed_noise(own, common, self.settings["shared_noise"])
            drawn = int(rng.integers(len(self.scheduler.alphas_cumprod)))
            chosen.append(drawn if timestep is None else timestep)
            caption, dsg = self._dropped(sample, rng) if timestep is None else (sample.caption, sample.dsg)
            captions.append(caption)
            dsgs.append(dsg)
            if timestep is None and self.recipe.loss.offset_noise:
                offset = rng.standard_normal((len(noise), 1, 1, 1), dtype=np.float32)
                noise = noise + self.recipe.loss.offset_noise * torch.from_numpy(offset)
            noises.append(noise)
        texts, scene = SceneTensors.numbered(dsgs, self.scene_adapter.positions, self.ticks)
        inputs = {
            "captions": captions,
            "scene": (texts, scene),
            "noise": torch.stack(noises),
            "timesteps": torch.tensor(chosen),
            "foreground": torch.from_numpy(
                np.stack([on_grid(s.foreground[list(s.shown)], height, width) for s in samples])
            ),
            "shown": torch.tensor([sample.shown for sample in samples]),
            "clips": torch.tensor([sample.clip for sample in samples]),
        }
        if samples[0].latents is not None:
            inputs["latents"] = torch.stack([s.latents[list(s.shown)] for s in samples if s.latents is not None])
        elif samples[0].video is None:
            inputs["items"] = torch.tensor([sample.item for sample in samples])
        else:
            inputs["videos"] = torch.from_numpy(np.stack([s.pixels[list(s.shown)] for s in samples]))
        return inputs

    def _grid(self, sample: Sample) -> tuple[int, int]:
        """Height and width of a sample's latents."""
        if sample.latents is not None:
            return sample.latents.shape[-2], sample.latents.shape[-1]
        factor, size = 2 ** (len(self.vae.config.block_out_channels) - 1), self.recipe.data.size
        height, width = (size, size) if sample.video is None else sample.pixels.shape[1:3]
        return height // factor, width // factor

    def prepare(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs of :class:`DenoiserLoss`."""
        texts, scene = inputs["scene"]
        longest = scene.active.shape[1]
        if longest > self.ticks and zero_stage(self.recipe) == 3:
            raise UserError(f"data.ticks: a scene graph has {longest}; ZeRO 3 needs that number, of the longest, there")
        tensors = ("noise", "timesteps", "foreground", "shown")
        return {
            **{name: inputs[name].to(self.device, non_blocking=True) for name in tensors},
            "latents": self._latents(inputs),
            "text": self._text(inputs["captions"]),
            "scene": scene.labelled(self._labels(texts)),
            "num_frames": self.recipe.data.frames,
        }

    def _latents(self, inputs: dict[str, Any]) -> Tensor:
        """Scaled latents (b c f h w) of the shown frames."""
        if "videos" in inputs:
            latents = self.frozen.encode(inputs["videos"])
        elif "latents" in inputs:
            latents = inputs["latents"].to(self.device, non_blocking=True)
        else:
            assert self.latents is not None
            items, shown = (inputs[name].to(self.device) for name in ("items", "shown"))
            latents = self.latents[items[:, None], shown]
        return rearrange(latents.float(), "b f c h w -> b c f h w")

    def _text(self, captions: list[str]) -> Tensor:
        """What the text encoder says: held where it comes from the cache, since stills come faster than its files can
        be read; else encoded batch by batch, or a resumed run, which remembers less, would differ in the last bits."""
        distinct = dict.fromkeys(captions)
        kept = [caption for caption in distinct if self.texts is not None and caption in self.texts]
        if len(self._cached) + len(kept) > CAPTIONS_KEPT[self.device.type]:
            self._cached.clear()
        for caption in kept:
            if self.texts is not None and caption not in self._cached:
                self._cached[caption] = self.texts[caption].to(self.device)
        found = {caption: self._cached[caption] for caption in kept}
        new = [caption for caption in distinct if caption not in found]
        if new:
            found |= zip(new, unpadded(self.text_encoder.encode(new)), strict=True)
        text = pad_sequence([found[caption] for caption in captions], batch_first=True)
        return F.pad(text, (0, 0, 0, self.text_encoder.max_tokens - text.shape[1])).float()

    def _labels(self, labels: list[str]) -> Tensor:
        """Embeddings (k d) of labels, each read alone, once: so they do not depend on the batch that brought them."""
        new = [label for label in dict.fromkeys(labels) if label not in self._known]
        self._known |= {label: self.text_encoder.read([label])[0] for label in new}
        none = torch.empty(0, self.text_encoder.width)
        return torch.cat([none, *(self._known[label][None] for label in labels)]).to(self.device)

    def _dropped(self, sample: Sample, rng: np.random.Generator) -> tuple[str, DynamicSceneGraph]:
        """Caption and DSG with text, scene or both dropped, imagined facts gone, or more of them than there are."""
        loss, draw = self.recipe.loss, rng.random()
        dsg = without_imagined(sample.dsg) if rng.random() < loss.drop_imagined else sample.dsg
        if rng.random() < loss.distract:
            dsg = distracted(dsg, rng)
        if draw < loss.drop_both:
            return "", EMPTY_SCENE
        if draw < loss.drop_both + loss.drop_text:
            return "", dsg
        if draw < loss.drop_both + loss.drop_text + loss.drop_scene:
            return sample.caption, EMPTY_SCENE
        return sample.caption, dsg

    def validate(self) -> dict[str, float]:
        """Error on held-out clips at fixed timesteps with fixed noise, per timestep and on average.

        ``other_scene`` and ``no_scene``: how much larger the error inside actors' boxes is with the scene of another
        clip, and with none, at the timesteps where who and where is decided. Near zero, the scene is not heard.
        """
        results: dict[str, list[float]] = {}
        next_dsg = [sample.dsg for sample in (*self.held_out[1:], self.held_out[0])]
        at_once = self.recipe.log.at_once
        for first in range(0, len(self.held_out), at_once):
            samples = self.held_out[first : first + at_once]
            others = [replace(s, dsg=dsg) for s, dsg in zip(samples, next_dsg[first : first + at_once], strict=True)]
            without = [replace(sample, dsg=EMPTY_SCENE) for sample in samples]
            for timestep in VALIDATION_TIMESTEPS:
                values = self._values(samples, timestep)
                results.setdefault(f"error_{timestep}", []).append(values["error"])
                results.setdefault("error_actors", []).append(values["error_actors"])
                if timestep in SCENE_TIMESTEPS:
                    for name, changed in (("other_scene", others), ("no_scene", without)):
                        more = self._values(changed, timestep)["error_actors"] - values["error_actors"]
                        results.setdefault(name, []).append(more)
        means = {name: float(np.mean(values)) for name, values in results.items()}
        return {"error": float(np.mean([means[f"error_{t}"] for t in VALIDATION_TIMESTEPS])), **means}

    def _values(self, samples: list[Sample], timestep: int) -> dict[str, float]:
        _, values = self.module(**self.prepare(self.collate(samples, timestep)))
        return {name: value.item() for name, value in values.items()}

    def pipeline(self) -> DysenVDMPipeline:
        return DysenVDMPipeline(
            vae=self.vae,
            unet=self.unet,
            scene_adapter=self.scene_adapter,
            text_encoder=self.text_encoder,
            scheduler=self.scheduler,
            **{**self.settings, "trained_frames": self.recipe.data.frames},
        )

    def sheet(self, count: int = 4) -> Image.Image:
        """Contact sheets, generated with fixed seeds, below each other.

        Of the first held-out captions with their gold DSGs, and of the recipe's prompts.
        """
        drawn = [(sample.caption, sample.dsg) for sample in self.held_out[:count]] + self.prompts
        count = min(count, self.recipe.log.at_once)
        pipeline = self.pipeline()
        pipeline.set_progress_bar_config(disable=True)
        sheets = []
        for first in range(0, len(drawn), count):
            captions, dsgs = zip(*drawn[first : first + count], strict=True)
            videos = pipeline(
                captions,
                dsgs,
                num_frames=self.recipe.data.frames,
                height=self.recipe.data.size,
                width=self.recipe.data.size,
                num_inference_steps=self.recipe.log.sample_steps,
                seeds=list(range(first, first + len(captions))),
            )
            sheets += [contact_sheet(video, dsg, scale=2) for video, dsg in zip(videos, dsgs, strict=True)]
        whole = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white")
        top = 0
        for sheet in sheets:
            whole.paste(sheet, (0, top))
            top += sheet.height
        return whole

    def trained_labels(self) -> list[str]:
        """All labels of the corpus, of a long one those of its first clips."""
        clips = range(min(self.source.clips, CLIPS_NOTED) if self.source.clips else CLIPS_NOTED)
        dsgs = (self.source.told(clip).dsg for clip in clips)
        return sorted({label.lower() for dsg in dsgs for label in labels_of(dsg)})

    def export(self, folder: Path, steps: int) -> None:
        """Save the whole pipeline in ``export_dtype``, and with the labels that it was trained on; or the LoRA alone.

        Parts that were frozen are the files of the model that the run started from.
        """
        recipe = self.recipe
        source = f"recipe {recipe.name}, {steps} steps"
        if recipe.lora:
            from dysenvdm.training.lora import save_lora

            parts = {"unet": self.unet, "scene_adapter": self.scene_adapter}
            save_lora(recipe.lora, parts, folder, base=str(recipe.model.init), source=source)
            return
        self.scene_adapter.register_to_config(trained_labels=self.trained_labels())
        pipeline = self.pipeline()
        for part in (pipeline.vae, pipeline.unet, pipeline.scene_adapter):
            nn.Module.to(part, self.export_dtype)  # diffusers' own warns of nothing
        pipeline.save_pretrained(folder, safe_serialization=True)
        init = init_folder(recipe)
        for frozen in recipe.model.freeze:
            assert init is not None  # the recipe's own check
            shutil.rmtree(folder / frozen)
            shutil.copytree(init / frozen, folder / frozen)
        for path in folder.glob("*/config.json"):  # diffusers notes where on this machine a part was loaded from
            config = json.loads(path.read_text(encoding="utf-8"))
            config.pop("_name_or_path", None)
            path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        write_manifest(folder, source=source, licence="Apache-2.0")
