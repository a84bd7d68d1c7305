"""Recipes: the YAML file of a training run, validated strictly, with ``--set key=value`` overrides."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dysenvdm.data.stage import Curriculum
from planners.dsg import UserError, one_line


class Section(BaseModel):
    """A part of a recipe, or a whole one: keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid")


R = TypeVar("R", bound=BaseModel)


class DataSection(Section):
    """Stage clips: ``frames`` x ``size`` x ``size`` pixels with plans of ``ticks`` ticks.

    ``clips`` bounds the corpus (0: a fresh clip for every sample). ``cache`` renders and encodes those clips once,
    before the first step, instead of in every step: worth it where the corpus is seen often.
    """

    frames: int = Field(16, ge=1)
    size: int = Field(64, ge=16)
    ticks: int = Field(8, ge=1)
    clips: int = Field(0, ge=0)
    cache: bool = False
    workers: int = Field(1, ge=0)
    validation_clips: int = Field(32, ge=1)

    @model_validator(mode="after")
    def _check(self) -> DataSection:
        if self.cache and not self.clips:
            raise ValueError("a cache needs a bounded corpus; set data.clips")
        return self


class ModelSection(Section):
    """``preset`` names sizes in dysenvdm.backbones; ``vae`` is a trained autoencoder's folder (not for its own phase).

    The referee phase takes it for one of the faults it learns to see through, and needs none.
    ``init`` is an exported folder of the same preset whose weights a fresh run starts from.
    ``max_tokens`` of a caption are read by ``text_encoder``; a longer caption ends the run.
    ``gate`` is the mean PSNR in dB that it must reach on held-out frames: what it blurs, no denoiser can draw.
    """

    preset: Literal["micro", "nano", "tiny"]
    vae: Path | None = None
    init: Path | None = None
    gate: float = 30.0
    text_encoder: str = "all-minilm-l6-v2"
    max_tokens: int = Field(128, ge=8, le=512)


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
    The others are probabilities per sample: the dropouts for classifier-free guidance and for plans without
    imagination, and ``distract`` for facts imagined beyond what the video shows.
    """

    kl: float = Field(1e-4, ge=0)
    gradient: float = Field(0.5, ge=0)
    square: float = Field(2.0, ge=0)
    min_snr: float | None = Field(None, gt=0)
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
    until the ``coarse`` fraction every second frame, then all (:class:`dysenvdm.data.stage.Curriculum` says why).
    ``ema`` is the average's decay per step; it is brought up to date every ``ema_every`` steps.
    ``shared_noise``: the part of the noise's variance that a clip's frames have in common, in training and sampling
    (:func:`dysenvdm.pipeline.mixed_noise`).
    """

    steps: int = Field(ge=1)
    minutes: float | None = Field(None, gt=0)
    batch_size: int = Field(ge=1)
    micro_batch: int | None = Field(None, ge=1)
    lr: float = Field(gt=0)
    weight_decay: float = Field(0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = Field(100, ge=0)
    cooldown: float = Field(0.25, ge=0, le=1)
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.995, ge=0, lt=1)
    ema_every: int = Field(1, ge=1)
    stills: float = Field(0.0, ge=0, le=1)
    stills_batch: int = Field(64, ge=1)
    coarse: float = Field(0.0, ge=0, le=1)
    shared_noise: float = Field(0.0, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @property
    def curriculum(self) -> Curriculum:
        return Curriculum(
            batch=self.batch_size,
            stills=self.stills_batch,
            stills_until=round(self.stills * self.steps),
            coarse_until=round(self.coarse * self.steps),
        )


class LogSection(Section):
    """How often, in steps; how many checkpoints are kept; ``sample_steps``: denoising steps of a sample sheet."""

    every: int = Field(10, ge=1)
    validate_every: int = Field(250, ge=1)
    sample_every: int = Field(500, ge=1)
    checkpoint_every: int = Field(250, ge=1)
    keep: int = Field(2, ge=1)
    sample_steps: int = Field(20, ge=1)


_OURS = {"train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"}
"""DeepSpeed settings that follow from the train section."""


class Recipe(Section):
    """One training run. ``run`` is its folder; ``deepspeed`` goes into DeepSpeed's own configuration as it is."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    phase: Literal["autoencoder", "denoiser", "referee"]
    run: Path
    seed: int = Field(0, ge=0)
    data: DataSection = DataSection()
    model: ModelSection
    scene: SceneSection = SceneSection()
    loss: LossSection = LossSection()
    degrade: DegradeSection = DegradeSection()
    train: TrainSection
    log: LogSection = LogSection()
    deepspeed: dict[str, Any] = Field(default_factory=lambda: {"zero_optimization": {"stage": 0}})

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.phase == "denoiser" and self.model.vae is None:
            raise ValueError("model.vae: the denoiser phase needs a trained autoencoder's folder")
        if self.phase == "referee" and not self.data.cache:
            raise ValueError("data.cache: the referee phase draws a bounded corpus once; set it, and data.clips")
        if self.phase == "referee" and (self.train.stills or self.train.coarse):
            raise ValueError("train.stills and train.coarse: a referee needs whole clips; leave them out")
        if self.phase == "autoencoder" and (self.train.stills or self.train.coarse):
            raise ValueError("train.stills and train.coarse: an autoencoder sees stills in any case; leave them out")
        if self.phase != "denoiser" and self.model.init is not None:
            raise ValueError("model.init: only the denoiser phase starts from exported weights; leave it out")
        if self.phase != "denoiser" and self.scene != SceneSection():
            raise ValueError("scene: only the denoiser phase has a scene adapter; leave it out")
        clash = _OURS & self.deepspeed.keys()
        if clash:
            raise ValueError(f"deepspeed.{min(clash)}: comes from the train section; set it there")
        return self


def read_recipe(path: str | Path, overrides: list[str]) -> dict[str, Any]:
    """A recipe file's values with ``key.path=value`` overrides (values are YAML) applied, not yet validated.

    Raises :class:`UserError` where the file is no YAML mapping or an override is none.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe is a YAML mapping with name, phase, run, model and train")
    for override in overrides:
        _override(data, override)
    return data


def validated(path: str | Path, data: dict[str, Any], schema: type[R]) -> R:
    """``data`` as a recipe; raises :class:`UserError`, with the nearest known key where a key is misspelt."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{path}: {one_line(error)}{_suggestion(error, schema)}") from None


def load_recipe(path: str | Path, overrides: list[str]) -> Recipe:
    """Read the recipe of a generator's phase and apply overrides; raises :class:`UserError`."""
    return validated(path, read_recipe(path, overrides), Recipe)


def check_run_folder(recipe: BaseModel, run: Path, fixed: Sequence[str]) -> None:
    """Raise :class:`UserError` where ``run`` holds a run that has other values for the keys ``fixed``."""
    path = run / "recipe.yaml"
    if path.exists():
        theirs, mine = yaml.safe_load(path.read_text(encoding="utf-8")), recipe.model_dump(mode="json")
        other = [key for key in fixed if theirs.get(key) != mine[key]]
        if other:
            raise UserError(f"{path}: that run has another {other[0]!r}; choose another folder with --set run=FOLDER")


def write_recipe(recipe: BaseModel, run: Path) -> None:
    """Leave the resolved recipe in the run's folder."""
    run.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    (run / "recipe.yaml").write_text(text, encoding="utf-8")


def _override(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"--set {override}: write it as key=value, for example train.lr=1e-4")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"--set {override}: the value is not valid YAML") from None
    if isinstance(value, str):  # YAML 1.1 reads 1e-4 as text; people mean the number
        with suppress(ValueError):
            value = float(value)
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise UserError(f"--set {override}: {parent} is not a section")
    data[last] = value


def _suggestion(error: ValidationError, schema: type[BaseModel]) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] != "extra_forbidden":
        return ""
    section: Any = schema
    for part in first["loc"][:-1]:
        section = section.model_fields[part].annotation
    near = difflib.get_close_matches(str(first["loc"][-1]), section.model_fields, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(section.model_fields)}"
