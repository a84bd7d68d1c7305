"""The networks of a run on torch's meta device, and what a clip costs them; also where what they start from is missing.

What is missing becomes a note: the error that training would end with, and what stands in for it here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from dysenvdm.backbones import UNETS, build_vae
from dysenvdm.models import locate
from dysenvdm.stage import sample as play
from dysenvdm.training.activations import checkpoint_activations
from dysenvdm.training.cost import META, Cost, autoencoder_cost, denoiser_cost, referee_cost
from dysenvdm.training.networks import (
    build_parts,
    checked_vae,
    choose_trained,
    fit_for_training,
    init_folder,
    max_tokens,
    read_config,
    text_encoder_bytes,
    text_width,
    vae_folder,
)
from dysenvdm.training.recipe import Recipe, load_recipe, read_recipe
from dysenvdm.training.shipped import shipped_recipes
from planners.dsg import UserError

Paper = tuple[nn.Module, Cost, int]
"""The module that would be trained, on the meta device; what a clip costs it; bytes frozen beside it."""


class Notes(dict[str, str]):
    """What is missing, each in one line with its mend, and what the report does without it."""

    def add(self, key: str, error: UserError, instead: str) -> None:
        """Note what the recipe's ``key`` names."""
        said = str(error)
        self[said if said.startswith(key) else f"{key}: {said}"] = instead

    def __str__(self) -> str:
        return "\n".join(f"- {missing} [{instead}]" for missing, instead in self.items())


def on_paper(recipe: Recipe, precision: str, notes: Notes) -> Paper | None:
    """What would be trained; None where the model to start from is missing and nothing else says its sizes.

    Raises :class:`UserError` for parts that are there and do not fit the recipe.
    """
    sized = _sized(recipe, notes)
    if sized is None:
        return None
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    if recipe.phase == "referee":
        return _referee(sized, dtype, notes)
    return _autoencoder(sized, dtype) if recipe.phase == "autoencoder" else _denoiser(sized, dtype, notes)


def _referee(recipe: Recipe, dtype: torch.dtype, notes: Notes) -> Paper:
    from dysenvdm.training.referee import corpus_bytes, sized_referee

    data, vae = recipe.data, nn.Module()
    with META:
        referee = sized_referee(recipe).to(dtype)
        if recipe.model.vae:
            try:
                vae = _vae_of(checked_vae(recipe.model.vae))
            except UserError as error:
                notes.add("model.vae", error, "its weights are not counted")
    cost = referee_cost(referee, frames=data.frames, size=(data.size, data.size))
    beside = corpus_bytes(recipe) + 2 * sum(weight.numel() for weight in vae.parameters())
    return nn.ModuleDict({"referee": referee}), cost, beside


def _autoencoder(recipe: Recipe, dtype: torch.dtype) -> Paper:
    from dysenvdm.training.autoencoder import STILLS, sized_vae

    data = recipe.data
    with META:
        vae = sized_vae(recipe).to(dtype)
    cost = autoencoder_cost(vae, size=(data.size, data.size), stills=min(STILLS, data.frames))
    return nn.ModuleDict({"vae": vae}), cost, 0


def _denoiser(recipe: Recipe, dtype: torch.dtype, notes: Notes) -> Paper:
    data = recipe.data
    width, tokens, text_bytes = _text(recipe, notes)
    with META:
        unet, adapter = build_parts(recipe, width)
        vae = _vae(recipe, notes)
        choose_trained(recipe, {"unet": unet, "scene_adapter": adapter})
    fit_for_training(unet, torch.device("cuda"))
    module = nn.ModuleDict({"unet": unet, "scene_adapter": adapter}).to(dtype)
    if recipe.train.checkpoint_activations:
        checkpoint_activations(module)
    side = data.size // 2 ** (len(vae.config["block_out_channels"]) - 1)
    cost = denoiser_cost(
        unet, adapter, play(1, frames=max(data.frames, 8)).dsg,
        frames=data.frames, size=(side, side), text=tokens,
    )  # fmt: skip
    return module, cost, 4 * sum(weight.numel() for weight in vae.parameters()) + text_bytes


def _sized(recipe: Recipe, notes: Notes) -> Recipe | None:
    """The recipe; where the model it starts from is missing, one of the same sizes without it; None: not known."""
    if recipe.model.init is None:
        return recipe
    try:
        _check_start(recipe, recipe.model.init)
    except UserError as error:
        alike, said = _alike(recipe, recipe.model.init)
        notes.add("model.init", error, said)
        return alike
    return recipe


def _check_start(recipe: Recipe, init: str) -> None:
    """Raise :class:`UserError` where no model of the recipe's phase is there to start from."""
    if recipe.phase == "denoiser":
        init_folder(recipe)
    elif recipe.phase == "referee":
        from dysenvdm.stage.referee import referee_config

        referee_config(locate(init))
    else:
        from dysenvdm.training.autoencoder import sized_vae

        with META:
            sized_vae(recipe)


def _alike(recipe: Recipe, init: str) -> tuple[Recipe | None, str]:
    """A recipe of the same sizes that does without ``init``, if there is one, and what says these sizes.

    That is ``model.preset``, or the recipe that ships and whose run exports the folder.
    """
    preset = recipe.model.preset
    if preset is not None:
        model = recipe.model.model_copy(update={"init": None})
        return recipe.model_copy(update={"model": model}), f"sizes are those of model.preset, {preset}"
    for name, path in shipped_recipes().items():
        values = read_recipe(path, [])
        if values["phase"] != recipe.phase or values.get("lora") or Path(values["run"]) / "model" != Path(init):
            continue
        maker = load_recipe(path, [])
        theirs = {key: getattr(maker.model, key) for key in ("preset", "init", "text_encoder", "max_tokens")}
        model = recipe.model.model_copy(update=theirs)
        alike = _sized(recipe.model_copy(update={"model": model, "scene": maker.scene}), Notes())
        if alike is not None:
            return alike, f"recipe {name} makes it, and its sizes are taken"
    return None, "its sizes are not known"


def _text(recipe: Recipe, notes: Notes) -> tuple[int, int, int]:
    """How wide texts are that the UNet reads, of how many tokens; bytes of the text encoder."""
    preset = recipe.model.preset
    try:
        return text_width(recipe), max_tokens(recipe), text_encoder_bytes(recipe)
    except UserError as error:
        width = text_width(recipe) if preset is None else UNETS[preset].text_width
        try:
            tokens = max_tokens(recipe)
        except UserError:
            tokens = recipe.model.max_tokens
        notes.add("the text encoder", error, f"{tokens} tokens of width {width} are taken, and its weights not counted")
        return width, tokens, 0


def _vae(recipe: Recipe, notes: Notes) -> Any:
    """The autoencoder in front; where it is missing that of ``model.init``, or one of the UNet's preset."""
    init, preset = init_folder(recipe), recipe.model.preset
    if init is None and recipe.model.vae is None:
        return build_vae(str(preset))  # what would have come with a model that is missing
    try:
        return _vae_of(vae_folder(recipe))
    except UserError as error:
        stand_in = build_vae(str(preset)) if init is None else _vae_of(init / "vae")
        whose = f"one of preset {preset}" if init is None else "that of model.init"
        notes.add("model.vae", error, f"{whose} is taken instead")
        return stand_in


def _vae_of(folder: Path) -> Any:
    """The autoencoder of a folder, without its weights."""
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_config(read_config(folder))
