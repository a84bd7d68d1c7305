"""The networks of a denoiser's run: built by a recipe, with or without weights, and what of them is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DDIMScheduler, UNet3DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from dysenvdm.backbones import UNETS, build_unet, flatten_temporal_convolutions
from dysenvdm.clip_text import ClipTextEncoder
from dysenvdm.models import locate, verify
from dysenvdm.scene_attention import SceneAdapter
from dysenvdm.text import MAX_TOKENS, TextEncoder
from dysenvdm.training.checkpoint_files import differing_keys, shapes_of
from dysenvdm.training.recipe import Recipe
from planners.dsg import UserError

CLIP = ("clip", "clip_text_model")
"""What transformers calls CLIP's text model in its configurations."""
PARTS = ("unet", "scene_adapter")
SETTINGS = ("frame_multiple", "shared_noise", "trained_fps", "usual_steps", "usual_guidance")
"""Of a model that goes on learning, what it keeps of its pipeline's arguments."""
WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Networks:
    """What is trained, on its device, and its process; ``settings`` are the other arguments of its pipeline."""

    unet: UNet3DConditionModel
    scene_adapter: SceneAdapter
    scheduler: Any
    settings: dict[str, Any]


def build_scheduler() -> DDIMScheduler:
    """The diffusion process of our own models: v-prediction, noise schedule rescaled to end in pure noise.

    A last step that still showed a trace of the clip makes bright and dark pictures come out grey (Lin et al. 2024).
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def open_networks(recipe: Recipe, text_width: int, device: torch.device) -> Networks:
    """The recipe's networks with their first weights, ready for training; raises :class:`UserError`."""
    torch.manual_seed(recipe.seed)  # who made a cache first has drawn numbers that who found one has not
    init = init_folder(recipe)
    if init is not None and recipe.model.preset is None:
        verify(init)
        local = {"local_files_only": True, "use_safetensors": True}
        unet = UNet3DConditionModel.from_pretrained(init / "unet", **local)
        adapter = SceneAdapter.from_pretrained(init / "scene_adapter", **local)
        index = read_config(init, "model_index.json")
        scheduler = _scheduler(init, index)
        settings = {name: index[name] for name in SETTINGS if name in index}
    else:
        scheduler, settings = build_scheduler(), {}
        unet, adapter = build_parts(recipe, text_width)
        if init is not None:
            _load_weights(init, {"unet": unet, "scene_adapter": adapter}, str(recipe.model.preset))
    choose_trained(recipe, {"unet": unet, "scene_adapter": adapter})
    fit_for_training(unet.to(device), device)
    settings = {"shared_noise": recipe.train.shared_noise, **settings}
    return Networks(unet, adapter.to(device), scheduler, settings)


def _scheduler(init: Path, index: dict[str, Any]) -> Any:
    """The diffusion process that a model was trained with."""
    library, name = index["scheduler"]
    if library != "diffusers" or not name.endswith("Scheduler"):
        raise UserError(f"model.init: its scheduler is {library}'s {name}; training knows those of diffusers")
    scheduler = getattr(diffusers, name).from_pretrained(init / "scheduler", local_files_only=True)
    predicts = scheduler.config["prediction_type"]
    if predicts not in ("epsilon", "v_prediction"):
        raise UserError(f"model.init: its scheduler predicts {predicts!r}; training knows epsilon and v_prediction")
    return scheduler


def build_parts(recipe: Recipe, text_width: int) -> tuple[UNet3DConditionModel, SceneAdapter]:
    """UNet and scene adapter of the recipe's sizes, their weights random (on the meta device: none)."""
    init = init_folder(recipe)
    if recipe.model.preset is None:
        assert init is not None  # the recipe's own check
        unet = UNet3DConditionModel.from_config(read_config(init / "unet"))
        return unet, SceneAdapter.from_config(read_config(init / "scene_adapter"))
    unet = build_unet(UNETS[recipe.model.preset].model_copy(update={"text_width": text_width}))
    return unet, SceneAdapter.for_unet(unet, label_dim=text_width, **recipe.scene.model_dump())


def choose_trained(recipe: Recipe, parts: Mapping[str, nn.Module]) -> None:
    """Leave gradients to what the recipe trains alone; with ``lora`` to low-rank updates, put in beside the weights."""
    for name in recipe.model.freeze:
        parts[name].requires_grad_(False)
    if recipe.lora:
        from dysenvdm.training.lora import add_lora

        add_lora(recipe.lora, {name: part for name, part in parts.items() if name not in recipe.model.freeze})


def fit_for_training(unet: UNet3DConditionModel, device: torch.device) -> None:
    """What training wants otherwise than diffusers has it; no weight changes."""
    flatten_temporal_convolutions(unet)
    for module in unet.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # diffusers fixes 0.1 in temporal convolutions; a corpus without end needs none
    # Written-out attention where torch's fused one is bad: under bf16 on CPUs its backward pass takes five times as
    # long, and over time on GPUs, a sequence per pixel, stills make more sequences than its kernels take (65,535).
    fused = unet.attn_processors
    written_out = {
        name: device.type == "cpu" or "temp_attentions" in name or "transformer_in" in name for name in fused
    }
    unet.set_attn_processor({name: AttnProcessor() if written_out[name] else fused[name] for name in fused})


def init_folder(recipe: Recipe) -> Path | None:
    """Where the run starts from; raises :class:`UserError` where there is no whole model of ours."""
    if recipe.model.init is None:
        return None
    try:
        folder = locate(recipe.model.init)
    except UserError as error:
        raise UserError(f"model.init: {error}") from None
    for part in PARTS:
        if not list((folder / part).glob("*.safetensors")):
            raise UserError(
                f"model.init: no {folder / part / WEIGHTS}; name the model folder that a denoiser run exported or that "
                f"'dysenvdm backbone add' made"
            )
    return folder


def vae_folder(recipe: Recipe) -> Path:
    """The autoencoder's folder, the recipe's or that of ``model.init``; raises :class:`UserError`."""
    init = init_folder(recipe)
    if recipe.model.vae is None:
        assert init is not None  # the recipe's own check
        return init / "vae"
    return checked_vae(recipe.model.vae)


def checked_vae(folder: Path) -> Path:
    """The folder that ``model.vae`` names; raises :class:`UserError` where no autoencoder is in it."""
    if not (folder / "config.json").is_file():
        raise UserError(f"model.vae: no autoencoder in {folder}; train one first, by an autoencoder recipe")
    return folder


def open_text_encoder(recipe: Recipe) -> TextEncoder | ClipTextEncoder:
    """The recipe's text encoder, or that of ``model.init``; raises :class:`UserError`."""
    folder = _text_folder(recipe)
    config = read_config(folder)
    if "store" in config:
        return TextEncoder.from_pretrained(folder)
    return ClipTextEncoder(folder) if config.get("model_type") in CLIP else TextEncoder(folder, recipe.model.max_tokens)


def text_width(recipe: Recipe) -> int:
    """How wide the texts are that the UNet reads, from configurations alone; raises :class:`UserError`."""
    init = init_folder(recipe)
    if init is not None and recipe.model.preset is None:
        return int(read_config(init / "unet")["cross_attention_dim"])
    return int(read_config(locate(recipe.model.text_encoder))["hidden_size"])


def max_tokens(recipe: Recipe) -> int:
    """How many tokens of a caption the UNet reads; raises :class:`UserError`."""
    folder = _text_folder(recipe)
    config = read_config(folder)
    if "store" in config:
        return int(config.get("max_tokens", MAX_TOKENS))
    if config.get("model_type") in CLIP:
        return int(config["max_position_embeddings"])
    return recipe.model.max_tokens


def text_encoder_bytes(recipe: Recipe) -> int:
    """Of its weights; raises :class:`UserError`."""
    folder = _text_folder(recipe)
    config = read_config(folder)
    folder = locate(config["store"]) if "store" in config else folder
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def cuts_captions(recipe: Recipe) -> bool:
    """Whether the text encoder reads the beginning of a caption that is too long, as CLIP does."""
    return read_config(_text_folder(recipe)).get("model_type") in CLIP


def tokenizer_folder(recipe: Recipe) -> Path:
    """Where the text encoder's tokenizer is; raises :class:`UserError`."""
    folder = _text_folder(recipe)
    config = read_config(folder)
    return locate(config["store"]) if "store" in config else folder


def _text_folder(recipe: Recipe) -> Path:
    """Where the text encoder is, or where it is said which one it is."""
    init = init_folder(recipe)
    if init is not None and recipe.model.preset is None:
        return init / "text_encoder"
    return locate(recipe.model.text_encoder)


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A part's configuration; raises :class:`UserError`."""
    path = folder / name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error}); name the folder of a whole model") from None
    assert isinstance(config, dict)
    return config


def _load_weights(init: Path, parts: Mapping[str, nn.Module], preset: str) -> None:
    from safetensors.torch import load_file

    for name, part in parts.items():
        if not (init / name / WEIGHTS).is_file():
            raise UserError(f"model.init: no {init / name / WEIGHTS}; leave model.preset out to take it as it is")
        theirs = load_file(init / name / WEIGHTS)
        if differences := differing_keys(shapes_of(theirs), shapes_of(part.state_dict())):
            raise UserError(
                f"model.init: {init / name / WEIGHTS} is not of preset {preset!r} with this recipe's scene section: "
                f"{differences}; use the preset and the switches it has, or leave model.preset and scene out"
            )
        part.load_state_dict(theirs)
