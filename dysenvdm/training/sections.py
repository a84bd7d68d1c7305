"""The sections of a video model's recipe: what each key means, and its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dysenvdm.data.section import Section
from dysenvdm.data.steps import Curriculum
from dysenvdm.models import entries

Beta = Annotated[float, Field(ge=0, lt=1)]


class ModelSection(Section):
    """``preset`` names sizes in dysenvdm.backbones; ``vae`` is a trained autoencoder's folder (not for its own phase).

    It may also be a model's name (``dysenvdm models list``), for that model's autoencoder.
    The referee phase takes it for one of the faults it learns to see through, and needs none.
    ``init`` is a model of ours (a folder, or a name of ``dysenvdm models list``) that a fresh run starts from. With
    ``preset`` it gives the weights alone. Without, it gives everything: the sizes, the scene adapter's switches, the
    diffusion process, the text encoder and, where ``vae`` is not given, the autoencoder; so a backbone that
    ``dysenvdm backbone add`` took in is trained as it is. The autoencoder phase takes an autoencoder's folder, the
    referee phase a referee's.
    ``freeze`` names the parts, ``unet`` or ``scene_adapter``, that stay as they are, bit for bit.
    ``text_encoder`` is a name of the model store or a folder (CLIP's text model with its tokenizer, too), and
    ``max_tokens`` of a caption are read by it; a longer caption ends the run.
    ``gate`` is the mean PSNR in dB that the autoencoder must reach on held-out frames: what it blurs, no denoiser can
    draw.
    """

    preset: Literal["micro", "nano", "tiny", "paper"] | None = None
    vae: Path | None = None
    init: str | None = None
    freeze: tuple[Literal["unet", "scene_adapter"], ...] = ()
    gate: float = 30.0
    text_encoder: str = "all-minilm-l6-v2"
    max_tokens: int = Field(128, ge=8, le=512)

    @field_validator("vae")
    @classmethod
    def _of_model(cls, vae: Path | None) -> Path | None:
        """A name that is no folder here may be a model's."""
        if vae is None or vae.exists() or len(vae.parts) > 1:
            return vae
        return next((entry / "vae" for entry in entries() if entry.name == vae.name), vae)


class LoraSection(Section):
    """Low-rank updates W + (alpha / rank) B A instead of the weights themselves (Hu et al. 2021).

    ``targets`` are the ends of layers' names in UNet and scene adapter: by default the projections of all attention,
    to frames, text, time and the scene. A part in ``model.freeze`` gets none.
    """

    rank: int = Field(16, ge=1)
    alpha: float = Field(16.0, gt=0)
    targets: tuple[str, ...] = Field(("to_q", "to_k", "to_v", "to_out.0", "query", "key_value", "output"), min_length=1)


class SceneSection(Section):
    """The denoiser's scene adapter: the switches of :class:`dysenvdm.scene_attention.SceneAdapter`.

    ``mode: none`` trains the text-only twin: same clips, same steps, same network, no scene.
    """

    width: int = Field(128, ge=1)
    layers: int = Field(2, ge=1)
    heads: int = Field(4, ge=1)
    encoder: Literal["rgtrm", "recurrent_gnn"] = "rgtrm"
    laplacian: int = Field(0, ge=0)
    weisfeiler_lehman: int = Field(0, ge=0)
    recurrence: bool = True
    phases: bool = True
    mode: Literal["aligned", "broadcast", "none", "shuffled"] = "aligned"

    @model_validator(mode="after")
    def _check(self) -> SceneSection:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared by {self.heads} heads; use a multiple")
        return self


class LossSection(Section):
    """Loss weights. The first three are the autoencoder's, the others the denoiser's.

    ``min_snr`` caps the weight of nearly clean latents (Hang et al. 2023), which also takes weight from nearly pure
    noise, where layout is learnt; without it all noise levels weigh the same.
    ``foreground`` multiplies the error inside actors' boxes: a tenth of the picture that carries all of the action.
    ``offset_noise``: standard deviation of a noise that is the same in a whole clip, for backbones whose process does
    not end in pure noise and that otherwise learn no very dark or bright clips; our own need none.
    The others are probabilities per sample: the dropouts for classifier-free guidance and for plans without
    imagination, and ``distract`` for facts imagined beyond what the video shows.
    """

    kl: float = Field(1e-4, ge=0)
    gradient: float = Field(0.5, ge=0)
    square: float = Field(2.0, ge=0)
    min_snr: float | None = Field(None, gt=0)
    offset_noise: float = Field(0.0, ge=0)
    foreground: float = Field(1.0, ge=1)
    drop_text: float = Field(0.1, ge=0, le=1)
    drop_scene: float = Field(0.1, ge=0, le=1)
    drop_both: float = Field(0.1, ge=0, le=1)
    drop_imagined: float = Field(0.5, ge=0, le=1)
    distract: float = Field(0.3, ge=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> LossSection:
        if self.drop_text + self.drop_scene + self.drop_both > 1:
            raise ValueError("drop_text + drop_scene + drop_both exceed 1; they exclude each other")
        return self


class DegradeSection(Section):
    """What the referee phase does to drawn clips: the probability of each fault, and how bad it gets at most.

    ``vae`` is the share of the corpus that is seen through the autoencoder, once for all; other faults differ by step.
    ``vae_noise`` and ``noise_strength`` are standard deviations, of scaled latents and of colours in [-1, 1];
    ``blur_sigma`` is in pixels; ``tint_strength`` is what a channel's contrast and brightness change by.
    """

    vae: float = Field(0.4, ge=0, le=1)
    vae_noise: float = Field(0.3, ge=0)
    rescale: float = Field(0.15, ge=0, le=1)
    blur: float = Field(0.3, ge=0, le=1)
    blur_sigma: float = Field(1.3, ge=0.3)
    tint: float = Field(0.5, ge=0, le=1)
    tint_strength: float = Field(0.06, ge=0)
    noise: float = Field(0.35, ge=0, le=1)
    noise_strength: float = Field(0.25, ge=0)


class TrainSection(Section):
    """The optimisation. ``batch_size`` is global: it means the same on one rank and on eight.

    The learning rate warms up linearly over ``warmup`` steps, stays, and falls linearly to zero over the last
    ``cooldown`` fraction of ``steps``, so that a run can be cut short or prolonged by another ``train.steps``.
    With ``minutes`` it ends when so much time was spent in steps, if that comes first, with the same fall before.
    The denoiser's frames: until the ``stills`` fraction of the steps single frames of ``stills_batch`` clips, then
    until the ``coarse`` fraction every second frame, then all (:class:`dysenvdm.data.steps.Curriculum` says why).
    ``ema`` is the average's decay per step; it is brought up to date every ``ema_every`` steps.
    ``shared_noise``: the part of the noise's variance that a clip's frames have in common, in training and sampling
    (:func:`dysenvdm.pipeline.mixed_noise`); a model that goes on learning without ``model.preset`` keeps its own.
    ``scene_lr``: another learning rate for the scene adapter. Norms and biases know no ``weight_decay``.
    ``checkpoint_activations``: layers keep only their inputs and compute the rest again; a third more time, the same
    gradients, far less memory. ``backend`` of the ranks' talk: NCCL on GPUs, gloo elsewhere, unless said otherwise;
    ``timeout``: minutes that a rank waits for another, longer than the longest validation.
    """

    steps: int = Field(ge=1)
    minutes: float | None = Field(None, gt=0)
    batch_size: int = Field(ge=1)
    micro_batch: int | None = Field(None, ge=1)
    lr: float = Field(gt=0)
    scene_lr: float | None = Field(None, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    betas: tuple[Beta, Beta] = (0.9, 0.99)
    warmup: int = Field(100, ge=0)
    cooldown: float = Field(0.25, ge=0, le=1)
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.995, ge=0, lt=1)
    ema_every: int = Field(1, ge=1)
    stills: float = Field(0.0, ge=0, le=1)
    stills_batch: int = Field(64, ge=1)
    coarse: float = Field(0.0, ge=0, le=1)
    shared_noise: float = Field(0.0, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    checkpoint_activations: bool = False
    backend: Literal["auto", "nccl", "gloo"] = "auto"
    timeout: float = Field(30.0, gt=0, le=100_000)

    @property
    def curriculum(self) -> Curriculum:
        return Curriculum(
            batch=self.batch_size,
            stills=self.stills_batch,
            stills_until=round(self.stills * self.steps),
            coarse_until=round(self.coarse * self.steps),
        )


class KeepBest(Section):
    """The checkpoint with the lowest (or highest) validation value ``name`` is kept beside the last ones."""

    name: str
    lowest: bool = True


class LogSection(Section):
    """How often, in steps; how many checkpoints are kept; ``sample_steps``: denoising steps of a sample sheet.

    ``at_once``: clips that a denoiser's validation takes through the network together, and its sample sheets, at most
    four. ``prompts``, or a text file of them, a line each, are drawn beside held-out clips: captions without a scene,
    or ``.json`` files of scene graphs. ``wandb``: also log for Weights & Biases, offline, into the run's folder.
    """

    every: int = Field(10, ge=1)
    validate_every: int = Field(250, ge=1)
    sample_every: int = Field(500, ge=1)
    checkpoint_every: int = Field(250, ge=1)
    keep: int = Field(2, ge=1)
    keep_best: KeepBest | None = None
    sample_steps: int = Field(20, ge=1)
    at_once: int = Field(8, ge=1)
    prompts: list[str] | Path = Field(default_factory=list)
    wandb: bool = False

    @model_validator(mode="after")
    def _check(self) -> LogSection:
        if self.keep_best and self.checkpoint_every % self.validate_every:
            raise ValueError("keep_best: checkpoint_every must be a multiple of validate_every, or none can be judged")
        return self
