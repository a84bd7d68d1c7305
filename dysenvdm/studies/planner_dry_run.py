"""What a planner's training would be, without training: configuration, parameters, steps. Nothing is written.

Where the model is missing that is tuned, or that embeds prompts, its parameters wait for it, and the rest is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import yaml
from pydantic import BaseModel

from dysenvdm.models import PLANNER_MODEL, TEXT_MODEL, locate
from dysenvdm.studies.planner_recipes import FinetuneRecipe
from dysenvdm.studies.reinforced_planning import ReinforceRecipe
from dysenvdm.training.dry_run import STOPS
from dysenvdm.training.on_paper import Notes
from dysenvdm.training.recipe import read_recipe, validated
from dysenvdm.training.zero_memory import GIB
from planners.dsg import UserError
from planners.reinforce import PolicyNetwork

ADAM = 16
"""Bytes of a number that is trained: itself, its gradient and both moments."""


def dry_run(path: Path, overrides: list[str]) -> str:
    """The report of a recipe of phase finetune or reinforce; raises :class:`UserError` for one that breaks a rule."""
    values, notes = read_recipe(path, overrides), Notes()
    recipe: BaseModel
    counted: Callable[[], str]
    if values.get("phase") == "finetune":
        recipe = finetune = validated(path, values, FinetuneRecipe)
        key, counted, work = "the model", partial(_adapter, finetune), _tuning(finetune)
    else:
        recipe = reinforce = validated(path, values, ReinforceRecipe)
        key, counted, work = "the text encoder", partial(_policy, reinforce), _reinforcing(reinforce)
    try:
        parameters = counted()
    except UserError as error:
        parameters = f"waits for {key}, which is missing and alone says how many there are"
        notes.add(key, error, "parameters are not counted")
    resolved = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False).rstrip()
    sections = [("The resolved recipe", resolved), ("Parameters", parameters), ("Work", work)]
    if notes:
        sections.append((STOPS, str(notes)))
    return "\n\n".join(f"# {title}\n{text}" for title, text in sections)


def _adapter(recipe: FinetuneRecipe) -> str:
    """The model is built on the meta device, so its weights are not read."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = recipe.model or locate(PLANNER_MODEL)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"model: {folder} is no transformers folder ({str(error).splitlines()[0]})") from None
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        frozen = sum(weight.numel() for weight in model.parameters())
        lora = LoraConfig(task_type="CAUSAL_LM", r=recipe.lora.rank, target_modules=list(recipe.lora.targets))
        tuned = get_peft_model(model, lora)
    trained = [weight for weight in tuned.parameters() if weight.requires_grad]
    moved = sum(weight.numel() for weight in trained)
    states = (4 * frozen + ADAM * moved) / GIB
    return (
        f"trained: {moved:,} in {len(trained)} tensors, rank {recipe.lora.rank}\n"
        f"frozen: {frozen:,} ({folder.name})\n"
        f"memory: {states:.2f} GiB of weights, gradients and AdamW's moments, all in fp32; activations come on top"
    )


def _tuning(recipe: FinetuneRecipe) -> str:
    train = recipe.train
    minutes = f", or {train.minutes:g} minutes of them, whichever comes first" if train.minutes else ""
    texts = str(recipe.data.file) if recipe.data.file else f"{recipe.data.texts:,} texts"
    return (
        f"{train.steps:,} steps of at most {train.batch_tokens:,} tokens{minutes}\n"
        f"at most {train.steps * train.batch_tokens:,} tokens, of the questions about {texts}"
    )


def _policy(recipe: ReinforceRecipe) -> str:
    config = json.loads((locate(TEXT_MODEL) / "config.json").read_text(encoding="utf-8"))
    network = PolicyNetwork(recipe.train.steps, torch.empty(1, config["hidden_size"]), recipe.train.width)
    trained = list(network.parameters())
    return (
        f"trained: {sum(weight.numel() for weight in trained):,} in {len(trained)} tensors, "
        f"a map for each of {', '.join(recipe.train.steps)}\n"
        f"frozen: {TEXT_MODEL} and the language model of {recipe.planner}"
    )


def _reinforcing(recipe: ReinforceRecipe) -> str:
    train, data = recipe.train, recipe.data
    each = -(-data.prompts // train.batch_size)
    updates, plans = train.epochs * each, train.epochs * data.prompts * train.samples
    validations = updates // train.validate_every + 1
    minutes = f", or {train.minutes:g} minutes, whichever comes first" if train.minutes else ""
    return (
        f"{updates:,} updates of {train.batch_size} prompts ({each:,} an epoch, {train.epochs} epochs){minutes}\n"
        f"at most {plans:,} plans are drawn, and about {validations * data.held_out_prompts:,} for validation; replies "
        f"that are known already are not asked for again"
    )
