"""From prompts and their scenes to videos: a diffusers pipeline around the 3D-UNet and its scene adapter.

Letters: ``b`` video, ``c`` channels, ``f`` frame, ``h w`` pixels (of latents or frames).
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.logging import disable_progress_bar
from einops import rearrange, repeat
from torch import Tensor

from dysenvdm.backbones import flatten_temporal_convolutions
from dysenvdm.models import verify
from dysenvdm.scene_attention import KeyValue, SceneAdapter, SceneMode
from dysenvdm.scene_tensors import without_imagined
from dysenvdm.text import TextEncoder
from planners.dsg import DynamicSceneGraph, UserError

SCHEDULERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "dpmsolver++": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
}
EMPTY_SCENE = DynamicSceneGraph(ticks=1)
DECODED_AT_ONCE = 32
"""Frames in one pass of the decoder; bounds memory."""

OnStep = Callable[[int, int, Tensor], bool | None]
"""(steps done, steps in all, latents (b c f h w)) -> True to stop."""


class Cancelled(Exception):  # noqa: N818  (not an error)
    """The caller's ``on_step`` asked to stop."""


class DysenVDMPipeline(DiffusionPipeline):
    """Text and dynamic scene graphs to videos.

    ``frame_multiple``: the number of frames must be a multiple of it.
    """

    vae: AutoencoderKL
    unet: UNet3DConditionModel
    scene_adapter: SceneAdapter
    text_encoder: TextEncoder
    scheduler: Any

    def __init__(
        self,
        vae: AutoencoderKL,
        unet: UNet3DConditionModel,
        scene_adapter: SceneAdapter,
        text_encoder: TextEncoder,
        scheduler: SchedulerMixin,
        frame_multiple: int = 4,
        shared_noise: float = 0.0,
    ) -> None:
        super().__init__()
        flatten_temporal_convolutions(unet)
        self.register_modules(
            vae=vae, unet=unet, scene_adapter=scene_adapter, text_encoder=text_encoder, scheduler=scheduler
        )
        if not 0 <= shared_noise <= 1:
            raise UserError(f"shared_noise: {shared_noise} is no part of a variance; give 0 to 1")
        self.register_to_config(frame_multiple=frame_multiple, shared_noise=shared_noise)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # fewer options: local folders, safetensors only
        cls, folder: str | Path, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Load a local folder with safetensors weights, hashes checked where recorded; raises :class:`UserError`."""
        index = Path(folder) / "model_index.json"
        if not index.is_file():
            raise UserError(f"{folder}: no model_index.json there; give the folder of a saved {cls.__name__}")
        try:
            saved = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
        except (ValueError, AttributeError) as error:
            raise UserError(f"{index}: cannot be read ({error}); save the pipeline again") from None
        if saved != cls.__name__:
            raise UserError(f"{index}: holds a {saved}, not a {cls.__name__}; give the folder of one")
        verify(Path(folder))
        for part in ("vae", "unet", "scene_adapter"):
            if not list((Path(folder) / part).glob("*.safetensors")):
                raise UserError(f"{Path(folder) / part}: no safetensors weights there; save the pipeline again")
        disable_progress_bar()
        options = {"local_files_only": True, "use_safetensors": True, "dtype": dtype}
        return super().from_pretrained(str(folder), **options)

    @torch.no_grad()
    def __call__(
        self,
        prompts: Sequence[str],
        dsgs: Sequence[DynamicSceneGraph] | None = None,
        *,
        seeds: Sequence[int],
        num_frames: int = 16,
        num_inference_steps: int = 25,
        guidance_scale: float = 1.5,
        scene_guidance_scale: float | None = None,
        negative_prompt: str = "",
        scheduler: str | None = None,
        scene_mode: SceneMode | None = None,
        imagined_weight: float = 1.0,
        on_step: OnStep | None = None,
    ) -> np.ndarray:
        """Videos (b f h w 3) uint8, one per prompt, seed and (where given) DSG.

        Guidance: ``uncond + guidance_scale (text - uncond) + scene_guidance_scale (full - text)``, where ``uncond`` has
        the negative prompt and no scene, ``text`` the prompt and no scene. ``scene_guidance_scale`` is as
        ``guidance_scale`` unless given, and counts only with DSGs; equal scales, or 1, save evaluations.
        ``imagined_weight`` w puts ``stated + w (full - stated)`` in the place of ``full``; ``stated`` has the DSGs
        without what was imagined or polished. 0 is the same as vetoing that, 1 obeys it like the rest, more overdoes
        it; any other than 0 and 1 costs an evaluation. ``scheduler``: a name of SCHEDULERS instead of the model's own.
        ``scene_mode``: instead of the one that the model was trained in.

        Raises :class:`UserError` for bad arguments and :class:`Cancelled` when ``on_step`` returns True.
        """
        # 1. Arguments
        self.check_inputs(prompts, dsgs, seeds, num_frames, num_inference_steps)
        sampler = self._sampler(scheduler)
        scene_scale = guidance_scale if scene_guidance_scale is None or dsgs is None else scene_guidance_scale
        if not 0 <= imagined_weight < float("inf"):
            raise UserError(f"imagined weight: {imagined_weight:g}; give 0 (as if vetoed) or more, 1 is as trained")
        dsgs = list(dsgs or [EMPTY_SCENE] * len(prompts))
        if all(without_imagined(dsg) == dsg for dsg in dsgs):
            imagined_weight = 1.0
        branches = guidance_branches(guidance_scale, scene_scale, imagined_weight)
        if negative_prompt and "uncond" not in branches:
            raise UserError("negative prompt: has no effect at guidance 1; leave it out or raise the guidance")

        # 2. What every branch of the guidance reads: text, and the scene as keys and values, once per video
        text = self._encode_text(prompts, negative_prompt, branches)
        keys_values = self._encode_scenes(dsgs, branches, num_frames, scene_mode)

        # 3. Noise, per video from its own seed
        sampler.set_timesteps(num_inference_steps, device=self.unet.device)
        latents = self._noise(seeds, num_frames).to(self.unet.device) * sampler.init_noise_sigma

        # 4. Denoising
        weights = torch.tensor(list(branches.values()), dtype=torch.float32, device=latents.device)
        with self.scene_adapter.attached(self.unet, keys_values) as unet:
            for step, timestep in enumerate(sampler.timesteps, start=1):
                inputs = repeat(sampler.scale_model_input(latents, timestep), "b ... -> (g b) ...", g=len(branches))
                outputs = unet(inputs.to(unet.dtype), timestep, encoder_hidden_states=text).sample.float()
                outputs = rearrange(outputs, "(g b) ... -> g b ...", g=len(branches))
                guided = torch.einsum("g,gb...->b...", weights, outputs)
                latents = sampler.step(guided, timestep, latents, return_dict=False)[0]
                if on_step is not None and on_step(step, len(sampler.timesteps), latents):
                    raise Cancelled(f"stopped after step {step} of {len(sampler.timesteps)}")

        # 5. Decoding
        return self.decode(latents)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Scaled latents (b c f h w) -> frames (b f h w 3) uint8."""
        images = rearrange(latents, "b c f h w -> (b f) c h w").to(self.vae.dtype) / self.vae.config["scaling_factor"]
        frames = torch.cat([self.vae.decode(part).sample.float() for part in images.split(DECODED_AT_ONCE)])
        pixels = ((frames.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return rearrange(pixels, "(b f) c h w -> b f h w c", b=len(latents)).cpu().numpy()

    def check_inputs(
        self,
        prompts: Sequence[str],
        dsgs: Sequence[DynamicSceneGraph] | None,
        seeds: Sequence[int],
        num_frames: int,
        num_inference_steps: int,
    ) -> None:
        if isinstance(prompts, str) or not prompts:
            raise UserError("prompts: give a list of at least one prompt")
        for name, given in (("seeds", seeds), ("dsgs", dsgs)):
            if given is not None and len(given) != len(prompts):
                raise UserError(f"{name}: {len(given)} for {len(prompts)} prompts; give one per prompt")
        multiple = self.config["frame_multiple"]
        if num_frames < 1 or num_frames % multiple:
            raise UserError(f"frames: {num_frames} is not a positive multiple of {multiple}, which this model needs")
        self.scene_adapter.check(dsgs or ())
        ticks = max((dsg.ticks for dsg in dsgs or ()), default=1)
        if num_frames < ticks:
            raise UserError(f"frames: {num_frames} cannot show a scene graph of {ticks} ticks; give at least {ticks}")
        most = self.scheduler.config.num_train_timesteps
        if not 1 <= num_inference_steps <= most:
            raise UserError(f"steps: {num_inference_steps} is not between 1 and {most}")

    def _sampler(self, name: str | None) -> Any:
        """A scheduler of our own for one call, since schedulers hold state."""
        if name is not None and name not in SCHEDULERS:
            raise UserError(f"scheduler {name!r} is not known; use one of: {', '.join(SCHEDULERS)}")
        kind = type(self.scheduler) if name is None else SCHEDULERS[name]
        return kind.from_config(self.scheduler.config)

    def _encode_text(self, prompts: Sequence[str], negative_prompt: str, branches: dict[str, float]) -> Tensor:
        """(g*b l d): the negative prompt for the unconditional branch, the prompts for the others."""
        unwanted = [negative_prompt] * len(prompts)
        texts = [text for branch in branches for text in (unwanted if branch == "uncond" else prompts)]
        return self.text_encoder.encode(texts).to(self.unet.device, self.unet.dtype)

    def _encode_scenes(
        self,
        dsgs: Sequence[DynamicSceneGraph],
        branches: dict[str, float],
        num_frames: int,
        scene_mode: SceneMode | None,
    ) -> list[KeyValue]:
        """Keys and values of g*b videos: the DSGs, or what they state, for the branches that see them."""
        read = {"full": list(dsgs), "stated": [without_imagined(dsg) for dsg in dsgs]}
        empty = [EMPTY_SCENE] * len(dsgs)
        wanted = [dsg for branch in branches for dsg in read.get(branch, empty)]
        scene = self.scene_adapter.tensors(wanted, self.text_encoder.embed)
        scene = scene.to(self.unet.device, self.scene_adapter.dtype)
        return self.scene_adapter.keys_values(self.scene_adapter.encode(scene, num_frames, scene_mode))

    def _noise(self, seeds: Sequence[int], num_frames: int) -> Tensor:
        """Standard normal noise (b c f h w), drawn on the CPU, so that it depends on nothing but the seed."""
        size = self.unet.config["sample_size"]
        height, width = (size, size) if isinstance(size, int) else size
        shape = (self.unet.config["in_channels"], num_frames, height, width)
        share = self.config["shared_noise"]
        return torch.stack([_drawn(shape, torch.Generator().manual_seed(seed), share) for seed in seeds])


def _drawn(shape: tuple[int, int, int, int], generator: torch.Generator, share: float) -> Tensor:
    own = torch.randn(shape, generator=generator)
    return mixed_noise(own, torch.randn(shape[0], 1, *shape[2:], generator=generator), share) if share else own


def mixed_noise(own: Tensor, common: Tensor, share: float) -> Tensor:
    """Standard normal noise (c f h w) of which all frames have the part ``share`` of the variance in common.

    Frames that start from the same noise put things in the same places. ``own`` (c f h w), ``common`` (c 1 h w).
    Source: the mixed noise model of Ge et al. 2023 (PYoCo).
    """
    return share**0.5 * common + (1 - share) ** 0.5 * own


def guidance_branches(text_scale: float, scene_scale: float, imagined_weight: float = 1.0) -> dict[str, float]:
    """What the network must be evaluated on and with which weight the answers are added.

    ``u + t (text - u) + s (stated + w (full - stated) - text)`` is ``(1-t) u + (t-s) text + s(1-w) stated + sw full``.
    A branch of weight 0 is left out, so one evaluation is enough without guidance and two with equal scales.
    """
    weights = {
        "uncond": 1 - text_scale,
        "text": text_scale - scene_scale,
        "stated": scene_scale * (1 - imagined_weight),
        "full": scene_scale * imagined_weight,
    }
    return {name: weight for name, weight in weights.items() if weight != 0}
