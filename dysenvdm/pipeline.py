"""From prompts and their scenes to videos: a diffusers pipeline around the 3D-UNet and its scene adapter.

Letters: ``b`` video, ``c`` channels, ``f`` frame, ``h w`` pixels (of latents or frames).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.logging import disable_progress_bar
from einops import rearrange
from torch import Tensor

from dysenvdm.backbones import flatten_temporal_convolutions
from dysenvdm.clip_text import ClipTextEncoder
from dysenvdm.generation.denoising import Conditions, GuidedUNet, Predict
from dysenvdm.generation.editing import Original
from dysenvdm.generation.first_frame import FirstFrame, first_moment, image_latents, inverted_noise
from dysenvdm.generation.guidance import guidance_branches
from dysenvdm.generation.limits import TrainedRange
from dysenvdm.generation.noise import mixed_noise, video_noise
from dysenvdm.generation.preview import Preview
from dysenvdm.generation.samplers import SCHEDULERS, clean_estimate, new_sampler
from dysenvdm.generation.windows import Windows
from dysenvdm.models import verify
from dysenvdm.scene_attention import KeyValue, SceneAdapter, SceneMode
from dysenvdm.scene_tensors import without_imagined
from dysenvdm.text import TextEncoder
from planners.dsg import DynamicSceneGraph, UserError

__all__ = ["EMPTY_SCENE", "SCHEDULERS", "Cancelled", "DysenVDMPipeline", "guidance_branches", "mixed_noise"]

EMPTY_SCENE = DynamicSceneGraph(ticks=1)
DECODED_AT_ONCE = 32
"""Frames in one pass of the decoder; bounds memory."""

OnStep = Callable[[int, int, Tensor], bool | None]
"""(steps done, steps in all, latents (b c f h w)) -> True to stop."""

Rule = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
"""(sampler, output, latents, timestep) -> the output that the step takes instead; all (b c f h w)."""


class Cancelled(Exception):  # noqa: N818  (not an error)
    """The caller's ``on_step`` asked to stop."""


class DysenVDMPipeline(DiffusionPipeline):
    """Text and dynamic scene graphs to videos.

    ``frame_multiple``: the number of frames must be a multiple of it. ``trained_frames`` and ``trained_fps`` are those
    of the clips that it was trained on; longer videos are made in windows of so many frames. ``usual_steps`` and
    ``usual_guidance``: how it is sampled by those who call the pipeline and have no wish of their own.
    """

    model_cpu_offload_seq = "unet->vae"
    _exclude_from_cpu_offload = ["text_encoder", "scene_adapter"]  # noqa: RUF012  (diffusers' own name and type)

    vae: AutoencoderKL
    unet: UNet3DConditionModel
    scene_adapter: SceneAdapter
    text_encoder: TextEncoder | ClipTextEncoder
    scheduler: Any

    def __init__(
        self,
        vae: AutoencoderKL,
        unet: UNet3DConditionModel,
        scene_adapter: SceneAdapter,
        text_encoder: TextEncoder | ClipTextEncoder,
        scheduler: SchedulerMixin,
        frame_multiple: int = 4,
        shared_noise: float = 0.0,
        trained_frames: int = 16,
        trained_fps: int = 8,
        usual_steps: int = 25,
        usual_guidance: float = 1.5,
    ) -> None:
        super().__init__()
        flatten_temporal_convolutions(unet)
        self.register_modules(
            vae=vae, unet=unet, scene_adapter=scene_adapter, text_encoder=text_encoder, scheduler=scheduler
        )
        if not 0 <= shared_noise <= 1:
            raise UserError(f"shared_noise: {shared_noise} is no part of a variance; give 0 to 1")
        self.register_to_config(
            frame_multiple=frame_multiple,
            shared_noise=shared_noise,
            trained_frames=trained_frames,
            trained_fps=trained_fps,
            usual_steps=usual_steps,
            usual_guidance=usual_guidance,
        )

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
        except (ValueError, AttributeError, RecursionError) as error:
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
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 25,
        guidance_scale: float = 1.5,
        scene_guidance_scale: float | None = None,
        negative_prompt: str = "",
        scheduler: str | None = None,
        scene_mode: SceneMode | None = None,
        imagined_weight: float = 1.0,
        frame_prompts: Sequence[Sequence[str]] | None = None,
        window: int | None = None,
        overlap: int | None = None,
        reuse_noise: bool = True,
        first_frames: np.ndarray | None = None,
        edit_of: tuple[Sequence[str], Sequence[DynamicSceneGraph]] | None = None,
        on_step: OnStep | None = None,
        preview: Preview | None = None,
    ) -> np.ndarray:
        """Videos (b f h w 3) uint8, one per prompt, seed and (where given) DSG.

        Guidance: ``uncond + guidance_scale (text - uncond) + scene_guidance_scale (full - text)``, where ``uncond`` has
        the negative prompt and no scene, ``text`` the prompt and no scene. ``scene_guidance_scale`` is as
        ``guidance_scale`` unless given, and counts only with DSGs; equal scales, or 1, save evaluations. ``scheduler``:
        a name of SCHEDULERS instead of the model's own. ``scene_mode``: instead of the one that the model was trained
        in. ``imagined_weight`` w puts ``stated + w (full - stated)`` in the place of ``full``; ``stated`` has the DSGs
        without what was imagined or polished. 0 is the same as vetoing that, 1 obeys it like the rest, more overdoes
        it; any other than 0 and 1 costs an evaluation. ``height`` and ``width`` in pixels are the model's own unless
        given. ``frame_prompts``: for each video one text per frame, which the frame's attention to text reads in place
        of the prompt (``planners.narration`` writes them from a DSG).

        ``window`` and ``overlap`` (frames): videos longer than a window, by default the trained length, are made in
        windows (:class:`Windows`); ``reuse_noise`` as in :func:`video_noise`. ``first_frames`` (b h w 3) uint8 become
        the first frames. ``edit_of``: the prompts and DSGs of the videos that the same seeds and settings gave; what
        the changes do not touch stays as it was, and there are twice the steps.

        Raises :class:`UserError` for bad arguments and :class:`Cancelled` when ``on_step`` returns True.
        """
        # 1. Arguments
        self.check_inputs(prompts, dsgs, seeds, num_frames, num_inference_steps, height, width)
        frame_texts = self._frame_texts(prompts, frame_prompts, num_frames)
        if frame_prompts is not None and edit_of is not None:
            raise UserError(
                "frame_prompts: such a video cannot be edited; make the changed one anew from the same seed"
            )
        windows = self.windows(num_frames, window, overlap)
        scene_scale = guidance_scale if scene_guidance_scale is None or dsgs is None else scene_guidance_scale
        if not 0 <= imagined_weight < float("inf"):
            raise UserError(f"imagined weight: {imagined_weight:g}; give 0 (as if vetoed) or more, 1 is as trained")
        read = [*(dsgs or ()), *(edit_of[1] if edit_of else ())]
        if all(without_imagined(dsg) == dsg for dsg in read):
            imagined_weight = 1.0  # nothing is imagined, so no evaluation need be spent on it
        branches = guidance_branches(guidance_scale, scene_scale, imagined_weight)
        if negative_prompt and "uncond" not in branches:
            raise UserError("negative prompt: has no effect at guidance 1; leave it out or raise the guidance")

        # 2. What every branch of the guidance reads: text, and the scene as keys and values, once per video
        def predictor(texts: Sequence[Sequence[str]], dsgs: Sequence[DynamicSceneGraph] | None) -> Predict:
            return self._predictor(texts, dsgs, windows, branches, negative_prompt, scene_mode)

        predict = predictor(frame_texts, dsgs)

        originals = None if edit_of is None else [[prompt] for prompt in edit_of[0]]

        # 3. Noise, per video from its own seed, and what the first frame knows of it
        rules: list[Rule] = []
        common = None
        if first_frames is not None:
            clean = image_latents(self.vae, first_frames, self._execution_device)
            rules.append(FirstFrame(clean))
            common = self._noise_of(clean, originals or frame_texts, edit_of[1] if edit_of else dsgs, scene_mode)
        noise = self._noise(seeds, windows, self._latent_size(height, width), reuse_noise, common)

        # 4. Denoising: of the original first where there is one, then of the video
        samplers = [new_sampler(self.scheduler, scheduler) for _ in range(1 if edit_of is None else 2)]
        for sampler in samplers:
            sampler.set_timesteps(num_inference_steps, device=noise.device)
        report = _Report(sum(len(sampler.timesteps) for sampler in samplers), on_step)
        if edit_of is not None and originals is not None:
            self.check_inputs(*edit_of, seeds, num_frames, num_inference_steps, height, width)
            original = Original(predict)
            self._denoise(noise, samplers[0], predictor(originals, edit_of[1]), [*rules, original], report)
            rules.append(original.kept())
        latents = self._denoise(noise, samplers[-1], predict, rules, report, preview)

        # 5. Decoding
        videos = self.decode(latents)
        self.maybe_free_model_hooks()
        return videos

    def _denoise(
        self,
        noise: Tensor,
        sampler: Any,
        predict: Predict,
        rules: Sequence[Rule],
        report: "_Report",
        preview: Preview | None = None,
    ) -> Tensor:
        """Noise (b c f h w) -> scaled latents of the same shape."""
        latents = noise * sampler.init_noise_sigma
        for step, timestep in enumerate(sampler.timesteps, start=1):
            output = predict(sampler, latents, timestep)
            for rule in rules:
                output = rule(sampler, output, latents, timestep)
            if preview is not None and preview.due(step, len(sampler.timesteps)):
                shown = preview.chosen(latents.shape[2])
                clean = clean_estimate(sampler, output[:, :, shown], latents[:, :, shown], timestep)
                preview.show(step, len(sampler.timesteps), self.decode(clean))
            latents = sampler.step(output, timestep, latents, return_dict=False)[0]
            report(latents)
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Scaled latents (b c f h w) -> frames (b f h w 3) uint8."""
        images = rearrange(latents, "b c f h w -> (b f) c h w").to(self.vae.dtype) / self.vae.config["scaling_factor"]
        pixels = torch.cat([_bytes(self.vae.decode(part).sample) for part in images.split(DECODED_AT_ONCE)])
        return rearrange(pixels, "(b f) c h w -> b f h w c", b=len(latents)).numpy()

    def windows(self, num_frames: int, window: int | None = None, overlap: int | None = None) -> Windows:
        """How a video of so many frames is divided; raises :class:`UserError`."""
        length = window or self.config["trained_frames"]
        return Windows.of(num_frames, length, overlap, self.config["frame_multiple"])

    @property
    def trained(self) -> TrainedRange:
        """What the model was trained on."""
        height, width = (side * self._pixels for side in self._latent_size())
        return TrainedRange(self.config["trained_frames"], self.config["trained_fps"], width, height)

    def check_inputs(
        self,
        prompts: Sequence[str],
        dsgs: Sequence[DynamicSceneGraph] | None,
        seeds: Sequence[int],
        num_frames: int,
        num_inference_steps: int,
        height: int | None = None,
        width: int | None = None,
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
        multiple = self._pixels * 2 ** (len(self.unet.config["block_out_channels"]) - 1)
        for name, side in (("height", height), ("width", width)):
            if side is not None and (side < 1 or side % multiple):
                raise UserError(
                    f"{name}: {side} pixels is not a positive multiple of {multiple}, which this model needs; "
                    f"the nearest is {max(round(side / multiple), 1) * multiple}"
                )

    @property
    def _pixels(self) -> int:
        """Pixels of a frame per pixel of its latents, along one side."""
        return int(2 ** (len(self.vae.config["block_out_channels"]) - 1))

    def _latent_size(self, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """(h, w) of the latents, those of the model where the frames' are not given."""
        size = self.unet.config["sample_size"]
        own_height, own_width = (size, size) if isinstance(size, int) else size
        return (height // self._pixels if height else own_height), (width // self._pixels if width else own_width)

    def _frame_texts(
        self, prompts: Sequence[str], frame_prompts: Sequence[Sequence[str]] | None, num_frames: int
    ) -> list[list[str]]:
        """Per video a text for each frame, or one for all; raises :class:`UserError`."""
        if frame_prompts is None:
            return [[prompt] for prompt in prompts]
        if len(frame_prompts) != len(prompts):
            raise UserError(f"frame_prompts: {len(frame_prompts)} for {len(prompts)} prompts; give one list per prompt")
        for texts in frame_prompts:
            if isinstance(texts, str) or len(texts) != num_frames:
                raise UserError(f"frame_prompts: give a list of {num_frames} texts per video, one for each frame")
        return [list(texts) for texts in frame_prompts]

    def _encode_text(self, texts: Sequence[Sequence[str]], negative_prompt: str, branches: dict[str, float]) -> Tensor:
        """(g*b f l d), f = 1 where all frames read the same: the negative prompt for the unconditional branch."""
        unwanted = [[negative_prompt] * len(of_video) for of_video in texts]
        wanted = [of_video for branch in branches for of_video in (unwanted if branch == "uncond" else texts)]
        row = {text: i for i, text in enumerate(dict.fromkeys(text for of_video in wanted for text in of_video))}
        encoded = self.text_encoder.encode(list(row)).to(self._execution_device, self.unet.dtype)
        return encoded[torch.tensor([[row[text] for text in of_video] for of_video in wanted], device=encoded.device)]

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
        scene = scene.to(self._execution_device, self.scene_adapter.dtype)
        return self.scene_adapter.keys_values(self.scene_adapter.encode(scene, num_frames, scene_mode))

    def _predictor(
        self,
        texts: Sequence[Sequence[str]],
        dsgs: Sequence[DynamicSceneGraph] | None,
        windows: Windows,
        branches: dict[str, float],
        negative_prompt: str,
        scene_mode: SceneMode | None,
    ) -> Predict:
        """The network's guided output for videos of these texts (per frame, or one for all) and DSGs."""
        text = self._encode_text(texts, negative_prompt, branches)
        keys_values = self._encode_scenes(dsgs or [EMPTY_SCENE] * len(texts), branches, windows.frames, scene_mode)
        return GuidedUNet(
            self.unet, self.scene_adapter, Conditions(text, keys_values, tuple(branches.values())), windows
        )

    def _noise_of(
        self,
        clean: Tensor,
        texts: Sequence[Sequence[str]],
        dsgs: Sequence[DynamicSceneGraph] | None,
        scene_mode: SceneMode | None,
    ) -> Tensor | None:
        """The noise (b c 1 h w) that stands for pictures (b c h w) which show the first moment of the DSGs.

        None where the model's frames share none.
        """
        if not self.config["shared_noise"]:
            return None
        moments = None if dsgs is None else [first_moment(dsg) for dsg in dsgs]
        windows = self.windows(self.config["frame_multiple"])
        of_first = [of_video[:1] for of_video in texts]
        predict = self._predictor(of_first, moments, windows, guidance_branches(1.0, 1.0), "", scene_mode)
        return inverted_noise(clean, predict, new_sampler(self.scheduler, "ddim"), windows.frames)

    def _noise(
        self, seeds: Sequence[int], windows: Windows, size: tuple[int, int], reuse: bool, common: Tensor | None
    ) -> Tensor:
        """Standard normal noise (b c f h w)."""
        options: dict[str, Any] = {"share": self.config["shared_noise"], "reuse": reuse}
        shared = [None] * len(seeds) if common is None else common.cpu()
        drawn = [
            video_noise(seed, self.unet.config["in_channels"], size, windows, common=each, **options)
            for seed, each in zip(seeds, shared, strict=True)
        ]
        return torch.stack(drawn).to(self._execution_device)


@dataclass
class _Report:
    """Tells the caller of every step, over all passes, and stops where it says so."""

    total: int
    on_step: OnStep | None
    done: int = 0

    def __call__(self, latents: Tensor) -> None:
        self.done += 1
        if self.on_step is not None and self.on_step(self.done, self.total, latents):
            raise Cancelled(f"stopped after step {self.done} of {self.total}")


def _bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8, on the CPU."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
